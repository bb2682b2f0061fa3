//! A new password without the old one, for whoever opens the link that was mailed to the account's address.

use crate::flows::engine::{Engine, Internal};
use crate::flows::notify::notice;
use crate::flows::one_time::{self, LinkError, Redeemable};
use crate::model::PasskeyChange;
use crate::model::{
    Actor, AuditAction, ChangeSet, CredentialChange, FactorChange, FactorSet, GuessChange, GuessSubject, Notice, OneTimePurpose,
    Outcome, RequestContext, RevocationReason, SessionChange, UserChange,
};
use crate::password::{HashClass, HashError, HashOrigin, PolicyContext, SetPasswordError};
use crate::primitives::{OneTimeTokenText, Password};

impl From<SetPasswordError> for LinkError {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::Weak(weakness) => Self::WeakPassword(weakness),
            SetPasswordError::Hash(error) => error.into(),
        }
    }
}

/// Sets the password, ends every session of the account, and makes every other link void that was made before. Returns how many
/// sessions ended.
///
/// `purpose` is that of a link that sets a new password, or of an invitation, which sets the first.
///
/// The address is proved by it. So whatever somebody else may have set up with an address that was not hers, a password or a session,
/// is gone when the owner comes.
pub(crate) async fn reset(
    engine: &Engine,
    purpose: OneTimePurpose,
    token: &OneTimeTokenText,
    new: Password,
    context: &RequestContext,
) -> Result<usize, LinkError> {
    // SECURITY: the link is judged before anything is hashed, so that made-up ones cost nothing.
    one_time::judge(engine, token, purpose, None, context, engine.now()).await?;
    engine.breach.check(&new).await?;
    let identifier = token.expose();
    let origin = HashOrigin::new(context.client.ip, identifier);
    let mut admission = engine.pool.admit(HashClass::StepUp, &origin).map_err(HashError::Overloaded)?;
    // And once more now: it may have waited.
    let at = engine.now();
    let Redeemable { user, consume } = one_time::judge(engine, token, purpose, None, context, at).await?;
    let found = engine.store.credentials_by_id(user.id).await.map_err(Internal::from)?;
    let stored = found.ok_or(LinkError::Invalid)?.password;
    let policy = PolicyContext { email: Some(user.email.clone()), full_name: user.full_name.clone() };
    let hash = admission.set(new, policy).await?;
    drop(admission);
    let (id, reason) = (user.id, RevocationReason::PasswordChanged);
    let credential = match stored {
        Some(from) => CredentialChange::ReplacePassword { user_id: id, from, to: hash, at },
        None => CredentialChange::InsertPassword { user_id: id, hash, at },
    };
    let is_invitation = purpose == OneTimePurpose::Invitation;
    let action = if is_invitation { AuditAction::InvitationAccepted } else { AuditAction::PasswordReset };
    let event = engine.event(at, action, Outcome::Success, context).by(Actor::User(id, None)).on(id);
    let changes = ChangeSet::new()
        .and(consume)
        .and(credential)
        .and(UserChange::VerifyEmail { id, email: user.email.clone(), at })
        .and(SessionChange::RevokeAll { user_id: id, except: None, reason, at })
        .and(event)
        .and(GuessChange::Forget { subject: GuessSubject::strangers(&user.email) });
    // A login that was checked against the old password and lands after this one fails by its guard, and so does every other link
    // that was made before: either raises the epoch.
    let from = user.auth_epoch;
    let changes = if user.email_verified_at.is_some() {
        changes.and(UserChange::RaiseAuthEpoch { id, from, at })
    } else {
        // SECURITY: second factors of before the address was proved may be somebody else's, and would keep the owner out.
        let proved = engine.event(at, AuditAction::EmailVerified, Outcome::Success, context).with("method", purpose.as_str());
        changes
            .and(UserChange::SetSecondFactors { id, from, to: FactorSet::NONE, at })
            .and(FactorChange::Forget { user_id: id })
            .and(PasskeyChange::ForgetAllOf { user_id: id })
            .and(proved.by(Actor::User(id, None)).on(id).with("ended", "second factors"))
    };
    // Who has just chosen the first password of her account knows it.
    let changes =
        if is_invitation { changes } else { notice(engine, changes, &user, Notice::PasswordReset, context, at).await? };
    let committed = engine.commit(&changes).await?;
    Ok(committed.revoked.len())
}
