//! Roles, and who has them.

use std::collections::BTreeSet;
use std::str::FromStr;

use authkit_core::model::{Access, AccessChange, Assignment, Role, RoleChange};
use authkit_core::ports::{AccessMark, Conflict, StoreError};
use authkit_core::{PageLimit, PageRequest, RoleDescription, RoleName, Timestamp, UserId};

use crate::aggregate::user::user_columns;
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

/// No row when the version is the one that is known: then nobody needs the roles.
const ALL: &str = "SELECT g.version, r.name, r.description, r.permissions, r.inherits, r.built_in, r.mfa_required, r.version, r.created_at, r.updated_at \
    FROM authkit_role_graph g CROSS JOIN authkit_roles r WHERE g.version IS DISTINCT FROM $1 ORDER BY r.name";

macro_rules! changed {
    ($condition:literal) => {
        concat!(
            "SELECT g.version, c.user_id, c.changed_at, c.access_version, c.assignments FROM authkit_role_graph g LEFT JOIN ( \
                SELECT a.user_id, a.changed_at, u.access_version, u.assignments \
                FROM authkit_access_changes a JOIN authkit_users u ON u.id = a.user_id WHERE ",
            $condition,
            " ORDER BY a.changed_at, a.user_id LIMIT $2 \
             ) c ON 1 = 1 ORDER BY c.changed_at, c.user_id"
        )
    };
}

const CHANGED_FROM: &str = changed!("a.changed_at >= $1");
const CHANGED_AFTER: &str = changed!("(a.changed_at, a.user_id) > ($1, $3)");

/// An account has a role in several scopes at most, so that few rows are read to fill a page.
macro_rules! with_role {
    ($cursor:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            " FROM (SELECT DISTINCT a.user_id FROM authkit_role_assignments a WHERE a.role = $1",
            $cursor,
            " ORDER BY a.user_id DESC LIMIT $2) holders JOIN authkit_users u ON u.id = holders.user_id ORDER BY u.id DESC"
        )
    };
}

const WITH_ROLE_FIRST: &str = with_role!("");
const WITH_ROLE_NEXT: &str = with_role!(" AND a.user_id < $3");

const RAISE_VERSION: &str = "UPDATE authkit_role_graph SET version = version + 1 WHERE id = 1 AND version = $1";

macro_rules! expect_version {
    ($lock:literal) => {
        concat!("SELECT 1 FROM authkit_role_graph WHERE id = 1 AND version = $1", $lock)
    };
}

/// SQLite has one writer at a time: what was read stays true until the transaction ends.
pub(crate) const EXPECT_VERSION_SQLITE: &str = expect_version!("");

/// INVARIANT: no role changes until the transaction ends, and assignments do not wait for each other.
pub(crate) const EXPECT_VERSION_POSTGRES: &str = expect_version!(" FOR SHARE");

macro_rules! lock {
    ($lock:literal) => {
        concat!("SELECT 1 FROM authkit_role_graph WHERE id = 1", $lock)
    };
}

pub(crate) const LOCK_SQLITE: &str = lock!("");

/// INVARIANT: one statement locks and the next one looks. Under READ COMMITTED a statement sees what was committed before it began:
/// one that locked and looked at once would look at what there was before its rival was done (PostgreSQL manual §13.2.1).
pub(crate) const LOCK_POSTGRES: &str = lock!(" FOR NO KEY UPDATE");

const INSERT: &str = "INSERT INTO authkit_roles (name, description, permissions, inherits, built_in, version, created_at, updated_at, mfa_required) \
    VALUES ($1, $2, $3, $4, 0, 0, $5, $6, $7) ON CONFLICT DO NOTHING";

const UPDATE: &str = "UPDATE authkit_roles SET description = $2, permissions = $3, inherits = $4, version = version + 1, updated_at = $5, mfa_required = $6 \
    WHERE name = $1 AND built_in = 0";

const DELETE: &str = "DELETE FROM authkit_roles WHERE name = $1 AND built_in = 0 \
    AND NOT EXISTS (SELECT 1 FROM authkit_role_assignments a WHERE a.role = $1)";

