-- Accounts, passwords, sessions, server keys and the audit log.
--
-- Everything lives in a schema of its own; "authkit_" stands for that schema and a dot, here and in every statement.
-- Identifiers are UUIDv7, instants are microseconds since the Unix epoch, digests are SHA-256. Text that is compared or
-- sorted has the collation "C", so that the order is the same on every machine.
-- INVARIANT: no index holds a column that the rotation of a refresh token writes (generation, secret, refreshed_at,
-- idle_expires_at, last_used_*): a session is rotated thousands of times, and no index may move with it. The spare room in
-- each page lets the new version of the row stay on the page of the old one (heap-only tuples).

CREATE TABLE authkit_users (
    id                uuid   NOT NULL PRIMARY KEY,
    email_normal      text   COLLATE "C",
    email             text,
    email_verified_at bigint,
    full_name         text,
    locale            text,
    status            text   COLLATE "C" NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    auth_epoch        bigint NOT NULL CHECK (auth_epoch BETWEEN 0 AND 4294967295),
    created_at        bigint NOT NULL,
    updated_at        bigint NOT NULL,
    -- A closed account is a tombstone: it keeps its sessions' revocations reachable, and nothing personal.
    CHECK ((status = 'closed') = (email_normal IS NULL)),
    CHECK ((email_normal IS NULL) = (email IS NULL)),
    CHECK (status <> 'closed' OR (email_verified_at IS NULL AND full_name IS NULL AND locale IS NULL))
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX users_email ON authkit_users (email_normal) WHERE email_normal IS NOT NULL;

CREATE TABLE authkit_password_credentials (
    user_id    uuid   NOT NULL PRIMARY KEY REFERENCES authkit_users (id),
    hash       text   COLLATE "C" NOT NULL CHECK (length(hash) BETWEEN 1 AND 1024),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE authkit_sessions (
    id                   uuid   NOT NULL PRIMARY KEY,
    user_id              uuid   NOT NULL REFERENCES authkit_users (id),
    generation           bigint NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    secret               bytea  NOT NULL CHECK (length(secret) = 32),
    methods              text   NOT NULL,
    authenticated_at     bigint NOT NULL,
    device_name          text,
    created_ip           text,
    created_user_agent   text,
    last_used_ip         text,
    last_used_user_agent text,
    created_at           bigint NOT NULL,
    refreshed_at         bigint NOT NULL,
    idle_expires_at      bigint NOT NULL,
    expires_at           bigint NOT NULL,
    revoked_at           bigint,
    revoked_reason       text   COLLATE "C",
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);

-- Every session of a user, for the close of an account; the ones that were not revoked, for lists and revocations.
CREATE INDEX sessions_user ON authkit_sessions (user_id, id);
CREATE INDEX sessions_unrevoked ON authkit_sessions (user_id, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_revoked ON authkit_sessions (revoked_at, id) WHERE revoked_at IS NOT NULL;

CREATE TABLE authkit_server_keys (
    id           text   COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    purpose      text   COLLATE "C" NOT NULL,
    serial       bigint NOT NULL CHECK (serial BETWEEN 0 AND 4294967295),
    algorithm    text   NOT NULL,
    private      bytea  NOT NULL,
    public_jwk   text,
    created_at   bigint NOT NULL,
    activates_at bigint NOT NULL,
    UNIQUE (purpose, serial)
);

-- No foreign keys: the log outlives what it tells of.
CREATE TABLE authkit_audit_events (
    id               uuid   NOT NULL PRIMARY KEY,
    at               bigint NOT NULL,
    action           text   COLLATE "C" NOT NULL,
    outcome          text   COLLATE "C" NOT NULL,
    actor            text   COLLATE "C" NOT NULL CHECK (actor IN ('anonymous', 'user', 'system')),
    actor_user_id    uuid,
    actor_session_id uuid,
    subject_id       uuid,
    ip               text,
    user_agent       text,
    request_id       text,
    details          text   NOT NULL,
    CHECK ((actor = 'user') = (actor_user_id IS NOT NULL))
);

CREATE INDEX audit_events_subject ON authkit_audit_events (subject_id, id) WHERE subject_id IS NOT NULL;
