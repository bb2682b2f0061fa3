//! Roles, and who has them.

use std::ops::Bound;

use uuid::Uuid;

use crate::model::{Access, AccessChange, AccessNews, Assignment, Role, RoleChange, StoredRoles, User, UserStatus};
use crate::ports::store::{AccessMark, CommitError, Conflict};
use crate::primitives::{Page, PageLimit, PageRequest, RoleName, Timestamp, UserId};

use super::table::Table;
use super::{Tables, next};

/// The roles, their common version, and two orders in which the accounts that have some are read.
pub(super) struct Roles {
    rows: Table<RoleName, Role>,
    version: Table<(), u32>,
    by_role: Table<(RoleName, UserId), ()>,
    changed_at: Table<UserId, Timestamp>,
    by_change: Table<(Timestamp, UserId), ()>,
}

impl Default for Roles {
    fn default() -> Self {
        let mut roles = Self {
            rows: Table::default(),
            version: Table::default(),
            by_role: Table::default(),
            changed_at: Table::default(),
            by_change: Table::default(),
        };
        for role in Role::built_in() {
            roles.rows.put(role.name.clone(), role);
        }
        roles.version.put((), 0);
        roles.keep();
        roles
    }
}

impl Roles {
    /// Every role, unless the version is the one that is known.
    pub(super) fn all(&self, known: Option<u32>) -> Option<StoredRoles> {
        let version = self.version();
        (known != Some(version)).then(|| StoredRoles { version, roles: self.rows.rows().values().cloned().collect() })
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
        self.version.keep();
        self.by_role.keep();
        self.changed_at.keep();
        self.by_change.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
        self.version.take_back();
        self.by_role.take_back();
        self.changed_at.take_back();
        self.by_change.take_back();
    }

    /// Forgets what an account had.
    pub(super) fn forget(&mut self, user: &User) {
        for assignment in &user.access.assignments {
            self.by_role.remove(&(assignment.role.clone(), user.id));
        }
        if let Some(at) = self.changed_at.rows().get(&user.id).copied() {
            self.by_change.remove(&(at, user.id));
            self.changed_at.remove(&user.id);
        }
    }

    fn version(&self) -> u32 {
        self.version.rows().get(&()).copied().unwrap_or_default()
    }

    fn expect_version(&self, version: u32) -> Result<(), Conflict> {
        if self.version() == version { Ok(()) } else { Err(Conflict::RolesChanged) }
    }

    fn raise_version(&mut self, from: u32) -> Result<(), CommitError> {
        self.expect_version(from)?;
        self.version.put((), next(from)?);
        Ok(())
    }

    /// Whose the role is, the greatest id first.
    fn holders(&self, role: &RoleName) -> impl Iterator<Item = UserId> {
        let first = (role.clone(), UserId::from_uuid(Uuid::nil()));
        let last = (role.clone(), UserId::from_uuid(Uuid::max()));
        self.by_role.rows().range(first..=last).rev().map(|((_, id), ())| *id)
    }
}

/// One page of the accounts that have a role.
pub(super) fn users_with_role(tables: &Tables, role: &RoleName, page: PageRequest) -> Page<User> {
    let before = page.cursor.map(|cursor| UserId::from_uuid(cursor.id()));
    let ids = tables.roles.holders(role).filter(|id| before.is_none_or(|before| *id < before));
    let users = ids.filter_map(|id| tables.users.open(id)).map(|account| account.user.clone());
    let surplus = users.take(usize::from(page.limit.value()) + 1).collect();
    Page::from_surplus(surplus, page.limit, |user| user.id.as_uuid())
}

