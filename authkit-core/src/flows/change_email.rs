//! Change of the address by its owner: asked for while logged in, in force when the new address is proved, taken back from the old one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::notify::notice;
use crate::flows::one_time::{self, LinkError, NewLink};
use crate::flows::outbox::Cause;
use crate::flows::throttle::Throttled;
use crate::model::{
    Actor, AuditAction, Change, ChangeSet, CredentialChange, MailContent, Notice, OneTimePurpose, OneTimeToken,
    OneTimeTokenChange, Outcome, RequestContext, RevocationReason, SessionChange, User, UserChange, UserStatus,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Email, OneTimeTokenText, Timestamp};

/// Why a change of the address was not taken on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeEmailError {
    /// The last proof of identity is too old: reauthenticate, and ask again.
    #[error("prove again who you are, then ask again")]
    ReauthenticationRequired,
    /// The account has this address.
    #[error("this is the address of the account already")]
    SameAddress,
    /// The account is closed, or the session of the caller has ended.
    #[error("the session has ended")]
    Gone,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// This node has nobody to send mail, so no address can be proved.
    #[error("this service sends no mail")]
    NoMail,
    /// Too many were asked for.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
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

impl ChangeEmailError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ReauthenticationRequired => "auth.reauthentication_required",
            Self::SameAddress => "account.same_email",
            Self::Gone => "auth.session_ended",
            Self::Suspended => "account.suspended",
            Self::NoMail => "mail.not_configured",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(ChangeEmailError);

/// How often a request starts over when the account changes under it.
const ATTEMPTS: usize = 3;
/// What a token of a change remembers: the address that is left.
const FROM: &str = "from";

/// Mails a link to the new address, and tells the old one. Nothing has changed yet. A later request takes the place of an earlier one.
///
/// SECURITY: whether somebody else has the new address is not looked up: it is found out when the link comes back, from whoever reads mail
/// there. So a change is no way to ask who has an account (ASVS 6.3.8).
pub(crate) async fn request(
    engine: &Engine,
    principal: &Principal,
    to: &Email,
    context: &RequestContext,
) -> Result<(), ChangeEmailError> {
    principal.in_person()?;
    if !principal.is_recent(engine.now(), engine.config.sessions.recent_authentication) {
        return Err(ChangeEmailError::ReauthenticationRequired);
    }
    if engine.mailer.is_none() {
        return Err(ChangeEmailError::NoMail);
    }
    let mut overtaken = Conflict::UserChanged;
    let is_mailed = engine.throttle.link_request(to, context).await?;
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let found = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
        let found = found.filter(|found| found.session.is_live(at) && found.user.id == principal.user_id());
        let user = found.ok_or(ChangeEmailError::Gone)?.user;
        if user.status != UserStatus::Active {
            return Err(ChangeEmailError::Suspended);
        }
        if user.email == *to {
            return Err(ChangeEmailError::SameAddress);
        }
        if !is_mailed {
            // The new mailbox has been sent enough. Who asked is not told, as with every other link.
            return Ok(());
        }
        match engine.commit(&asked_for(engine, principal, &user, to, context, at).await?).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict(conflict @ Conflict::UserChanged)) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

async fn asked_for(
    engine: &Engine,
    principal: &Principal,
    user: &User,
    to: &Email,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let purpose = OneTimePurpose::ChangeEmail;
    let event = engine.event(at, AuditAction::EmailChangeRequested, Outcome::Success, context).by(actor(principal)).on(user.id);
    let changes = ChangeSet::new()
        // The row of the account first: of two who ask at once the second waits, and takes the place of the first.
        .and(UserChange::Expect { id: user.id, version: user.version })
        .and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(purpose) })
        .and(event.with("email_from", user.email.normal()).with("email_to", to.normal()));
    let link = NewLink {
        data: BTreeMap::from([(FROM.to_owned(), user.email.normal().to_owned())]),
        // Whoever reads mail there may be a stranger to whoever wrote the name.
        is_named: false,
        ..NewLink::to(to, purpose, one_time::lifetime(engine, purpose))
    };
    let content = |token| MailContent::ChangeEmail { token };
    let changes = one_time::mail(engine, changes, user, link, content, &Cause::of(context, at), at).await?;
    notice(engine, changes, user, Notice::EmailChangeRequested, context, at).await
}