const IS_CUSTOM: &str = "SELECT 1 FROM authkit_roles WHERE name = $1 AND built_in = 0";

/// The roles that hold everything, and who has one of them for good and everywhere. A word is in a list of words when the list is
/// shorter by it once it is taken out: the same in every dialect, and names are no patterns, as for `LIKE` they would be. It is
/// asked as an equation, which PostgreSQL expects few rows to fulfil: of an inequality it expects all, and prepares for millions.
macro_rules! holders {
    ($then:literal) => {
        concat!(
            "WITH RECURSIVE supers(name) AS ( \
                SELECT r.name FROM authkit_roles r \
                WHERE length(replace(' ' || r.permissions || ' ', ' * ', '')) = length(r.permissions) - 1 \
                UNION \
                SELECT r.name FROM authkit_roles r JOIN supers s \
                    ON length(replace(' ' || r.inherits || ' ', ' ' || s.name || ' ', '')) = length(r.inherits) - length(s.name) \
            ), holders(id) AS ( \
                SELECT u.id FROM supers s CROSS JOIN authkit_role_assignments a \
                    JOIN authkit_users u ON u.id = a.user_id AND u.status = 'active' \
                WHERE a.role = s.name AND a.scope = '' AND a.expires_at IS NULL \
             ) ",
            $then
        )
    };
}

const IS_SPARED: &str = holders!(
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM holders h WHERE h.id <> $1) OR NOT EXISTS (SELECT 1 FROM holders h WHERE h.id = $1)"
);
const ANY_HOLDER: &str = holders!("SELECT 1 WHERE EXISTS (SELECT 1 FROM holders)");

const UNASSIGN_ALL: &str = "DELETE FROM authkit_role_assignments WHERE user_id = $1";

const ASSIGN: &str = "INSERT INTO authkit_role_assignments (user_id, role, scope, expires_at) \
    SELECT $1, r.name, $3, $4 FROM authkit_roles r WHERE r.name = $2";

const NOTE_CHANGE: &str = "INSERT INTO authkit_access_changes (user_id, changed_at) VALUES ($1, $2) \
    ON CONFLICT (user_id) DO UPDATE SET changed_at = excluded.changed_at";

const FORGET_CHANGE: &str = "DELETE FROM authkit_access_changes WHERE user_id = $1";

/// Reads every role, unless their version is known.
pub(crate) fn all(known: Option<u32>) -> Query {
    Query::new(ALL, args![known])
}

/// Reads whose roles changed behind a mark.
pub(crate) fn changed_after(mark: AccessMark, limit: PageLimit) -> Query {
    let limit = u32::from(limit.value());
    match mark.user_id {
        None => Query::new(CHANGED_FROM, args![mark.at, limit]),
        Some(id) => Query::new(CHANGED_AFTER, args![mark.at, limit, id]),
    }
}

/// Reads a page of the accounts that have a role, and one row more.
pub(crate) fn users(role: &RoleName, page: PageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match page.cursor {
        None => Query::new(WITH_ROLE_FIRST, args![role.as_str(), limit]),
        Some(cursor) => Query::new(WITH_ROLE_NEXT, args![role.as_str(), limit, cursor.id()]),
    }
}

/// The version of all roles and the role of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<(u32, Role), DecodeError> {
    let version = fields.number()?;
    let role = Role {
        name: fields.named("name of a role", |text| text.parse().ok())?,
        description: fields.optional_text()?.map(RoleDescription::from_stored),
        permissions: fields.named("list of permissions", words)?,
        inherits: fields.named("list of roles", words)?,
        built_in: fields.number()? != 0,
        mfa_required: fields.number()? != 0,
        version: fields.number()?,
        created_at: fields.time()?,
        updated_at: fields.time()?,
    };
    Ok((version, role))
}

/// The version of all roles and the change, if there is one, of the next columns of a row.
pub(crate) fn decode_change(fields: &mut Fields<'_>) -> Result<(u32, Option<AccessChange>), DecodeError> {
    let version = fields.number()?;
    let Some(id) = fields.optional_id()? else { return Ok((version, None)) };
    let at = fields.time()?;
    let access = access(fields)?;
    Ok((version, Some(AccessChange { user_id: UserId::from_uuid(id), access, at })))
}

