-- The audit log: an index for each question, the chain of seals, and how far the log was handed on.
--
-- The server inserts into authkit_audit_events, authkit_audit_seals and authkit_audit_leaves and reads them; it neither updates
-- nor deletes there.

CREATE INDEX authkit_audit_events_actor ON authkit_audit_events (actor_user_id, id) WHERE actor_user_id IS NOT NULL;
CREATE INDEX authkit_audit_events_action ON authkit_audit_events (action, id);
CREATE INDEX authkit_audit_events_outcome ON authkit_audit_events (outcome, id);
CREATE INDEX authkit_audit_events_request ON authkit_audit_events (request_id, id) WHERE request_id IS NOT NULL;

CREATE TABLE authkit_audit_seals (
    number    INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
    previous  BLOB    NOT NULL CHECK (length(previous) = 32),
    through   BLOB    NOT NULL CHECK (length(through) = 16),
    events    INTEGER NOT NULL CHECK (events BETWEEN 0 AND 4294967295),
    late      INTEGER NOT NULL CHECK (late BETWEEN 0 AND events),
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    purged    INTEGER NOT NULL CHECK (purged >= 0),
    sealed_at INTEGER NOT NULL,
    key_id    TEXT    NOT NULL,
    digest    BLOB    NOT NULL CHECK (length(digest) = 32),
    signature TEXT    NOT NULL
) STRICT;

-- What a seal is the root of: for each event its id (16 bytes) and its hash (32 bytes). It goes when its events are purged.
CREATE TABLE authkit_audit_leaves (
    seal   INTEGER NOT NULL PRIMARY KEY,
    leaves BLOB    NOT NULL CHECK (length(leaves) % 48 = 0)
) STRICT;

CREATE TABLE authkit_audit_streams (
    name        TEXT    NOT NULL PRIMARY KEY,
    holder      TEXT    NOT NULL,
    lease_until INTEGER NOT NULL,
    seal        INTEGER NOT NULL CHECK (seal >= 0)
) STRICT, WITHOUT ROWID;
