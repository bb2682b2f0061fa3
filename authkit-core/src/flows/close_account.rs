//! Closing the caller's account for good.

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::planned::Planned;
use crate::model::{AuditAction, ChangeSet, Outcome, RequestContext, RevocationReason, RoleChange, SessionChange, UserChange};
use crate::ports::{CommitError, Conflict};

/// Why the account was not closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseAccountError {
    /// The last proof of identity is too old for what cannot be undone: reauthenticate, and ask again.
    #[error("prove again who you are, then ask again")]
    ReauthenticationRequired,
    /// The account is closed already, or the session of the caller has ended.
    #[error("the session has ended")]
    Gone,
    /// Nobody would hold every permission any more: make somebody else an administrator first.
    #[error("nobody would hold every permission any more")]
    LastSuperuser,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl CloseAccountError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ReauthenticationRequired => "auth.reauthentication_required",
            Self::Gone => "auth.session_ended",
            Self::LastSuperuser => "role.last_superuser",
            Self::Internal(error) => error.code(),
        }
    }
}

impl From<CommitError> for CloseAccountError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(Conflict::UserChanged | Conflict::SessionEnded) => Self::Gone,
            CommitError::Conflict(Conflict::LastSuperuser) => Self::LastSuperuser,
            other => Self::Internal(other.into()),
        }
    }
}

/// Closes the account: every session ends, the password and what is personal is removed, the address is free again.
pub(crate) async fn close_account(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<(), CloseAccountError> {
    Ok(plan_close_account(engine, principal, context)?.commit().await?)
}

/// Decides what [`close_account`] commits.
pub(crate) fn plan_close_account<'a>(
    engine: &'a Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<Planned<'a, ()>, CloseAccountError> {
    let at = engine.now();
    let id = principal.user_id();
    if !principal.is_recent(at, engine.config.sessions.recent_authentication) {
        return Err(CloseAccountError::ReauthenticationRequired);
    }
    let event = engine.event(at, AuditAction::AccountClosed, Outcome::Success, context).by(actor(principal)).on(id);
    let changes = ChangeSet::new()
        // It waits for its rivals before anything is locked.
        .and(RoleChange::SpareLastHolder { user_id: id })
        // The account first: it locks the row that a rival login has to pass, so none slips in behind the revocations.
        .and(UserChange::Close { id, at })
        // SECURITY: the guard of this one, not only the set of this node, says that the caller's session is alive. A thief whom
        // the owner has just logged out must not find a node that has not heard of it, for what cannot be undone.
        .and(SessionChange::Revoke { id: principal.session_id(), reason: RevocationReason::AccountClosed, at })
        .and(SessionChange::RevokeAll { user_id: id, except: None, reason: RevocationReason::AccountClosed, at })
        .and(event);
    Ok(Planned::new(engine, id, changes, |_| ()))
}
