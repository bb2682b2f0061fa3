//! The one door behind every first factor: it alone decides what follows when somebody has shown who she is.

use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::session_issue::{LoggedIn, NewSession};
use crate::flows::{mfa_policy, mfa_token};
use crate::model::AssuranceLevel;
use crate::model::{
    AuditAction, AuthMethod, ChangeSet, FactorKind, FactorSet, OneTimePurpose, OneTimeToken, OneTimeTokenChange, RequestContext,
    User,
};
use crate::primitives::TrustedDeviceId;
use crate::primitives::{DeviceName, MfaToken, SessionId, Timestamp};

/// What somebody who has passed her first factor has to do before she is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactorDemand {
    /// Prove a second factor that is in force.
    Proof,
    /// Turn one on: none is in force, and one is demanded of her.
    Enrolment,
}

/// Somebody has passed her first factor, and a second one is in force, or demanded: nobody is logged in yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecondFactorRequired {
    /// What she has to do.
    pub demand: FactorDemand,
    /// Goes with the proof of the second factor, or with its enrolment. It is good for nothing else.
    pub token: MfaToken,
    /// The factors that can be asked for, or, where none is in force, turned on; a recovery code stands for any that is in force.
    pub factors: FactorSet,
    /// How long there is time, in whole seconds.
    pub expires_in: Duration,
}

impl SecondFactorRequired {
    /// The stable code of a demand for a proof.
    pub const CODE: &'static str = "auth.mfa_required";
    /// The stable code of a demand for an enrolment.
    pub const ENROLMENT_CODE: &'static str = "auth.mfa_enrolment_required";

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.demand {
            FactorDemand::Proof => Self::CODE,
            FactorDemand::Enrolment => Self::ENROLMENT_CODE,
        }
    }
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
    complete_first_factor_on(engine, user, method, None, device_name, context, at)
}

/// The same on a device that may be trusted: [`trusted`](crate::flows::trusted_device::trusted) says whether it is.
pub(crate) fn complete_first_factor_on(
    engine: &Engine,
    user: &User,
    method: AuthMethod,
    trusted: Option<TrustedDeviceId>,
    device_name: Option<DeviceName>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<NextStep, Internal> {
    // A passkey has verified its user: it is both factors by itself.
    let is_enough = AssuranceLevel::of(&[method]) == AssuranceLevel::Aal2;
    let must_enrol = !is_enough && user.second_factors.is_empty() && mfa_policy::is_demanded(engine, user, at);
    if (is_enough || user.second_factors.is_empty() || trusted.is_some()) && !must_enrol {
        // INVARIANT: a session that begins on a trusted device is one of the first factor alone: what demands a second asks for it.
        let session = NewSession::plan(engine, user, vec![method], device_name, &context.client, at)?;
        return Ok(NextStep::Session(Box::new(session)));
    }
    let (demand, purpose, factors) = if must_enrol {
        let can_be = engine.config.mfa.factors;
        let can_be = if engine.sms_sender.is_some() { can_be } else { can_be.without(FactorKind::Sms) };
        (FactorDemand::Enrolment, OneTimePurpose::MfaEnrolment, mfa_policy::offered(can_be, &[method]))
    } else {
        (FactorDemand::Proof, OneTimePurpose::MfaChallenge, mfa_policy::offered(user.second_factors, &[method]))
    };
    let (id, text, secret) = mfa_token::mint(engine, purpose, at);
    let lifetime = engine.config.mfa.challenge_lifetime;
    let mut data = std::collections::BTreeMap::from([(FIRST_METHOD.to_owned(), method.as_str().to_owned())]);
    data.extend(device_name.map(|name| (DEVICE_NAME.to_owned(), name.as_str().to_owned())));
    let token = OneTimeToken {
        id,
        purpose,
        user_id: user.id,
        secret,
        auth_epoch: user.auth_epoch,
        address: None,
        data,
        attempts_left: engine.config.mfa.challenge_attempts,
        created_at: at,
        expires_at: at + lifetime,
    };
    let required = SecondFactorRequired { demand, token: text, factors, expires_in: lifetime };
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
    let methods = first_method(challenge).into_iter().chain([second]).collect();
    NewSession::plan(engine, user, methods, device_name(challenge), &context.client, at)
}

/// By which first factor a challenge was begun.
pub(crate) fn first_method(challenge: &OneTimeToken) -> Option<AuthMethod> {
    challenge.data.get(FIRST_METHOD).and_then(|name| AuthMethod::from_name(name))
}

/// What the device of a challenge is called.
pub(crate) fn device_name(challenge: &OneTimeToken) -> Option<DeviceName> {
    challenge.data.get(DEVICE_NAME).cloned().map(DeviceName::from_stored)
}

const FIRST_METHOD: &str = "first_method";
const DEVICE_NAME: &str = "device_name";
