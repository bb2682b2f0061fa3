//! The caller's sessions: list them, end one.

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::model::{AuditAction, ChangeSet, Outcome, RequestContext, RevocationReason, Session, SessionChange};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Page, PageRequest, SessionId};

/// Why no session was ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The caller has no such session that is alive. Somebody else's session is no such session.
    #[error("there is no such session")]
    NotFound,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl SessionError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "session.not_found",
            Self::Internal(error) => error.code(),
        }
    }
}

/// The caller's sessions that are alive, the youngest first.
pub(crate) async fn list(engine: &Engine, principal: &Principal, page: PageRequest) -> Result<Page<Session>, Internal> {
    Ok(engine.store.live_sessions(principal.user_id(), engine.now(), page).await?)
}

/// Ends one of the caller's sessions.
pub(crate) async fn revoke(
    engine: &Engine,
    principal: &Principal,
    id: SessionId,
    context: &RequestContext,
) -> Result<(), SessionError> {
    let at = engine.now();
    let found = engine.store.session_by_id(id).await.map_err(Internal::from)?;
    // SECURITY: a session of somebody else answers like one that does not exist.
    if !found.is_some_and(|found| found.session.user_id == principal.user_id() && found.session.is_live(at)) {
        return Err(SessionError::NotFound);
    }
    let event = engine.event(at, AuditAction::SessionRevoked, Outcome::Success, context);
    let event = event.by(actor(principal)).on(principal.user_id()).with("session_id", id.to_string());
    let revoke = SessionChange::Revoke { id, reason: RevocationReason::RevokedByUser, at };
    match engine.commit(&ChangeSet::new().and(revoke).and(event)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::SessionEnded)) => Err(SessionError::NotFound),
        Err(error) => Err(Internal::from(error).into()),
    }
}