/// The version and the assignments of the next columns of a row.
pub(crate) fn access(fields: &mut Fields<'_>) -> Result<Access, DecodeError> {
    let version = fields.number()?;
    let text = fields.optional_text()?;
    Access::from_stored(version, text.as_deref()).ok_or(DecodeError::Unknown { what: "list of assignments" })
}

/// Appends the statements of a change.
pub(crate) fn statements(dialect: &Dialect, change: &RoleChange, statements: &mut Vec<Statement>) -> Result<(), StoreError> {
    let raise = |from: u32| Statement::guarded(RAISE_VERSION, args![from], Conflict::RolesChanged);
    let lock = || Statement::free(dialect.lock_roles, args![]).looking();
    match change {
        RoleChange::Insert { role, from } => {
            let (description, permissions, inherits) = columns(role);
            let demand = role.mfa_required;
            let args = args![role.name.as_str(), description, permissions, inherits, role.created_at, role.updated_at, demand];
            statements.extend([raise(*from), Statement::guarded(INSERT, args, Conflict::RoleTaken)]);
        }
        RoleChange::Update { role, from } => {
            let (description, permissions, inherits) = columns(role);
            let demand = role.mfa_required;
            let args = args![role.name.as_str(), description, permissions, inherits, role.updated_at, demand];
            statements.extend([raise(*from), Statement::guarded(UPDATE, args, Conflict::RolesChanged)]);
        }
        RoleChange::Delete { name, from } => {
            let probe = Query::new(IS_CUSTOM, args![name.as_str()]);
            let conflicts = (Conflict::RoleInUse, Conflict::RolesChanged);
            statements.extend([raise(*from), Statement::probed(DELETE, args![name.as_str()], probe, conflicts)]);
        }
        RoleChange::Expect { version } => statements.push(expect_version(dialect, *version)),
        RoleChange::SpareLastHolder { user_id } => {
            let spared = Statement::guarded(IS_SPARED, args![*user_id], Conflict::LastSuperuser).looking();
            statements.extend([lock(), spared]);
        }
        RoleChange::KeepAHolder => {
            statements.extend([lock(), Statement::guarded(ANY_HOLDER, args![], Conflict::LastSuperuser).looking()]);
        }
        _ => return Err(unknown_change()),
    }
    Ok(())
}

/// That the roles are of a version, until the transaction ends.
pub(crate) fn expect_version(dialect: &Dialect, version: u32) -> Statement {
    Statement::guarded(dialect.expect_roles, args![version], Conflict::RolesChanged).looking()
}

/// Appends the statements that keep the other tables in step with the assignments in an account's row.
pub(crate) fn assign(id: UserId, to: &[Assignment], at: Timestamp, statements: &mut Vec<Statement>) {
    statements.push(Statement::free(UNASSIGN_ALL, args![id]));
    for assignment in to {
        let scope = assignment.scope.as_ref().map_or("", |scope| scope.as_str());
        let args = args![id, assignment.role.as_str(), scope, assignment.expires_at];
        statements.push(Statement::guarded(ASSIGN, args, Conflict::RolesChanged));
    }
    statements.push(Statement::free(NOTE_CHANGE, args![id, at]));
}

/// Appends the statements that forget what an account had.
pub(crate) fn forget(id: UserId, statements: &mut Vec<Statement>) {
    statements.push(Statement::free(UNASSIGN_ALL, args![id]));
    statements.push(Statement::free(FORGET_CHANGE, args![id]));
}

fn columns(role: &Role) -> (Option<&str>, String, String) {
    let permissions: Vec<&str> = role.permissions.iter().map(authkit_core::Permission::as_str).collect();
    let inherits: Vec<&str> = role.inherits.iter().map(RoleName::as_str).collect();
    (role.description.as_ref().map(RoleDescription::as_str), permissions.join(" "), inherits.join(" "))
}

fn words<T: FromStr + Ord>(text: &str) -> Option<BTreeSet<T>> {
    text.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}