/// Moves the account to the address that the link was mailed to. Sessions stay; every link to the old address is void, but for the one that
/// takes the change back.
///
/// INVARIANT: one row names the address that was mailed and the account that moves there, and the address that it leaves is guarded: no
/// link proves an address that it was not sent to (CVE-2026-32700).
pub(crate) async fn confirm(engine: &Engine, text: &OneTimeTokenText, context: &RequestContext) -> Result<User, LinkError> {
    let at = engine.now();
    let (token, user, consume) = one_time::look(engine, text, OneTimePurpose::ChangeEmail, at).await?;
    // SECURITY: said only to whoever holds the link.
    if user.status != UserStatus::Active {
        return Err(LinkError::Suspended);
    }
    // A change of the password stops a change of the address that somebody else has asked for.
    let stands = token.auth_epoch == user.auth_epoch && token.data.get(FROM).is_some_and(|from| from == user.email.normal());
    let (Some(to), true) = (token.address, stands) else { return Err(LinkError::Invalid) };
    let event = engine.event(at, AuditAction::EmailChanged, Outcome::Success, context).by(Actor::User(user.id, None)).on(user.id);
    let changes = ChangeSet::new()
        .and(consume)
        .and(UserChange::ChangeEmail { id: user.id, from: user.email.clone(), to: to.clone(), at })
        .and(UserChange::RaiseAuthEpoch { id: user.id, from: user.auth_epoch, at })
        .and(event.with("email_from", user.email.normal()).with("email_to", to.normal()));
    let changes = tell_the_old_address(engine, changes, &user, context, at).await?;
    engine.commit(&changes).await?;
    let found = engine.store.user_by_id(user.id).await.map_err(Internal::from)?;
    found.ok_or(LinkError::Invalid)
}

async fn tell_the_old_address(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let (purpose, cause) = (OneTimePurpose::UndoEmailChange, Cause::of(context, at));
    if user.email_verified_at.is_none() {
        // SECURITY: nobody has proved to read mail there. A link would hand the account to whoever does, when its owner has just mended a
        // misspelt address.
        return notice_of_change(engine, changes, user, &cause).await;
    }
    let link = NewLink::to(&user.email, purpose, one_time::lifetime(engine, purpose));
    let content = |token| MailContent::EmailChanged { token: Some(token) };
    one_time::mail(engine, changes, user, link, content, &cause, at).await
}

async fn notice_of_change(engine: &Engine, changes: ChangeSet, user: &User, cause: &Cause) -> Result<ChangeSet, Internal> {
    crate::flows::outbox::enqueue_mail(engine, changes, user, MailContent::EmailChanged { token: None }, cause, None).await
}

/// Takes a change of the address back: the account returns to the address that the link was mailed to, its password is gone, every session
/// and every link ends, and a link that sets a new password is mailed. It works however often the address and the password have
/// changed since: whoever took the account over has done both.
///
/// Second factors stay. A mailbox alone opens no account that is kept by more (NIST SP 800-63B-4 §4.2).
pub(crate) async fn undo(engine: &Engine, text: &OneTimeTokenText, context: &RequestContext) -> Result<(), LinkError> {
    let at = engine.now();
    let (token, user, consume) = one_time::look(engine, text, OneTimePurpose::UndoEmailChange, at).await?;
    if user.status != UserStatus::Active {
        return Err(LinkError::Suspended);
    }
    let OneTimeToken { address: Some(back), .. } = token else { return Err(LinkError::Invalid) };
    if back == user.email {
        return Err(LinkError::Invalid);
    }
    let id = user.id;
    let event = engine.event(at, AuditAction::EmailChangeUndone, Outcome::Success, context).by(Actor::User(id, None)).on(id);
    let event = event.with("email_from", user.email.normal()).with("email_to", back.normal());
    let changes = squatter(engine, &user, &back, context, at).await?.and(consume);
    let changes = changes
        .and(UserChange::ChangeEmail { id, from: user.email.clone(), to: back.clone(), at })
        .and(UserChange::RaiseAuthEpoch { id, from: user.auth_epoch, at })
        .and(CredentialChange::DeletePassword { user_id: id })
        .and(SessionChange::RevokeAll { user_id: id, except: None, reason: RevocationReason::EmailChanged, at })
        .and(OneTimeTokenChange::RevokeAllOf { user_id: id, purpose: None })
        .and(event);
    let returned =
        User { email: back, email_verified_at: Some(at), auth_epoch: user.auth_epoch.saturating_add(1), ..user.clone() };
    let (purpose, cause) = (OneTimePurpose::ResetPassword, Cause::of(context, at));
    let changes = one_time::issue(engine, changes, &returned, purpose, None, &cause, at).await?;
    engine.commit(&changes).await?;
    Ok(())
}

/// Frees the address that an account returns to from one that was registered there meanwhile.
///
/// SECURITY: whoever took an account over would otherwise keep it, by registering with the address that it has left. Who registered has
/// not proved to read mail there, and whoever presents the link has. An account that was proved, or was given roles, stays.
async fn squatter(
    engine: &Engine,
    user: &User,
    address: &Email,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, LinkError> {
    let found = engine.store.credentials_by_email(address).await.map_err(Internal::from)?;
    let Some(other) = found.map(|found| found.user).filter(|other| other.id != user.id) else { return Ok(ChangeSet::new()) };
    if other.email_verified_at.is_some() || !other.access.assignments.is_empty() {
        return Err(LinkError::EmailTaken);
    }
    let event =
        engine.event(at, AuditAction::AccountClosed, Outcome::Success, context).by(Actor::User(user.id, None)).on(other.id);
    let changes: [Change; 4] = [
        UserChange::Expect { id: other.id, version: other.version }.into(),
        UserChange::Close { id: other.id, at }.into(),
        SessionChange::RevokeAll { user_id: other.id, except: None, reason: RevocationReason::AccountClosed, at }.into(),
        event.with("reason", "address_reclaimed").into(),
    ];
    Ok(changes.into_iter().collect())
}
