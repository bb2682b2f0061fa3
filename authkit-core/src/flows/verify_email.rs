//! Proof of an address: by whoever opens the link that was mailed to it.

use crate::flows::engine::{Engine, Internal};
use crate::flows::notify::notice;
use crate::flows::one_time::{self, LinkError, Redeemable};
use crate::model::{Actor, AuditAction, ChangeSet, CredentialChange, OneTimePurpose, Outcome, RequestContext, User, UserChange};
use crate::model::{AnnouncedFactor, FactorChange, FactorKind, Notice, PasskeyChange};
use crate::password::ready;
use crate::primitives::OneTimeTokenText;

/// Writes down that the owner reads mail at her address, and lets the password be one that waited for that. Nobody is logged in, and
/// what the account has stays, but for passkeys of before.
///
/// It takes no link to an address that the account shall move to: that is for [`change_email`](super::change_email).
pub(crate) async fn verify(engine: &Engine, token: &OneTimeTokenText, context: &RequestContext) -> Result<User, LinkError> {
    let at = engine.now();
    let Redeemable { user, consume } = one_time::judge(engine, token, OneTimePurpose::VerifyEmail, None, context, at).await?;
    let event = engine.event(at, AuditAction::EmailVerified, Outcome::Success, context);
    let stored = engine.store.credentials_by_id(user.id).await.map_err(Internal::from)?.and_then(|found| found.password);
    let waited = stored.and_then(|from| Some((ready(&from)?, from)));
    let changes = ChangeSet::new()
        .and(consume)
        .and(UserChange::VerifyEmail { id: user.id, email: user.email.clone(), at })
        .and(event.by(Actor::User(user.id, None)).on(user.id).with("method", OneTimePurpose::VerifyEmail.as_str()));
    let changes = match waited {
        Some((to, from)) => changes.and(CredentialChange::ReplacePassword { user_id: user.id, from, to, at }),
        None => changes,
    };
    // SECURITY: whoever made the account may not have been the owner of its address. A passkey is a way in that outlives a new password,
    // so those of before the address was proved are gone.
    let changes = if user.email_verified_at.is_none() && user.second_factors.has(FactorKind::Passkey) {
        let to = user.second_factors.without(FactorKind::Passkey);
        let changes = changes.and(PasskeyChange::ForgetAllOf { user_id: user.id }).and(UserChange::SetSecondFactors {
            id: user.id,
            from: user.auth_epoch,
            to,
            at,
        });
        let changes = if to.is_empty() { changes.and(FactorChange::Forget { user_id: user.id }) } else { changes };
        notice(engine, changes, &user, Notice::FactorRemoved(AnnouncedFactor::Passkey), context, at).await?
    } else {
        changes
    };
    engine.commit(&changes).await?;
    let found = engine.store.user_by_id(user.id).await.map_err(Internal::from)?;
    found.ok_or(LinkError::Invalid)
}
