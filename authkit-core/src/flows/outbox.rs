//! The outbox: messages are enqueued with their cause, and worked off by every node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Weak;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flows::engine::{Engine, Internal};
use crate::flows::one_time;
use crate::flows::outbox_books;
use crate::flows::pending_registration::{self, PendingRegistration};
use crate::model::{
    ChangeSet, Mail, MailContent, MessageKind, Notice, Occurrence, OneTimePurpose, OutboxChange, OutboxMessage, OutboxState,
    RequestContext, User, UserStatus,
};
use crate::model::{Sms, SmsContent};
use crate::ports::{CommitError, Conflict, MailError, SmsError};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Email, FullName, Locale, OneTimeTokenText, OutboxMessageId, SecretBytes, Timestamp, UserId};
use crate::primitives::{FactorCode, PhoneNumber};

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

/// How long a notice may be late: what it tells stays true, and an operator may have to mend something first.
const NOTICE_LIFETIME: Duration = Duration::from_hours(24 * 7);

/// What a message holds, sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Payload {
    Mail {
        to: (String, String),
        full_name: Option<String>,
        locale: Option<String>,
        name: String,
        token: Option<String>,
        #[serde(default)]
        facts: BTreeMap<String, String>,
        #[serde(default)]
        occurred: Option<KeptOccurrence>,
        /// In seconds.
        #[serde(default)]
        good_for: Option<u64>,
    },
    Sms {
        to: String,
        locale: Option<String>,
        code: String,
        /// In seconds.
        good_for: u64,
    },
    Request {
        purpose: String,
        email: (String, String),
        browser: Option<String>,
        #[serde(default)]
        language: Option<String>,
        #[serde(default)]
        occurred: Option<KeptOccurrence>,
    },
    Registration(Box<PendingRegistration>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptOccurrence {
    /// Microseconds since 1970.
    at: i64,
    ip: Option<IpAddr>,
    device: Option<String>,
}

impl KeptOccurrence {
    fn of(occurred: &Occurrence) -> Self {
        Self { at: occurred.at.unix_micros(), ip: occurred.ip, device: occurred.device.clone() }
    }

    fn occurrence(self) -> Occurrence {
        Occurrence { at: Timestamp::from_unix_micros(self.at), ip: self.ip, device: self.device }
    }
}

impl Payload {
    fn of(mail: &Mail) -> Self {
        Self::Mail {
            to: (mail.to.normal().to_owned(), mail.to.spelling().to_owned()),
            full_name: mail.full_name.as_ref().map(|name| name.as_str().to_owned()),
            locale: mail.locale.as_ref().map(|locale| locale.as_str().to_owned()),
            name: mail.content.name().to_owned(),
            token: mail.content.token().map(|token| token.expose().to_owned()),
            facts: mail.content.facts(),
            occurred: mail.occurred.as_ref().map(KeptOccurrence::of),
            good_for: mail.good_for.map(|good_for| good_for.as_secs()),
        }
    }
}

/// What a mail is caused by: what happened, and in which language the client of it reads.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    occurred: Occurrence,
    language: Option<Locale>,
}

impl Cause {
    /// A request at this moment.
    pub(crate) fn of(context: &RequestContext, at: Timestamp) -> Self {
        Self { occurred: Occurrence::of(context, at), language: context.language.clone() }
    }

    /// When it happened.
    pub(crate) const fn at(&self) -> Timestamp {
        self.occurred.at
    }
}

/// Adds a mail to an account's address to what is committed; nothing where this node has nobody to send it. `good_for` is how long
/// its link is good, where it has one.
pub(crate) async fn enqueue_mail(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    content: MailContent,
    cause: &Cause,
    good_for: Option<Duration>,
) -> Result<ChangeSet, Internal> {
    // SECURITY: before the address is proved, its owner may be somebody else than whoever wrote the name: a text of a stranger's choice
    // would reach her under our letterhead. What an administrator wrote may.
    let is_trusted = user.email_verified_at.is_some() || matches!(content, MailContent::Invitation { .. });
    enqueue_mail_to(engine, changes, user, &user.email, is_trusted, content, cause, good_for).await
}

/// The same to another address than the account has; `is_named` says whether the owner's name may stand in it.
#[expect(clippy::too_many_arguments, reason = "one more than a mail to the address of the account")]
pub(crate) async fn enqueue_mail_to(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    to: &Email,
    is_named: bool,
    content: MailContent,
    cause: &Cause,
    good_for: Option<Duration>,
) -> Result<ChangeSet, Internal> {
    if engine.mailer.is_none() {
        return Ok(changes);
    }
    // Where an administrator works from is nobody's business.
    let is_administrative = matches!(
        content,
        MailContent::Invitation { .. } | MailContent::AdminPasswordReset { .. } | MailContent::Notice(Notice::FactorsReset)
    );
    let occurred = Occurrence { at: cause.at(), ip: None, device: None };
    let mail = Mail {
        full_name: user.full_name.clone().filter(|_| is_named),
        locale: user.locale.clone().or_else(|| cause.language.clone()),
        occurred: Some(if is_administrative { occurred } else { cause.occurred.clone() }),
        good_for,
        ..Mail::new(to.clone(), content)
    };
    let (kind, name) = (MessageKind::Mail, mail.content.name());
    let at = cause.at();
    let due = (engine.now().max(at), at + good_for.unwrap_or(NOTICE_LIFETIME));
    enqueue(engine, changes, (kind, name), Some(user.id), &Payload::of(&mail), due).await
}

