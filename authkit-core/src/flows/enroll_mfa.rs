//! Turning second factors on and off.

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::factor_check::{self, ATTEMPTS, Seal, seal_context};
use crate::mfa::{EnrolmentError, RecoveryCode, TotpEnrolment, totp};
use crate::model::PasskeyChange;
use crate::model::{
    Actor, AuditAction, AuditEvent, AuthMethod, ChangeSet, FactorChange, FactorKind, FactorSet, Factors, OneTimePurpose,
    OneTimeTokenChange, Outcome, RequestContext, SessionChange, TotpSecret, User, UserChange, UserStatus,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{FactorCode, Timestamp, UserId};

/// The second factors of an account, as its owner sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FactorStatus {
    /// Those that are in force.
    pub factors: FactorSet,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
}

/// Why a second factor was neither turned on nor off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrollError {
    /// The last proof of identity is too old, or was by less than the factors that are in force: reauthenticate, and ask again.
    #[error("prove again who you are, then ask again")]
    ReauthenticationRequired,
    /// The factor is in force already.
    #[error("this factor is on already")]
    AlreadyEnrolled,
    /// The factor is not in force, or nothing waits to be confirmed.
    #[error("this factor is not on, and nothing waits to be confirmed")]
    NotEnrolled,
    /// The code is wrong.
    #[error("the code is wrong")]
    InvalidCode,
    /// The session or the account has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// No app can be told of the secret: the name of the service is too long.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// Somebody acts as her: what she proves herself by is hers alone to change.
    #[error(transparent)]
    Impersonated(#[from] Impersonated),
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl EnrollError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ReauthenticationRequired => "auth.reauthentication_required",
            Self::AlreadyEnrolled => "mfa.already_enrolled",
            Self::NotEnrolled => "mfa.not_enrolled",
            Self::InvalidCode => "mfa.invalid_code",
            Self::SessionEnded => "auth.session_ended",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Enrolment(_) => "service.internal_error",
            Self::Internal(error) => error.code(),
        }
    }
}

/// The second factors of the caller.
pub(crate) async fn status(engine: &Engine, principal: &Principal) -> Result<FactorStatus, EnrollError> {
    let user = active(engine, principal.user_id()).await?;
    let factors = factor_check::read(engine, user.id).await?;
    let left = factors.recovery.map_or(0, |recovery| recovery.digests.len());
    Ok(FactorStatus { factors: user.second_factors, recovery_codes_left: left })
}

