-- One-time tokens and the outbox.
--
-- A token that is used is deleted, so that the table holds what is outstanding and nothing else. A message keeps its payload
-- while it may still have to be sent.

CREATE TABLE authkit_one_time_tokens (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    purpose        TEXT    NOT NULL,
    user_id        BLOB    NOT NULL REFERENCES authkit_users (id),
    secret         BLOB    NOT NULL CHECK (length(secret) = 32),
    auth_epoch     INTEGER NOT NULL CHECK (auth_epoch BETWEEN 0 AND 4294967295),
    address_normal TEXT,
    address        TEXT,
    data           TEXT    NOT NULL,
    attempts_left  INTEGER NOT NULL CHECK (attempts_left BETWEEN 0 AND 4294967295),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    CHECK ((address_normal IS NULL) = (address IS NULL))
) STRICT;

CREATE INDEX authkit_one_time_tokens_user ON authkit_one_time_tokens (user_id, purpose);
CREATE INDEX authkit_one_time_tokens_expiry ON authkit_one_time_tokens (expires_at);

-- No foreign key: a message may be about an address that has no account.
CREATE TABLE authkit_outbox (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    user_id     BLOB,
    payload     BLOB,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'expired')),
    attempts    INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    due_at      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    last_error  TEXT,
    CHECK ((state = 'pending') = (finished_at IS NULL)),
    CHECK (payload IS NULL OR state IN ('pending', 'dead'))
) STRICT;

CREATE INDEX authkit_outbox_due ON authkit_outbox (due_at, id) WHERE state = 'pending';
CREATE INDEX authkit_outbox_state ON authkit_outbox (state, id);
CREATE INDEX authkit_outbox_user ON authkit_outbox (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX authkit_outbox_finished ON authkit_outbox (finished_at) WHERE finished_at IS NOT NULL;
