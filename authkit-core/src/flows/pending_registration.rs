//! A registration that was taken and is decided later, so that its answer cannot tell whether the address has an account.
//!
//! It is written into the outbox, sealed, and looked at by whoever works that off: an address without an account gets one, and the link
//! that proves it; the owner of one that has is told that somebody tried.

use serde::{Deserialize, Serialize};

use crate::flows::engine::{Engine, Internal};
use crate::flows::{notify, one_time, outbox};
use crate::model::{
    Access, Actor, AuditAction, AuthMethod, ChangeSet, Client, CredentialChange, FactorSet, Notice, OneTimePurpose, Outcome,
    RequestContext, User, UserChange, UserStatus,
};
use crate::password::pending;
use crate::primitives::{Email, FullName, Locale, PasswordHash, Timestamp, UserAgent, UserId};

/// What is kept of a registration until it is decided: what it asked for, and who asked, for the audit log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingRegistration {
    user_id: UserId,
    email: (String, String),
    full_name: Option<String>,
    locale: Option<String>,
    password: String,
    ip: Option<std::net::IpAddr>,
    user_agent: Option<String>,
    request_id: Option<String>,
    language: Option<String>,
}

impl PendingRegistration {
    fn of(user: &User, hash: &PasswordHash, context: &RequestContext) -> Self {
        Self {
            user_id: user.id,
            email: (user.email.normal().to_owned(), user.email.spelling().to_owned()),
            full_name: user.full_name.as_ref().map(|name| name.as_str().to_owned()),
            locale: user.locale.as_ref().map(|locale| locale.as_str().to_owned()),
            password: hash.expose().to_owned(),
            ip: context.client.ip,
            user_agent: context.client.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
            request_id: context.request_id.as_ref().map(|id| id.as_str().to_owned()),
            language: context.language.as_ref().map(|language| language.as_str().to_owned()),
        }
    }

    fn email(&self) -> Email {
        Email::from_stored(self.email.0.clone(), self.email.1.clone())
    }

    fn context(&self) -> RequestContext {
        let client = Client { ip: self.ip, user_agent: self.user_agent.clone().map(UserAgent::from_stored) };
        let request_id = self.request_id.as_deref().and_then(|id| id.parse().ok());
        let language = self.language.clone().map(Locale::from_stored);
        RequestContext { client, request_id, language, ..RequestContext::default() }
    }

    fn user(&self, at: Timestamp) -> User {
        User {
            id: self.user_id,
            email: self.email(),
            email_verified_at: None,
            full_name: self.full_name.clone().map(FullName::from_stored),
            locale: self.locale.clone().map(Locale::from_stored),
            status: UserStatus::Active,
            auth_epoch: 0,
            access: Access::default(),
            second_factors: FactorSet::NONE,
            version: 0,
            created_at: at,
            updated_at: at,
        }
    }
}

/// Adds a registration that is to be decided to what is committed: the account that it would become, and the hash of its password.
pub(crate) async fn enqueue(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    hash: &PasswordHash,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let registration = PendingRegistration::of(user, hash, context);
    outbox::enqueue_registration(engine, changes, registration, at, at + engine.config.mail.verify_email_lifetime).await
}

/// Decides what becomes of a registration.
pub(crate) async fn decide(engine: &Engine, registration: &PendingRegistration) -> Result<ChangeSet, Internal> {
    let (at, context) = (engine.now(), registration.context());
    // Whoever closes the registration means those that wait, too.
    if !engine.config.registration.open {
        return Ok(ChangeSet::new());
    }
    let event = |outcome| engine.event(at, AuditAction::AccountRegistered, outcome, &context);
    let Some(found) = engine.store.credentials_by_email(&registration.email()).await? else {
        let user = registration.user(at);
        // SECURITY: a password that worked before its address was proved would tell, at the next login, that the address was free.
        let hash = pending(&PasswordHash::from_phc(registration.password.clone()));
        let event = event(Outcome::Success).by(Actor::User(user.id, None)).on(user.id);
        let changes = ChangeSet::new()
            .and(UserChange::Insert(user.clone()))
            .and(CredentialChange::InsertPassword { user_id: user.id, hash, at })
            .and(event.with("method", AuthMethod::Password.as_str()));
        let cause = outbox::Cause::of(&context, at);
        return one_time::issue(engine, changes, &user, OneTimePurpose::VerifyEmail, None, &cause, at).await;
    };
    let changes = ChangeSet::new().and(event(Outcome::Failure).on(found.user.id).with("reason", "email_taken"));
    if found.user.status != UserStatus::Active {
        return Ok(changes);
    }
    notify::notice(engine, changes, &found.user, Notice::RegistrationAttempted, &context, at).await
}
