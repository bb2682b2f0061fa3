//! The passkeys of an account: added, looked through, renamed, removed.

use std::time::Duration;

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::factor_check;
use crate::flows::mfa_policy;
use crate::flows::notify::notice;
use crate::flows::passkey_check::{self, ATTEMPTS};
use crate::flows::throttle::Throttled;
use crate::mfa::RecoveryCode;
use crate::model::{AnnouncedFactor, Notice};
use crate::model::{
    AuditAction, AuditEvent, AuthMethod, ChangeSet, FactorChange, FactorKind, Factors, OneTimePurpose, OneTimeTokenChange,
    Outcome, Passkey, PasskeyChange, RequestContext, SessionChange, User, UserChange, UserStatus,
};
use crate::passkey::{Ceremony, CreationOptions, NewKey, RegistrationReply, RelyingParty, ReplyError};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{PasskeyId, PasskeyName, Timestamp, UserId};

/// A passkey that was added.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasskeyAdded {
    /// The passkey.
    pub passkey: Passkey,
    /// With the first second factor of an account a set of recovery codes, to be shown once; none otherwise.
    pub recovery_codes: Vec<RecoveryCode>,
}

/// Why a passkey was neither added nor changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// No passkey can be made for this service: it has an address and no name.
    #[error("passkeys are not set up for this service")]
    NotConfigured,
    /// The last proof of identity is too old, or was by less than the factors that are in force: reauthenticate, and ask again.
    #[error("prove again who you are, then ask again")]
    ReauthenticationRequired,
    /// The challenge was answered before, has expired, or was never given out in this session.
    #[error("the challenge was answered before or has expired: ask for a new one")]
    StaleChallenge,
    /// What the browser answered cannot be accepted.
    #[error("the new passkey cannot be accepted")]
    Refused(#[source] ReplyError),
    /// The passkey is known already, to this account or to another one.
    #[error("this passkey is known already")]
    AlreadyKnown,
    /// The account has as many as it may have.
    #[error("the account has as many passkeys as it may have")]
    TooMany,
    /// The account has no such passkey.
    #[error("there is no such passkey")]
    NotFound,
    /// Nobody could log in any more: set a password first.
    #[error("without this passkey nobody could log in: set a password first")]
    LastWayIn,
    /// It is the last second factor, and one is demanded of the account.
    #[error("a second factor is demanded of this account, and this is its last")]
    Demanded,
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

impl PasskeyError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "passkey.not_configured",
            Self::ReauthenticationRequired => "auth.reauthentication_required",
            Self::StaleChallenge => "passkey.stale_challenge",
            Self::Refused(_) => "passkey.refused",
            Self::AlreadyKnown => "passkey.already_known",
            Self::TooMany => "passkey.too_many",
            Self::NotFound => "passkey.not_found",
            Self::LastWayIn => "passkey.last_way_in",
            Self::Demanded => "mfa.demanded",
            Self::SessionEnded => "auth.session_ended",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Throttled { .. } => Throttled::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

super::throttle::throttled_into!(PasskeyError);

/// The passkeys of the caller, the oldest first.
pub(crate) async fn list(engine: &Engine, principal: &Principal) -> Result<Vec<Passkey>, PasskeyError> {
    let user = active(engine, principal.user_id()).await?;
    Ok(engine.store.passkeys(user.id).await.map_err(Internal::from)?)
}

/// What a browser is asked for to make a passkey of the caller.
pub(crate) async fn start(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<CreationOptions, PasskeyError> {
    let party = party(engine)?;
    principal.in_person()?;
    engine.throttle.passkey(context).await?;
    let at = engine.now();
    let user = active(engine, principal.user_id()).await?;
    demand_recent(engine, principal, &user, at)?;
    let passkeys = engine.store.passkeys(user.id).await.map_err(Internal::from)?;
    if passkeys.len() >= usize::try_from(engine.config.passkeys.per_account).unwrap_or(usize::MAX) {
        return Err(PasskeyError::TooMany);
    }
    let ceremony = Ceremony::Register(user.id, principal.session_id());
    let challenge = passkey_check::challenge(engine, ceremony, at).await?;
    Ok(party.creation_options(&user, &passkeys, &challenge))
}

/// Adds the passkey that a browser has made.
pub(crate) async fn finish(
    engine: &Engine,
    principal: &Principal,
    reply: &RegistrationReply,
    name: Option<PasskeyName>,
    context: &RequestContext,
) -> Result<PasskeyAdded, PasskeyError> {
    let party = party(engine)?;
    principal.in_person()?;
    engine.throttle.passkey(context).await?;
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let user = active(engine, principal.user_id()).await?;
        // SECURITY: once more, because a factor may have come into force since the challenge was given out.
        demand_recent(engine, principal, &user, at)?;
        let passkeys = engine.store.passkeys(user.id).await.map_err(Internal::from)?;
        let key = party.register(reply, &passkeys).map_err(PasskeyError::Refused)?;
        let name = name.clone().unwrap_or_else(|| PasskeyName::from_stored(format!("Passkey {}", passkeys.len() + 1)));
        let passkey = new_passkey(engine, user.id, key, name, at);
        let (changes, recovery_codes) = second_factor(engine, &user, at).await?;
        let ceremony = Ceremony::Register(user.id, principal.session_id());
        let insert = PasskeyChange::Insert {
            passkey: Box::new(passkey.clone()),
            auth_epoch: user.auth_epoch,
            at_most: engine.config.passkeys.per_account,
        };
        let mut methods = principal.claims().methods.clone();
        if !methods.contains(&AuthMethod::Passkey) {
            methods.push(AuthMethod::Passkey);
        }
        // SECURITY: the guard of this one says that the caller's session is alive. It is one of two factors now: the authenticator has
        // verified her, and is hers from here on.
        let again = SessionChange::Reauthenticate {
            id: principal.session_id(),
            auth_epoch: user.auth_epoch.saturating_add(1),
            methods: Some(methods),
            at,
        };
        let event = event(engine, principal, AuditAction::PasskeyAdded, &passkey, at, context);
        let event = event.with("aaguid", passkey.aaguid.to_string()).with("backed_up", passkey.backed_up.to_string());
        let answer = passkey_check::answer(reply.challenge(), ceremony, at);
        let changes = ChangeSet::new().and(answer).and(insert).followed_by(changes).and(again).and(event);
        let changes = notice(engine, changes, &user, Notice::FactorAdded(AnnouncedFactor::Passkey), context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(PasskeyAdded { passkey, recovery_codes }),
            Err(CommitError::Conflict(Conflict::FactorsChanged | Conflict::UserChanged)) => {}
            Err(error) => return Err(sorted(error)),
        }
    }
    Err(overtaken())
}

/// Gives a passkey of the caller another name.
pub(crate) async fn rename(
    engine: &Engine,
    principal: &Principal,
    id: PasskeyId,
    name: PasskeyName,
    context: &RequestContext,
) -> Result<Passkey, PasskeyError> {
    principal.in_person()?;
    let at = engine.now();
    let user = active(engine, principal.user_id()).await?;
    let passkey = found(engine.store.passkeys(user.id).await.map_err(Internal::from)?, id)?;
    let changes = ChangeSet::new()
        .and(PasskeyChange::Rename { id, user_id: user.id, name: name.clone() })
        .and(alive(principal, user.auth_epoch))
        .and(event(engine, principal, AuditAction::PasskeyRenamed, &passkey, at, context));
    engine.commit(&changes).await.map_err(sorted)?;
    Ok(Passkey { name, ..passkey })
}

/// Removes a passkey of the caller. With the last of them a password alone logs in again, unless another second factor is in force.
pub(crate) async fn remove(
    engine: &Engine,
    principal: &Principal,
    id: PasskeyId,
    context: &RequestContext,
) -> Result<(), PasskeyError> {
    principal.in_person()?;
    for _ in 0..ATTEMPTS {
        let at = engine.now();
        let user = active(engine, principal.user_id()).await?;
        demand_recent(engine, principal, &user, at)?;
        let passkeys = engine.store.passkeys(user.id).await.map_err(Internal::from)?;
        let left = passkeys.len().saturating_sub(1);
        let passkey = found(passkeys, id)?;
        let to = if left == 0 { user.second_factors.without(FactorKind::Passkey) } else { user.second_factors };
        if to.is_empty() && mfa_policy::is_demanded(engine, &user, at) {
            return Err(PasskeyError::Demanded);
        }
        let changes = ChangeSet::new()
            .and(PasskeyChange::Delete { id, user_id: user.id })
            // The epoch moves on, so that of two removals at once each sees what the other has left.
            .and(UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to, at })
            .and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(OneTimePurpose::MfaChallenge) });
        let changes = if to.is_empty() {
            // Recovery codes stand for a second factor, and there is none any more.
            let factors = factor_check::read(engine, user.id).await?;
            changes.and(FactorChange::Put(Box::new(Factors { recovery: None, ..factors })))
        } else {
            changes
        };
        let changes = changes.and(alive(principal, user.auth_epoch.saturating_add(1))).and(event(
            engine,
            principal,
            AuditAction::PasskeyRemoved,
            &passkey,
            at,
            context,
        ));
        let changes = notice(engine, changes, &user, Notice::FactorRemoved(AnnouncedFactor::Passkey), context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict(Conflict::FactorsChanged | Conflict::UserChanged)) => {}
            Err(error) => return Err(sorted(error)),
        }
    }
    Err(overtaken())
}

