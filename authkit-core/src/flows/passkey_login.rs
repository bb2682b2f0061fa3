//! Login by a passkey alone: nobody says who she is, the passkey does.

use crate::flows::engine::{Engine, Internal};
use crate::flows::first_factor::complete_first_factor;
use crate::flows::passkey_check::{self, ATTEMPTS, Outcomes, PasskeyProofError, Proved, STALE};
use crate::flows::session_issue::LoggedIn;
use crate::model::{Actor, AuditAction, AuditEvent, AuthMethod, Outcome, RequestContext, UserStatus};
use crate::passkey::{AssertionReply, Ceremony, RequestOptions};
use crate::ports::Conflict;
use crate::primitives::{DeviceName, Timestamp, UserId};

/// What a browser is asked for. Nobody is named in it, so it can be asked for before anybody has said who she is, and shown in the
/// field for that (`mediation: "conditional"`).
pub(crate) async fn start(engine: &Engine, context: &RequestContext) -> Result<RequestOptions, PasskeyProofError> {
    let party = passkey_check::relying_party(engine)?;
    engine.throttle.passkey(context).await?;
    let challenge = passkey_check::challenge(engine, Ceremony::LogIn, engine.now()).await?;
    Ok(party.request_options(&[], &challenge))
}

/// Logs in whose passkey has signed. It has verified her, so that no second factor is asked for.
pub(crate) async fn finish(
    engine: &Engine,
    reply: &AssertionReply,
    device_name: Option<DeviceName>,
    context: &RequestContext,
) -> Result<LoggedIn, PasskeyProofError> {
    engine.throttle.passkey(context).await?;
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let refusal = |user_id: Option<UserId>| failure(engine, at, user_id, context);
        let Proved { found, changes } = passkey_check::judge(engine, reply, Ceremony::LogIn, None, at, context, refusal).await?;
        let user = found.user;
        if user.status != UserStatus::Active {
            let changes = changes.and(refusal(Some(user.id)).with("reason", "suspended"));
            // Said only to whoever has answered a challenge that waited for it.
            return match engine.commit(&changes).await {
                Ok(_) => Err(PasskeyProofError::Suspended),
                Err(error) => match passkey_check::sort(error)? {
                    Outcomes::Overtaken => continue,
                    _ => Err(PasskeyProofError::InvalidPasskey),
                },
            };
        }
        let next = complete_first_factor(engine, &user, AuthMethod::Passkey, device_name.clone(), context, at)?;
        let event = engine.event(at, next.action(), Outcome::Success, context);
        let event = event.by(Actor::User(user.id, next.session_id())).on(user.id).with("method", AuthMethod::Passkey.as_str());
        let changes = next.add_to(engine, changes).and(event.with("passkey", found.passkey.id.to_string()));
        match engine.commit(&changes).await {
            Ok(_) => return next.outcome().map_err(|_| PasskeyProofError::InvalidPasskey),
            Err(error) => match passkey_check::sort(error)? {
                // The account has changed since it was read; what was signed is still right, if it still has the passkey.
                Outcomes::Overtaken | Outcomes::Conflict(Conflict::UserChanged) => {}
                Outcomes::Stale => return Err(passkey_check::refuse(engine, refusal(Some(user.id)), STALE).await?),
                Outcomes::Conflict(conflict) => return Err(Internal::Conflict(conflict.into()).into()),
            },
        }
    }
    Err(Internal::Conflict(Conflict::PasskeyUsed.into()).into())
}

fn failure(engine: &Engine, at: Timestamp, user_id: Option<UserId>, context: &RequestContext) -> AuditEvent {
    let event = engine.event(at, AuditAction::Login, Outcome::Failure, context).with("method", AuthMethod::Passkey.as_str());
    match user_id {
        Some(user_id) => event.on(user_id),
        None => event,
    }
}
