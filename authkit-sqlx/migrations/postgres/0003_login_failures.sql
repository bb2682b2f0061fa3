-- Wrong guesses in a row, by the digest of whose secret was guessed at: an address, a known device, a session. A row is there
-- while somebody has guessed and not yet known it. No foreign keys: there is a row for addresses that have no account, too.
--
-- Every failure moves a row's count and its instant, so that the index of instants moves with it; nothing else does.

CREATE TABLE authkit_login_failures (
    subject  bytea  NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures bigint NOT NULL CHECK (failures BETWEEN 1 AND 4294967295),
    last_at  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX login_failures_last ON authkit_login_failures (last_at);
