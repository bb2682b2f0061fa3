-- Roles, and who has them.
--
-- The roles that somebody has stand in the row of her account, as text, so that whoever reads that knows them: a login, a refresh
-- and a session's account cost no round trip more. The table of assignments says the same the other way round, by role.
-- New columns are empty or constant, and what is indexed anew is a table of its own: no big table is read or written here.

ALTER TABLE authkit_users ADD COLUMN access_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authkit_users ADD COLUMN assignments TEXT;

-- One row, which every change of roles raises and every decision about roles locks.
CREATE TABLE authkit_role_graph (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL CHECK (version BETWEEN 0 AND 4294967295)
) STRICT;

INSERT INTO authkit_role_graph (id, version) VALUES (1, 0);

-- Permissions and inherited roles are separated by a space, which none of them contains.
CREATE TABLE authkit_roles (
    name        TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    description TEXT,
    permissions TEXT    NOT NULL,
    inherits    TEXT    NOT NULL,
    built_in    INTEGER NOT NULL CHECK (built_in IN (0, 1)),
    version     INTEGER NOT NULL CHECK (version BETWEEN 0 AND 4294967295),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO authkit_roles (name, permissions, inherits, built_in, version, created_at, updated_at)
    VALUES ('admin', '*', '', 1, 0, 0, 0), ('user', '', '', 1, 0, 0, 0);

-- No scope is the empty one, so that a role is assigned once in each.
CREATE TABLE authkit_role_assignments (
    user_id    BLOB    NOT NULL REFERENCES authkit_users (id),
    role       TEXT    NOT NULL REFERENCES authkit_roles (name),
    scope      TEXT    NOT NULL CHECK (length(scope) <= 128),
    expires_at INTEGER,
    PRIMARY KEY (user_id, role, scope)
) STRICT, WITHOUT ROWID;

CREATE INDEX authkit_role_assignments_role ON authkit_role_assignments (role, user_id);

-- When the roles of an account were last replaced: what the nodes read to know which tokens say too much or too little.
CREATE TABLE authkit_access_changes (
    user_id    BLOB    NOT NULL PRIMARY KEY REFERENCES authkit_users (id),
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX authkit_access_changes_instant ON authkit_access_changes (changed_at, user_id);
