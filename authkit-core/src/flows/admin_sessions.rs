//! What administrators do with the sessions of others: list and end them.

use crate::flows::administration::{AdminError, end_all, guarded, subject};
use crate::flows::authorize::Administrator;
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditAction, Outcome, RequestContext, RevocationReason, Session, SessionChange};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Page, PageRequest, SessionId, UserId};

/// What has to be held to list sessions.
pub(crate) const SESSIONS_READ: &str = "sessions:read";
/// What has to be held to end sessions.
pub(crate) const SESSIONS_WRITE: &str = "sessions:write";

/// The sessions of an account that are alive, the youngest first; with those in which somebody acts as its owner.
pub(crate) async fn list(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    page: PageRequest,
    context: &RequestContext,
) -> Result<Page<Session>, AdminError> {
    let authority = by.authority(engine, SESSIONS_READ).await?;
    // Her own she may see here as well.
    if authority.user_id() != Some(id) {
        subject(engine, &authority, id, AuditAction::SessionRevoked, context).await?;
    }
    Ok(engine.store.live_sessions(id, engine.now(), page).await.map_err(Internal::from)?)
}

/// Ends every session of an account; says how many there were.
pub(crate) async fn revoke_all(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    context: &RequestContext,
) -> Result<usize, AdminError> {
    let authority = by.authority(engine, SESSIONS_WRITE).await?;
    subject(engine, &authority, id, AuditAction::SessionsRevoked, context).await?;
    let at = engine.now();
    let event = engine.event(at, AuditAction::SessionsRevoked, Outcome::Success, context).by(authority.actor()).on(id);
    let changes = guarded(&authority).and(end_all(id, RevocationReason::RevokedByAdmin, at)).and(event);
    Ok(engine.commit(&changes).await.map_err(of_the_authority)?.revoked.len())
}

/// Ends one session of an account.
pub(crate) async fn revoke(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    session_id: SessionId,
    context: &RequestContext,
) -> Result<(), AdminError> {
    let authority = by.authority(engine, SESSIONS_WRITE).await?;
    subject(engine, &authority, id, AuditAction::SessionRevoked, context).await?;
    let at = engine.now();
    let found = engine.store.session_by_id(session_id).await.map_err(Internal::from)?;
    // SECURITY: the session of another account is none of this one, whoever that is.
    if !found.is_some_and(|found| found.session.user_id == id && found.session.is_live(at)) {
        return Err(AdminError::NoSuchSession);
    }
    let event = engine.event(at, AuditAction::SessionRevoked, Outcome::Success, context).by(authority.actor()).on(id);
    let event = event.with("session_id", session_id.to_string());
    let revoke = SessionChange::Revoke { id: session_id, reason: RevocationReason::RevokedByAdmin, at };
    match engine.commit(&guarded(&authority).and(revoke).and(event)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::SessionEnded)) => Err(AdminError::NoSuchSession),
        Err(error) => Err(of_the_authority(error)),
    }
}

/// Whoever was stripped of her authority in this moment is asked to try again, and then told why not.
fn of_the_authority(error: CommitError) -> AdminError {
    Internal::from(error).into()
}
