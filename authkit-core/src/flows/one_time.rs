//! The one door behind every link that is mailed: issued, asked for, and judged when it comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::SecondFactorRequired;
use crate::flows::outbox::{self, Cause};
use crate::flows::refusals;
use crate::flows::throttle::Throttled;
use crate::model::{
    AuditAction, ChangeSet, MailContent, OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser, Outcome,
    RequestContext, User, UserStatus,
};
use crate::password::Weakness;
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Digest, Email, OneTimeTokenId, OneTimeTokenText, Timestamp, UserId};
use crate::token::one_time as token;

/// Why a link did nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It was used, has expired, was made void by a change of the account, or is no link of this kind at all.
    #[error("the link is not valid any more: ask for a new one")]
    Invalid,
    /// It was asked for in another browser.
    #[error("open the link in the browser that asked for it")]
    OtherBrowser,
    /// The link is right, and a second factor is in force: nobody is logged in yet.
    #[error("a second factor is required")]
    SecondFactorRequired(SecondFactorRequired),
    /// Another account has the address that the link is about. The link is still good.
    #[error("an account with this email address exists")]
    EmailTaken,
    /// The account is suspended. The link is still good.
    #[error("the account is suspended")]
    Suspended,
    /// The new password can be guessed; the reasons say how to make a better one. The link is still good.
    #[error(transparent)]
    WeakPassword(#[from] Weakness),
    /// Too many were asked for.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many passwords are being hashed right now. The link is still good.
    #[error("too many requests at once, retry in {retry_after:?}")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl LinkError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "auth.invalid_link",
            Self::OtherBrowser => "auth.link_of_another_browser",
            Self::SecondFactorRequired(required) => required.code(),
            Self::EmailTaken => "account.email_taken",
            Self::Suspended => "account.suspended",
            Self::WeakPassword(_) => "password.too_weak",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Overloaded { .. } => "service.overloaded",
            Self::Internal(error) => error.code(),
        }
    }
}

super::engine::hash_error_into!(LinkError);
super::throttle::throttled_into!(LinkError);
super::breach::breach_into!(LinkError);

impl From<CommitError> for LinkError {
    fn from(error: CommitError) -> Self {
        match error {
            // Somebody was faster, or the account has changed since the link was judged: it is void.
            CommitError::Conflict(Conflict::TokenGone | Conflict::UserChanged | Conflict::PasswordChanged) => Self::Invalid,
            CommitError::Conflict(Conflict::EmailTaken) => Self::EmailTaken,
            error => Self::Internal(error.into()),
        }
    }
}

/// How long a link of a purpose is good.
pub(crate) fn lifetime(engine: &Engine, purpose: OneTimePurpose) -> Duration {
    let mail = &engine.config.mail;
    match purpose {
        OneTimePurpose::ResetPassword => mail.reset_password_lifetime,
        OneTimePurpose::MagicLink => mail.magic_link_lifetime,
        OneTimePurpose::UndoEmailChange => mail.undo_email_change_lifetime,
        OneTimePurpose::Invitation => mail.invitation_lifetime,
        _ => mail.verify_email_lifetime,
    }
}

/// Adds a token and the mail with it to what is committed; nothing where this node has nobody to send it, or no mail for the purpose.
pub(crate) async fn issue(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    purpose: OneTimePurpose,
    browser: Option<String>,
    cause: &Cause,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let content = match purpose {
        OneTimePurpose::VerifyEmail => |token| MailContent::VerifyEmail { token },
        OneTimePurpose::ResetPassword => |token| MailContent::ResetPassword { token },
        OneTimePurpose::MagicLink => |token| MailContent::MagicLink { token },
        OneTimePurpose::Invitation => |token| MailContent::Invitation { token },
        _ => return Ok(changes),
    };
    let link = NewLink {
        data: browser.map(|browser| (BROWSER.to_owned(), browser)).into_iter().collect(),
        // SECURITY: before the address is proved, its owner may be somebody else than whoever wrote the name: a text of a stranger's
        // choice would reach her under our letterhead. What an administrator wrote may.
        is_named: user.email_verified_at.is_some() || purpose == OneTimePurpose::Invitation,
        ..NewLink::to(&user.email, purpose, lifetime(engine, purpose))
    };
    mail(engine, changes, user, link, content, cause, at).await
}

