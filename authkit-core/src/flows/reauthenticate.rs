//! Proving again who one is, for what cannot be undone.

use std::time::Duration;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::factor_check::{self, ATTEMPTS, NotChecked, SecondFactor};
use crate::flows::guessing::Guess;
use crate::flows::mfa_policy;
use crate::flows::refusals::{About, turned_away_by};
use crate::flows::sent_code::{self, AskedWith, Way};
use crate::flows::session_issue::access_token;
use crate::flows::throttle::Throttled;
use crate::model::{AuditAction, AuthMethod, ChangeSet, GuessSubject, Outcome, RequestContext, SessionChange, UserStatus};
use crate::model::{CodeUse, FactorChange, FactorKind};
use crate::password::{HashClass, HashError, HashOrigin, Verdict};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{AccessToken, Password, Timestamp};

/// Why the proof was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// The password is another one.
    #[error("the password is wrong")]
    InvalidCredentials,
    /// A second factor is in force: the password alone proves too little.
    #[error("prove a second factor")]
    FactorRequired,
    /// The code is wrong, or was used before, or no second factor is in force.
    #[error("the code is wrong, or was used before")]
    InvalidCode,
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
            Self::FactorRequired => "mfa.factor_required",
            Self::InvalidCode => "mfa.invalid_code",
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
    // SECURITY: a stolen session and a stolen password must not be enough to take the second factor off.
    if !credentials.user.second_factors.is_empty() {
        return Err(ReauthenticateError::FactorRequired);
    }
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
    let (session_id, auth_epoch) = (principal.session_id(), credentials.user.auth_epoch);
    let change = SessionChange::Reauthenticate { id: session_id, auth_epoch, methods: None, at };
    commit(engine, &guess.succeeded(ChangeSet::new()).and(change).and(event(Outcome::Success))).await?;
    fresh_token(engine, principal, at).await
}

fn asked_with(principal: &Principal) -> AskedWith {
    AskedWith { used_for: CodeUse::Reauthentication, id: principal.session_id().as_uuid() }
}

/// Has a code sent that the caller can prove herself by again. What comes of it is not told.
pub(crate) async fn send_code(
    engine: &Engine,
    principal: &Principal,
    kind: FactorKind,
    context: &RequestContext,
) -> Result<(), ReauthenticateError> {
    principal.in_person()?;
    let (id, at) = (principal.user_id(), engine.now());
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    let user = found.filter(|user| user.status == UserStatus::Active).ok_or(ReauthenticateError::SessionEnded)?;
    if !mfa_policy::offered(user.second_factors, &principal.claims().methods).has(kind) {
        return Ok(());
    }
    let factors = factor_check::read(engine, id).await?;
    let way = match kind {
        FactorKind::Email => Some(Way::Mail),
        FactorKind::Sms => sent_code::phone(engine, &factors).await?.map(Way::Phone),
        _ => None,
    };
    let Some(way) = way else { return Ok(()) };
    sent_code::send(engine, &user, asked_with(principal), &way, Ok::<_, ReauthenticateError>, context, at).await.map(drop)
}

/// Checks a second factor, and issues an access token with a fresh `auth_time` that says so.
pub(crate) async fn reauthenticate_by_factor(
    engine: &Engine,
    principal: &Principal,
    proof: &SecondFactor,
    context: &RequestContext,
) -> Result<(AccessToken, Duration), ReauthenticateError> {
    let (id, at, method) = (principal.user_id(), engine.now(), proof.factor.auth_method());
    engine.throttle.password_check(id, context).await?;
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    let user = found.filter(|user| user.status == UserStatus::Active).ok_or(ReauthenticateError::SessionEnded)?;
    let event = |outcome| {
        let event = engine.event(at, AuditAction::Reauthentication, outcome, context).by(actor(principal)).on(id);
        event.with("method", method.as_str())
    };
    if user.second_factors.is_empty() {
        return Err(ReauthenticateError::InvalidCode);
    }
    let mut methods = principal.claims().methods.clone();
    if !methods.contains(&method) {
        methods.push(method);
    }
    let first = principal.claims().methods.clone();
    let asked_with = asked_with(principal);
    let mut factors = factor_check::reserve(engine, id, proof.factor, asked_with.used_for, None, at).await?;
    for _ in 0..ATTEMPTS {
        let Some(used) = factor_check::check(engine, &user, &factors, proof, (asked_with, &first), at).await? else {
            let refusal = event(Outcome::Failure).with("reason", "wrong_code");
            engine.commit(&ChangeSet::new().and(refusal)).await.map_err(Internal::from)?;
            return Err(ReauthenticateError::InvalidCode);
        };
        let left = used.recovery.as_ref().map_or(0, |recovery| recovery.digests.len());
        let (session_id, auth_epoch, methods) = (principal.session_id(), user.auth_epoch, Some(methods.clone()));
        let changes = ChangeSet::new()
            .and(FactorChange::Put(Box::new(used)))
            .and(SessionChange::Reauthenticate { id: session_id, auth_epoch, methods, at })
            .and(event(Outcome::Success));
        let changes = if method == AuthMethod::RecoveryCode {
            let used = engine.event(at, AuditAction::RecoveryCodeUsed, Outcome::Success, context).by(actor(principal)).on(id);
            changes.and(used.with("left", left.to_string()))
        } else {
            changes
        };
        match engine.commit(&changes).await {
            Ok(_) => return fresh_token(engine, principal, at).await,
            // Another guess was counted since.
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => factors = factor_check::read(engine, id).await?,
            Err(CommitError::Conflict(Conflict::SessionEnded)) => return Err(ReauthenticateError::SessionEnded),
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(Conflict::FactorsChanged.into()).into())
}

impl From<NotChecked> for ReauthenticateError {
    fn from(not_checked: NotChecked) -> Self {
        match not_checked {
            NotChecked::Throttled(throttled) => throttled.into(),
            NotChecked::Gone => Self::SessionEnded,
            NotChecked::Internal(error) => error.into(),
        }
    }
}

async fn commit(engine: &Engine, changes: &ChangeSet) -> Result<(), ReauthenticateError> {
    match engine.commit(changes).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::SessionEnded)) => Err(ReauthenticateError::SessionEnded),
        Err(error) => Err(Internal::from(error).into()),
    }
}

/// An access token that says what the session's row says now.
async fn fresh_token(
    engine: &Engine,
    principal: &Principal,
    at: Timestamp,
) -> Result<(AccessToken, Duration), ReauthenticateError> {
    let found = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    let found = found.filter(|found| found.session.is_live(at)).ok_or(ReauthenticateError::SessionEnded)?;
    Ok(access_token(engine, &found.session, &found.user.access, at)?)
}
