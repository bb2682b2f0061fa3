//! The outbox: messages are enqueued with their cause, and worked off by every node.

use std::sync::Weak;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flows::engine::{Engine, Internal};
use crate::flows::one_time;
use crate::flows::pending_registration::{self, PendingRegistration};
use crate::model::{
    ChangeSet, Mail, MailContent, MessageKind, OneTimePurpose, OutboxChange, OutboxMessage, OutboxState, User, UserStatus,
};
use crate::ports::{CommitError, Conflict, MailError};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{
    Email, FullName, Locale, OneTimeTokenText, OutboxMessageId, Page, PageRequest, SecretBytes, Timestamp, UserId,
};

/// How long a worker may take over a message before another one takes it. Longer than a mailer may take.
const LEASE: Duration = Duration::from_mins(2);
/// How many messages a worker takes at once.
const BATCH: u32 = 8;
/// How often a worker looks when nobody wakes it: what another node has enqueued, or what is due again.
const LOOK: Duration = Duration::from_secs(1);
/// How long a mailer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pauses between the attempts begin here and double up to the longest: twelve attempts fill a day.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(4);

/// What a message holds, sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Payload {
    Mail { to: (String, String), full_name: Option<String>, locale: Option<String>, name: String, token: Option<String> },
    Request { purpose: String, email: (String, String), browser: Option<String> },
    Registration(Box<PendingRegistration>),
}

impl Payload {
    fn of(mail: &Mail) -> Self {
        Self::Mail {
            to: (mail.to.normal().to_owned(), mail.to.spelling().to_owned()),
            full_name: mail.full_name.as_ref().map(|name| name.as_str().to_owned()),
            locale: mail.locale.as_ref().map(|locale| locale.as_str().to_owned()),
            name: mail.content.name().to_owned(),
            token: mail.content.token().map(|token| token.expose().to_owned()),
        }
    }
}

fn content(name: &str, token: Option<String>) -> Option<MailContent> {
    let token = token.map(OneTimeTokenText::new);
    Some(match (name, token) {
        ("verify_email", Some(token)) => MailContent::VerifyEmail { token },
        ("reset_password", Some(token)) => MailContent::ResetPassword { token },
        ("magic_link", Some(token)) => MailContent::MagicLink { token },
        ("password_reset", None) => MailContent::PasswordReset,
        ("registration_attempted", None) => MailContent::RegistrationAttempted,
        _ => return None,
    })
}

/// Adds a mail to an account's address to what is committed; nothing where this node has nobody to send it.
pub(crate) async fn enqueue_mail(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    content: MailContent,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<ChangeSet, Internal> {
    if engine.mailer.is_none() {
        return Ok(changes);
    }
    let mail = Mail { full_name: user.full_name.clone(), locale: user.locale.clone(), ..Mail::new(user.email.clone(), content) };
    let (kind, name) = (MessageKind::Mail, mail.content.name());
    enqueue(engine, changes, (kind, name), Some(user.id), &Payload::of(&mail), (at, expires_at)).await
}

/// Adds a request on behalf of an address to what is committed: whether there is such an account is found out later.
pub(crate) async fn enqueue_request(
    engine: &Engine,
    changes: ChangeSet,
    purpose: OneTimePurpose,
    email: &Email,
    browser: Option<String>,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let email = (email.normal().to_owned(), email.spelling().to_owned());
    let payload = Payload::Request { purpose: purpose.as_str().to_owned(), email, browser };
    let until = at + one_time::lifetime(engine, purpose);
    enqueue(engine, changes, (MessageKind::Request, purpose.as_str()), None, &payload, (at, until)).await
}

/// Adds a registration to what is committed: what becomes of it is found out later.
pub(crate) async fn enqueue_registration(
    engine: &Engine,
    changes: ChangeSet,
    registration: PendingRegistration,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let payload = Payload::Registration(Box::new(registration));
    enqueue(engine, changes, (MessageKind::Request, "registration"), None, &payload, (at, expires_at)).await
}

async fn enqueue(
    engine: &Engine,
    changes: ChangeSet,
    (kind, subject): (MessageKind, &str),
    user_id: Option<UserId>,
    payload: &Payload,
    (at, expires_at): (Timestamp, Timestamp),
) -> Result<ChangeSet, Internal> {
    let id = OutboxMessageId::generate(at, &*engine.entropy);
    let json = SecretBytes::new(serde_json::to_vec(payload).map_err(crate::ports::StoreError::failed)?);
    let sealed = engine.custody.seal(&json, &seal_context(id)).await?;
    let message = OutboxMessage {
        id,
        kind,
        subject: subject.to_owned(),
        user_id,
        payload: Some(sealed),
        state: OutboxState::Pending,
        attempts: 0,
        due_at: at,
        expires_at,
        created_at: at,
        finished_at: None,
        last_error: None,
    };
    Ok(changes.and(OutboxChange::Enqueue(Box::new(message))))
}

/// Ties a sealed payload to its row: sealed for one message, it opens for no other.
fn seal_context(id: OutboxMessageId) -> Vec<u8> {
    format!("authkit outbox message\n{id}").into_bytes()
}

/// Works off messages until the engine is dropped.
pub(crate) async fn run(engine: Weak<Engine>) {
    let Some(wake) = engine.upgrade().map(|engine| engine.outbox_wake.clone()) else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = wake.notified() => {}
        }
        let Some(engine) = engine.upgrade() else { return };
        // On a task of its own: a panic in a host's mailer must not end the worker.
        let worked = tokio::spawn(async move { work(&engine).await }).await;
        match worked {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "the outbox was not worked off"),
            Err(_) => tracing::error!("the worker of the outbox panicked, it goes on"),
        }
    }
}

