-- A telephone as a second factor, the codes that were sent and wait to be typed in, the devices on which no second factor is asked
-- for, and the roles that nobody uses without one. New columns are empty or constant: no table is rewritten.

ALTER TABLE authkit_factors ADD COLUMN phone_number bytea;
ALTER TABLE authkit_factors ADD COLUMN phone_created_at bigint CHECK ((phone_created_at IS NULL) = (phone_number IS NULL));
-- JSON: at most one code for each use, and at most a handful of devices.
ALTER TABLE authkit_factors ADD COLUMN sent_codes text;
ALTER TABLE authkit_factors ADD COLUMN trusted_devices text;

ALTER TABLE authkit_roles ADD COLUMN mfa_required bigint NOT NULL DEFAULT 0 CHECK (mfa_required IN (0, 1));
