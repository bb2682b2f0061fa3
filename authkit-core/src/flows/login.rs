//! Login by password.

use std::time::Duration;

use serde::Deserialize;

use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::{SecondFactorRequired, complete_first_factor};
use crate::flows::session_issue::LoggedIn;
use crate::flows::throttle::Throttled;
use crate::model::{Actor, AuditAction, AuthMethod, ChangeSet, CredentialChange, Outcome, RequestContext, UserStatus};
use crate::password::{HashClass, HashError, HashOrigin, Verdict};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{DeviceName, Email, Password};

/// What somebody presents to log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address of the account.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// What she calls the device.
    pub device_name: Option<DeviceName>,
}

impl Login {
    /// An address and a password.
    #[must_use]
    pub const fn new(email: Email, password: Password) -> Self {
        Self { email, password, device_name: None }
    }
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No such account, no password on it, or another one: the answer is the same, and takes the same time.
    #[error("email or password is wrong")]
    InvalidCredentials,
    /// The password is right, and a second factor is in force: nobody is logged in yet.
    #[error("a second factor is required")]
    SecondFactorRequired(SecondFactorRequired),
    /// The account is suspended. Said only after the right password.
    #[error("the account is suspended")]
    Suspended,
    /// Too many were tried. Nothing was looked up, whether the account exists included.
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

impl LoginError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "auth.invalid_credentials",
            Self::SecondFactorRequired(_) => SecondFactorRequired::CODE,
            Self::Suspended => "account.suspended",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(LoginError);
super::throttle::throttled_into!(LoginError);

/// How often a login starts over when the account changes under it.
const ATTEMPTS: usize = 3;

/// Checks the password and begins a session.
pub(crate) async fn log_in(engine: &Engine, login: Login, context: &RequestContext) -> Result<LoggedIn, LoginError> {
    engine.throttle.login(&login.email, context).await?;
    let mut overtaken = Conflict::UserChanged;
    for _ in 0..ATTEMPTS {
        match attempt(engine, &login, context).await {
            Ok(logged_in) => return Ok(logged_in),
            Err(Attempt::Refused(error)) => return Err(error),
            // The password was replaced or upgraded between our read and our commit: judge again what is there now.
            Err(Attempt::Overtaken(conflict)) => overtaken = conflict,
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

enum Attempt {
    Overtaken(Conflict),
    Refused(LoginError),
}

impl<E: Into<LoginError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

async fn attempt(engine: &Engine, login: &Login, context: &RequestContext) -> Result<LoggedIn, Attempt> {
    // SECURITY: the place in the queue is taken before the account is looked up, so that being turned away says nothing about it.
    let origin = HashOrigin::new(context.client.ip, login.email.normal());
    let mut admission = engine.pool.admit(HashClass::Login, &origin).map_err(HashError::Overloaded)?;
    let found = engine.store.credentials_by_email(&login.email).await.map_err(Internal::from)?;
    let stored = found.as_ref().and_then(|credentials| credentials.password.clone());
    let verdict = match admission.verify(login.password.clone(), stored.clone()).await {
        Err(HashError::Unsupported) => {
            // SECURITY: another answer would say that the account exists. The same work was done for it.
            tracing::error!(user_id = ?found.as_ref().map(|found| found.user.id), "a stored password hash cannot be verified");
            Verdict::Mismatch
        }
        verdict => verdict?,
    };
    let upgraded = match (&stored, verdict) {
        (Some(_), Verdict::Match { needs_upgrade: true }) => Some(admission.rehash(login.password.clone()).await?),
        _ => None,
    };
    // Nothing is hashed from here on: the place is for the next one.
    drop(admission);
    let at = engine.now();
    let event = |outcome| engine.event(at, AuditAction::Login, outcome, context).with("method", AuthMethod::Password.as_str());
    let (credentials, stored) = match (found, stored, verdict) {
        (Some(credentials), Some(stored), Verdict::Match { .. }) => (credentials, stored),
        (found, stored, _) => {
            let reason = match (&found, &stored) {
                (None, _) => "unknown_account",
                (Some(_), None) => "no_password",
                (Some(_), Some(_)) => "wrong_password",
            };
            let refusal = event(Outcome::Failure).with("reason", reason).with("email", login.email.normal());
            let refusal = match found {
                Some(credentials) => refusal.on(credentials.user.id),
                None => refusal,
            };
            engine.record_refusal(refusal).await?;
            return Err(LoginError::InvalidCredentials.into());
        }
    };
    let user = credentials.user;
    if user.status != UserStatus::Active {
        engine.record_refusal(event(Outcome::Failure).on(user.id).with("reason", "suspended")).await?;
        return Err(LoginError::Suspended.into());
    }
    let next = complete_first_factor(engine, &user, AuthMethod::Password, login.device_name.clone(), context, at)?;
    let changes = match upgraded {
        Some(to) => ChangeSet::new().and(CredentialChange::ReplacePassword { user_id: user.id, from: stored, to, at }),
        None => ChangeSet::new(),
    };
    let reached = engine.event(at, next.action(), Outcome::Success, context).with("method", AuthMethod::Password.as_str());
    let changes = next.add_to(engine, changes).and(reached.by(Actor::User(user.id, next.session_id())).on(user.id));
    match engine.commit(&changes).await {
        Ok(_) => next.outcome().map_err(|required| LoginError::SecondFactorRequired(required).into()),
        Err(CommitError::Conflict(conflict @ (Conflict::PasswordChanged | Conflict::UserChanged))) => {
            Err(Attempt::Overtaken(conflict))
        }
        Err(error) => Err(Internal::from(error).into()),
    }
}
