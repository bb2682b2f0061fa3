//! Logout: of one session by its refresh token, and of all sessions of a user.

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::model::{Actor, AuditAction, ChangeSet, Outcome, RequestContext, RevocationReason, SessionChange};
use crate::ports::{CommitError, Conflict};
use crate::primitives::RefreshToken;
use crate::token::PresentedRefreshToken;

/// Why a logout was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogoutError {
    /// Never issued here, so there is nothing to log out of.
    #[error("the refresh token was not issued by this service")]
    InvalidToken,
    /// A part below failed: the session may still be alive.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl LogoutError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "auth.invalid_refresh_token",
            Self::Internal(error) => error.code(),
        }
    }
}

/// Ends the session of a refresh token. It succeeds as well when the session has ended already.
///
/// A token of an older generation ends the session too: whoever holds one may not keep it alive, and ending it harms
/// nobody but its holder.
pub(crate) async fn log_out(engine: &Engine, token: &RefreshToken, context: &RequestContext) -> Result<(), LogoutError> {
    let at = engine.now();
    let presented = PresentedRefreshToken::parse(&engine.keyring.load(), token.expose()).map_err(|error| {
        tracing::debug!(reason = error.reason(), "refresh token refused at logout");
        LogoutError::InvalidToken
    })?;
    let Some(found) = engine.store.session_by_id(presented.session_id()).await.map_err(Internal::from)? else {
        // Its account was closed, on another node it may be.
        engine.found_ended(presented.session_id(), at);
        return Ok(());
    };
    if found.session.revoked.is_some() {
        engine.found_ended(found.session.id, at);
        return Ok(());
    }
    let event = engine
        .event(at, AuditAction::Logout, Outcome::Success, context)
        .by(Actor::User(found.user.id, Some(found.session.id)))
        .on(found.user.id);
    let revoke = SessionChange::Revoke { id: found.session.id, reason: RevocationReason::Logout, at };
    match engine.commit(&ChangeSet::new().and(revoke).and(event)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::SessionEnded)) => {
            engine.found_ended(found.session.id, at);
            Ok(())
        }
        Err(error) => Err(Internal::from(error).into()),
    }
}

/// Ends every session of the caller, this one included, and says how many there were.
pub(crate) async fn log_out_all(engine: &Engine, principal: &Principal, context: &RequestContext) -> Result<usize, Internal> {
    let at = engine.now();
    let user_id = principal.user_id();
    let event = engine.event(at, AuditAction::LogoutAll, Outcome::Success, context).by(actor(principal)).on(user_id);
    let revoke = SessionChange::RevokeAll { user_id, except: None, reason: RevocationReason::LogoutAll, at };
    let committed = engine.commit(&ChangeSet::new().and(revoke).and(event)).await?;
    Ok(committed.revoked.len())
}
