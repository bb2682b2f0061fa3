//! Registration: a new account with a password, logged in at once.

use std::time::Duration;

use serde::Deserialize;

use crate::flows::access_book::fresh_graph;
use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::first_session;
use crate::flows::one_time;
use crate::flows::outbox::Cause;
use crate::flows::pending_registration;
use crate::flows::planned::Planned;
use crate::flows::refusals::{About, turned_away_by};
use crate::flows::session_issue::LoggedIn;
use crate::flows::throttle::Throttled;
use crate::model::FactorSet;
use crate::model::OneTimePurpose;
use crate::model::{
    Access, Actor, Assignment, AuditAction, AuthMethod, ChangeSet, CredentialChange, Outcome, RequestContext, User, UserChange,
    UserStatus,
};
use crate::password::{HashClass, HashError, HashOrigin, PolicyContext, SetPasswordError, Weakness};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{DeviceName, Email, FullName, Locale, Password, PasswordHash, RoleName, Timestamp, UserId};

/// What a new account is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Where mail goes, and what identifies the account at login.
    pub email: Email,
    /// The password, still to be judged.
    pub password: Password,
    /// What the owner calls herself.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// What she calls the device that she registers from.
    pub device_name: Option<DeviceName>,
}

impl Registration {
    /// An account with an address and a password, and nothing else said.
    #[must_use]
    pub const fn new(email: Email, password: Password) -> Self {
        Self { email, password, full_name: None, locale: None, device_name: None }
    }
}

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Nobody makes an account by herself here.
    #[error("registration is closed")]
    Closed,
    /// The settings want kept quiet who has an account, which this way of registering would tell: a mistake of the host, which has to
    /// take registrations by `request_registration`.
    #[error("registrations are answered by mail alone")]
    ByMailOnly,
    /// An account with this address exists.
    #[error("an account with this email address exists")]
    EmailTaken,
    /// There is no role of this name to give to the account.
    #[error("there is no role `{role}`")]
    UnknownRole {
        /// Its name.
        role: RoleName,
    },
    /// The password can be guessed; the reasons say how to make a better one.
    #[error(transparent)]
    WeakPassword(#[from] Weakness),
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

impl RegisterError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Closed => "account.registration_closed",
            Self::ByMailOnly => "account.registration_by_mail",
            Self::EmailTaken => "account.email_taken",
            Self::UnknownRole { .. } => "role.unknown",
            Self::WeakPassword(_) => "password.too_weak",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Internal(error) => error.code(),
        }
    }
}

/// Makes the account and logs its owner in.
pub(crate) async fn register(
    engine: &Engine,
    registration: Registration,
    context: &RequestContext,
) -> Result<LoggedIn, RegisterError> {
    let email = registration.email.clone();
    let planned = plan_register(engine, registration, context).await;
    let about = About::Email(email.normal());
    Ok(turned_away_by!(RegisterError, engine, planned, AuditAction::AccountRegistered, about, context)?.commit().await?)
}

/// Decides what [`register`] commits.
pub(crate) async fn plan_register<'a>(
    engine: &'a Engine,
    registration: Registration,
    context: &RequestContext,
) -> Result<Planned<'a, LoggedIn>, RegisterError> {
    let settings = engine.config.registration;
    if !settings.open {
        return Err(RegisterError::Closed);
    }
    if !settings.reveal_existing {
        return Err(RegisterError::ByMailOnly);
    }
    engine.throttle.registration(context).await?;
    let (user, hash, at) = prepare(engine, &registration, context).await?;
    let session = first_session(engine, &user, AuthMethod::Password, registration.device_name, context, at)?;
    let event = engine.event(at, AuditAction::AccountRegistered, Outcome::Success, context);
    let event = event.by(Actor::User(user.id, Some(session.id()))).on(user.id).with("method", AuthMethod::Password.as_str());
    let changes = session.add_to(engine, account(&user, hash)).and(event);
    let cause = Cause::of(context, at);
    let changes = one_time::issue(engine, changes, &user, OneTimePurpose::VerifyEmail, None, &cause, at).await?;
    Ok(Planned::new(engine, user.id, changes, |_| session.logged_in()))
}

/// Takes a registration that is decided later, by whoever works the outbox off. The answer says nothing about whether there is such an
/// account, and neither does the time that it takes: the password is judged and hashed in any case, and nothing is looked up.
pub(crate) async fn request(engine: &Engine, registration: Registration, context: &RequestContext) -> Result<(), RegisterError> {
    if !engine.config.registration.open {
        return Err(RegisterError::Closed);
    }
    let email = registration.email.clone();
    let outcome = take(engine, registration, context).await;
    turned_away_by!(RegisterError, engine, outcome, AuditAction::RegistrationRequested, About::Email(email.normal()), context)
}