/// Makes a secret for an authenticator app. It is not in force until it is confirmed, and replaces one that was not.
pub(crate) async fn start_totp(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<TotpEnrolment, EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        if user.second_factors.has(FactorKind::Totp) {
            return Err(EnrollError::AlreadyEnrolled);
        }
        // SECURITY: whoever has got hold of a session must not be able to lock its owner out with a factor of his own.
        demand_recent(engine, principal, &user, at)?;
        let secret = totp::generate(&*engine.entropy);
        let told = totp::enrolment(&secret, &service_name(engine), user.email.spelling())?;
        let sealed = engine.custody.seal(&secret, &seal_context(user.id, Seal::Totp)).await.map_err(Internal::from)?;
        let waiting = TotpSecret { sealed, last_step: None, created_at: at };
        let factors = Factors { totp: Some(waiting), ..factor_check::read(engine, user.id).await? };
        let event = event(engine, principal, AuditAction::FactorEnrolmentStarted, at, context).with("factor", "totp");
        match engine.commit(&ChangeSet::new().and(FactorChange::Put(Box::new(factors))).and(event)).await {
            Ok(_) => return Ok(told),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Turns the authenticator app on whose code is shown, and makes a set of recovery codes.
pub(crate) async fn confirm_totp(
    engine: &Engine,
    principal: &Principal,
    code: &FactorCode,
    context: &RequestContext,
) -> Result<Vec<RecoveryCode>, EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        if user.second_factors.has(FactorKind::Totp) {
            return Err(EnrollError::AlreadyEnrolled);
        }
        let mut factors = factor_check::read(engine, user.id).await?;
        let fresh = |totp: &&mut TotpSecret| at < totp.created_at + engine.config.mfa.enrolment_lifetime;
        let waiting = factors.totp.as_mut().filter(fresh).ok_or(EnrollError::NotEnrolled)?;
        let secret = factor_check::open_totp(engine, user.id, &waiting.sealed).await?;
        let step = totp::matching_step(&secret, code.expose(), at, None).ok_or(EnrollError::InvalidCode)?;
        // The code that confirms is used up by that: it is no second factor of a login any more.
        waiting.last_step = Some(step);
        let codes = RecoveryCode::generate_set(&*engine.entropy);
        factors.recovery = Some(factor_check::recovery(engine, user.id, &codes, at).await?);
        factors.guesses = None;
        let to = user.second_factors.with(FactorKind::Totp);
        let mut methods = principal.claims().methods.clone();
        methods.push(AuthMethod::Totp);
        let changes = put(&user, factors, to, at);
        // SECURITY: the guard of this one says that the caller's session is alive. With a code of the app it is a session
        // of two factors now.
        let again = SessionChange::Reauthenticate {
            id: principal.session_id(),
            auth_epoch: user.auth_epoch + 1,
            methods: Some(methods),
            at,
        };
        let event = event(engine, principal, AuditAction::FactorEnrolled, at, context).with("factor", "totp");
        match engine.commit(&changes.and(again).and(event)).await {
            Ok(_) => return Ok(codes),
            Err(CommitError::Conflict(Conflict::FactorsChanged | Conflict::UserChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Turns the authenticator app off.
pub(crate) async fn remove_totp(engine: &Engine, principal: &Principal, context: &RequestContext) -> Result<(), EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        if !user.second_factors.has(FactorKind::Totp) {
            return Err(EnrollError::NotEnrolled);
        }
        demand_recent(engine, principal, &user, at)?;
        let to = user.second_factors.without(FactorKind::Totp);
        let mut factors = Factors { totp: None, guesses: None, ..factor_check::read(engine, user.id).await? };
        if to.is_empty() {
            factors.recovery = None;
        }
        let event = event(engine, principal, AuditAction::FactorRemoved, at, context).with("factor", "totp");
        let changes = put(&user, factors, to, at).and(alive(principal, user.auth_epoch + 1)).and(event);
        match engine.commit(&changes).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict(Conflict::FactorsChanged | Conflict::UserChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Makes a fresh set of recovery codes; the old one is void.
pub(crate) async fn replace_recovery_codes(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<Vec<RecoveryCode>, EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        if user.second_factors.is_empty() {
            return Err(EnrollError::NotEnrolled);
        }
        demand_recent(engine, principal, &user, at)?;
        let codes = RecoveryCode::generate_set(&*engine.entropy);
        let kept = Some(factor_check::recovery(engine, user.id, &codes, at).await?);
        let factors = Factors { recovery: kept, ..factor_check::read(engine, user.id).await? };
        let event = event(engine, principal, AuditAction::RecoveryCodesReplaced, at, context);
        let changes =
            ChangeSet::new().and(FactorChange::Put(Box::new(factors))).and(alive(principal, user.auth_epoch)).and(event);
        match engine.commit(&changes).await {
            Ok(_) => return Ok(codes),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Turns every second factor of an account off, for its operator. Whether there was one.
pub(crate) async fn reset(engine: &Engine, user_id: UserId, context: &RequestContext) -> Result<bool, Internal> {
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let Some(user) = engine.store.user_by_id(user_id).await?.filter(|user| !user.second_factors.is_empty()) else {
            return Ok(false);
        };
        let event = engine.event(at, AuditAction::FactorsReset, Outcome::Success, context).by(Actor::System).on(user.id);
        let changes = ChangeSet::new()
            .and(UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to: FactorSet::NONE, at })
            .and(FactorChange::Forget { user_id: user.id })
            .and(PasskeyChange::ForgetAllOf { user_id: user.id })
            .and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(OneTimePurpose::MfaChallenge) })
            .and(event);
        match engine.commit(&changes).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict(Conflict::UserChanged)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Internal::Conflict(Conflict::UserChanged.into()))
}

async fn active(engine: &Engine, id: UserId) -> Result<User, EnrollError> {
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    found.filter(|user| user.status == UserStatus::Active).ok_or(EnrollError::SessionEnded)
}

/// SECURITY: whoever has a second factor must have shown it: a password alone, or a session of before, takes none off and adds
/// none (downgrade).
fn demand_recent(engine: &Engine, principal: &Principal, user: &User, at: Timestamp) -> Result<(), EnrollError> {
    let enough = factor_check::has_proved_enough(engine, principal, user, at);
    if enough { Ok(()) } else { Err(EnrollError::ReauthenticationRequired) }
}

/// Which factors are in force, and what they are checked against: whoever was faster with either makes both fail. Logins that
/// wait for the second factors of before have to begin anew.
fn put(user: &User, factors: Factors, to: FactorSet, at: Timestamp) -> ChangeSet {
    ChangeSet::new()
        .and(UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to, at })
        .and(FactorChange::Put(Box::new(factors)))
        .and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(OneTimePurpose::MfaChallenge) })
}

/// Changes nothing about the caller's session, and fails when it has ended: the set of this node may not have heard of it.
fn alive(principal: &Principal, auth_epoch: u32) -> SessionChange {
    SessionChange::Reauthenticate { id: principal.session_id(), auth_epoch, methods: None, at: principal.authenticated_at() }
}

/// What the service is called in an app.
fn service_name(engine: &Engine) -> String {
    engine.config.mfa.service_name.clone().unwrap_or_else(|| {
        let issuer = &engine.config.tokens.issuer;
        let host = issuer.split_once("://").map_or(issuer.as_str(), |(_, rest)| rest);
        host.split('/').next().unwrap_or_default().to_owned()
    })
}

fn event(engine: &Engine, principal: &Principal, action: AuditAction, at: Timestamp, context: &RequestContext) -> AuditEvent {
    engine.event(at, action, Outcome::Success, context).by(actor(principal)).on(principal.user_id())
}

fn ended(error: CommitError) -> EnrollError {
    match error {
        CommitError::Conflict(Conflict::SessionEnded | Conflict::UserChanged) => EnrollError::SessionEnded,
        other => EnrollError::Internal(other.into()),
    }
}

fn overtaken() -> EnrollError {
    EnrollError::Internal(Internal::Conflict(Conflict::FactorsChanged.into()))
}
