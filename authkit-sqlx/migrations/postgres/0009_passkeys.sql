-- Passkeys, one row each, and the challenges that wait to be signed. A challenge that was answered is deleted; what it is for and
-- by whom it may be answered is in its digest.

CREATE TABLE authkit_passkeys (
    id              uuid   NOT NULL PRIMARY KEY,
    user_id         uuid   NOT NULL REFERENCES authkit_users (id),
    credential_id   bytea  NOT NULL CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key      bytea  NOT NULL,
    name            text   NOT NULL,
    sign_count      bigint NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    backup_eligible bigint NOT NULL CHECK (backup_eligible IN (0, 1)),
    backed_up       bigint NOT NULL CHECK (backed_up IN (0, 1)),
    transports      text   COLLATE "C" NOT NULL,
    aaguid          uuid   NOT NULL,
    created_at      bigint NOT NULL,
    last_used_at    bigint
) WITH (fillfactor = 75);

CREATE UNIQUE INDEX passkeys_credential ON authkit_passkeys (credential_id);
CREATE INDEX passkeys_user ON authkit_passkeys (user_id, id);

CREATE TABLE authkit_passkey_challenges (
    id         uuid   NOT NULL PRIMARY KEY,
    secret     bytea  NOT NULL CHECK (length(secret) = 32),
    expires_at bigint NOT NULL
);

CREATE INDEX passkey_challenges_expiry ON authkit_passkey_challenges (expires_at);
