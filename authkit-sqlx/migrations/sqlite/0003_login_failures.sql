-- Wrong guesses in a row, by the digest of whose secret was guessed at: an address, a known device, a session. A row is there
-- while somebody has guessed and not yet known it. No foreign keys: there is a row for addresses that have no account, too.

CREATE TABLE authkit_login_failures (
    subject  BLOB    NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures INTEGER NOT NULL CHECK (failures BETWEEN 1 AND 4294967295),
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX authkit_login_failures_last ON authkit_login_failures (last_at);
