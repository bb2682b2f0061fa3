//! Refresh: a new pair of tokens for a refresh token, which is used up by it.

use std::time::Duration;

use crate::config::ReusePolicy;
use crate::flows::engine::{Engine, Internal};
use crate::flows::notify::notice;
use crate::flows::refusals;
use crate::flows::session_issue::{LoggedIn, pair};
use crate::flows::throttle::Throttled;
use crate::model::{
    Actor, AuditAction, AuditEvent, ChangeSet, LimitScope, Notice, Outcome, RequestContext, RevocationReason, Rotation,
    RotationOutcome, Session, SessionChange, SessionWithUser, UserStatus,
};
use crate::ports::{CommitError, Conflict, StoreError};
use crate::primitives::{RefreshToken, SessionId, Timestamp, UserId};
use crate::token::{Minted, PresentedRefreshToken};

/// What became of a refresh token that this service issued.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is nearly every one, and it is moved once")]
#[non_exhaustive]
pub enum Refreshed {
    /// Here is the next pair. A retry within the grace gets the same refresh token again.
    Renewed(LoggedIn),
    /// The token was used before: somebody else may hold a copy. Its session has been ended.
    Reused {
        /// Whose session it was.
        user_id: UserId,
        /// Which.
        session_id: SessionId,
    },
}

/// Why there is no next pair.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// Never issued here, or its session has ended.
    #[error("the refresh token is not valid, log in again")]
    InvalidToken,
    /// The session was refreshed too often. The token was not used up.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed; the same token can be presented again.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl RefreshError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "auth.invalid_refresh_token",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(RefreshError);

/// Uses up `token` and issues its successor.
pub(crate) async fn refresh(engine: &Engine, token: &RefreshToken, context: &RequestContext) -> Result<Refreshed, RefreshError> {
    let at = engine.now();
    let keyring = engine.keyring.load_full();
    // SECURITY: the MAC is checked before the store is asked, so that made-up tokens cost no I/O and end nobody's session.
    let presented = match PresentedRefreshToken::parse(&keyring, token.expose()) {
        Ok(presented) => presented,
        Err(error) => {
            tracing::debug!(reason = error.reason(), "refresh token refused");
            if engine.refusals.of_stranger(context.client.ip).await {
                let event = refusal(engine, at, "unknown_token", context).with("check", error.reason());
                refusals::record(engine, event).await;
            }
            return Err(RefreshError::InvalidToken);
        }
    };
    if let Err(throttled) = engine.throttle.refresh(presented.session_id(), context).await {
        let (scope, id) = (LimitScope::RefreshSession.as_str(), presented.session_id());
        if engine.refusals.of_limit(scope, id.as_uuid().as_bytes()).await {
            let event = engine.event(at, AuditAction::RateLimited, Outcome::Failure, context);
            refusals::record(engine, event.with("scope", scope).with("session_id", id.to_string())).await;
        }
        return Err(throttled.into());
    }
    let successor = presented.successor(&keyring, at).map_err(Internal::from)?;
    let rotation = Rotation {
        session_id: presented.session_id(),
        generation: presented.generation(),
        presented: presented.secret(),
        successor: successor.secret,
        at,
        idle_expires_at: at + engine.config.sessions.idle_timeout,
        client: context.client.clone(),
    };
    let refused = match engine.store.rotate(&rotation).await.map_err(Internal::from)? {
        RotationOutcome::Rotated(found) => return renewed(engine, *found, successor, at),
        RotationOutcome::Refused(Some(found)) => *found,
        RotationOutcome::Refused(None) => {
            let event = refusal(engine, at, "unknown_session", context);
            return Err(refused(engine, event, presented.session_id()).await);
        }
    };
    // The successor as it was derived when the row moved on: the key that was current then signs it.
    let again = presented.successor(&keyring, refused.session.refreshed_at).map_err(Internal::from)?;
    match judge(engine.config.sessions.reuse, &presented, &again, &refused, at) {
        Judgement::Retry => renewed(engine, refused, again, at),
        Judgement::Ended(reason) => {
            tracing::debug!(reason, session_id = %refused.session.id, "refresh refused");
            let event = ended(refusal(engine, at, reason, context), &refused.session, at);
            Err(self::refused(engine, event.on(refused.user.id), refused.session.id).await)
        }
        Judgement::Overtaken => Err(Internal::from(StoreError::unavailable("the session changed while it was refreshed")).into()),
        Judgement::Reuse => {
            end_reused(engine, &refused, presented.generation(), at, context).await?;
            Ok(Refreshed::Reused { user_id: refused.user.id, session_id: refused.session.id })
        }
    }
}

