//! The second half of a login: a proof of a second factor, for the token that the first half has left.

use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::factor_check::{self, ATTEMPTS, NotChecked, ProofMethod, SecondFactor};
use crate::flows::first_factor::complete_second_factor;
use crate::flows::mfa_token;
use crate::flows::session_issue::LoggedIn;
use crate::flows::throttle::Throttled;
use crate::model::{
    Actor, AuditAction, ChangeSet, FactorChange, Factors, OneTimePurpose, OneTimeTokenChange, OneTimeTokenWithUser, Outcome,
    RequestContext,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{MfaToken, Timestamp};

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecondFactorError {
    /// The token of the first half is none, was used, has expired, has no attempts left, or the account has changed since: begin
    /// anew.
    #[error("the login has to begin anew")]
    InvalidToken,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    InvalidCode,
    /// Too many codes of the account were wrong. This one was not looked at.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl SecondFactorError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "auth.invalid_mfa_token",
            Self::InvalidCode => "mfa.invalid_code",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(SecondFactorError);

impl From<NotChecked> for SecondFactorError {
    fn from(not_checked: NotChecked) -> Self {
        match not_checked {
            NotChecked::Throttled(throttled) => throttled.into(),
            NotChecked::Gone => Self::InvalidToken,
            NotChecked::Internal(error) => error.into(),
        }
    }
}

/// Checks the second factor, and begins the session.
pub(crate) async fn verify(
    engine: &Engine,
    token: &MfaToken,
    proof: &SecondFactor,
    context: &RequestContext,
) -> Result<LoggedIn, SecondFactorError> {
    let at = engine.now();
    let challenge = challenge(engine, token, at).await?;
    let (id, purpose) = (challenge.token.id, challenge.token.purpose);
    let spend = OneTimeTokenChange::SpendAttempt { id, purpose, at };
    let mut factors = factor_check::reserve(engine, challenge.user.id, proof.factor, Some(&spend), at).await?;
    for _ in 0..ATTEMPTS {
        let Some(used) = factor_check::check(engine, &challenge.user, &factors, proof, at).await? else {
            return Err(refuse(engine, &challenge, proof.factor, at, context).await?);
        };
        match begin(engine, &challenge, used, proof.factor, at, context).await {
            // Another guess at this account was counted since: what is right is still right, unless it was just that.
            Err(Begin::Overtaken) => factors = factor_check::read(engine, challenge.user.id).await?,
            Err(Begin::Refused(error)) => return Err(error),
            Ok(logged_in) => return Ok(logged_in),
        }
    }
    Err(Internal::Conflict(Conflict::FactorsChanged.into()).into())
}

/// The challenge of a token, if it still stands.
async fn challenge(engine: &Engine, token: &MfaToken, at: Timestamp) -> Result<OneTimeTokenWithUser, SecondFactorError> {
    let (id, secret) = mfa_token::parse(token).ok_or(SecondFactorError::InvalidToken)?;
    let found = engine.store.one_time_token(id, OneTimePurpose::MfaChallenge).await.map_err(Internal::from)?;
    found.filter(|found| mfa_token::stands(found, secret, at)).ok_or(SecondFactorError::InvalidToken)
}

/// Audits a wrong code.
async fn refuse(
    engine: &Engine,
    challenge: &OneTimeTokenWithUser,
    method: ProofMethod,
    at: Timestamp,
    context: &RequestContext,
) -> Result<SecondFactorError, Internal> {
    let event = engine.event(at, AuditAction::Login, Outcome::Failure, context).on(challenge.user.id);
    let event = event.with("reason", "wrong_code").with("method", method.auth_method().as_str());
    engine.commit(&ChangeSet::new().and(event)).await?;
    Ok(SecondFactorError::InvalidCode)
}

enum Begin {
    Overtaken,
    Refused(SecondFactorError),
}

/// Uses up the challenge and the factor, and begins the session: all of it or nothing.
async fn begin(
    engine: &Engine,
    challenge: &OneTimeTokenWithUser,
    used: Factors,
    method: ProofMethod,
    at: Timestamp,
    context: &RequestContext,
) -> Result<LoggedIn, Begin> {
    let (token, user) = (&challenge.token, &challenge.user);
    let session = complete_second_factor(engine, token, user, method.auth_method(), context, at);
    let session = session.map_err(|error| Begin::Refused(error.into()))?;
    let actor = Actor::User(user.id, Some(session.id()));
    let event = |action| engine.event(at, action, Outcome::Success, context).by(actor).on(user.id);
    let left = used.recovery.as_ref().map_or(0, |recovery| recovery.digests.len());
    let consume = OneTimeTokenChange::Consume { id: token.id, purpose: token.purpose, secret: token.secret, at };
    let changes = ChangeSet::new().and(consume).and(FactorChange::Put(Box::new(used)));
    let changes = session.add_to(engine, changes);
    let changes = changes.and(event(AuditAction::Login).with("method", method.auth_method().as_str()));
    let changes = match method {
        ProofMethod::RecoveryCode => changes.and(event(AuditAction::RecoveryCodeUsed).with("left", left.to_string())),
        ProofMethod::Totp => changes,
    };
    match engine.commit(&changes).await {
        Ok(_) => Ok(session.logged_in()),
        Err(CommitError::Conflict(Conflict::FactorsChanged)) => Err(Begin::Overtaken),
        Err(CommitError::Conflict(Conflict::TokenGone | Conflict::UserChanged)) => {
            Err(Begin::Refused(SecondFactorError::InvalidToken))
        }
        Err(error) => Err(Begin::Refused(Internal::from(error).into())),
    }
}
