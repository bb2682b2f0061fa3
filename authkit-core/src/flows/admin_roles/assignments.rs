//! Roles are given to somebody and taken from her.

use crate::flows::authorize::{Administrator, Authority, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::flows::role_impact::{self, RoleImpact};
use crate::model::{
    Access, Assignment, AuditAction, AuditEvent, ChangeSet, RequestContext, RoleChange, SessionChange, User, UserChange,
};
use crate::primitives::{RoleName, Scope, Timestamp, UserId};
use crate::token::roles::{MAX_ROLE_BYTES, bytes_in_token};

use super::commit::{commit, commit_guarded, holds_everything_for_good, repeatedly, somebody_else_holds_everything, version};
use super::record::{end_of, event, granted, refuse};
use super::{RoleError, Run};

/// A role for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrant {
    /// Whose.
    pub user_id: UserId,
    /// Which role.
    pub role: RoleName,
    /// Where it counts; `None` for everywhere.
    pub scope: Option<Scope>,
    /// Until when; `None` for good.
    pub expires_at: Option<Timestamp>,
}

/// Gives somebody a role, or another end to one that she has; returns her account as it is then.
pub(crate) async fn assign(
    engine: &Engine,
    by: Administrator<'_>,
    grant: &RoleGrant,
    run: Run,
    context: &RequestContext,
) -> Result<(User, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:assign", grant.scope.as_ref()).await?;
        let at = authority.at();
        if grant.expires_at.is_some_and(|end| end <= at) {
            return Err(RoleError::Expired);
        }
        let gives = authority.graph().gives(&grant.role).ok_or(RoleError::NotFound)?;
        let event = event(engine, &authority, AuditAction::RoleAssigned, context).on(grant.user_id);
        let event = granted(event, &grant.role, grant.scope.as_ref(), grant.expires_at);
        if !authority.can_hand_on(gives, grant.scope.as_ref(), grant.expires_at) {
            return refuse(engine, event).await;
        }
        let user = account(engine, grant.user_id).await?;
        let new = Assignment {
            role: grant.role.clone(),
            scope: grant.scope.clone(),
            expires_at: grant.expires_at,
            assigned_by: authority.user_id(),
            assigned_at: at,
        };
        let old = position(&user, &grant.role, grant.scope.as_ref()).map(|at| &user.access.assignments[at]);
        if old.is_some_and(|old| old.expires_at == new.expires_at) {
            return Ok((user, RoleImpact::default()));
        }
        // What is made shorter is taken away from then on.
        let event = match old {
            Some(old) if !authority.can_hand_on(gives, grant.scope.as_ref(), old.expires_at) => {
                return refuse(engine, event).await;
            }
            Some(old) => event.with("expires_before", end_of(old)),
            None => event,
        };
        let spares = old.is_some_and(|old| holds_everything_for_good(old, authority.graph()));
        let mut to = still_in_force(&user, at);
        to.retain(|held| (&held.role, &held.scope) != (&new.role, &new.scope));
        to.push(new);
        replace(engine, &authority, user, to, spares, event, run).await
    })
}

/// Takes a role from somebody; returns her account as it is then.
pub(crate) async fn unassign(
    engine: &Engine,
    by: Administrator<'_>,
    user_id: UserId,
    role: &RoleName,
    scope: Option<&Scope>,
    run: Run,
    context: &RequestContext,
) -> Result<(User, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:assign", scope).await?;
        let user = account(engine, user_id).await?;
        let position = position(&user, role, scope).ok_or(RoleError::NotAssigned)?;
        let old = user.access.assignments[position].clone();
        let event = event(engine, &authority, AuditAction::RoleUnassigned, context).on(user_id);
        let event = granted(event, role, scope, old.expires_at);
        let is_held = authority.graph().gives(role).is_none_or(|gives| authority.can_hand_on(gives, scope, old.expires_at));
        if !is_held && authority.user_id() != Some(user_id) {
            return refuse(engine, event).await;
        }
        let spares = holds_everything_for_good(&old, authority.graph());
        let mut to = still_in_force(&user, authority.at());
        to.retain(|held| (&held.role, held.scope.as_ref()) != (role, scope));
        replace(engine, &authority, user, to, spares, event, run).await
    })
}

