//! Roles: made, changed, deleted, given and taken by those who may.
//!
//! Nobody hands on what she does not hold herself, by whatever path: a role is given, taken, changed or deleted only by somebody who
//! holds all that it gives, before the change and after it, where it shall count and for as long. So she gains nothing by changing
//! her own roles, and has no power over somebody's who may more.

mod account_access;
mod assignments;
mod commit;
mod error;
mod record;
mod roles;

use std::collections::BTreeSet;

use crate::flows::authorize::{Administrator, authorize_administrator};
use crate::flows::engine::Engine;
use crate::model::Role;
use crate::primitives::{Permission, RoleName};

pub use account_access::{AccountAccess, ScopedAccess};
pub(crate) use account_access::{known as known_access, read as read_access};
pub use assignments::RoleGrant;
pub(crate) use assignments::{assign, unassign};
pub use error::RoleError;
pub use roles::{ExpectedRole, NewRole, RoleUpdate, RoleVersion};
pub(crate) use roles::{create, delete, update};

/// The permissions that AuthKit itself asks for, and what each is for.
pub const OWN_PERMISSIONS: &[(&str, &str)] = &[
    ("users:read", "Search and read accounts"),
    ("users:write", "Make, change, suspend, restore and delete accounts"),
    ("users:impersonate", "Act as somebody else for a while"),
    ("sessions:read", "List the sessions of an account"),
    ("sessions:write", "End the sessions of an account"),
    ("roles:read", "Read roles, and who holds a permission"),
    ("roles:write", "Make, change and delete roles"),
    ("roles:assign", "Give and take roles"),
    ("audit:read", "Read the audit log"),
    ("outbox:read", "List messages that wait, were sent, or could not be"),
    ("outbox:write", "Have a message tried again that was given up, or remove it"),
];

/// Whether a change is made, or only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is made.
    Real,
    /// It is decided as if it were made, and nothing is changed.
    Dry,
}

/// Every role, in the order of their names.
pub(crate) async fn list(engine: &Engine, by: Administrator<'_>) -> Result<Vec<Role>, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let mut roles: Vec<Role> = authority.graph().roles().cloned().collect();
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(roles)
}

/// One role.
pub(crate) async fn read(engine: &Engine, by: Administrator<'_>, name: &RoleName) -> Result<Role, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    authority.graph().role(name).cloned().ok_or(RoleError::NotFound)
}

/// The permissions that some role names, and those that AuthKit asks for, in their order.
pub(crate) async fn permissions(engine: &Engine, by: Administrator<'_>) -> Result<BTreeSet<Permission>, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let own = OWN_PERMISSIONS.iter().filter_map(|(text, _)| text.parse().ok());
    Ok(authority.graph().roles().flat_map(|role| role.permissions.iter().cloned()).chain(own).collect())
}
