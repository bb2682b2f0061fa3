-- One-time tokens and the outbox.
--
-- A token that is used is deleted, so that the table holds what is outstanding and nothing else. A message keeps its payload
-- while it may still have to be sent.

CREATE TABLE authkit_one_time_tokens (
    id             uuid   NOT NULL PRIMARY KEY,
    purpose        text   COLLATE "C" NOT NULL,
    user_id        uuid   NOT NULL REFERENCES authkit_users (id),
    secret         bytea  NOT NULL CHECK (length(secret) = 32),
    auth_epoch     bigint NOT NULL CHECK (auth_epoch BETWEEN 0 AND 4294967295),
    address_normal text   COLLATE "C",
    address        text,
    data           text   NOT NULL,
    attempts_left  bigint NOT NULL CHECK (attempts_left BETWEEN 0 AND 4294967295),
    created_at     bigint NOT NULL,
    expires_at     bigint NOT NULL,
    CHECK ((address_normal IS NULL) = (address IS NULL))
);

CREATE INDEX one_time_tokens_user ON authkit_one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_expiry ON authkit_one_time_tokens (expires_at);

-- No foreign key: a message may be about an address that has no account.
CREATE TABLE authkit_outbox (
    id          uuid   NOT NULL PRIMARY KEY,
    kind        text   COLLATE "C" NOT NULL,
    subject     text   COLLATE "C" NOT NULL,
    user_id     uuid,
    payload     bytea,
    state       text   COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'expired')),
    attempts    bigint NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    due_at      bigint NOT NULL,
    expires_at  bigint NOT NULL,
    created_at  bigint NOT NULL,
    finished_at bigint,
    last_error  text,
    CHECK ((state = 'pending') = (finished_at IS NULL)),
    CHECK (payload IS NULL OR state IN ('pending', 'dead'))
);

CREATE INDEX outbox_due ON authkit_outbox (due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_state ON authkit_outbox (state, id);
CREATE INDEX outbox_user ON authkit_outbox (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX outbox_finished ON authkit_outbox (finished_at) WHERE finished_at IS NOT NULL;
