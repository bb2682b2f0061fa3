//! The door of passkeys: challenges are drawn and answered here, and what was signed is judged.

use std::time::Duration;

use crate::flows::authenticate::Impersonated;
use crate::flows::engine::{Engine, Internal};
use crate::flows::throttle::Throttled;
use crate::model::{AuditAction, AuditEvent, ChangeSet, Outcome, PasskeyChange, PasskeyWithUser, RequestContext};
use crate::passkey::{AssertionReply, Ceremony, Challenge, RelyingParty, ReplyError, Used, user_handle};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Timestamp, UserId};

/// How often what was signed is judged anew because the passkey was used by a rival in between.
pub(crate) const ATTEMPTS: usize = 4;

/// Why somebody has not proved by a passkey who she is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyProofError {
    /// No passkey can be used with this service: it has an address and no name.
    #[error("passkeys are not set up for this service")]
    NotConfigured,
    /// The reply proves nothing: it is of no passkey that is known, is wrong, was given before, or came too late.
    #[error("the passkey proves nothing: ask for a new challenge, and try again")]
    InvalidPasskey,
    /// The token of the first half of the login is none, was used or has expired, or the account has changed since: begin anew.
    #[error("the login has to begin anew")]
    InvalidToken,
    /// The account has no passkey that could be asked for.
    #[error("the account has no passkey")]
    NotEnrolled,
    /// The account is suspended. Said only to whoever has the passkey.
    #[error("the account is suspended")]
    Suspended,
    /// The session or the account has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// Somebody else acts as the owner.
    #[error(transparent)]
    Impersonated(#[from] Impersonated),
    /// Too many challenges were asked for or answered.
    #[error("too many attempts, retry in {retry_after:?}")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl PasskeyProofError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "passkey.not_configured",
            Self::InvalidPasskey => "auth.invalid_passkey",
            Self::InvalidToken => "auth.invalid_mfa_token",
            Self::NotEnrolled => "mfa.not_enrolled",
            Self::Suspended => "account.suspended",
            Self::SessionEnded => "auth.session_ended",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Throttled { .. } => Throttled::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(PasskeyProofError);

/// A passkey that has signed, what that says about it, and the changes that use both it and the challenge up.
pub(crate) struct Proved {
    pub(crate) found: PasskeyWithUser,
    pub(crate) changes: ChangeSet,
}

/// The service as passkeys know it.
pub(crate) fn relying_party(engine: &Engine) -> Result<&RelyingParty, PasskeyProofError> {
    engine.passkeys.as_ref().ok_or(PasskeyProofError::NotConfigured)
}

/// Draws a challenge for a ceremony, and keeps what is needed to know it again.
pub(crate) async fn challenge(engine: &Engine, ceremony: Ceremony, at: Timestamp) -> Result<Challenge, Internal> {
    let challenge = Challenge::draw(at, &*engine.entropy);
    let kept = crate::model::PasskeyChallenge {
        id: challenge.id(),
        secret: challenge.digest(ceremony),
        expires_at: at + engine.config.passkeys.challenge_lifetime,
    };
    engine.commit(&ChangeSet::new().and(PasskeyChange::Challenge(kept))).await?;
    Ok(challenge)
}

/// The change that uses a challenge up.
pub(crate) fn answer(challenge: &Challenge, ceremony: Ceremony, at: Timestamp) -> PasskeyChange {
    PasskeyChange::Answer { id: challenge.id(), secret: challenge.digest(ceremony), at }
}

/// Judges what was signed, by a passkey of `owner` where it is known who it has to be. `event` is what a refusal is audited as.
///
/// SECURITY: what comes back is right as far as the signature goes. It proves something once its changes are committed, because the
/// challenge is looked at by its guard alone.
pub(crate) async fn judge(
    engine: &Engine,
    reply: &AssertionReply,
    ceremony: Ceremony,
    owner: Option<UserId>,
    at: Timestamp,
    context: &RequestContext,
    event: impl Fn(Option<UserId>) -> AuditEvent + Send,
) -> Result<Proved, PasskeyProofError> {
    let party = relying_party(engine)?;
    let found = engine.store.passkey_by_credential(reply.credential_id()).await.map_err(Internal::from)?;
    let Some(found) = found.filter(|found| owner.is_none_or(|owner| found.user.id == owner)) else {
        return Err(refuse(engine, event(owner), "unknown_passkey").await?);
    };
    let user_id = found.user.id;
    // Whoever is not named beforehand has to be named by the passkey (WebAuthn Level 3 §7.2, step 6).
    let named = owner.is_some() || reply.user_handle().is_some_and(|handle| handle == user_handle(user_id));
    if !named {
        return Err(refuse(engine, event(Some(user_id)), ReplyError::UserHandle.reason()).await?);
    }
    let passkey = &found.passkey;
    match party.authenticate(reply, passkey) {
        Ok(Used { sign_count, backed_up, .. }) => {
            let used = PasskeyChange::Use { id: passkey.id, from: passkey.sign_count, sign_count, backed_up, at };
            let changes = ChangeSet::new().and(answer(reply.challenge(), ceremony, at)).and(used);
            Ok(Proved { found, changes })
        }
        Err(error @ ReplyError::CounterWentBack) => {
            // Whoever sends what somebody has sent before has no copy of the key: only a reply to a challenge that waits for one
            // says that.
            let suspected = engine.event(at, AuditAction::PasskeyCloneSuspected, Outcome::Failure, context).on(user_id);
            let suspected = suspected.with("passkey", passkey.id.to_string());
            let changes = ChangeSet::new().and(answer(reply.challenge(), ceremony, at)).and(suspected);
            match engine.commit(&changes).await {
                Ok(_) => Err(refuse(engine, event(Some(user_id)), error.reason()).await?),
                Err(CommitError::Conflict(_)) => Err(refuse(engine, event(Some(user_id)), STALE).await?),
                Err(error) => Err(Internal::from(error).into()),
            }
        }
        Err(error) => Err(refuse(engine, event(Some(user_id)), error.reason()).await?),
    }
}

/// Why a right signature is not taken: its challenge was answered, has expired, or was never given out for this.
pub(crate) const STALE: &str = "stale_challenge";

/// Audits that a passkey proved nothing.
pub(crate) async fn refuse(engine: &Engine, event: AuditEvent, reason: &'static str) -> Result<PasskeyProofError, Internal> {
    engine.commit(&ChangeSet::new().and(event.with("reason", reason))).await?;
    Ok(PasskeyProofError::InvalidPasskey)
}

/// What became of a commit that a passkey stands behind.
pub(crate) enum Outcomes {
    /// Another use of the passkey was recorded since it was read: judge again.
    Overtaken,
    /// The challenge was answered or has expired.
    Stale,
    /// Another guard did not hold.
    Conflict(Conflict),
}

/// Sorts what a commit says.
pub(crate) fn sort(error: CommitError) -> Result<Outcomes, Internal> {
    match error {
        CommitError::Conflict(Conflict::PasskeyUsed) => Ok(Outcomes::Overtaken),
        CommitError::Conflict(Conflict::TokenGone) => Ok(Outcomes::Stale),
        CommitError::Conflict(conflict) => Ok(Outcomes::Conflict(conflict)),
        error => Err(error.into()),
    }
}