/// Passkeys are a second factor of the account from now on, and where there was none there are recovery codes.
async fn second_factor(engine: &Engine, user: &User, at: Timestamp) -> Result<(ChangeSet, Vec<RecoveryCode>), Internal> {
    let to = user.second_factors.with(FactorKind::Passkey);
    let changes = ChangeSet::new()
        .and(UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to, at })
        .and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(OneTimePurpose::MfaChallenge) });
    if !user.second_factors.is_empty() {
        return Ok((changes, Vec::new()));
    }
    let codes = RecoveryCode::generate_set(&*engine.entropy);
    let recovery = Some(factor_check::recovery(engine, user.id, &codes, at).await?);
    let factors = Factors { recovery, guesses: None, ..factor_check::read(engine, user.id).await? };
    Ok((changes.and(FactorChange::Put(Box::new(factors))), codes))
}

fn new_passkey(engine: &Engine, user_id: UserId, key: NewKey, name: PasskeyName, at: Timestamp) -> Passkey {
    let NewKey { credential_id, public_key, sign_count, backup_eligible, backed_up, transports, aaguid } = key;
    Passkey {
        id: PasskeyId::generate(at, &*engine.entropy),
        user_id,
        credential_id,
        public_key,
        name,
        sign_count,
        backup_eligible,
        backed_up,
        transports,
        aaguid,
        created_at: at,
        last_used_at: None,
    }
}

