//! Roles: what they let somebody do, and what they inherit from one another.

use std::collections::BTreeSet;

use crate::primitives::{Permission, RoleDescription, RoleName, Timestamp, UserId};

/// A role: a named set of permissions, its own and those of the roles that it inherits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Names the role.
    pub name: RoleName,
    /// What it is for.
    pub description: Option<RoleDescription>,
    /// Its own permissions.
    pub permissions: BTreeSet<Permission>,
    /// The roles whose permissions are its own as well.
    pub inherits: BTreeSet<RoleName>,
    /// Whether nobody who has it, or a role that inherits it, begins a session without a second factor.
    pub mfa_required: bool,
    /// Whether it came with the store: then it can be neither changed nor deleted.
    pub built_in: bool,
    /// How often it was changed.
    pub version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Role {
    /// The most roles of a store.
    pub const MAX_ROLES: usize = 1_000;
    /// The most permissions of one role, its own alone.
    pub const MAX_PERMISSIONS: usize = 1_000;
    /// The most roles that one role inherits directly.
    pub const MAX_INHERITED: usize = 64;
    /// The most permissions of all roles together, their own alone: every node holds all of them in memory.
    pub const MAX_PERMISSIONS_OF_ALL: usize = 50_000;

    /// The roles that every fresh store has: `admin`, which holds everything, and `user`, which holds nothing.
    #[must_use]
    pub fn built_in() -> [Self; 2] {
        let role = |name: &str, permissions: BTreeSet<Permission>| {
            // Two names that are written down here and of the right form.
            let name: RoleName = name.parse().unwrap_or_else(|_| unreachable!("a name of a role"));
            Self {
                name,
                description: None,
                permissions,
                inherits: BTreeSet::new(),
                mfa_required: false,
                built_in: true,
                version: 0,
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
            }
        };
        [role(RoleName::ADMIN, [Permission::everything()].into()), role(RoleName::USER, BTreeSet::new())]
    }

    /// The names of the roles that hold everything, by themselves or by what they inherit.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "iterators are handed over; this one is walked some times")]
    pub fn holding_everything<'r>(roles: impl Iterator<Item = &'r Self> + Clone) -> BTreeSet<&'r RoleName> {
        let mut found: BTreeSet<&RoleName> = BTreeSet::new();
        loop {
            let before = found.len();
            for role in roles.clone() {
                let holds = role.permissions.iter().any(Permission::is_everything);
                if holds || role.inherits.iter().any(|name| found.contains(name)) {
                    found.insert(&role.name);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}

/// Every role, as it was read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRoles {
    /// How often any role was made, changed or deleted. It only grows.
    pub version: u32,
    /// The roles, in the order of their names.
    pub roles: Vec<Role>,
}

/// One change of roles, with its guard.
///
/// Every change of a role is decided on all of them (no cycle, nothing handed on that is not held), and so it is guarded by the
/// version of all of them: of two that were decided on the same version one is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoleChange {
    /// Makes a role, which is neither built in nor changed yet, whatever it says. Guards: the version of all roles is `from`
    /// (`Conflict::RolesChanged`), and the name is free (`Conflict::RoleTaken`). Raises the version of all roles.
    Insert {
        /// The role.
        role: Box<Role>,
        /// The version of all roles that was read.
        from: u32,
    },
    /// Replaces description, permissions, inherited roles, the demand for a second factor and `updated_at` of the role with this name, and raises its version.
    /// Guards: the version of all roles is `from`, and the role is there and not built in (both `Conflict::RolesChanged`).
    /// Raises the version of all roles.
    Update {
        /// The role as it shall be.
        role: Box<Role>,
        /// The version of all roles that was read.
        from: u32,
    },
    /// Deletes a role. Guards: the version of all roles is `from`, the role is there and not built in
    /// (both `Conflict::RolesChanged`), and nobody has it, not even until an instant that has passed (`Conflict::RoleInUse`). That no
    /// other role inherits it is decided on the version that was read. Raises the version of all roles.
    Delete {
        /// Which.
        name: RoleName,
        /// The version of all roles that was read.
        from: u32,
    },
    /// Changes nothing, and stands in front of what was decided on what roles give. Guard: the version of all roles is `version`
    /// (`Conflict::RolesChanged`). It stays so until the set is committed.
    Expect {
        /// The version of all roles that was read.
        version: u32,
    },
    /// Changes nothing, and stands in front of what takes everything from a user: her suspension, the end of her account, of her
    /// role. Guard: she does not hold everything, or somebody else does as well (`Conflict::LastSuperuser`). Somebody holds everything
    /// who is active and has, in no scope and until no instant, a role that holds `*` or inherits one that does.
    ///
    /// Rivals wait here for each other, so that two who hold everything cannot take it from one another at once.
    SpareLastHolder {
        /// From whom it is taken.
        user_id: UserId,
    },
    /// Changes nothing, and stands behind a change of a role that took everything from those who have it. Guard: somebody holds
    /// everything, as [`SpareLastHolder`](Self::SpareLastHolder) says (`Conflict::LastSuperuser`).
    KeepAHolder,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_inherited_through_any_number_of_roles() {
        let mut roles: Vec<Role> = Role::built_in().into();
        let user = roles[1].clone();
        for (name, parent) in [("a", "b"), ("b", "c"), ("c", "admin"), ("x", "y"), ("y", "x")] {
            let name = name.parse().expect("a name");
            roles.push(Role { name, inherits: [parent.parse().expect("a name")].into(), ..user.clone() });
        }
        let names: Vec<&str> = Role::holding_everything(roles.iter()).into_iter().map(RoleName::as_str).collect();
        assert_eq!(names, ["a", "admin", "b", "c"]);
    }
}
