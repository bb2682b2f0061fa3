-- Accounts, passwords, sessions, server keys and the audit log.
--
-- Identifiers are 16-byte UUIDv7, instants are microseconds since the Unix epoch, digests are SHA-256.
-- INVARIANT: no index holds a column that the rotation of a refresh token writes (generation, secret, refreshed_at,
-- idle_expires_at, last_used_*): a session is rotated thousands of times, and no index may move with it.

CREATE TABLE authkit_users (
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email_normal      TEXT,
    email             TEXT,
    email_verified_at INTEGER,
    full_name         TEXT,
    locale            TEXT,
    status            TEXT    NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    auth_epoch        INTEGER NOT NULL CHECK (auth_epoch BETWEEN 0 AND 4294967295),
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    -- A closed account is a tombstone: it keeps its sessions' revocations reachable, and nothing personal.
    CHECK ((status = 'closed') = (email_normal IS NULL)),
    CHECK ((email_normal IS NULL) = (email IS NULL)),
    CHECK (status <> 'closed' OR (email_verified_at IS NULL AND full_name IS NULL AND locale IS NULL))
) STRICT;

CREATE UNIQUE INDEX authkit_users_email ON authkit_users (email_normal) WHERE email_normal IS NOT NULL;

CREATE TABLE authkit_password_credentials (
    user_id    BLOB    NOT NULL PRIMARY KEY REFERENCES authkit_users (id),
    hash       TEXT    NOT NULL CHECK (length(hash) BETWEEN 1 AND 1024),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE authkit_sessions (
    id                   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id              BLOB    NOT NULL REFERENCES authkit_users (id),
    generation           INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    secret               BLOB    NOT NULL CHECK (length(secret) = 32),
    methods              TEXT    NOT NULL,
    authenticated_at     INTEGER NOT NULL,
    device_name          TEXT,
    created_ip           TEXT,
    created_user_agent   TEXT,
    last_used_ip         TEXT,
    last_used_user_agent TEXT,
    created_at           INTEGER NOT NULL,
    refreshed_at         INTEGER NOT NULL,
    idle_expires_at      INTEGER NOT NULL,
    expires_at           INTEGER NOT NULL,
    revoked_at           INTEGER,
    revoked_reason       TEXT,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;

-- Every session of a user, for the close of an account; the ones that were not revoked, for lists and revocations.
CREATE INDEX authkit_sessions_user ON authkit_sessions (user_id, id);
CREATE INDEX authkit_sessions_unrevoked ON authkit_sessions (user_id, id) WHERE revoked_at IS NULL;
CREATE INDEX authkit_sessions_revoked ON authkit_sessions (revoked_at, id) WHERE revoked_at IS NOT NULL;

CREATE TABLE authkit_server_keys (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    purpose      TEXT    NOT NULL,
    serial       INTEGER NOT NULL CHECK (serial BETWEEN 0 AND 4294967295),
    algorithm    TEXT    NOT NULL,
    private      BLOB    NOT NULL,
    public_jwk   TEXT,
    created_at   INTEGER NOT NULL,
    activates_at INTEGER NOT NULL,
    UNIQUE (purpose, serial)
) STRICT;

-- No foreign keys: the log outlives what it tells of.
CREATE TABLE authkit_audit_events (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at               INTEGER NOT NULL,
    action           TEXT    NOT NULL,
    outcome          TEXT    NOT NULL,
    actor            TEXT    NOT NULL CHECK (actor IN ('anonymous', 'user', 'system')),
    actor_user_id    BLOB,
    actor_session_id BLOB,
    subject_id       BLOB,
    ip               TEXT,
    user_agent       TEXT,
    request_id       TEXT,
    details          TEXT    NOT NULL,
    CHECK ((actor = 'user') = (actor_user_id IS NOT NULL))
) STRICT;

CREATE INDEX authkit_audit_events_subject ON authkit_audit_events (subject_id, id) WHERE subject_id IS NOT NULL;
