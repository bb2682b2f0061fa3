-- The audit log: an index for each question, the chain of seals, and how far the log was handed on.
--
-- The server inserts into audit_events, audit_seals and audit_leaves and reads them; it needs neither UPDATE nor DELETE there.
-- An index is built while writers wait: some seconds for each million events.

CREATE INDEX audit_events_actor ON authkit_audit_events (actor_user_id, id) WHERE actor_user_id IS NOT NULL;
CREATE INDEX audit_events_action ON authkit_audit_events (action, id);
CREATE INDEX audit_events_outcome ON authkit_audit_events (outcome, id);
CREATE INDEX audit_events_request ON authkit_audit_events (request_id, id) WHERE request_id IS NOT NULL;

CREATE TABLE authkit_audit_seals (
    number    bigint NOT NULL PRIMARY KEY CHECK (number >= 1),
    previous  bytea  NOT NULL CHECK (length(previous) = 32),
    through   uuid   NOT NULL,
    events    bigint NOT NULL CHECK (events BETWEEN 0 AND 4294967295),
    late      bigint NOT NULL CHECK (late BETWEEN 0 AND events),
    root      bytea  NOT NULL CHECK (length(root) = 32),
    purged    bigint NOT NULL CHECK (purged >= 0),
    sealed_at bigint NOT NULL,
    key_id    text   COLLATE "C" NOT NULL,
    digest    bytea  NOT NULL CHECK (length(digest) = 32),
    signature text   NOT NULL
);

-- What a seal is the root of: for each event its id (16 bytes) and its hash (32 bytes). It goes when its events are purged.
CREATE TABLE authkit_audit_leaves (
    seal   bigint NOT NULL PRIMARY KEY,
    leaves bytea  NOT NULL CHECK (length(leaves) % 48 = 0)
);

CREATE TABLE authkit_audit_streams (
    name        text   COLLATE "C" NOT NULL PRIMARY KEY,
    holder      text   NOT NULL,
    lease_until bigint NOT NULL,
    seal        bigint NOT NULL CHECK (seal >= 0)
);