async fn take(engine: &Engine, registration: Registration, context: &RequestContext) -> Result<(), RegisterError> {
    engine.throttle.registration(context).await?;
    let (user, hash, at) = prepare(engine, &registration, context).await?;
    // What one mailbox is mailed at most, links included. Nobody is told.
    if !engine.throttle.recipient(&user.email).await {
        return Ok(());
    }
    let event = engine.event(at, AuditAction::RegistrationRequested, Outcome::Success, context);
    let changes = ChangeSet::new().and(event.with("email", user.email.normal()));
    let changes = pending_registration::enqueue(engine, changes, &user, &hash, context, at).await?;
    engine.commit(&changes).await?;
    Ok(())
}

/// Makes the account for somebody else: nobody is logged in, and nothing is counted. For the operator's command line.
pub(crate) async fn create(engine: &Engine, registration: Registration, context: &RequestContext) -> Result<User, RegisterError> {
    Ok(plan_create(engine, registration, context).await?.commit().await?)
}

/// Decides what [`create`] commits.
pub(crate) async fn plan_create<'a>(
    engine: &'a Engine,
    registration: Registration,
    context: &RequestContext,
) -> Result<Planned<'a, User>, RegisterError> {
    let (user, hash, at) = prepare(engine, &registration, context).await?;
    let event = engine.event(at, AuditAction::AccountRegistered, Outcome::Success, context);
    let changes = account(&user, hash).and(event.by(Actor::System).on(user.id));
    Ok(Planned::new(engine, user.id, changes, |_| user))
}

/// Makes the account for somebody else and gives it roles, everywhere and for good, all at once: so the first administrator is made.
/// For the operator's command line.
pub(crate) async fn create_with_roles(
    engine: &Engine,
    registration: Registration,
    roles: &[RoleName],
    context: &RequestContext,
) -> Result<User, RegisterError> {
    let graph = fresh_graph(engine).await?;
    let mut names: Vec<&RoleName> = roles.iter().collect();
    names.sort_unstable();
    names.dedup();
    if let Some(unknown) = names.iter().find(|name| graph.role(name).is_none()) {
        return Err(RegisterError::UnknownRole { role: (*unknown).clone() });
    }
    let (mut user, hash, at) = prepare(engine, &registration, context).await?;
    let event = |action| engine.event(at, action, Outcome::Success, context).by(Actor::System).on(user.id);
    let mut changes = account(&user, hash).and(event(AuditAction::AccountRegistered));
    if !names.is_empty() {
        let given = |role: &RoleName| Assignment {
            role: role.clone(),
            scope: None,
            expires_at: None,
            assigned_by: None,
            assigned_at: at,
        };
        let to: Vec<Assignment> = names.iter().map(|role| given(role)).collect();
        let roles_version = graph.version().unwrap_or_default();
        changes = changes.and(UserChange::ReplaceAssignments { id: user.id, from: 0, to: to.clone(), roles_version, at });
        for role in names {
            changes = changes.and(event(AuditAction::RoleAssigned).with("role", role.as_str()));
        }
        user = User { access: Access { version: 1, assignments: to }, version: user.version.saturating_add(1), ..user };
    }
    engine.commit(&changes).await?;
    Ok(user)
}

/// Judges and hashes the password. The address is not looked up: the guard of the insert decides, and a taken address
/// costs the same work as a free one.
async fn prepare(
    engine: &Engine,
    registration: &Registration,
    context: &RequestContext,
) -> Result<(User, PasswordHash, Timestamp), RegisterError> {
    engine.breach.check(&registration.password).await?;
    let origin = HashOrigin::new(context.client.ip, registration.email.normal());
    let mut admission = engine.pool.admit(HashClass::Registration, &origin).map_err(HashError::Overloaded)?;
    let policy = PolicyContext { email: Some(registration.email.clone()), full_name: registration.full_name.clone() };
    let hash = admission.set(registration.password.clone(), policy).await?;
    drop(admission);
    let at = engine.now();
    let user = User {
        id: UserId::generate(at, &*engine.entropy),
        email: registration.email.clone(),
        email_verified_at: None,
        full_name: registration.full_name.clone(),
        locale: registration.locale.clone(),
        status: UserStatus::Active,
        auth_epoch: 0,
        second_factors: FactorSet::NONE,
        access: Access::default(),
        version: 0,
        created_at: at,
        updated_at: at,
    };
    Ok((user, hash, at))
}

fn account(user: &User, hash: PasswordHash) -> ChangeSet {
    let password = CredentialChange::InsertPassword { user_id: user.id, hash, at: user.created_at };
    ChangeSet::new().and(UserChange::Insert(user.clone())).and(password)
}

impl From<CommitError> for RegisterError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(Conflict::EmailTaken) => Self::EmailTaken,
            other => Self::Internal(other.into()),
        }
    }
}

impl From<SetPasswordError> for RegisterError {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::Weak(weakness) => Self::WeakPassword(weakness),
            SetPasswordError::Hash(error) => error.into(),
        }
    }
}

super::engine::hash_error_into!(RegisterError);
super::throttle::throttled_into!(RegisterError);
super::breach::breach_into!(RegisterError);
