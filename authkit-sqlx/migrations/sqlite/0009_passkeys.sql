-- Passkeys, one row each, and the challenges that wait to be signed. A challenge that was answered is deleted; what it is for and
-- by whom it may be answered is in its digest.

CREATE TABLE authkit_passkeys (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id         BLOB    NOT NULL REFERENCES authkit_users (id),
    credential_id   BLOB    NOT NULL CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key      BLOB    NOT NULL,
    name            TEXT    NOT NULL,
    sign_count      INTEGER NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    backup_eligible INTEGER NOT NULL CHECK (backup_eligible IN (0, 1)),
    backed_up       INTEGER NOT NULL CHECK (backed_up IN (0, 1)),
    transports      TEXT    NOT NULL,
    aaguid          BLOB    NOT NULL CHECK (length(aaguid) = 16),
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER
) STRICT;

CREATE UNIQUE INDEX authkit_passkeys_credential ON authkit_passkeys (credential_id);
CREATE INDEX authkit_passkeys_user ON authkit_passkeys (user_id, id);

CREATE TABLE authkit_passkey_challenges (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    secret     BLOB    NOT NULL CHECK (length(secret) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX authkit_passkey_challenges_expiry ON authkit_passkey_challenges (expires_at);
