//! Change of the password by its owner, who ends all her other sessions by it.

use std::time::Duration;

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::planned::Planned;
use crate::flows::throttle::Throttled;
use crate::model::{
    AuditAction, ChangeSet, CredentialChange, Credentials, Outcome, RequestContext, RevocationReason, SessionChange, UserChange,
    UserStatus,
};
use crate::password::{HashClass, HashError, HashOrigin, PolicyContext, SetPasswordError, Verdict, Weakness};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Password, PasswordHash, Timestamp};

/// The password to leave and the one to take.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The one that is in force.
    pub current: Password,
    /// The one to take, still to be judged.
    pub new: Password,
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
    /// The account was closed since the token was issued.
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
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(ChangePasswordError);
super::throttle::throttled_into!(ChangePasswordError);
super::breach::breach_into!(ChangePasswordError);

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

/// Replaces the password, and ends every session of the caller but this one. Returns how many ended.
pub(crate) async fn change_password(
    engine: &Engine,
    principal: &Principal,
    change: PasswordChange,
    context: &RequestContext,
) -> Result<usize, ChangePasswordError> {
    engine.throttle.password_check(principal.user_id(), context).await?;
    engine.breach.check(&change.new).await?;
    let mut overtaken = Conflict::PasswordChanged;
    for _ in 0..ATTEMPTS {
        match decide(engine, principal, &change, context).await?.commit().await {
            Ok(ended) => return Ok(ended),
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
) -> Result<Planned<'a, usize>, ChangePasswordError> {
    engine.throttle.password_check(principal.user_id(), context).await?;
    engine.breach.check(&change.new).await?;
    decide(engine, principal, change, context).await
}

async fn decide<'a>(
    engine: &'a Engine,
    principal: &Principal,
    change: &PasswordChange,
    context: &RequestContext,
) -> Result<Planned<'a, usize>, ChangePasswordError> {
    let id = principal.user_id();
    let identifier = id.to_string();
    let origin = HashOrigin::new(context.client.ip, &identifier);
    let mut admission = engine.pool.admit(HashClass::StepUp, &origin).map_err(HashError::Overloaded)?;
    let found = engine.store.credentials_by_id(id).await.map_err(Internal::from)?;
    let Credentials { user, password } = found.ok_or(ChangePasswordError::Gone)?;
    if user.status != UserStatus::Active {
        return Err(ChangePasswordError::Suspended);
    }
    let event = |at, outcome| engine.event(at, AuditAction::PasswordChanged, outcome, context).by(actor(principal)).on(id);
    let verdict = admission.verify(change.current.clone(), password.clone()).await?;
    let (Some(from), Verdict::Match { .. }) = (password, verdict) else {
        drop(admission);
        engine.record_refusal(event(engine.now(), Outcome::Failure).with("reason", "wrong_password")).await?;
        return Err(ChangePasswordError::WrongPassword);
    };
    let policy = PolicyContext { email: Some(user.email.clone()), full_name: user.full_name.clone() };
    let to = admission.set(change.new.clone(), policy).await?;
    drop(admission);
    let at = engine.now();
    let changes = replacement(principal, user.auth_epoch, from, to, at).and(event(at, Outcome::Success));
    Ok(Planned::new(engine, id, changes, |committed| committed.revoked.len()))
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
