//! Turning second factors on and off.

use std::time::Duration;

use uuid::Uuid;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::factor_check::{self, ATTEMPTS, Seal, seal_context};
use crate::flows::first_factor::{complete_second_factor, first_method};
use crate::flows::notify::notice;
use crate::flows::sent_code::{self, AskedWith, Way};
use crate::flows::session_issue::{LoggedIn, NewSession};
use crate::flows::throttle::Throttled;
use crate::flows::{mfa_policy, mfa_token};
use crate::mfa::{EnrolmentError, RecoveryCode, TotpEnrolment, totp};
use crate::model::{
    Actor, AnnouncedFactor, AuditAction, AuditEvent, AuthMethod, ChangeSet, CodeUse, Doer, FactorChange, FactorKind, FactorSet,
    Factors, Notice, OneTimePurpose, OneTimeToken, OneTimeTokenChange, Outcome, Phone, RequestContext, SessionChange, TotpSecret,
    TrustedDevice, User, UserChange, UserStatus,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{FactorCode, MfaToken, PhoneNumber, SecretBytes, Timestamp, TrustedDeviceId, UserId};

/// The second factors of an account, as its owner sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FactorStatus {
    /// Those that are in force.
    pub factors: FactorSet,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
    /// The last digits of the telephone that codes are sent to.
    pub phone_hint: Option<String>,
    /// Whether one is demanded of her: the last cannot be turned off.
    pub is_demanded: bool,
    /// The devices that she trusts, the longest trusted first.
    pub trusted_devices: Vec<TrustedDevice>,
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
    /// The settings offer no such factor, or nobody is there who could send its codes, or it says nothing beside the first factor.
    #[error("this factor cannot be turned on here")]
    NotAvailable,
    /// The address of the account is not proved yet: codes go to no other.
    #[error("the email address is not verified")]
    EmailNotVerified,
    /// It is the last one, and one is demanded of the account.
    #[error("a second factor is demanded of this account, and this is its last")]
    Demanded,
    /// The code is wrong.
    #[error("the code is wrong")]
    InvalidCode,
    /// Enough codes were sent.
    #[error("enough codes were sent, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The token of the login is none, was used, has expired, or the account has changed since: begin anew.
    #[error("the login has to begin anew")]
    InvalidToken,
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
            Self::NotAvailable => "mfa.not_available",
            Self::EmailNotVerified => "account.email_not_verified",
            Self::Demanded => "mfa.demanded",
            Self::InvalidCode => "mfa.invalid_code",
            Self::Throttled { .. } => Throttled::CODE,
            Self::InvalidToken => "auth.invalid_mfa_token",
            Self::SessionEnded => "auth.session_ended",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Enrolment(_) => "service.internal_error",
            Self::Internal(error) => error.code(),
        }
    }
}

/// A factor that is on now.
#[derive(Debug)]
#[non_exhaustive]
pub struct Enrolled {
    /// A fresh set of recovery codes, to be shown once; empty where the account has a set already.
    pub recovery_codes: Vec<RecoveryCode>,
    /// The session that has begun with it, where the factor was demanded at a login.
    pub logged_in: Option<LoggedIn>,
}

/// Who turns a factor on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Enroller<'a> {
    /// Somebody who is logged in.
    Session(&'a Principal),
    /// Somebody who is let in once she has: [`FactorDemand::Enrolment`](crate::flows::FactorDemand).
    Ticket(&'a MfaToken),
}

/// The same, with what her session or her ticket says now.
enum Caller<'a> {
    Session(&'a Principal),
    Ticket(Box<OneTimeToken>),
}

impl Enroller<'_> {
    async fn account(&self, engine: &Engine, at: Timestamp) -> Result<(User, Caller<'_>), EnrollError> {
        match self {
            Self::Session(principal) => {
                principal.in_person()?;
                Ok((active(engine, principal.user_id()).await?, Caller::Session(principal)))
            }
            Self::Ticket(text) => {
                let purpose = OneTimePurpose::MfaEnrolment;
                let (id, secret) = mfa_token::parse(text, purpose).ok_or(EnrollError::InvalidToken)?;
                let found = engine.store.one_time_token(id, purpose).await.map_err(Internal::from)?;
                // SECURITY: the password that this stands for enrols the first factor, and never another one beside it.
                let found = found.filter(|found| mfa_token::stands(found, secret, at) && found.user.second_factors.is_empty());
                let found = found.ok_or(EnrollError::InvalidToken)?;
                Ok((found.user, Caller::Ticket(Box::new(found.token))))
            }
        }
    }
}

