//! Login by a link that was mailed to the account's address.

use crate::flows::engine::Engine;
use crate::flows::first_factor::complete_first_factor;
use crate::flows::one_time::{self, LinkError, Redeemable};
use crate::flows::session_issue::LoggedIn;
use crate::model::{
    Actor, AuditAction, AuthMethod, ChangeSet, CredentialChange, FactorChange, FactorSet, OneTimePurpose, OneTimeTokenChange,
    Outcome, PasskeyChange, RequestContext, RevocationReason, SessionChange, User, UserChange,
};
use crate::primitives::{DeviceName, OneTimeTokenText};

/// Logs in whoever opens the link. `browser` is the secret of the browser, where it has one.
///
/// The address is proved by it. Where it had not been, whoever made the account may not have been its owner: its password and its
/// sessions are gone then.
pub(crate) async fn redeem(
    engine: &Engine,
    token: &OneTimeTokenText,
    browser: Option<&str>,
    device_name: Option<DeviceName>,
    context: &RequestContext,
) -> Result<LoggedIn, LinkError> {
    let (at, purpose) = (engine.now(), OneTimePurpose::MagicLink);
    let Redeemable { user, consume } = one_time::judge(engine, token, purpose, browser, context, at).await?;
    let id = user.id;
    let proved = engine.event(at, AuditAction::EmailVerified, Outcome::Success, context).with("method", purpose.as_str());
    let proved = proved.by(Actor::User(id, None)).on(id);
    let changes = ChangeSet::new().and(consume).and(UserChange::VerifyEmail { id, email: user.email.clone(), at });
    let (changes, user) = if user.email_verified_at.is_some() {
        (changes, user)
    } else {
        let all = SessionChange::RevokeAll { user_id: id, except: None, reason: RevocationReason::PasswordChanged, at };
        let changes = changes
            .and(CredentialChange::DeletePassword { user_id: id })
            // Second factors of before are somebody else's as well, and would keep the owner out.
            .and(UserChange::SetSecondFactors { id, from: user.auth_epoch, to: FactorSet::NONE, at })
            .and(FactorChange::Forget { user_id: id })
            .and(PasskeyChange::ForgetAllOf { user_id: id })
            .and(all)
            .and(proved.with("ended", "password, second factors, sessions"));
        let auth_epoch = user.auth_epoch.saturating_add(1);
        (changes, User { auth_epoch, email_verified_at: Some(at), second_factors: FactorSet::NONE, ..user })
    };
    let next = complete_first_factor(engine, &user, AuthMethod::MailedLink, device_name, context, at)?;
    let event = engine.event(at, next.action(), Outcome::Success, context).with("method", purpose.as_str());
    let changes = next
        .add_to(engine, changes)
        .and(event.by(Actor::User(id, next.session_id())).on(id))
        .and(OneTimeTokenChange::RevokeAllOf { user_id: id, purpose: Some(purpose) });
    engine.commit(&changes).await?;
    next.outcome().map_err(LinkError::SecondFactorRequired)
}