/// Commits other assignments of an account.
async fn replace(
    engine: &Engine,
    authority: &Authority,
    user: User,
    mut to: Vec<Assignment>,
    spares_the_last: bool,
    event: AuditEvent,
    run: Run,
) -> Result<(User, RoleImpact), RoleError> {
    to.sort_by(|one, other| (&one.role, &one.scope).cmp(&(&other.role, &other.scope)));
    if to.len() > Access::MAX_ASSIGNMENTS {
        return Err(RoleError::TooMany { what: "roles of one account", most: Access::MAX_ASSIGNMENTS });
    }
    if to.iter().map(bytes_in_token).sum::<usize>() > MAX_ROLE_BYTES {
        return Err(RoleError::TooMany { what: "bytes of role names and scopes of one account", most: MAX_ROLE_BYTES });
    }
    let (id, at, from) = (user.id, authority.at(), user.access.version);
    let mut changes = ChangeSet::new();
    if spares_the_last {
        changes = changes.and(RoleChange::SpareLastHolder { user_id: id });
    }
    // Her own roles: in front of the change, because behind it the access is another one.
    let is_own = authority.user_id() == Some(id);
    if let Some(guard) = authority.guard().filter(|_| is_own) {
        changes = changes.and(guard);
    }
    changes = changes.and(UserChange::ReplaceAssignments { id, from, to: to.clone(), roles_version: version(authority), at });
    // Whoever acts as somebody else does so by what both hold. Where she loses something, or as whom she acts gains it, that is over.
    let before = still_in_force(&user, at);
    if !covers(&to, &before) {
        changes = changes.and(SessionChange::EndImpersonations { by: id, at });
    }
    if !covers(&before, &to) {
        changes = changes.and(SessionChange::EndImpersonationsOf { user_id: id, at });
    }
    let access = Access { version: from.saturating_add(1), assignments: to };
    let after = User { access, version: user.version.saturating_add(1), updated_at: at, ..user.clone() };
    let impact = role_impact::of_account(&user, &after, authority.graph(), at);
    if run == Run::Dry && spares_the_last && !somebody_else_holds_everything(engine, authority.graph(), id).await? {
        return Err(RoleError::LastSuperuser);
    }
    if is_own {
        commit_guarded(engine, changes, event, run).await?;
    } else {
        commit(engine, authority, changes, event, run).await?;
    }
    Ok((after, impact))
}

pub(super) async fn account(engine: &Engine, id: UserId) -> Result<User, RoleError> {
    engine.store.user_by_id(id).await.map_err(Internal::from)?.ok_or(RoleError::UserNotFound)
}

fn position(user: &User, role: &RoleName, scope: Option<&Scope>) -> Option<usize> {
    user.access.assignments.iter().position(|held| (&held.role, held.scope.as_ref()) == (role, scope))
}

/// The assignments of an account without those that have expired: there is no need to carry them on.
fn still_in_force(user: &User, now: Timestamp) -> Vec<Assignment> {
    user.access.assignments.iter().filter(|assignment| assignment.is_in_force(now)).cloned().collect()
}

/// Whether the first assignments hold every one of the others: there, and for as long.
fn covers(these: &[Assignment], others: &[Assignment]) -> bool {
    let lasts = |one: &Assignment, other: &Assignment| {
        one.expires_at.is_none_or(|end| other.expires_at.is_some_and(|other_end| other_end <= end))
    };
    let is_held =
        |other: &Assignment| these.iter().any(|one| (&one.role, &one.scope) == (&other.role, &other.scope) && lasts(one, other));
    others.iter().all(is_held)
}