/// The version of the roles, and whose were replaced after a mark.
pub(super) fn access_after(tables: &Tables, mark: AccessMark, limit: PageLimit) -> AccessNews {
    let start = match mark.user_id {
        Some(id) => Bound::Excluded((mark.at, id)),
        None => Bound::Included((mark.at, UserId::from_uuid(Uuid::nil()))),
    };
    let after = tables.roles.by_change.rows().range((start, Bound::Unbounded)).take(usize::from(limit.value()));
    let changes = after.filter_map(|(&(at, user_id), ())| {
        let access = tables.users.open(user_id)?.user.access.clone();
        Some(AccessChange { user_id, access, at })
    });
    AccessNews { roles_version: tables.roles.version(), changes: changes.collect() }
}

/// The account with other roles.
pub(super) fn replace(tables: &mut Tables, user: User, to: &[Assignment], at: Timestamp) -> Result<User, CommitError> {
    let roles = &mut tables.roles;
    roles.forget(&user);
    for assignment in to {
        if !roles.rows.rows().contains_key(&assignment.role) {
            return Err(Conflict::RolesChanged.into());
        }
        roles.by_role.put((assignment.role.clone(), user.id), ());
    }
    roles.changed_at.put(user.id, at);
    roles.by_change.put((at, user.id), ());
    let access = Access { version: next(user.access.version)?, assignments: to.to_vec() };
    Ok(User { access, ..user })
}

/// Refuses what was decided on another version of the roles.
pub(super) fn expect_version(tables: &Tables, version: u32) -> Result<(), CommitError> {
    Ok(tables.roles.expect_version(version)?)
}

pub(super) fn apply(tables: &mut Tables, change: &RoleChange) -> Result<(), CommitError> {
    match change {
        RoleChange::Insert { role, from } => {
            tables.roles.raise_version(*from)?;
            if tables.roles.rows.rows().contains_key(&role.name) {
                return Err(Conflict::RoleTaken.into());
            }
            let role = Role { built_in: false, version: 0, ..(**role).clone() };
            tables.roles.rows.put(role.name.clone(), role);
        }
        RoleChange::Update { role, from } => {
            tables.roles.raise_version(*from)?;
            let stands = custom(tables, &role.name)?;
            let (version, created_at) = (next(stands.version)?, stands.created_at);
            let role = Role { built_in: false, version, created_at, ..(**role).clone() };
            tables.roles.rows.put(role.name.clone(), role);
        }
        RoleChange::Delete { name, from } => {
            tables.roles.raise_version(*from)?;
            custom(tables, name)?;
            if tables.roles.holders(name).next().is_some() {
                return Err(Conflict::RoleInUse.into());
            }
            tables.roles.rows.remove(name);
        }
        RoleChange::Expect { version } => tables.roles.expect_version(*version)?,
        RoleChange::SpareLastHolder { user_id } => {
            let holders = holders_of_everything(tables);
            if holders == [*user_id] {
                return Err(Conflict::LastSuperuser.into());
            }
        }
        RoleChange::KeepAHolder => {
            if holders_of_everything(tables).is_empty() {
                return Err(Conflict::LastSuperuser.into());
            }
        }
    }
    Ok(())
}

/// A role that can be changed.
fn custom<'t>(tables: &'t Tables, name: &RoleName) -> Result<&'t Role, Conflict> {
    tables.roles.rows.rows().get(name).filter(|role| !role.built_in).ok_or(Conflict::RolesChanged)
}

/// Who holds everything: active, everywhere, and for good.
fn holders_of_everything(tables: &Tables) -> Vec<UserId> {
    let roles = Role::holding_everything(tables.roles.rows.rows().values());
    let mut holders: Vec<UserId> = roles.iter().flat_map(|role| tables.roles.holders(role)).collect();
    holders.sort_unstable();
    holders.dedup();
    holders.retain(|id| {
        tables.users.open(*id).map(|account| &account.user).is_some_and(|user| {
            let counts = |assignment: &Assignment| assignment.scope.is_none() && assignment.expires_at.is_none();
            let holds = |assignment: &Assignment| roles.contains(&assignment.role);
            user.status == UserStatus::Active && user.access.assignments.iter().any(|a| counts(a) && holds(a))
        })
    });
    holders
}
