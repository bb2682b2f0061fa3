//! The second half of a login, or a renewed proof of identity, by a passkey.

use std::time::Duration;

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::first_factor::complete_second_factor;
use crate::flows::mfa_token;
use crate::flows::passkey_check::{self, ATTEMPTS, Outcomes, PasskeyProofError, Proved, STALE};
use crate::flows::session_issue::{LoggedIn, access_token};
use crate::model::{
    Actor, AuditAction, AuthMethod, FactorKind, OneTimePurpose, OneTimeTokenChange, OneTimeTokenWithUser, Outcome,
    RequestContext, SessionChange, User, UserStatus,
};
use crate::passkey::{AssertionReply, Ceremony, RequestOptions};
use crate::ports::Conflict;
use crate::primitives::{AccessToken, MfaToken, Timestamp, UserId};

/// What a browser is asked for behind the first factor: one of the account's passkeys.
pub(crate) async fn start(
    engine: &Engine,
    token: &MfaToken,
    context: &RequestContext,
) -> Result<RequestOptions, PasskeyProofError> {
    let party = passkey_check::relying_party(engine)?;
    engine.throttle.passkey(context).await?;
    let at = engine.now();
    let OneTimeTokenWithUser { token, user } = standing(engine, token, at).await?;
    let passkeys = engine.store.passkeys(user.id).await.map_err(Internal::from)?;
    if passkeys.is_empty() || !user.second_factors.has(FactorKind::Passkey) {
        return Err(PasskeyProofError::NotEnrolled);
    }
    let challenge = passkey_check::challenge(engine, Ceremony::SecondFactor(user.id, token.id), at).await?;
    Ok(party.request_options(&passkeys, &challenge))
}

/// Checks the passkey, and begins the session.
pub(crate) async fn finish(
    engine: &Engine,
    token: &MfaToken,
    reply: &AssertionReply,
    context: &RequestContext,
) -> Result<LoggedIn, PasskeyProofError> {
    engine.throttle.passkey(context).await?;
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let OneTimeTokenWithUser { token, user } = standing(engine, token, at).await?;
        let refusal = |_: Option<UserId>| {
            let event = engine.event(at, AuditAction::Login, Outcome::Failure, context).on(user.id);
            event.with("method", AuthMethod::Passkey.as_str())
        };
        let ceremony = Ceremony::SecondFactor(user.id, token.id);
        let Proved { found, changes } =
            passkey_check::judge(engine, reply, ceremony, Some(user.id), at, context, refusal).await?;
        let session = complete_second_factor(engine, &token, &user, AuthMethod::Passkey, context, at)?;
        let event = engine.event(at, AuditAction::Login, Outcome::Success, context);
        let event = event.by(Actor::User(user.id, Some(session.id()))).on(user.id);
        let event = event.with("method", AuthMethod::Passkey.as_str()).with("passkey", found.passkey.id.to_string());
        let consume = OneTimeTokenChange::Consume { id: token.id, purpose: token.purpose, secret: token.secret, at };
        let changes = session.add_to(engine, changes.and(consume)).and(event);
        match engine.commit(&changes).await {
            Ok(_) => return Ok(session.logged_in()),
            Err(error) => match passkey_check::sort(error)? {
                Outcomes::Overtaken => {}
                Outcomes::Stale => return Err(passkey_check::refuse(engine, refusal(None), STALE).await?),
                Outcomes::Conflict(Conflict::UserChanged) => return Err(PasskeyProofError::InvalidToken),
                Outcomes::Conflict(conflict) => return Err(Internal::Conflict(conflict.into()).into()),
            },
        }
    }
    Err(Internal::Conflict(Conflict::PasskeyUsed.into()).into())
}

/// What a browser is asked for to prove again who is there: one of the caller's passkeys.
pub(crate) async fn start_again(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<RequestOptions, PasskeyProofError> {
    let party = passkey_check::relying_party(engine)?;
    principal.in_person()?;
    engine.throttle.passkey(context).await?;
    let user = active(engine, principal.user_id()).await?;
    let passkeys = engine.store.passkeys(user.id).await.map_err(Internal::from)?;
    if passkeys.is_empty() {
        return Err(PasskeyProofError::NotEnrolled);
    }
    let ceremony = Ceremony::Reauthenticate(user.id, principal.session_id());
    let challenge = passkey_check::challenge(engine, ceremony, engine.now()).await?;
    Ok(party.request_options(&passkeys, &challenge))
}

/// Checks the passkey, and issues an access token with a fresh `auth_time` that says so.
pub(crate) async fn finish_again(
    engine: &Engine,
    principal: &Principal,
    reply: &AssertionReply,
    context: &RequestContext,
) -> Result<(AccessToken, Duration), PasskeyProofError> {
    principal.in_person()?;
    engine.throttle.passkey(context).await?;
    let (id, session_id) = (principal.user_id(), principal.session_id());
    let mut methods = principal.claims().methods.clone();
    if !methods.contains(&AuthMethod::Passkey) {
        methods.push(AuthMethod::Passkey);
    }
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let event = |outcome| {
            let event = engine.event(at, AuditAction::Reauthentication, outcome, context).by(actor(principal)).on(id);
            event.with("method", AuthMethod::Passkey.as_str())
        };
        let user = active(engine, id).await?;
        let ceremony = Ceremony::Reauthenticate(id, session_id);
        let refusal = |_: Option<UserId>| event(Outcome::Failure);
        let Proved { changes, .. } = passkey_check::judge(engine, reply, ceremony, Some(id), at, context, refusal).await?;
        let (auth_epoch, methods) = (user.auth_epoch, Some(methods.clone()));
        let changes =
            changes.and(SessionChange::Reauthenticate { id: session_id, auth_epoch, methods, at }).and(event(Outcome::Success));
        match engine.commit(&changes).await {
            Ok(_) => return fresh_token(engine, principal, at).await,
            Err(error) => match passkey_check::sort(error)? {
                Outcomes::Overtaken => {}
                Outcomes::Stale => return Err(passkey_check::refuse(engine, refusal(None), STALE).await?),
                Outcomes::Conflict(Conflict::SessionEnded) => return Err(PasskeyProofError::SessionEnded),
                Outcomes::Conflict(conflict) => return Err(Internal::Conflict(conflict.into()).into()),
            },
        }
    }
    Err(Internal::Conflict(Conflict::PasskeyUsed.into()).into())
}

/// The challenge of the token of a first half, if it still stands.
async fn standing(engine: &Engine, token: &MfaToken, at: Timestamp) -> Result<OneTimeTokenWithUser, PasskeyProofError> {
    let (id, secret) = mfa_token::parse(token, OneTimePurpose::MfaChallenge).ok_or(PasskeyProofError::InvalidToken)?;
    let found = engine.store.one_time_token(id, OneTimePurpose::MfaChallenge).await.map_err(Internal::from)?;
    found.filter(|found| mfa_token::stands(found, secret, at)).ok_or(PasskeyProofError::InvalidToken)
}

async fn active(engine: &Engine, id: UserId) -> Result<User, PasskeyProofError> {
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    found.filter(|user| user.status == UserStatus::Active).ok_or(PasskeyProofError::SessionEnded)
}

/// An access token that says what the session's row says now.
async fn fresh_token(
    engine: &Engine,
    principal: &Principal,
    at: Timestamp,
) -> Result<(AccessToken, Duration), PasskeyProofError> {
    let found = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    let found = found.filter(|found| found.session.is_live(at)).ok_or(PasskeyProofError::SessionEnded)?;
    Ok(access_token(engine, &found.session, &found.user.access, at)?)
}
