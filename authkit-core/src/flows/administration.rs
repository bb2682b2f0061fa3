//! The door to power over the accounts of others: in whose name, over whom, and what it is refused with.

use crate::flows::authorize::{Administrator, Authority, AuthorizeError, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditAction, AuditEvent, ChangeSet, Outcome, RequestContext, RevocationReason, SessionChange, User};
use crate::primitives::{AuditEventId, Timestamp, UserId};

impl Administrator<'_> {
    /// What the administrator may do, if that is what is needed.
    pub(crate) async fn authority(self, engine: &Engine, needed: &'static str) -> Result<Authority, AdminError> {
        Ok(authorize_administrator(engine, self, needed, None).await?)
    }
}

/// Why an administrator was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The caller may not, or is not logged in any more.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// There is no such session of the account that is alive.
    #[error("the account has no such session that is alive")]
    NoSuchSession,
    /// The account has a permission that the caller lacks: nobody has power over somebody who may more.
    #[error("the account holds permissions that you do not hold")]
    MorePowerful,
    /// It is the caller's own account, which she does not administer.
    #[error("this is your own account")]
    OwnAccount,
    /// The account is not as it was when the caller read it.
    #[error("the account was changed since you read it")]
    Changed,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// Another account has this address.
    #[error("an account with this email address exists")]
    EmailTaken,
    /// Nobody would hold every permission any more.
    #[error("nobody else holds every permission")]
    LastSuperuser,
    /// The last proof of identity is too old.
    #[error("prove again who you are, then ask again")]
    ReauthenticationRequired,
    /// The account has a password: there is nothing to be invited to.
    #[error("the account has a password already")]
    InvitationAccepted,
    /// This node has nobody to send mail.
    #[error("this service sends no mail")]
    NoMail,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl AdminError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authorize(error) => error.code(),
            Self::NotFound => "account.not_found",
            Self::NoSuchSession => "session.not_found",
            Self::MorePowerful => "account.more_powerful",
            Self::OwnAccount => "account.own",
            Self::Changed => "account.changed",
            Self::Suspended => "account.suspended",
            Self::EmailTaken => "account.email_taken",
            Self::LastSuperuser => "role.last_superuser",
            Self::ReauthenticationRequired => "auth.reauthentication_required",
            Self::InvitationAccepted => "account.invitation_accepted",
            Self::NoMail => "mail.not_configured",
            Self::Internal(error) => error.code(),
        }
    }

    /// What failed below.
    pub(crate) const fn internal(&self) -> Option<&Internal> {
        match self {
            Self::Internal(error) | Self::Authorize(AuthorizeError::Internal(error)) => Some(error),
            _ => None,
        }
    }
}

/// The account that something is about to be done to, if the caller has power over it.
///
/// SECURITY: whoever may less has no power over who may more: an administrator of users would otherwise become whatever she likes, by
/// moving the address of a more powerful account to a mailbox of hers. What she tries is in the audit log.
pub(crate) async fn subject(
    engine: &Engine,
    authority: &Authority,
    id: UserId,
    action: AuditAction,
    context: &RequestContext,
) -> Result<User, AdminError> {
    if authority.user_id() == Some(id) {
        return Err(AdminError::OwnAccount);
    }
    let user = engine.store.user_by_id(id).await.map_err(Internal::from)?.ok_or(AdminError::NotFound)?;
    if !authority.holds_all_of(&authority.of_other(&user)) {
        let event = engine.event(engine.now(), action, Outcome::Failure, context).by(authority.actor()).on(id);
        record_refusal(engine, event, "more_powerful").await?;
        return Err(AdminError::MorePowerful);
    }
    Ok(user)
}

/// A change set that begins with the guard of an authority.
pub(crate) fn guarded(authority: &Authority) -> ChangeSet {
    authority.guard().into_iter().collect()
}

/// Commits the event of an attempt that was refused, made of the one that its success would have had: another id, the outcome, the
/// reason.
pub(crate) async fn record_refusal(engine: &Engine, event: AuditEvent, reason: &str) -> Result<(), Internal> {
    let id = AuditEventId::generate(event.at, &*engine.entropy);
    let event = AuditEvent { id, outcome: Outcome::Failure, ..event }.with("reason", reason);
    engine.commit(&ChangeSet::new().and(event)).await?;
    Ok(())
}

/// Ends every session of an account.
pub(crate) const fn end_all(user_id: UserId, reason: RevocationReason, at: Timestamp) -> SessionChange {
    SessionChange::RevokeAll { user_id, except: None, reason, at }
}
