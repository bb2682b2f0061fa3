//! Change of the password by its owner, who ends all her other sessions by it.

use std::time::Duration;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::guessing::Guess;
use crate::flows::notify::notice;
use crate::flows::planned::Planned;
use crate::flows::refusals::{About, turned_away_by};
use crate::flows::session_issue::device_token;
use crate::flows::throttle::Throttled;
use crate::model::{
    AuditAction, ChangeSet, Committed, CredentialChange, Credentials, GuessSubject, Guesses, Notice, Outcome, RequestContext,
    RevocationReason, SessionChange, UserChange, UserStatus,
};
use crate::password::{HashClass, HashError, HashOrigin, PolicyContext, SetPasswordError, Verdict, Weakness};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{DeviceToken, Password, PasswordHash, Timestamp};

/// The password to leave and the one to take.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The one that is in force.
    pub current: Password,
    /// The one to take, still to be judged.
    pub new: Password,
}

/// The password was changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasswordChanged {
    /// How many other sessions ended.
    pub sessions_ended: usize,
    /// What makes the device known at its next login: after the change all that were known before are strangers, a thief's
    /// among them.
    pub device_token: DeviceToken,
}

/// Why the password was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangePasswordError {
    /// The current password is another one, or was changed in this moment.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password can be guessed; the reasons say how to make a better one.
    #[error(transparent)]
    WeakPassword(#[from] Weakness),
    /// The account was closed since the token was issued, or the session has ended because the password was guessed at within it
    /// too often.
    #[error("the account is closed")]
    Gone,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
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

impl ChangePasswordError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword => "password.wrong_current",
            Self::WeakPassword(_) => "password.too_weak",
            Self::Gone => "auth.session_ended",
            Self::Suspended => "account.suspended",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(ChangePasswordError);
super::throttle::throttled_into!(ChangePasswordError);
super::breach::breach_into!(ChangePasswordError);
super::guessing::not_admitted_into!(ChangePasswordError);

impl From<CommitError> for ChangePasswordError {
    fn from(error: CommitError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<SetPasswordError> for ChangePasswordError {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::Weak(weakness) => Self::WeakPassword(weakness),
            SetPasswordError::Hash(error) => error.into(),
        }
    }
}

/// How often a change starts over when the account changes under it.
const ATTEMPTS: usize = 3;

/// Replaces the password, and ends every session of the caller but this one.
pub(crate) async fn change_password(
    engine: &Engine,
    principal: &Principal,
    change: PasswordChange,
    context: &RequestContext,
) -> Result<PasswordChanged, ChangePasswordError> {
    let outcome = judge(engine, principal, change, context).await;
    let about = About::User(principal.user_id());
    turned_away_by!(ChangePasswordError, engine, outcome, AuditAction::PasswordChanged, about, context)
}

async fn judge(
    engine: &Engine,
    principal: &Principal,
    change: PasswordChange,
    context: &RequestContext,
) -> Result<PasswordChanged, ChangePasswordError> {
    principal.in_person()?;
    engine.throttle.password_check(principal.user_id(), context).await?;
    engine.breach.check(&change.new).await?;
    let (mut overtaken, mut reserved) = (Conflict::PasswordChanged, None);
    for _ in 0..ATTEMPTS {
        match decide(engine, principal, &change, &mut reserved, context).await?.commit().await {
            Ok(changed) => return Ok(changed),
            // A login has upgraded the hash, or somebody has changed the password: judge again what is there now.
            Err(CommitError::Conflict(conflict @ (Conflict::PasswordChanged | Conflict::UserChanged))) => overtaken = conflict,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// Decides what [`change_password`] commits. A conflict says that the account changed in between: decide again.
pub(crate) async fn plan_change_password<'a>(
    engine: &'a Engine,
    principal: &Principal,
    change: &PasswordChange,
    context: &RequestContext,
) -> Result<Planned<'a, PasswordChanged>, ChangePasswordError> {
    principal.in_person()?;
    engine.throttle.password_check(principal.user_id(), context).await?;
    engine.breach.check(&change.new).await?;
    decide(engine, principal, change, &mut None, context).await
}

async fn decide<'a>(
    engine: &'a Engine,
    principal: &Principal,
    change: &PasswordChange,
    reserved: &mut Option<Guesses>,
    context: &RequestContext,
) -> Result<Planned<'a, PasswordChanged>, ChangePasswordError> {
    let id = principal.user_id();
    let identifier = id.to_string();
    let origin = HashOrigin::new(context.client.ip, &identifier);
    let mut admission = engine.pool.admit(HashClass::StepUp, &origin).map_err(HashError::Overloaded)?;
    let subject = GuessSubject::session(principal.session_id());
    let state = engine.store.login_by_id(id, subject).await.map_err(Internal::from)?;
    let Credentials { user, password } = state.credentials.ok_or(ChangePasswordError::Gone)?;
    if user.status != UserStatus::Active {
        return Err(ChangePasswordError::Suspended);
    }
    let at_most = engine.config.limits.guessing.per_session;
    let guess = Guess::admit(engine, subject, state.guesses, at_most, reserved, context).await?;
    let event = |at, outcome| engine.event(at, AuditAction::PasswordChanged, outcome, context).by(actor(principal)).on(id);
    let verdict = admission.verify(change.current.clone(), password.clone()).await?;
    let (Some(from), Verdict::Match { .. }) = (password, verdict) else {
        let at = engine.now();
        let refusal = event(at, Outcome::Failure).with("reason", "wrong_password");
        let has_ended = guess.fail_within(engine, principal, refusal, at, context).await?;
        // The place is kept until the failure is counted: no more than two are evaluated on a count that does not know of them.
        drop(admission);
        return Err(if has_ended { ChangePasswordError::Gone } else { ChangePasswordError::WrongPassword });
    };
    let policy = PolicyContext { email: Some(user.email.clone()), full_name: user.full_name.clone() };
    let to = admission.set(change.new.clone(), policy).await?;
    drop(admission);
    let at = engine.now();
    let changes = guess.succeeded(replacement(principal, user.auth_epoch, from, to, at)).and(event(at, Outcome::Success));
    let changes = notice(engine, changes, &user, Notice::PasswordChanged, context, at).await?;
    let device_token = device_token(engine, &user, user.auth_epoch.saturating_add(1), at)?;
    let finish = |committed: &Committed| PasswordChanged { sessions_ended: committed.revoked.len(), device_token };
    Ok(Planned::new(engine, id, changes, finish))
}

fn replacement(principal: &Principal, auth_epoch: u32, from: PasswordHash, to: PasswordHash, at: Timestamp) -> ChangeSet {
    let id = principal.user_id();
    ChangeSet::new()
        .and(CredentialChange::ReplacePassword { user_id: id, from, to, at })
        // A login that was checked against the old password and lands after this one fails by its guard.
        .and(UserChange::RaiseAuthEpoch { id, from: auth_epoch, at })
        .and(SessionChange::RevokeAll {
            user_id: id,
            except: Some(principal.session_id()),
            reason: RevocationReason::PasswordChanged,
            at,
        })
}