/// Works off everything that is due now, and says how many messages that were.
pub(crate) async fn work(engine: &Engine) -> Result<usize, Internal> {
    let mut worked = 0;
    if engine.mailer.is_none() {
        return Ok(worked);
    }
    loop {
        let at = engine.now();
        let claim = OutboxChange::Claim { at, lease_until: at + LEASE, limit: BATCH };
        let claimed = engine.commit(&ChangeSet::new().and(claim)).await?.claimed;
        if claimed.is_empty() {
            return Ok(worked);
        }
        worked += claimed.len();
        for message in claimed {
            settle(engine, message).await?;
        }
    }
}

async fn settle(engine: &Engine, message: OutboxMessage) -> Result<(), Internal> {
    let (id, attempt, at) = (message.id, message.attempts, engine.now());
    let outcome = if message.expires_at <= at { Outcome::TooLate } else { attempt_one(engine, &message).await? };
    let done = OutboxChange::Deliver { id, attempt, at: engine.now() };
    let changes = match outcome {
        Outcome::Done(changes) => changes.and(done),
        Outcome::TooLate => ChangeSet::new().and(OutboxChange::Expire { id, attempt, at }),
        Outcome::Failed { is_permanent, reason } => {
            let error = reason.to_owned();
            let due_at = engine.now() + pause(engine, attempt);
            ChangeSet::new().and(if is_permanent || attempt >= engine.config.mail.max_attempts {
                tracing::error!(%id, subject = message.subject, attempt, reason, "a message was given up");
                OutboxChange::Bury { id, attempt, at: engine.now(), error }
            } else {
                tracing::warn!(%id, subject = message.subject, attempt, reason, "a message could not be sent, it is tried again");
                OutboxChange::Defer { id, attempt, due_at, error }
            })
        }
    };
    match engine.commit(&changes).await {
        // The lease has run out and the message is another worker's, or an administrator's; or the account has changed in between,
        // and the request is looked at again when the lease ends.
        Ok(_) | Err(CommitError::Conflict(Conflict::MessageMoved | Conflict::UserChanged)) => Ok(()),
        // Somebody has registered with the address since this registration was looked at: the next look finds the account.
        Err(CommitError::Conflict(Conflict::EmailTaken)) => {
            let again = OutboxChange::Defer { id, attempt, due_at: engine.now(), error: "overtaken".to_owned() };
            match engine.commit(&ChangeSet::new().and(again)).await {
                Ok(_) | Err(CommitError::Conflict(Conflict::MessageMoved)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

enum Outcome {
    /// It is done once these changes are committed.
    Done(ChangeSet),
    TooLate,
    Failed {
        is_permanent: bool,
        reason: &'static str,
    },
}

async fn attempt_one(engine: &Engine, message: &OutboxMessage) -> Result<Outcome, Internal> {
    let unreadable = Ok(Outcome::Failed { is_permanent: true, reason: "unreadable" });
    let Some(sealed) = &message.payload else { return unreadable };
    let opened = match engine.custody.open(sealed, &seal_context(message.id)).await {
        Ok(opened) => opened,
        Err(crate::ports::CustodyError::Unavailable(_)) => {
            return Ok(Outcome::Failed { is_permanent: false, reason: "key_custody_unavailable" });
        }
        Err(_) => return unreadable,
    };
    match serde_json::from_slice(opened.expose()) {
        Ok(Payload::Mail { to, full_name, locale, name, token }) => {
            let Some(content) = content(&name, token) else { return unreadable };
            let mail = Mail {
                full_name: full_name.map(FullName::from_stored),
                locale: locale.map(Locale::from_stored),
                ..Mail::new(Email::from_stored(to.0, to.1), content)
            };
            Ok(send(engine, message.id, &mail).await)
        }
        Ok(Payload::Request { purpose, email: (normal, spelling), browser }) => {
            let Some(purpose) = OneTimePurpose::from_name(&purpose) else { return unreadable };
            let email = Email::from_stored(normal, spelling);
            let found = engine.store.credentials_by_email(&email).await?.map(|found| found.user);
            let fits = |user: &User| {
                let is_asked_for = purpose != OneTimePurpose::VerifyEmail || user.email_verified_at.is_none();
                user.status == UserStatus::Active && is_asked_for
            };
            match found.filter(fits) {
                // To an address that has no account nothing is sent: it would be a way to have strangers mailed.
                None => Ok(Outcome::Done(ChangeSet::new())),
                Some(user) => {
                    engine.outbox_wake.notify_one();
                    let changes = one_time::issue(engine, ChangeSet::new(), &user, purpose, browser, engine.now()).await?;
                    Ok(Outcome::Done(changes))
                }
            }
        }
        Ok(Payload::Registration(registration)) => Ok(Outcome::Done(pending_registration::decide(engine, &registration).await?)),
        Err(_) => unreadable,
    }
}

async fn send(engine: &Engine, id: OutboxMessageId, mail: &Mail) -> Outcome {
    let Some(mailer) = &engine.mailer else { return Outcome::Failed { is_permanent: false, reason: "no_mailer" } };
    match tokio::time::timeout(PATIENCE, mailer.send(id, mail)).await {
        Ok(Ok(())) => Outcome::Done(ChangeSet::new()),
        Ok(Err(error)) => {
            let (is_permanent, reason) = match &error {
                MailError::Temporary(_) => (false, "temporary"),
                MailError::Permanent(_) => (true, "permanent"),
            };
            tracing::warn!(%id, error = &error as &dyn std::error::Error, "a mail was not sent");
            Outcome::Failed { is_permanent, reason }
        }
        Err(_) => Outcome::Failed { is_permanent: false, reason: "no_answer_in_time" },
    }
}

/// The pause behind an attempt: it doubles, and is drawn between a half and the whole, so that what failed together does not come
/// back together.
fn pause(engine: &Engine, attempt: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(LONGEST_PAUSE);
    let [drawn] = random_bytes::<1>(&*engine.entropy);
    whole / 2 + whole / 2 * u32::from(drawn) / 255
}

/// Why a message was not touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// There is no such message, or none in a state in which that can be done.
    #[error("there is no such message, or it cannot be sent any more")]
    NotFound,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl OutboxError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "outbox.not_found",
            Self::Internal(error) => error.code(),
        }
    }
}

/// The messages in a state, the youngest first.
pub(crate) async fn list(engine: &Engine, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, Internal> {
    Ok(engine.store.outbox_messages(state, page).await?)
}

/// Has a message that was given up tried again.
pub(crate) async fn retry(engine: &Engine, id: OutboxMessageId) -> Result<(), OutboxError> {
    touch(engine, OutboxChange::Retry { id, at: engine.now() }).await?;
    engine.outbox_wake.notify_one();
    Ok(())
}

/// Removes a message.
pub(crate) async fn discard(engine: &Engine, id: OutboxMessageId) -> Result<(), OutboxError> {
    touch(engine, OutboxChange::Discard { id }).await
}

async fn touch(engine: &Engine, change: OutboxChange) -> Result<(), OutboxError> {
    match engine.commit(&ChangeSet::new().and(change)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::MessageMoved)) => Err(OutboxError::NotFound),
        Err(error) => Err(Internal::from(error).into()),
    }
}
