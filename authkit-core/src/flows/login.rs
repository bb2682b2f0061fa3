//! Login by password.

use std::time::Duration;

use serde::Deserialize;

use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::{SecondFactorRequired, complete_first_factor_on};
use crate::flows::guessing::Guess;
use crate::flows::notify::login_on_unknown_device;
use crate::flows::refusals::{About, turned_away_by};
use crate::flows::session_issue::LoggedIn;
use crate::flows::throttle::Throttled;
use crate::flows::trusted_device;
use crate::model::{
    Actor, AuditAction, AuthMethod, ChangeSet, CredentialChange, GuessChange, GuessSubject, Guesses, LoginState, Outcome,
    RequestContext, UserStatus,
};
use crate::password::{HashClass, HashError, HashOrigin, Verdict, ready};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{DeviceName, DeviceToken, Email, Password, TrustToken};
use crate::token::KnownDevice;

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
    /// What the device was given at its last login here, so that strangers who guess at the account do not hold it up. Whatever
    /// is no token of the account is ignored.
    pub device_token: Option<DeviceToken>,
    /// What the device was given when its user chose to trust it, so that no second factor is asked for on it. Whatever is no such
    /// token of the account is ignored.
    pub trust_token: Option<TrustToken>,
}

impl Login {
    /// An address and a password.
    #[must_use]
    pub const fn new(email: Email, password: Password) -> Self {
        Self { email, password, device_name: None, device_token: None, trust_token: None }
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
    /// Too many were tried. No password was evaluated, the right one included, and it says nothing about whether there is such an
    /// account.
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
            Self::SecondFactorRequired(required) => required.code(),
            Self::Suspended => "account.suspended",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(LoginError);
super::throttle::throttled_into!(LoginError);

super::guessing::not_admitted_into!(LoginError);

/// How often a login starts over when the account changes under it, or its device turns out to be a stranger.
const ATTEMPTS: usize = 4;

/// Checks the password and begins a session.
pub(crate) async fn log_in(engine: &Engine, login: Login, context: &RequestContext) -> Result<LoggedIn, LoginError> {
    let email = login.email.clone();
    let outcome = judge(engine, login, context).await;
    turned_away_by!(LoginError, engine, outcome, AuditAction::Login, About::Email(email.normal()), context)
}

async fn judge(engine: &Engine, login: Login, context: &RequestContext) -> Result<LoggedIn, LoginError> {
    let mut visit = Visit { device: recognise(engine, &login), reserved: None };
    engine.throttle.login(&login.email, visit.device.as_ref(), context).await?;
    let mut overtaken = Conflict::UserChanged;
    for _ in 0..ATTEMPTS {
        match attempt(engine, &login, &mut visit, context).await {
            Ok(logged_in) => return Ok(logged_in),
            Err(Attempt::Refused(error)) => return Err(error),
            // The password was replaced or upgraded between our read and our commit: judge again what is there now.
            Err(Attempt::Overtaken(conflict)) => overtaken = conflict,
            Err(Attempt::ByStranger) => {
                visit.device = None;
                engine.throttle.stranger(&login.email, context).await?;
            }
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// The device, if it shows a token of the address. Whether it still is one of the account, its row knows.
fn recognise(engine: &Engine, login: &Login) -> Option<KnownDevice> {
    let (token, lifetime) = (login.device_token.as_ref()?, engine.config.sessions.device_lifetime);
    KnownDevice::recognise(&engine.keyring.load(), token, &login.email, engine.now(), lifetime)
}

/// What a login keeps when it has to start over.
struct Visit {
    device: Option<KnownDevice>,
    reserved: Option<Guesses>,
}

enum Attempt {
    Overtaken(Conflict),
    /// The device is none of the account's, was one before its password changed, or has guessed too often.
    ByStranger,
    Refused(LoginError),
}

impl<E: Into<LoginError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Lets the guess through that this login is, by what was counted before it.
async fn admit(
    engine: &Engine,
    login: &Login,
    state: &LoginState,
    visit: &mut Visit,
    context: &RequestContext,
) -> Result<Guess, Attempt> {
    let guessing = &engine.config.limits.guessing;
    if let Some(device) = &visit.device {
        let user = state.credentials.as_ref().map(|found| (found.user.id, found.user.auth_epoch));
        let guesses = state.device_guesses.map_or(0, |guesses| guesses.failures);
        if user != Some((device.user_id, device.auth_epoch)) || guesses >= guessing.per_device {
            return Err(Attempt::ByStranger);
        }
        return Ok(Guess::by_device(engine, device.guesses(), state.device_guesses));
    }
    let subject = GuessSubject::strangers(&login.email);
    Ok(Guess::admit(engine, subject, state.guesses, guessing.at_most, &mut visit.reserved, context).await?)
}

async fn attempt(engine: &Engine, login: &Login, visit: &mut Visit, context: &RequestContext) -> Result<LoggedIn, Attempt> {
    // SECURITY: the place in the queue is taken before the account is looked up, so that being turned away says nothing about it.
    let class = if visit.device.is_some() { HashClass::KnownClient } else { HashClass::Login };
    let origin = HashOrigin::new(context.client.ip, login.email.normal());
    let mut admission = engine.pool.admit(class, &origin).map_err(HashError::Overloaded)?;
    let (strangers, device) = (GuessSubject::strangers(&login.email), visit.device.map(|device| device.guesses()));
    let state = engine.store.login_by_email(&login.email, strangers, device).await.map_err(Internal::from)?;
    let guess = admit(engine, login, &state, visit, context).await?;
    let found = state.credentials;
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
    let at = engine.now();
    let event = |outcome| engine.event(at, AuditAction::Login, outcome, context).with("method", AuthMethod::Password.as_str());
    let (credentials, stored) = match (found, stored, verdict) {
        (Some(credentials), Some(stored), Verdict::Match { .. }) => (credentials, stored),
        (found, stored, _) => {
            let reason = match (&found, &stored) {
                (None, _) => "unknown_account",
                (Some(_), None) => "no_password",
                (Some(_), Some(stored)) if ready(stored).is_some() => "unproved_address",
                (Some(_), Some(_)) => "wrong_password",
            };
            let user_id = found.map(|credentials| credentials.user.id);
            let refusal = event(Outcome::Failure).with("reason", reason).with("email", login.email.normal());
            let refusal = refusal.with("device", if visit.device.is_some() { "known" } else { "unknown" });
            let refusal = user_id.map_or(refusal.clone(), |user_id| refusal.on(user_id));
            let changes = guess.failed(ChangeSet::new(), at).and(refusal);
            let of = if visit.device.is_some() { "device" } else { "account" };
            let changes = match guess.consequence(engine, at, of, user_id, context) {
                Some(event) => changes.and(event.with("email", login.email.normal())),
                None => changes,
            };
            engine.commit(&changes).await.map_err(Internal::from)?;
            // INVARIANT: the place is kept until the failure is counted. An identifier has two on a node, so that no more guesses
            // than that are evaluated here on a count that does not know of them.
            drop(admission);
            return Err(LoginError::InvalidCredentials.into());
        }
    };
    // Nothing is hashed from here on: the place is for the next one.
    drop(admission);
    let user = credentials.user;
    if user.status != UserStatus::Active {
        let refusal = event(Outcome::Failure).on(user.id).with("reason", "suspended");
        engine.commit(&guess.succeeded(ChangeSet::new()).and(refusal)).await.map_err(Internal::from)?;
        return Err(LoginError::Suspended.into());
    }
    let trusted = trusted_device::trusted(engine, &user, login.trust_token.as_ref(), at).await?;
    let name = login.device_name.clone();
    let next = complete_first_factor_on(engine, &user, AuthMethod::Password, trusted, name, context, at)?;
    let changes = match upgraded {
        Some(to) => ChangeSet::new().and(CredentialChange::ReplacePassword { user_id: user.id, from: stored, to, at }),
        None => ChangeSet::new(),
    };
    let changes = guess.succeeded(next.add_to(engine, changes));
    // Who is let in on a device that is known opens the way again for those that are not.
    let (changes, failures) = match (visit.device, state.guesses) {
        (Some(_), Some(guesses)) => {
            (changes.and(GuessChange::Forget { subject: strangers }), guess.before().saturating_add(guesses.failures))
        }
        _ => (changes, guess.before()),
    };
    // Behind a second factor, that is told when it was passed.
    let changes = match (visit.device, next.session_id()) {
        (None, Some(_)) => login_on_unknown_device(engine, changes, &user, context, at).await?,
        _ => changes,
    };
    let success = engine.event(at, next.action(), Outcome::Success, context).with("method", AuthMethod::Password.as_str());
    let success = success.by(Actor::User(user.id, next.session_id())).on(user.id);
    let success = match trusted {
        Some(device) => success.with("trusted_device", device.to_string()),
        None => success,
    };
    // For her to know: somebody else may have tried (ASVS 6.3.5).
    let success = if failures > 0 { success.with("failures_before", failures.to_string()) } else { success };
    match engine.commit(&changes.and(success)).await {
        Ok(_) => next.outcome().map_err(|required| LoginError::SecondFactorRequired(required).into()),
        Err(CommitError::Conflict(conflict @ (Conflict::PasswordChanged | Conflict::UserChanged))) => {
            Err(Attempt::Overtaken(conflict))
        }
        Err(error) => Err(Internal::from(error).into()),
    }
}
