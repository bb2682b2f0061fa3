//! The one door behind every first factor: it alone decides what follows when somebody has shown who she is.

use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::mfa_token;
use crate::flows::session_issue::{LoggedIn, NewSession};
use crate::model::AssuranceLevel;
use crate::model::{
    AuditAction, AuthMethod, ChangeSet, FactorSet, OneTimePurpose, OneTimeToken, OneTimeTokenChange, RequestContext, User,
};
use crate::primitives::{DeviceName, MfaToken, SessionId, Timestamp};

/// Somebody has passed her first factor, and a second one is in force: nobody is logged in yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecondFactorRequired {
    /// Goes with the proof of the second factor. It is good for nothing else.
    pub token: MfaToken,
    /// The factors that are in force; a recovery code stands for any of them.
    pub factors: FactorSet,
    /// How long there is time, in whole seconds.
    pub expires_in: Duration,
}

impl SecondFactorRequired {
    /// The stable code.
    pub const CODE: &'static str = "auth.mfa_required";
}

/// What follows a first factor.
pub(crate) enum NextStep {
    /// Nothing more is asked for.
    Session(Box<NewSession>),
    /// A second factor is.
    SecondFactor(Box<Challenge>),
}

/// A demand for a second factor, to be committed.
pub(crate) struct Challenge {
    token: OneTimeToken,
    required: SecondFactorRequired,
}

impl NextStep {
    /// Adds what follows to what is committed.
    pub(crate) fn add_to(&self, engine: &Engine, changes: ChangeSet) -> ChangeSet {
        match self {
            Self::Session(session) => session.add_to(engine, changes),
            Self::SecondFactor(challenge) => changes.and(OneTimeTokenChange::Insert(Box::new(challenge.token.clone()))),
        }
    }

    /// The session that begins, if one does.
    pub(crate) const fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Session(session) => Some(session.id()),
            Self::SecondFactor(_) => None,
        }
    }

    /// What the audit log calls it.
    pub(crate) const fn action(&self) -> AuditAction {
        match self {
            Self::Session(_) => AuditAction::Login,
            Self::SecondFactor(_) => AuditAction::SecondFactorDemanded,
        }
    }

    /// Hands out what follows. Call it after the commit: before, it is good for nothing.
    pub(crate) fn outcome(self) -> Result<LoggedIn, SecondFactorRequired> {
        match self {
            Self::Session(session) => Ok(session.logged_in()),
            Self::SecondFactor(challenge) => Err(challenge.required),
        }
    }
}

/// Decides what follows a first factor that `user` has passed by `method`: a session, or the demand for a second factor.
///
/// INVARIANT: login and every other way in come through here, so that what is demanded behind the first factor is demanded of
/// all of them. Both outcomes are void when the account's `auth_epoch` has moved on, which it does whenever its factors change.
pub(crate) fn complete_first_factor(
    engine: &Engine,
    user: &User,
    method: AuthMethod,
    device_name: Option<DeviceName>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<NextStep, Internal> {
    // A passkey has verified its user: it is both factors by itself.
    if user.second_factors.is_empty() || AssuranceLevel::of(&[method]) == AssuranceLevel::Aal2 {
        let session = NewSession::plan(engine, user, vec![method], device_name, &context.client, at)?;
        return Ok(NextStep::Session(Box::new(session)));
    }
    let (id, text, secret) = mfa_token::mint(engine, at);
    let lifetime = engine.config.mfa.challenge_lifetime;
    let mut data = std::collections::BTreeMap::from([(FIRST_METHOD.to_owned(), method.as_str().to_owned())]);
    data.extend(device_name.map(|name| (DEVICE_NAME.to_owned(), name.as_str().to_owned())));
    let token = OneTimeToken {
        id,
        purpose: OneTimePurpose::MfaChallenge,
        user_id: user.id,
        secret,
        auth_epoch: user.auth_epoch,
        address: None,
        data,
        attempts_left: engine.config.mfa.challenge_attempts,
        created_at: at,
        expires_at: at + lifetime,
    };
    let required = SecondFactorRequired { token: text, factors: user.second_factors, expires_in: lifetime };
    Ok(NextStep::SecondFactor(Box::new(Challenge { token, required })))
}

/// Begins the first session of an account that is made in the same change set: it has no second factor yet.
pub(crate) fn first_session(
    engine: &Engine,
    user: &User,
    method: AuthMethod,
    device_name: Option<DeviceName>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<NewSession, Internal> {
    NewSession::plan(engine, user, vec![method], device_name, &context.client, at)
}

/// Begins the session behind a second factor.
///
/// INVARIANT: the challenge that is consumed in the same set says by which first factor, and the account that it names is `user`.
pub(crate) fn complete_second_factor(
    engine: &Engine,
    challenge: &OneTimeToken,
    user: &User,
    second: AuthMethod,
    context: &RequestContext,
    at: Timestamp,
) -> Result<NewSession, Internal> {
    let first = challenge.data.get(FIRST_METHOD).and_then(|name| AuthMethod::from_name(name));
    let device_name = challenge.data.get(DEVICE_NAME).cloned().map(DeviceName::from_stored);
    NewSession::plan(engine, user, first.into_iter().chain([second]).collect(), device_name, &context.client, at)
}

const FIRST_METHOD: &str = "first_method";
const DEVICE_NAME: &str = "device_name";