/// A link that shall be mailed.
pub(crate) struct NewLink<'a> {
    /// To which address, which is the one that it proves.
    pub(crate) to: &'a Email,
    /// What it is good for.
    pub(crate) purpose: OneTimePurpose,
    /// For how long.
    pub(crate) good_for: Duration,
    /// What else it remembers.
    pub(crate) data: BTreeMap<String, String>,
    /// Whether the owner's name may stand in the mail.
    pub(crate) is_named: bool,
}

impl<'a> NewLink<'a> {
    /// One that remembers nothing else, to somebody who is called by her name.
    pub(crate) const fn to(to: &'a Email, purpose: OneTimePurpose, good_for: Duration) -> Self {
        Self { to, purpose, good_for, data: BTreeMap::new(), is_named: true }
    }
}

/// Adds the token of a link and the mail with it to what is committed; nothing where this node has nobody to send it.
pub(crate) async fn mail(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    link: NewLink<'_>,
    content: impl FnOnce(OneTimeTokenText) -> MailContent + Send,
    cause: &Cause,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    if engine.mailer.is_none() {
        return Ok(changes);
    }
    let id = OneTimeTokenId::generate(at, &*engine.entropy);
    let (text, secret) = token::mint(id, link.purpose, &*engine.entropy);
    let token = OneTimeToken {
        id,
        purpose: link.purpose,
        user_id: user.id,
        secret,
        auth_epoch: user.auth_epoch,
        address: Some(link.to.clone()),
        data: link.data,
        attempts_left: 0,
        created_at: at,
        expires_at: at + link.good_for,
    };
    let changes = changes.and(OneTimeTokenChange::Insert(Box::new(token)));
    let (to, good_for) = (link.to, Some(link.good_for));
    outbox::enqueue_mail_to(engine, changes, user, to, link.is_named, content(text), cause, good_for).await
}

const BROWSER: &str = "browser";

