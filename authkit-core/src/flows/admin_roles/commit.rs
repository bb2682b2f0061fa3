//! The last step of a change of roles: it is committed, by whoever still may, and somebody holds everything afterwards.

use crate::flows::administration::record_refusal;
use crate::flows::authorize::Authority;
use crate::flows::engine::{Engine, Internal};
use crate::flows::role_impact;
use crate::model::{Assignment, AuditEvent, ChangeSet};
use crate::ports::{CommitError, Conflict};
use crate::primitives::UserId;
use crate::rbac::RoleGraph;

use super::{RoleError, Run};

/// How often a change is decided anew when others change roles at the same time.
pub(super) const ATTEMPTS: usize = 5;

/// Decides anew while others were faster.
macro_rules! repeatedly {
    ($attempt:expr) => {{
        let mut left = $crate::flows::admin_roles::commit::ATTEMPTS;
        loop {
            left -= 1;
            match $attempt.await {
                Err(error) if left > 0 && $crate::flows::RoleError::is_overtaken(&error) => {}
                done => return done,
            }
        }
    }};
}
pub(super) use repeatedly;

/// Commits, with the guard of whoever acts behind what it may have to wait for.
pub(super) async fn commit(
    engine: &Engine,
    authority: &Authority,
    changes: ChangeSet,
    event: AuditEvent,
    run: Run,
) -> Result<(), RoleError> {
    let changes = match authority.guard() {
        Some(guard) => changes.and(guard),
        None => changes,
    };
    commit_guarded(engine, changes, event, run).await
}

/// Commits what has the guard of whoever acts in it already, where there is one.
pub(super) async fn commit_guarded(engine: &Engine, changes: ChangeSet, event: AuditEvent, run: Run) -> Result<(), RoleError> {
    if run == Run::Dry {
        return Ok(());
    }
    match engine.commit(&changes.and(event.clone())).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::LastSuperuser)) => {
            record_refusal(engine, event, "last_superuser").await?;
            Err(RoleError::LastSuperuser)
        }
        Err(CommitError::Conflict(Conflict::RoleInUse)) => Err(RoleError::InUse),
        Err(error) => Err(Internal::from(error).into()),
    }
}

pub(super) fn version(authority: &Authority) -> u32 {
    authority.graph().version().unwrap_or_default()
}

/// Whether an assignment gives everything, everywhere and for good.
pub(super) fn holds_everything_for_good(assignment: &Assignment, graph: &RoleGraph) -> bool {
    assignment.scope.is_none()
        && assignment.expires_at.is_none()
        && graph.gives(&assignment.role).is_some_and(|gives| gives.holds_everything())
}

/// Whether a role gave everything and gives it no more.
pub(super) fn takes_everything(before: &RoleGraph, after: &RoleGraph) -> bool {
    let gives_it = |graph: &RoleGraph, name| graph.gives(name).is_some_and(|gives| gives.holds_everything());
    before.roles().any(|role| gives_it(before, &role.name) && !gives_it(after, &role.name))
}

/// Whether somebody holds everything now: whoever acts on a role that gives it does, and where it is the operator somebody may.
pub(super) async fn somebody_holds_everything(engine: &Engine, authority: &Authority) -> Result<bool, Internal> {
    if authority.user_id().is_some() {
        return Ok(true);
    }
    holder_exists(engine, authority.graph()).await
}

pub(super) async fn holder_exists(engine: &Engine, graph: &RoleGraph) -> Result<bool, Internal> {
    role_impact::holder_of_everything(engine, graph, None).await
}

pub(super) async fn somebody_else_holds_everything(engine: &Engine, graph: &RoleGraph, than: UserId) -> Result<bool, Internal> {
    role_impact::holder_of_everything(engine, graph, Some(than)).await
}
