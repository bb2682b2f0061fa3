//! The one door behind every link that is mailed: issued, asked for, and judged when it comes back.

use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::SecondFactorRequired;
use crate::flows::outbox::{self, Cause};
use crate::flows::throttle::Throttled;
use crate::model::{
    AuditAction, ChangeSet, MailContent, OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser, Outcome,
    RequestContext, User, UserStatus,
};
use crate::password::Weakness;
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Digest, Email, OneTimeTokenId, OneTimeTokenText, Timestamp};
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
    if engine.mailer.is_none() {
        return Ok(changes);
    }
    let id = OneTimeTokenId::generate(at, &*engine.entropy);
    let (text, secret) = token::mint(id, purpose, &*engine.entropy);
    let content = match purpose {
        OneTimePurpose::VerifyEmail => MailContent::VerifyEmail { token: text },
        OneTimePurpose::ResetPassword => MailContent::ResetPassword { token: text },
        OneTimePurpose::MagicLink => MailContent::MagicLink { token: text },
        _ => return Ok(changes),
    };
    let good_for = lifetime(engine, purpose);
    let token = OneTimeToken {
        id,
        purpose,
        user_id: user.id,
        secret,
        auth_epoch: user.auth_epoch,
        address: Some(user.email.clone()),
        data: browser.map(|browser| (BROWSER.to_owned(), browser)).into_iter().collect(),
        attempts_left: 0,
        created_at: at,
        expires_at: at + good_for,
    };
    let changes = changes.and(OneTimeTokenChange::Insert(Box::new(token)));
    outbox::enqueue_mail(engine, changes, user, content, cause, Some(good_for)).await
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

/// Judges a link that came back. Nothing is used up yet: what it is for and its end are committed together.
pub(crate) async fn judge(
    engine: &Engine,
    text: &OneTimeTokenText,
    purpose: OneTimePurpose,
    browser: Option<&str>,
    at: Timestamp,
) -> Result<Redeemable, LinkError> {
    let (id, secret) = token::parse(text, purpose).ok_or(LinkError::Invalid)?;
    let found = engine.store.one_time_token(id, purpose).await.map_err(Internal::from)?;
    let OneTimeTokenWithUser { token, user } = found.ok_or(LinkError::Invalid)?;
    let address_stands = token.address.as_ref() == Some(&user.email);
    // A proof of an address outlives a change of password; a means of access does not.
    let epoch_stands = purpose == OneTimePurpose::VerifyEmail || token.auth_epoch == user.auth_epoch;
    if token.secret != secret || token.expires_at <= at || !address_stands {
        return Err(LinkError::Invalid);
    }
    // SECURITY: said only to whoever holds the link. And before the epoch, which a suspension raises.
    if user.status != UserStatus::Active {
        return Err(LinkError::Suspended);
    }
    if !epoch_stands {
        return Err(LinkError::Invalid);
    }
    // SECURITY: a link that somebody has sent to herself logs a victim into the wrong account only where she asked for one.
    let bound = token.data.get(BROWSER);
    if bound.is_some_and(|bound| browser.map(browser_digest).as_ref() != Some(bound)) {
        return Err(LinkError::OtherBrowser);
    }
    Ok(Redeemable { user, consume: OneTimeTokenChange::Consume { id, purpose, secret, at } })
}