/// What is kept of the secret of the browser that asks.
fn browser_digest(secret: &str) -> String {
    use std::fmt::Write as _;
    Digest::of(secret.as_bytes()).as_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Takes a request for a link on behalf of an address. The answer says nothing about whether it has an account, and neither does
/// the time that it takes: nothing is looked up before the request is written down, and the mail is sent later.
pub(crate) async fn request(
    engine: &Engine,
    purpose: OneTimePurpose,
    email: &Email,
    browser: Option<&str>,
    context: &RequestContext,
) -> Result<(), LinkError> {
    if !engine.throttle.link_request(email, context).await? || engine.mailer.is_none() {
        return Ok(());
    }
    let at = engine.now();
    let event = engine.event(at, AuditAction::LinkRequested, Outcome::Success, context);
    let event = event.with("purpose", purpose.as_str()).with("email", email.normal());
    let browser = browser.map(browser_digest);
    let changes = outbox::enqueue_request(engine, ChangeSet::new(), purpose, email, browser, &Cause::of(context, at)).await?;
    engine.commit(&changes.and(event)).await.map_err(Internal::from)?;
    Ok(())
}

/// A link that was judged good as its account stands, and the change that uses it up.
pub(crate) struct Redeemable {
    pub(crate) user: User,
    pub(crate) consume: OneTimeTokenChange,
}

/// To which address a link was mailed that is still good as far as can be seen without its browser or a new password: what a page shows
/// before it asks to go on. Nothing is used up, however often it is opened: scanners of mail open every link.
pub(crate) async fn peek(engine: &Engine, text: &OneTimeTokenText, purpose: OneTimePurpose) -> Result<Email, LinkError> {
    let (token, user, _) = look(engine, text, purpose, engine.now()).await?;
    if user.status != UserStatus::Active {
        return Err(LinkError::Suspended);
    }
    token.address.ok_or(LinkError::Invalid)
}

/// Judges a link that came back, and records why it does nothing. Nothing is used up yet: what it is for and its end are committed
/// together.
pub(crate) async fn judge(
    engine: &Engine,
    text: &OneTimeTokenText,
    purpose: OneTimePurpose,
    browser: Option<&str>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<Redeemable, LinkError> {
    match look_at(engine, text, purpose, browser, at).await? {
        Ok(good) => Ok(good),
        Err(refusal) => Err(refuse(engine, refusal, purpose, context, at).await),
    }
}

/// Why a link does nothing, exactly; whoever opened it is told less.
struct Refusal {
    error: LinkError,
    reason: &'static str,
    /// Of which link and whose, where its secret was known.
    of: Option<(OneTimeTokenId, UserId)>,
}

async fn look_at(
    engine: &Engine,
    text: &OneTimeTokenText,
    purpose: OneTimePurpose,
    browser: Option<&str>,
    at: Timestamp,
) -> Result<Result<Redeemable, Refusal>, LinkError> {
    let by_stranger = |reason| Ok(Err(Refusal { error: LinkError::Invalid, reason, of: None }));
    let Some((id, secret)) = token::parse(text, purpose) else { return by_stranger("no_link") };
    let found = engine.store.one_time_token(id, purpose).await.map_err(Internal::from)?;
    let Some(OneTimeTokenWithUser { token, user }) = found else { return by_stranger("unknown_link") };
    if token.secret != secret {
        return by_stranger("made_up_link");
    }
    let address_stands = token.address.as_ref() == Some(&user.email);
    // A proof of an address outlives a change of password; a means of access does not.
    let epoch_stands = purpose == OneTimePurpose::VerifyEmail || token.auth_epoch == user.auth_epoch;
    let bound = token.data.get(BROWSER);
    let (error, reason) = if token.expires_at <= at {
        (LinkError::Invalid, "link_expired")
    } else if !address_stands {
        (LinkError::Invalid, "address_changed")
    } else if user.status != UserStatus::Active {
        // SECURITY: said only to whoever holds the link. And before the epoch, which a suspension raises.
        (LinkError::Suspended, "suspended")
    } else if !epoch_stands {
        (LinkError::Invalid, "account_changed")
    } else if bound.is_some_and(|bound| browser.map(browser_digest).as_ref() != Some(bound)) {
        // SECURITY: a link that somebody has sent to herself logs a victim into the wrong account only where she asked for one.
        (LinkError::OtherBrowser, "other_browser")
    } else {
        return Ok(Ok(Redeemable { user, consume: OneTimeTokenChange::Consume { id, purpose, secret, at } }));
    };
    Ok(Err(Refusal { error, reason, of: Some((id, user.id)) }))
}

/// Records a refusal: of a link of ours by the link, of a made-up one sparsely, by the network that it came from.
async fn refuse(
    engine: &Engine,
    refusal: Refusal,
    purpose: OneTimePurpose,
    context: &RequestContext,
    at: Timestamp,
) -> LinkError {
    let is_recorded = match refusal.of {
        Some((id, _)) => engine.refusals.of_session(id.as_uuid().as_bytes()).await,
        None => engine.refusals.of_stranger(context.client.ip).await,
    };
    if is_recorded {
        let action = match purpose {
            OneTimePurpose::MagicLink => AuditAction::Login,
            OneTimePurpose::ResetPassword => AuditAction::PasswordReset,
            OneTimePurpose::Invitation => AuditAction::InvitationAccepted,
            _ => AuditAction::EmailVerified,
        };
        let event = engine.event(at, action, Outcome::Failure, context).with("method", purpose.as_str());
        let event = event.with("reason", refusal.reason);
        refusals::record(engine, refusal.of.map_or(event.clone(), |(_, user_id)| event.on(user_id))).await;
    }
    refusal.error
}

/// Looks a link up that came back and has not run out, with its account and the change that uses it up. What the account must be like
/// is still to be judged.
pub(crate) async fn look(
    engine: &Engine,
    text: &OneTimeTokenText,
    purpose: OneTimePurpose,
    at: Timestamp,
) -> Result<(OneTimeToken, User, OneTimeTokenChange), LinkError> {
    let (id, secret) = token::parse(text, purpose).ok_or(LinkError::Invalid)?;
    let found = engine.store.one_time_token(id, purpose).await.map_err(Internal::from)?;
    let OneTimeTokenWithUser { token, user } = found.ok_or(LinkError::Invalid)?;
    if token.secret != secret || token.expires_at <= at {
        return Err(LinkError::Invalid);
    }
    Ok((token, user, OneTimeTokenChange::Consume { id, purpose, secret, at }))
}
