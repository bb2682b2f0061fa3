//! Proving again who one is, for what cannot be undone.

use std::time::Duration;

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::session_issue::access_token;
use crate::flows::throttle::Throttled;
use crate::model::{AuditAction, AuthMethod, ChangeSet, Outcome, RequestContext, SessionChange, UserStatus};
use crate::password::{HashClass, HashError, HashOrigin, Verdict};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{AccessToken, Password};

/// Why the proof was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// The password is another one.
    #[error("the password is wrong")]
    InvalidCredentials,
    /// The session or the account has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// Too many were tried. Nothing was looked up or changed.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many passwords are being hashed right now.
    #[error("too many requests at once, retry in {retry_after:?}")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl ReauthenticateError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "auth.invalid_credentials",
            Self::SessionEnded => "auth.session_ended",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(ReauthenticateError);
super::throttle::throttled_into!(ReauthenticateError);

/// Checks the password again, and issues an access token with a fresh `auth_time`.
pub(crate) async fn reauthenticate(
    engine: &Engine,
    principal: &Principal,
    password: Password,
    context: &RequestContext,
) -> Result<(AccessToken, Duration), ReauthenticateError> {
    let id = principal.user_id();
    engine.throttle.password_check(id, context).await?;
    let identifier = id.to_string();
    let origin = HashOrigin::new(context.client.ip, &identifier);
    let mut admission = engine.pool.admit(HashClass::StepUp, &origin).map_err(HashError::Overloaded)?;
    let found = engine.store.credentials_by_id(id).await.map_err(Internal::from)?;
    let credentials = found.filter(|found| found.user.status == UserStatus::Active).ok_or(ReauthenticateError::SessionEnded)?;
    let verdict = admission.verify(password, credentials.password).await?;
    drop(admission);
    let at = engine.now();
    let event = |outcome| {
        let event = engine.event(at, AuditAction::Reauthentication, outcome, context).by(actor(principal)).on(id);
        event.with("method", AuthMethod::Password.as_str())
    };
    if verdict == Verdict::Mismatch {
        engine.record_refusal(event(Outcome::Failure).with("reason", "wrong_password")).await?;
        return Err(ReauthenticateError::InvalidCredentials);
    }
    let (session_id, auth_epoch) = (principal.session_id(), credentials.user.auth_epoch);
    let change = SessionChange::Reauthenticate { id: session_id, auth_epoch, methods: None, at };
    match engine.commit(&ChangeSet::new().and(change).and(event(Outcome::Success))).await {
        Ok(_) => {}
        Err(CommitError::Conflict(Conflict::SessionEnded)) => return Err(ReauthenticateError::SessionEnded),
        Err(error) => return Err(Internal::from(error).into()),
    }
    let found = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    let found = found.filter(|found| found.session.is_live(at)).ok_or(ReauthenticateError::SessionEnded)?;
    Ok(access_token(engine, &found.session, at)?)
}
