//! What somebody has and may, to be shown.

use std::collections::BTreeSet;

use crate::flows::authorize::{Administrator, authorize_administrator};
use crate::flows::engine::Engine;
use crate::model::{Assignment, User};
use crate::primitives::{Permission, RoleName, Scope, Timestamp, UserId};
use crate::rbac::{EffectiveAccess, RoleGraph};

use super::RoleError;
use super::assignments::account;

/// The roles of an account, and what they let its owner do at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountAccess {
    /// Every assignment, in the order of role and scope; those that have expired included.
    pub assignments: Vec<Assignment>,
    /// The roles that count everywhere.
    pub roles: BTreeSet<RoleName>,
    /// What she may everywhere, in the order of the texts; what a wildcard among them covers is not named beside it.
    pub permissions: Vec<Permission>,
    /// What she has and may in single scopes, in their order.
    pub scopes: Vec<ScopedAccess>,
}

/// What somebody has and may in one scope, beside what counts everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopedAccess {
    /// Where.
    pub scope: Scope,
    /// The roles that count there.
    pub roles: BTreeSet<RoleName>,
    /// What they let her do there, in the order of the texts.
    pub permissions: Vec<Permission>,
}

impl AccountAccess {
    fn of(assignments: &[Assignment], graph: &RoleGraph, now: Timestamp) -> Self {
        let access = EffectiveAccess::of(assignments, graph);
        let in_force = || assignments.iter().filter(|held| held.is_in_force(now));
        let roles = |scope: Option<&Scope>| {
            in_force().filter(|held| held.scope.as_ref() == scope).map(|held| held.role.clone()).collect()
        };
        let scopes: BTreeSet<&Scope> = in_force().filter_map(|held| held.scope.as_ref()).collect();
        let within = |scope: &Scope| ScopedAccess {
            scope: scope.clone(),
            roles: roles(Some(scope)),
            permissions: access.only_in(scope, now).to_permissions().into_iter().collect(),
        };
        Self {
            assignments: assignments.to_vec(),
            roles: roles(None),
            permissions: access.permissions(now),
            scopes: scopes.into_iter().map(within).collect(),
        }
    }
}

/// What an account has and may, as this node knows: where it knows of a change since the account was read, by that. No I/O.
pub(crate) fn known(engine: &Engine, user: &User) -> AccountAccess {
    let newer = engine.access.newer(user.id, &user.access);
    let access = newer.as_ref().unwrap_or(&user.access);
    AccountAccess::of(&access.assignments, &engine.access.graph(), engine.now())
}

/// What an account has and may, as the store knows it.
pub(crate) async fn read(engine: &Engine, by: Administrator<'_>, id: UserId) -> Result<AccountAccess, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let user = account(engine, id).await?;
    Ok(AccountAccess::of(&user.access.assignments, authority.graph(), authority.at()))
}
