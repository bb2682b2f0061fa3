-- Second factors: which are in force, beside the account, and what they are checked against, one row for each account that has
-- ever begun to turn one on.

ALTER TABLE authkit_users ADD COLUMN second_factors INTEGER NOT NULL DEFAULT 0 CHECK (second_factors BETWEEN 0 AND 4294967295);

CREATE TABLE authkit_factors (
    user_id             BLOB    NOT NULL PRIMARY KEY REFERENCES authkit_users (id),
    version             INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    totp_secret         BLOB,
    totp_last_step      INTEGER CHECK (totp_last_step BETWEEN 0 AND 4294967295),
    totp_created_at     INTEGER,
    recovery_key        BLOB,
    -- The digests of the codes that are left, 32 bytes each, one behind the other.
    recovery_codes      BLOB    CHECK (length(recovery_codes) % 32 = 0),
    recovery_created_at INTEGER,
    failures            INTEGER CHECK (failures BETWEEN 1 AND 4294967295),
    last_failure_at     INTEGER,
    CHECK ((totp_secret IS NULL) = (totp_created_at IS NULL)),
    CHECK (totp_secret IS NOT NULL OR totp_last_step IS NULL),
    CHECK ((recovery_key IS NULL) = (recovery_created_at IS NULL) AND (recovery_key IS NULL) = (recovery_codes IS NULL)),
    CHECK ((failures IS NULL) = (last_failure_at IS NULL))
) STRICT, WITHOUT ROWID;
