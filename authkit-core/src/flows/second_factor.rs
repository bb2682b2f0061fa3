//! The second half of a login: a proof of a second factor, for the token that the first half has left.

use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::flows::factor_check::{self, ATTEMPTS, NotChecked, ProofMethod, SecondFactor};
use crate::flows::first_factor::{complete_second_factor, device_name, first_method};
use crate::flows::notify::notice;
use crate::flows::refusals;
use crate::flows::sent_code::{self, AskedWith, Way};
use crate::flows::session_issue::LoggedIn;
use crate::flows::throttle::Throttled;
use crate::flows::{mfa_policy, mfa_token, trusted_device};
use crate::model::{
    Actor, AuditAction, ChangeSet, FactorChange, Factors, OneTimePurpose, OneTimeTokenChange, OneTimeTokenWithUser, Outcome,
    RequestContext, UserStatus,
};
use crate::model::{AuthMethod, CodeUse, FactorKind, Notice, OneTimeToken};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{MfaToken, OneTimeTokenId, Timestamp, UserId};

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecondFactorError {
    /// The token of the first half is none, was used, has expired, has no attempts left, or the account has changed since: begin
    /// anew.
    #[error("the login has to begin anew")]
    InvalidToken,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    InvalidCode,
    /// Too many codes of the account were wrong. This one was not looked at.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl SecondFactorError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "auth.invalid_mfa_token",
            Self::InvalidCode => "mfa.invalid_code",
            Self::Throttled { .. } => Throttled::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(SecondFactorError);

impl From<NotChecked> for SecondFactorError {
    fn from(not_checked: NotChecked) -> Self {
        match not_checked {
            NotChecked::Throttled(throttled) => throttled.into(),
            NotChecked::Gone => Self::InvalidToken,
            NotChecked::Internal(error) => error.into(),
        }
    }
}

/// Has a code sent for the token that the first half has left. What comes of it is not told: neither whether enough were sent, nor
/// whether the factor is in force.
pub(crate) async fn send_code(
    engine: &Engine,
    token: &MfaToken,
    kind: FactorKind,
    context: &RequestContext,
) -> Result<(), SecondFactorError> {
    let at = engine.now();
    let challenge = match challenge(engine, token, at).await? {
        Ok(challenge) => challenge,
        Err((reason, of)) => return Err(begin_anew(engine, reason, of, context, at).await),
    };
    let user = &challenge.user;
    let methods: Vec<AuthMethod> = first_method(&challenge.token).into_iter().collect();
    let is_offered = mfa_policy::offered(user.second_factors, &methods).has(kind);
    let way = match kind {
        _ if !is_offered => None,
        FactorKind::Email => Some(Way::Mail),
        FactorKind::Sms => {
            let factors = factor_check::read(engine, user.id).await?;
            sent_code::phone(engine, &factors).await?.map(Way::Phone)
        }
        _ => None,
    };
    let Some(way) = way else { return Ok(()) };
    sent_code::send(engine, user, asked_with(&challenge.token), &way, Ok::<_, SecondFactorError>, context, at).await.map(drop)
}

/// Checks the second factor, and begins the session; with `trust` the device need not show one again for a while.
pub(crate) async fn verify(
    engine: &Engine,
    token: &MfaToken,
    proof: &SecondFactor,
    trust: bool,
    context: &RequestContext,
) -> Result<LoggedIn, SecondFactorError> {
    let at = engine.now();
    let challenge = match challenge(engine, token, at).await? {
        Ok(challenge) => challenge,
        Err((reason, of)) => return Err(begin_anew(engine, reason, of, context, at).await),
    };
    let methods: Vec<AuthMethod> = first_method(&challenge.token).into_iter().collect();
    let (id, purpose) = (challenge.token.id, challenge.token.purpose);
    let spend = OneTimeTokenChange::SpendAttempt { id, purpose, at };
    let asked_with = asked_with(&challenge.token);
    let user_id = challenge.user.id;
    let reserved = factor_check::reserve(engine, user_id, proof.factor, asked_with.used_for, Some(&spend), at).await;
    let mut factors = match reserved {
        Ok(factors) => factors,
        Err(NotChecked::Gone) => {
            let of = Some((id, challenge.user.id));
            return Err(begin_anew(engine, "challenge_used_up", of, context, at).await);
        }
        Err(NotChecked::Throttled(throttled)) => {
            if engine.refusals.of_limit(SCOPE, challenge.user.id.as_uuid().as_bytes()).await {
                let event = engine.event(at, AuditAction::RateLimited, Outcome::Failure, context).on(challenge.user.id);
                refusals::record(engine, event.with("scope", SCOPE).with("of", AuditAction::Login.as_str())).await;
            }
            return Err(throttled.into());
        }
        Err(error) => return Err(error.into()),
    };
    for _ in 0..ATTEMPTS {
        let Some(used) = factor_check::check(engine, &challenge.user, &factors, proof, (asked_with, &methods), at).await? else {
            return Err(refuse(engine, &challenge, proof.factor, at, context).await?);
        };
        match begin(engine, &challenge, used, proof.factor, trust, at, context).await {
            // Another guess at this account was counted since: what is right is still right, unless it was just that.
            Err(Begin::Overtaken) => factors = factor_check::read(engine, challenge.user.id).await?,
            Err(Begin::Refused(error)) => return Err(error),
            Ok(logged_in) => return Ok(logged_in),
        }
    }
    Err(Internal::Conflict(Conflict::FactorsChanged.into()).into())
}

/// What the limit of wrong codes is called where it is recorded.
const SCOPE: &str = "second_factor";

/// Why a token is good for nothing, and of which challenge and account it is, where its secret was known.
type NoChallenge = (&'static str, Option<(OneTimeTokenId, UserId)>);

/// The challenge of a token, if it still stands.
async fn challenge(
    engine: &Engine,
    token: &MfaToken,
    at: Timestamp,
) -> Result<Result<OneTimeTokenWithUser, NoChallenge>, SecondFactorError> {
    let parsed = mfa_token::parse(token, OneTimePurpose::MfaChallenge);
    let Some((id, secret)) = parsed else { return Ok(Err(("no_challenge", None))) };
    let found = engine.store.one_time_token(id, OneTimePurpose::MfaChallenge).await.map_err(Internal::from)?;
    let Some(found) = found else { return Ok(Err(("unknown_challenge", None))) };
    if found.token.secret != secret {
        return Ok(Err(("made_up_challenge", None)));
    }
    let reason = if at >= found.token.expires_at {
        "challenge_expired"
    } else if found.user.status != UserStatus::Active {
        "suspended"
    } else if found.user.auth_epoch != found.token.auth_epoch {
        "account_changed"
    } else {
        return Ok(Ok(found));
    };
    Ok(Err((reason, Some((id, found.user.id)))))
}

/// Records why a login has to begin anew: with a token of ours by the token, with a made-up one sparsely.
async fn begin_anew(
    engine: &Engine,
    reason: &str,
    of: Option<(OneTimeTokenId, UserId)>,
    context: &RequestContext,
    at: Timestamp,
) -> SecondFactorError {
    let is_recorded = match of {
        Some((id, _)) => engine.refusals.of_session(id.as_uuid().as_bytes()).await,
        None => engine.refusals.of_stranger(context.client.ip).await,
    };
    if is_recorded {
        let event = engine.event(at, AuditAction::Login, Outcome::Failure, context).with("method", SCOPE).with("reason", reason);
        refusals::record(engine, of.map_or(event.clone(), |(_, user_id)| event.on(user_id))).await;
    }
    SecondFactorError::InvalidToken
}

fn asked_with(challenge: &OneTimeToken) -> AskedWith {
    AskedWith { used_for: CodeUse::Login, id: challenge.id.as_uuid() }
}

/// Audits a wrong code.
async fn refuse(
    engine: &Engine,
    challenge: &OneTimeTokenWithUser,
    method: ProofMethod,
    at: Timestamp,
    context: &RequestContext,
) -> Result<SecondFactorError, Internal> {
    let event = engine.event(at, AuditAction::Login, Outcome::Failure, context).on(challenge.user.id);
    let event = event.with("reason", "wrong_code").with("method", method.auth_method().as_str());
    engine.commit(&ChangeSet::new().and(event)).await?;
    Ok(SecondFactorError::InvalidCode)
}

enum Begin {
    Overtaken,
    Refused(SecondFactorError),
}

/// Uses up the challenge and the factor, and begins the session: all of it or nothing.
async fn begin(
    engine: &Engine,
    challenge: &OneTimeTokenWithUser,
    mut used: Factors,
    method: ProofMethod,
    trust: bool,
    at: Timestamp,
    context: &RequestContext,
) -> Result<LoggedIn, Begin> {
    let (token, user) = (&challenge.token, &challenge.user);
    let session = complete_second_factor(engine, token, user, method.auth_method(), context, at);
    let session = session.map_err(|error| Begin::Refused(error.into()))?;
    let actor = Actor::User(user.id, Some(session.id()));
    let event = |action| engine.event(at, action, Outcome::Success, context).by(actor).on(user.id);
    let left = used.recovery.as_ref().map_or(0, |recovery| recovery.digests.len());
    let trusted = trust.then(|| trusted_device::add(engine, user, &mut used, device_name(token), context, at));
    let consume = OneTimeTokenChange::Consume { id: token.id, purpose: token.purpose, secret: token.secret, at };
    let changes = ChangeSet::new().and(consume).and(FactorChange::Put(Box::new(used)));
    let changes = session.add_to(engine, changes);
    let changes = changes.and(event(AuditAction::Login).with("method", method.auth_method().as_str()));
    let changes = match method {
        ProofMethod::RecoveryCode => {
            let changes = changes.and(event(AuditAction::RecoveryCodeUsed).with("left", left.to_string()));
            let told = Notice::RecoveryCodeUsed(u32::try_from(left).unwrap_or(u32::MAX));
            notice(engine, changes, user, told, context, at).await.map_err(|error| Begin::Refused(error.into()))?
        }
        ProofMethod::Totp | ProofMethod::Email | ProofMethod::Sms => changes,
    };
    let changes = match &trusted {
        Some((device, _)) => changes.and(event(AuditAction::DeviceTrusted).with("device", device.to_string())),
        None => changes,
    };
    match engine.commit(&changes).await {
        Ok(_) => Ok(LoggedIn { trust_token: trusted.map(|(_, token)| token), ..session.logged_in() }),
        Err(CommitError::Conflict(Conflict::FactorsChanged)) => Err(Begin::Overtaken),
        Err(CommitError::Conflict(Conflict::TokenGone | Conflict::UserChanged)) => {
            Err(Begin::Refused(SecondFactorError::InvalidToken))
        }
        Err(error) => Err(Begin::Refused(Internal::from(error).into())),
    }
}