/// The event of a refusal.
fn refusal(engine: &Engine, at: Timestamp, reason: &str, context: &RequestContext) -> AuditEvent {
    engine.event(at, AuditAction::RefreshRefused, Outcome::Failure, context).with("reason", reason)
}

/// Adds when a session ended, and what ended it.
fn ended(event: AuditEvent, session: &Session, at: Timestamp) -> AuditEvent {
    if let Some((revoked_at, by)) = session.revoked {
        return event.with("revoked_at", revoked_at.to_string()).with("revoked_reason", by.as_str());
    }
    if session.is_live(at) {
        return event;
    }
    let end = session.expires_at.min(session.idle_expires_at);
    event.with("expired_at", end.to_string())
}

/// Records the refusal of a token that this service issued, and says it.
async fn refused(engine: &Engine, event: AuditEvent, session_id: SessionId) -> RefreshError {
    if engine.refusals.of_session(session_id.as_uuid().as_bytes()).await {
        refusals::record(engine, event.with("session_id", session_id.to_string())).await;
    }
    RefreshError::InvalidToken
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// The client did not get our reply, or asked twice at once: it may have the same successor again.
    Retry,
    /// The session is over, for this reason.
    Ended(&'static str),
    /// The session changed between the refusal and the look at it; asking again will tell.
    Overtaken,
    /// A copy of the token is in somebody else's hands.
    Reuse,
}

/// Why a rotation was refused, from the token and the session as it stands. `again` is the token's successor, derived as
/// of the session's last rotation.
fn judge(
    policy: ReusePolicy,
    presented: &PresentedRefreshToken,
    again: &Minted,
    found: &SessionWithUser,
    at: Timestamp,
) -> Judgement {
    let session = &found.session;
    if session.revoked.is_some() {
        return Judgement::Ended("revoked");
    }
    if !session.is_live(at) {
        return Judgement::Ended(if at >= session.expires_at { "expired_absolute" } else { "expired_idle" });
    }
    if found.user.status != UserStatus::Active {
        return Judgement::Ended("suspended");
    }
    if session.generation < presented.generation() {
        // The token is ours and newer than the row: the database was restored from an older state. Nobody stole anything.
        return Judgement::Ended("store_is_older");
    }
    if session.generation == presented.generation() && session.secret == presented.secret() {
        return Judgement::Overtaken;
    }
    let is_predecessor = presented.generation().checked_add(1) == Some(session.generation) && again.secret == session.secret;
    match policy {
        ReusePolicy::Grace(window) if is_predecessor && at.since(session.refreshed_at) <= window => Judgement::Retry,
        ReusePolicy::Grace(_) | ReusePolicy::Strict => Judgement::Reuse,
    }
}

fn renewed(engine: &Engine, found: SessionWithUser, successor: Minted, at: Timestamp) -> Result<Refreshed, RefreshError> {
    let tokens = pair(engine, &found.session, &found.user.access, successor.token, at)?;
    Ok(Refreshed::Renewed(LoggedIn {
        user: found.user,
        session_id: found.session.id,
        tokens,
        device_token: None,
        trust_token: None,
    }))
}

async fn end_reused(
    engine: &Engine,
    SessionWithUser { session, user }: &SessionWithUser,
    presented: u32,
    at: Timestamp,
    context: &RequestContext,
) -> Result<(), Internal> {
    let event = engine
        .event(at, AuditAction::RefreshTokenReused, Outcome::Success, context)
        .by(Actor::Anonymous)
        .on(session.user_id)
        .with("session_id", session.id.to_string())
        .with("presented_generation", presented.to_string())
        .with("current_generation", session.generation.to_string());
    let revoke = SessionChange::Revoke { id: session.id, reason: RevocationReason::RefreshTokenReused, at };
    let changes = notice(engine, ChangeSet::new().and(revoke).and(event), user, Notice::RefreshTokenReused, context, at).await?;
    match engine.commit(&changes).await {
        // Somebody ended it in between: it is over, and that was audited.
        Ok(_) | Err(CommitError::Conflict(Conflict::SessionEnded)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