fn party(engine: &Engine) -> Result<&RelyingParty, PasskeyError> {
    engine.passkeys.as_ref().ok_or(PasskeyError::NotConfigured)
}

async fn active(engine: &Engine, id: UserId) -> Result<User, PasskeyError> {
    let found = engine.store.user_by_id(id).await.map_err(Internal::from)?;
    found.filter(|user| user.status == UserStatus::Active).ok_or(PasskeyError::SessionEnded)
}

fn found(passkeys: Vec<Passkey>, id: PasskeyId) -> Result<Passkey, PasskeyError> {
    passkeys.into_iter().find(|passkey| passkey.id == id).ok_or(PasskeyError::NotFound)
}

/// SECURITY: whoever has got hold of a session must not be able to make a way in of his own, nor to take the owner's away.
fn demand_recent(engine: &Engine, principal: &Principal, user: &User, at: Timestamp) -> Result<(), PasskeyError> {
    let enough = factor_check::has_proved_enough(engine, principal, user, at);
    if enough { Ok(()) } else { Err(PasskeyError::ReauthenticationRequired) }
}

/// Changes nothing about the caller's session, and fails when it has ended: the set of this node may not have heard of it.
fn alive(principal: &Principal, auth_epoch: u32) -> SessionChange {
    SessionChange::Reauthenticate { id: principal.session_id(), auth_epoch, methods: None, at: principal.authenticated_at() }
}

fn event(
    engine: &Engine,
    principal: &Principal,
    action: AuditAction,
    passkey: &Passkey,
    at: Timestamp,
    context: &RequestContext,
) -> AuditEvent {
    let event = engine.event(at, action, Outcome::Success, context).by(actor(principal)).on(principal.user_id());
    event.with("passkey", passkey.id.to_string())
}

fn sorted(error: CommitError) -> PasskeyError {
    match error {
        CommitError::Conflict(Conflict::TokenGone) => PasskeyError::StaleChallenge,
        CommitError::Conflict(Conflict::PasskeyTaken) => PasskeyError::AlreadyKnown,
        CommitError::Conflict(Conflict::PasskeyLimit) => PasskeyError::TooMany,
        CommitError::Conflict(Conflict::PasskeyGone) => PasskeyError::NotFound,
        CommitError::Conflict(Conflict::LastWayIn) => PasskeyError::LastWayIn,
        CommitError::Conflict(Conflict::SessionEnded | Conflict::UserChanged) => PasskeyError::SessionEnded,
        other => PasskeyError::Internal(other.into()),
    }
}

fn overtaken() -> PasskeyError {
    PasskeyError::Internal(Internal::Conflict(Conflict::UserChanged.into()))
}