impl Caller<'_> {
    fn actor(&self, user: &User) -> Doer {
        match self {
            Self::Session(principal) => actor(principal),
            Self::Ticket(_) => Actor::User(user.id, None).into(),
        }
    }

    fn asked_with(&self) -> AskedWith {
        let id: Uuid = match self {
            Self::Session(principal) => principal.session_id().as_uuid(),
            Self::Ticket(token) => token.id.as_uuid(),
        };
        AskedWith { used_for: CodeUse::Enrolment, id }
    }

    fn methods(&self) -> Vec<AuthMethod> {
        match self {
            Self::Session(principal) => principal.claims().methods.clone(),
            Self::Ticket(token) => first_method(token).into_iter().collect(),
        }
    }

    /// What is done by a ticket was proved a moment ago.
    fn demand_recent(&self, engine: &Engine, user: &User, at: Timestamp) -> Result<(), EnrollError> {
        match self {
            Self::Session(principal) => demand_recent(engine, principal, user, at),
            Self::Ticket(_) => Ok(()),
        }
    }

    fn event(&self, engine: &Engine, user: &User, action: AuditAction, at: Timestamp, context: &RequestContext) -> AuditEvent {
        engine.event(at, action, Outcome::Success, context).by(self.actor(user)).on(user.id)
    }
}

/// Whether a factor can be turned on here, behind these first factors.
fn demand_available(engine: &Engine, kind: FactorKind, caller: &Caller<'_>) -> Result<(), EnrollError> {
    let somebody_sends = match kind {
        FactorKind::Email => engine.mailer.is_some(),
        FactorKind::Sms => engine.sms_sender.is_some(),
        _ => true,
    };
    let is_offered = mfa_policy::offered(engine.config.mfa.factors, &caller.methods()).has(kind);
    if somebody_sends && is_offered { Ok(()) } else { Err(EnrollError::NotAvailable) }
}

/// The second factors of the caller.
pub(crate) async fn status(engine: &Engine, principal: &Principal) -> Result<FactorStatus, EnrollError> {
    let (user, at) = (active(engine, principal.user_id()).await?, engine.now());
    let mut factors = factor_check::read(engine, user.id).await?;
    let phone = if user.second_factors.has(FactorKind::Sms) { sent_code::phone(engine, &factors).await? } else { None };
    factors.trusted_devices.retain(|device| device.is_in_force(user.auth_epoch, at));
    Ok(FactorStatus {
        factors: user.second_factors,
        recovery_codes_left: factors.recovery.map_or(0, |recovery| recovery.digests.len()),
        phone_hint: phone.map(|phone| phone.hint()),
        is_demanded: mfa_policy::is_demanded(engine, &user, at),
        trusted_devices: factors.trusted_devices,
    })
}

