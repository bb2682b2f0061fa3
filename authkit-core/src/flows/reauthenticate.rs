//! Proving again who one is, for what cannot be undone.

use std::time::Duration;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::guessing::Guess;
use crate::flows::refusals::{About, turned_away_by};
use crate::flows::session_issue::access_token;
use crate::flows::throttle::Throttled;
use crate::model::{AuditAction, AuthMethod, ChangeSet, GuessSubject, Outcome, RequestContext, SessionChange, UserStatus};
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
    /// The session or the account has ended. The session ends when the password was guessed at within it too often.
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
    /// Somebody else acts as the owner.
    #[error(transparent)]
    Impersonated(#[from] Impersonated),
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
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(ReauthenticateError);
super::throttle::throttled_into!(ReauthenticateError);
super::guessing::not_admitted_into!(ReauthenticateError);

/// Checks the password again, and issues an access token with a fresh `auth_time`.
pub(crate) async fn reauthenticate(
    engine: &Engine,
    principal: &Principal,
    password: Password,
    context: &RequestContext,
) -> Result<(AccessToken, Duration), ReauthenticateError> {
    let outcome = judge(engine, principal, password, context).await;
    let about = About::User(principal.user_id());
    turned_away_by!(ReauthenticateError, engine, outcome, AuditAction::Reauthentication, about, context)
}

async fn judge(
    engine: &Engine,
    principal: &Principal,
    password: Password,
    context: &RequestContext,
) -> Result<(AccessToken, Duration), ReauthenticateError> {
    principal.in_person()?;
    let id = principal.user_id();
    engine.throttle.password_check(id, context).await?;
    let identifier = id.to_string();
    let origin = HashOrigin::new(context.client.ip, &identifier);
    let mut admission = engine.pool.admit(HashClass::StepUp, &origin).map_err(HashError::Overloaded)?;
    let subject = GuessSubject::session(principal.session_id());
    let state = engine.store.login_by_id(id, subject).await.map_err(Internal::from)?;
    let found = state.credentials.filter(|found| found.user.status == UserStatus::Active);
    let credentials = found.ok_or(ReauthenticateError::SessionEnded)?;
    let at_most = engine.config.limits.guessing.per_session;
    let guess = Guess::admit(engine, subject, state.guesses, at_most, &mut None, context).await?;
    let verdict = admission.verify(password, credentials.password).await?;
    let at = engine.now();
    let event = |outcome| {
        let event = engine.event(at, AuditAction::Reauthentication, outcome, context).by(actor(principal)).on(id);
        event.with("method", AuthMethod::Password.as_str())
    };
    if verdict == Verdict::Mismatch {
        let refusal = event(Outcome::Failure).with("reason", "wrong_password");
        let has_ended = guess.fail_within(engine, principal, refusal, at, context).await?;
        // The place is kept until the failure is counted: no more than two are evaluated on a count that does not know of them.
        drop(admission);
        return Err(if has_ended { ReauthenticateError::SessionEnded } else { ReauthenticateError::InvalidCredentials });
    }
    drop(admission);
    let change = SessionChange::Reauthenticate { id: principal.session_id(), auth_epoch: credentials.user.auth_epoch, at };
    match engine.commit(&guess.succeeded(ChangeSet::new()).and(change).and(event(Outcome::Success))).await {
        Ok(_) => {}
        Err(CommitError::Conflict(Conflict::SessionEnded)) => return Err(ReauthenticateError::SessionEnded),
        Err(error) => return Err(Internal::from(error).into()),
    }
    let found = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    let found = found.filter(|found| found.session.is_live(at)).ok_or(ReauthenticateError::SessionEnded)?;
    Ok(access_token(engine, &found.session, &found.user.access, at)?)
}