/// Adds a text message to what is committed; nothing where this node has nobody to send it.
pub(crate) async fn enqueue_sms(
    engine: &Engine,
    changes: ChangeSet,
    user_id: UserId,
    sms: &Sms,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    if engine.sms_sender.is_none() {
        return Ok(changes);
    }
    let SmsContent::Code(code) = &sms.content;
    let payload = Payload::Sms {
        to: sms.to.expose().to_owned(),
        locale: sms.locale.as_ref().map(|locale| locale.as_str().to_owned()),
        code: code.expose().to_owned(),
        good_for: sms.good_for.as_secs(),
    };
    enqueue(engine, changes, (MessageKind::Sms, sms.content.name()), Some(user_id), &payload, (at, at + sms.good_for)).await
}

/// Adds a request on behalf of an address to what is committed: whether there is such an account is found out later.
pub(crate) async fn enqueue_request(
    engine: &Engine,
    changes: ChangeSet,
    purpose: OneTimePurpose,
    email: &Email,
    browser: Option<String>,
    cause: &Cause,
) -> Result<ChangeSet, Internal> {
    let email = (email.normal().to_owned(), email.spelling().to_owned());
    let payload = Payload::Request {
        purpose: purpose.as_str().to_owned(),
        email,
        browser,
        language: cause.language.as_ref().map(|language| language.as_str().to_owned()),
        occurred: Some(KeptOccurrence::of(&cause.occurred)),
    };
    let (at, until) = (cause.at(), cause.at() + one_time::lifetime(engine, purpose));
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
        let worked = tokio::spawn(async move {
            work(&engine).await?;
            outbox_books::look(&engine).await
        });
        let worked = worked.await;
        match worked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "the outbox was not worked off"),
            Err(_) => tracing::error!("the worker of the outbox panicked, it goes on"),
        }
    }
}

/// Works off everything that is due now, and says how many messages that were.
pub(crate) async fn work(engine: &Engine) -> Result<usize, Internal> {
    let mut worked = 0;
    if engine.mailer.is_none() && engine.sms_sender.is_none() {
        return Ok(worked);
    }
    let _turn = engine.outbox_books.turn.lock().await;
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
    let (id, attempt, at, books) = (message.id, message.attempts, engine.now(), &engine.outbox_books);
    let outcome = if message.expires_at <= at { Outcome::TooLate } else { attempt_one(engine, &message).await? };
    let done = OutboxChange::Deliver { id, attempt, at: engine.now() };
    let changes = match outcome {
        Outcome::Done(changes) => {
            outbox_books::count(&books.delivered);
            changes.and(done)
        }
        Outcome::TooLate => {
            outbox_books::count(&books.expired);
            ChangeSet::new().and(OutboxChange::Expire { id, attempt, at })
        }
        Outcome::Failed { is_permanent, reason } => {
            let error = reason.to_owned();
            let due_at = engine.now() + pause(engine, attempt);
            ChangeSet::new().and(if is_permanent || attempt >= engine.config.mail.max_attempts {
                outbox_books::count(&books.given_up);
                tracing::error!(%id, subject = message.subject, attempt, reason, "a message was given up");
                OutboxChange::Bury { id, attempt, at: engine.now(), error }
            } else {
                outbox_books::count(&books.deferred);
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
        Ok(Payload::Mail { to, full_name, locale, name, token, facts, occurred, good_for }) => {
            let content = MailContent::from_parts(&name, token.map(OneTimeTokenText::new), &facts);
            let Some(content) = content else { return unreadable };
            let mail = Mail {
                full_name: full_name.map(FullName::from_stored),
                locale: locale.map(Locale::from_stored),
                occurred: occurred.map(KeptOccurrence::occurrence),
                good_for: good_for.map(Duration::from_secs),
                ..Mail::new(Email::from_stored(to.0, to.1), content)
            };
            Ok(send(engine, message.id, &mail).await)
        }
        Ok(Payload::Sms { to, locale, code, good_for }) => {
            let Some(to) = PhoneNumber::from_stored(to) else { return unreadable };
            let content = SmsContent::Code(FactorCode::new(code));
            let sms = Sms::new(to, locale.map(Locale::from_stored), content, Duration::from_secs(good_for));
            Ok(send_sms(engine, message.id, &sms).await)
        }
        Ok(Payload::Request { purpose, email: (normal, spelling), browser, language, occurred }) => {
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
                    let at = engine.now();
                    let asked = occurred.map_or(Occurrence { at, ip: None, device: None }, KeptOccurrence::occurrence);
                    // The link is good from now on, whenever it was asked for.
                    let cause = Cause { occurred: asked, language: language.map(Locale::from_stored) };
                    let changes = one_time::issue(engine, ChangeSet::new(), &user, purpose, browser, &cause, at).await?;
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

async fn send_sms(engine: &Engine, id: OutboxMessageId, sms: &Sms) -> Outcome {
    let Some(sender) = &engine.sms_sender else { return Outcome::Failed { is_permanent: false, reason: "no_sms_sender" } };
    match tokio::time::timeout(PATIENCE, sender.send(id, sms)).await {
        Ok(Ok(())) => Outcome::Done(ChangeSet::new()),
        Ok(Err(error)) => {
            let (is_permanent, reason) = match &error {
                SmsError::Temporary(_) => (false, "temporary"),
                SmsError::Permanent(_) => (true, "permanent"),
            };
            tracing::warn!(%id, error = &error as &dyn std::error::Error, "a text message was not sent");
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