/// Makes a secret for an authenticator app. It is not in force until it is confirmed, and replaces one that was not.
pub(crate) async fn start_totp(
    engine: &Engine,
    enroller: Enroller<'_>,
    context: &RequestContext,
) -> Result<TotpEnrolment, EnrollError> {
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let (user, caller) = enroller.account(engine, at).await?;
        if user.second_factors.has(FactorKind::Totp) {
            return Err(EnrollError::AlreadyEnrolled);
        }
        demand_available(engine, FactorKind::Totp, &caller)?;
        // SECURITY: whoever has got hold of a session must not be able to lock its owner out with a factor of his own.
        caller.demand_recent(engine, &user, at)?;
        let secret = totp::generate(&*engine.entropy);
        let told = totp::enrolment(&secret, &service_name(engine), user.email.spelling())?;
        let sealed = engine.custody.seal(&secret, &seal_context(user.id, Seal::Totp)).await.map_err(Internal::from)?;
        let waiting = TotpSecret { sealed, last_step: None, created_at: at };
        let factors = Factors { totp: Some(waiting), ..factor_check::read(engine, user.id).await? };
        let event = caller.event(engine, &user, AuditAction::FactorEnrolmentStarted, at, context).with("factor", "totp");
        match engine.commit(&ChangeSet::new().and(FactorChange::Put(Box::new(factors))).and(event)).await {
            Ok(_) => return Ok(told),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Has a code sent to the address of the account, to turn codes by mail on.
pub(crate) async fn start_email(engine: &Engine, enroller: Enroller<'_>, context: &RequestContext) -> Result<(), EnrollError> {
    let at = engine.now();
    let (user, caller) = enroller.account(engine, at).await?;
    demand_available(engine, FactorKind::Email, &caller)?;
    if user.email_verified_at.is_none() {
        return Err(EnrollError::EmailNotVerified);
    }
    start_sent(engine, &user, &caller, &Way::Mail, None, context, at).await
}

/// Has a code sent to a telephone, to turn codes by text message on.
pub(crate) async fn start_sms(
    engine: &Engine,
    enroller: Enroller<'_>,
    phone: PhoneNumber,
    context: &RequestContext,
) -> Result<(), EnrollError> {
    let at = engine.now();
    let (user, caller) = enroller.account(engine, at).await?;
    demand_available(engine, FactorKind::Sms, &caller)?;
    let countries = &engine.config.mfa.sms_countries;
    if !countries.is_empty() && !countries.contains(&phone.country()) {
        return Err(EnrollError::NotAvailable);
    }
    let number = SecretBytes::new(phone.expose().as_bytes().to_vec());
    let number = engine.custody.seal(&number, &seal_context(user.id, Seal::Phone)).await.map_err(Internal::from)?;
    let waiting = Phone { number, created_at: at };
    start_sent(engine, &user, &caller, &Way::Phone(phone), Some(waiting), context, at).await
}

async fn start_sent(
    engine: &Engine,
    user: &User,
    caller: &Caller<'_>,
    way: &Way,
    phone: Option<Phone>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<(), EnrollError> {
    let kind = if phone.is_some() { FactorKind::Sms } else { FactorKind::Email };
    if user.second_factors.has(kind) {
        return Err(EnrollError::AlreadyEnrolled);
    }
    caller.demand_recent(engine, user, at)?;
    // INVARIANT: a number and the code that was sent to it are written together, so that no code ever confirms another number.
    let waiting =
        |factors: Factors| Ok::<_, EnrollError>(Factors { phone: phone.clone().or_else(|| factors.phone.clone()), ..factors });
    if sent_code::send(engine, user, caller.asked_with(), way, waiting, context, at).await? {
        Ok(())
    } else {
        Err(EnrollError::Throttled { retry_after: engine.config.mfa.resend_after })
    }
}

/// Turns the factor on whose code is shown. Where it is the first, it makes a set of recovery codes.
pub(crate) async fn confirm(
    engine: &Engine,
    enroller: Enroller<'_>,
    kind: FactorKind,
    code: &FactorCode,
    context: &RequestContext,
) -> Result<Enrolled, EnrollError> {
    let at = engine.now();
    let (announced, method) = match kind {
        FactorKind::Totp => (AnnouncedFactor::Totp, AuthMethod::Totp),
        FactorKind::Email => (AnnouncedFactor::EmailCode, AuthMethod::EmailCode),
        FactorKind::Sms => (AnnouncedFactor::SmsCode, AuthMethod::SmsCode),
        _ => return Err(EnrollError::NotAvailable),
    };
    for _ in 0..ATTEMPTS {
        let (user, caller) = enroller.account(engine, at).await?;
        if user.second_factors.has(kind) {
            return Err(EnrollError::AlreadyEnrolled);
        }
        let Some(mut factors) = confirmed(engine, &user, &caller, kind, code, at).await? else { continue };
        let is_first = user.second_factors.is_empty() || factors.recovery.is_none();
        let codes = if is_first { RecoveryCode::generate_set(&*engine.entropy) } else { Vec::new() };
        if is_first {
            factors.recovery = Some(factor_check::recovery(engine, user.id, &codes, at).await?);
        }
        factors.guesses = None;
        let to = user.second_factors.with(kind);
        let changes = put(&user, factors, to, at);
        let after = User { auth_epoch: user.auth_epoch.saturating_add(1), second_factors: to, ..user.clone() };
        let (changes, session) = begin(engine, &caller, &after, method, changes, context, at)?;
        let event = caller.event(engine, &user, AuditAction::FactorEnrolled, at, context).with("factor", kind.as_str());
        let changes = notice(engine, changes.and(event), &user, Notice::FactorAdded(announced), context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(Enrolled { recovery_codes: codes, logged_in: session.map(NewSession::logged_in) }),
            Err(CommitError::Conflict(Conflict::FactorsChanged | Conflict::UserChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Checks the code that turns a factor on: the factors with it used up, or `None` when they have changed meanwhile.
async fn confirmed(
    engine: &Engine,
    user: &User,
    caller: &Caller<'_>,
    kind: FactorKind,
    code: &FactorCode,
    at: Timestamp,
) -> Result<Option<Factors>, EnrollError> {
    let mut factors = factor_check::read(engine, user.id).await?;
    if kind == FactorKind::Totp {
        let fresh = |totp: &&mut TotpSecret| at < totp.created_at + engine.config.mfa.enrolment_lifetime;
        let waiting = factors.totp.as_mut().filter(fresh).ok_or(EnrollError::NotEnrolled)?;
        let secret = factor_check::open_totp(engine, user.id, &waiting.sealed).await?;
        let step = totp::matching_step(&secret, code.expose(), at, None).ok_or(EnrollError::InvalidCode)?;
        // The code that confirms is used up by that: it is no second factor of a login any more.
        waiting.last_step = Some(step);
        return Ok(Some(factors));
    }
    let asked_with = caller.asked_with();
    let waits =
        factors.sent_codes.iter().any(|sent| sent.used_for == asked_with.used_for && sent.kind == kind && at < sent.expires_at);
    if !waits {
        return Err(EnrollError::NotEnrolled);
    }
    // SECURITY: each look is paid for before it is taken, so that however many come at once, no more are taken than were paid for.
    sent_code::pay(&mut factors, asked_with.used_for);
    match engine.commit(&ChangeSet::new().and(FactorChange::Put(Box::new(factors.clone())))).await {
        Ok(_) => factors.version = factors.version.saturating_add(1),
        Err(CommitError::Conflict(Conflict::FactorsChanged)) => return Ok(None),
        Err(error) => return Err(ended(error)),
    }
    let used = sent_code::redeem(engine, user.id, &factors, kind, asked_with, code, at).await?;
    used.map(Some).ok_or(EnrollError::InvalidCode)
}

/// What the caller's session says from now on, or, where she had none, her first one.
fn begin(
    engine: &Engine,
    caller: &Caller<'_>,
    after: &User,
    method: AuthMethod,
    changes: ChangeSet,
    context: &RequestContext,
    at: Timestamp,
) -> Result<(ChangeSet, Option<NewSession>), Internal> {
    match caller {
        Caller::Session(principal) => {
            let mut methods = principal.claims().methods.clone();
            methods.push(method);
            // SECURITY: the guard of this one says that the caller's session is alive. With a code of the factor it is a session
            // of two factors now.
            let again = SessionChange::Reauthenticate {
                id: principal.session_id(),
                auth_epoch: after.auth_epoch,
                methods: Some(methods),
                at,
            };
            Ok((changes.and(again), None))
        }
        Caller::Ticket(ticket) => {
            let (id, purpose, secret) = (ticket.id, ticket.purpose, ticket.secret);
            let session = complete_second_factor(engine, ticket, after, method, context, at)?;
            let event = engine.event(at, AuditAction::Login, Outcome::Success, context).with("method", method.as_str());
            let event = event.by(Actor::User(after.id, Some(session.id()))).on(after.id);
            let changes = changes.and(OneTimeTokenChange::Consume { id, purpose, secret, at });
            Ok((session.add_to(engine, changes).and(event), Some(session)))
        }
    }
}

/// Turns a factor off.
pub(crate) async fn remove(
    engine: &Engine,
    principal: &Principal,
    kind: FactorKind,
    context: &RequestContext,
) -> Result<(), EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    let announced = match kind {
        FactorKind::Totp => AnnouncedFactor::Totp,
        FactorKind::Email => AnnouncedFactor::EmailCode,
        FactorKind::Sms => AnnouncedFactor::SmsCode,
        _ => return Err(EnrollError::NotEnrolled),
    };
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        if !user.second_factors.has(kind) {
            return Err(EnrollError::NotEnrolled);
        }
        demand_recent(engine, principal, &user, at)?;
        let to = user.second_factors.without(kind);
        // SECURITY: what is demanded of the account cannot be taken off it, by nobody's session.
        if to.is_empty() && mfa_policy::is_demanded(engine, &user, at) {
            return Err(EnrollError::Demanded);
        }
        let mut factors = Factors { guesses: None, sent_codes: Vec::new(), ..factor_check::read(engine, user.id).await? };
        match kind {
            FactorKind::Totp => factors.totp = None,
            FactorKind::Sms => factors.phone = None,
            _ => {}
        }
        if to.is_empty() {
            factors.recovery = None;
        }
        let event = event(engine, principal, AuditAction::FactorRemoved, at, context).with("factor", kind.as_str());
        let changes = put(&user, factors, to, at).and(alive(principal, user.auth_epoch + 1)).and(event);
        let changes = notice(engine, changes, &user, Notice::FactorRemoved(announced), context, at).await?;
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
        let announced = Notice::FactorAdded(AnnouncedFactor::RecoveryCodes);
        let changes = notice(engine, changes, &user, announced, context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(codes),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

/// Takes the trust in a device back, or in all of them. Whether there was one.
pub(crate) async fn forget_device(
    engine: &Engine,
    principal: &Principal,
    id: Option<TrustedDeviceId>,
    context: &RequestContext,
) -> Result<bool, EnrollError> {
    principal.in_person()?;
    let at = engine.now();
    for _ in 0..ATTEMPTS {
        let user = active(engine, principal.user_id()).await?;
        let mut factors = factor_check::read(engine, user.id).await?;
        let before = factors.trusted_devices.len();
        factors.trusted_devices.retain(|device| id.is_some_and(|id| device.id != id));
        if factors.trusted_devices.len() == before {
            return Ok(false);
        }
        let event = event(engine, principal, AuditAction::DeviceForgotten, at, context);
        let event = event.with("device", id.map_or_else(|| "all".to_owned(), |id| id.to_string()));
        let changes = ChangeSet::new().and(FactorChange::Put(Box::new(factors)));
        match engine.commit(&changes.and(alive(principal, user.auth_epoch)).and(event)).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(ended(error)),
        }
    }
    Err(overtaken())
}

async fn active(engine: &Engine, id: UserId) -> Result<User, EnrollError> {
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    found.filter(|user| user.status == UserStatus::Active).ok_or(EnrollError::SessionEnded)
}

/// SECURITY: whoever has a second factor must have shown it: a password alone, or a session of before, takes none off and adds
/// none (downgrade). Where there is more than the mailbox, a code by mail is not enough: whoever reads the mailbox sets a new password
/// with it, and would take off what it cannot show.
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
        CommitError::Conflict(Conflict::TokenGone) => EnrollError::InvalidToken,
        other => EnrollError::Internal(other.into()),
    }
}

fn overtaken() -> EnrollError {
    EnrollError::Internal(Internal::Conflict(Conflict::FactorsChanged.into()))
}
