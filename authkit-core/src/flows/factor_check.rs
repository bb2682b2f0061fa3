//! Checking a second factor: the guess is counted before it is evaluated, and what was right is used up in the write that relies on it.

use std::time::Duration;

use serde::Deserialize;

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal};
use crate::flows::mfa_policy;
use crate::flows::sent_code::{self, AskedWith};
use crate::flows::throttle::Throttled;
use crate::mfa::{RecoveryCode, recovery_codes, totp};
use crate::model::{AssuranceLevel, RecoveryCodes};
use crate::model::{AuthMethod, ChangeSet, CodeUse, FactorChange, FactorKind, Factors, Guesses, OneTimeTokenChange, User};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{FactorCode, SecretBytes, Timestamp, UserId};

/// How often a check starts over because a rival was faster. The rivals are guesses at one account, of which few are let through.
pub(crate) const ATTEMPTS: usize = 16;

/// What a code is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProofMethod {
    /// An authenticator app.
    Totp,
    /// The mailbox of the account: a code was mailed to it.
    Email,
    /// A telephone: a code was sent to it.
    Sms,
    /// The paper with the recovery codes.
    RecoveryCode,
}

impl ProofMethod {
    /// The method with a stable name: `totp`, `email`, `sms` or `recovery_code`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "totp" => Some(Self::Totp),
            "email" => Some(Self::Email),
            "sms" => Some(Self::Sms),
            "recovery_code" => Some(Self::RecoveryCode),
            _ => None,
        }
    }

    /// How somebody has proved who she is who knows the code.
    #[must_use]
    pub const fn auth_method(self) -> AuthMethod {
        match self {
            Self::Totp => AuthMethod::Totp,
            Self::Email => AuthMethod::EmailCode,
            Self::Sms => AuthMethod::SmsCode,
            Self::RecoveryCode => AuthMethod::RecoveryCode,
        }
    }
}

/// A second factor as it is presented.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// What the code is of.
    pub factor: ProofMethod,
    /// The code.
    pub code: FactorCode,
}

/// Why a code is not evaluated.
pub(crate) enum NotChecked {
    /// Too many were wrong.
    Throttled(Throttled),
    /// What it was presented with is used up, or the account is gone.
    Gone,
    /// Nobody could tell.
    Internal(Internal),
}

impl<E: Into<Internal>> From<E> for NotChecked {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// The second factors of an account as they are now.
pub(crate) async fn read(engine: &Engine, user_id: UserId) -> Result<Factors, Internal> {
    Ok(engine.store.factors(user_id).await?.unwrap_or(Factors::none_of(user_id)))
}

/// Counts a guess, and pays for it with an attempt of the challenge that it is presented with. Returns the factors to check it
/// against.
///
/// SECURITY: it is committed before anything is compared, so that however many come at once, over however many challenges and
/// nodes, no more codes are evaluated than were counted. Whoever is right takes the count back.
pub(crate) async fn reserve(
    engine: &Engine,
    user_id: UserId,
    method: ProofMethod,
    used_for: CodeUse,
    spend: Option<&OneTimeTokenChange>,
    at: Timestamp,
) -> Result<Factors, NotChecked> {
    for _ in 0..ATTEMPTS {
        let found = read(engine, user_id).await?;
        let (changes, counted) = match method {
            ProofMethod::Totp | ProofMethod::Email | ProofMethod::Sms => {
                let mut counted = count(engine, found, at).map_err(NotChecked::Throttled)?;
                if method != ProofMethod::Totp {
                    sent_code::pay(&mut counted, used_for);
                }
                let put = FactorChange::Put(Box::new(counted.clone()));
                (ChangeSet::new().and(put), Factors { version: counted.version.saturating_add(1), ..counted })
            }
            // 80 random bits: there is nothing to guess. The attempt of the challenge is paid for all the same.
            ProofMethod::RecoveryCode => (ChangeSet::new(), found),
        };
        let changes = match spend {
            Some(spend) => changes.and(spend.clone()),
            None => changes,
        };
        match engine.commit(&changes).await {
            Ok(_) => return Ok(counted),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(CommitError::Conflict(Conflict::TokenGone | Conflict::UserChanged)) => return Err(NotChecked::Gone),
            Err(error) => return Err(error.into()),
        }
    }
    Err(NotChecked::Throttled(Throttled { retry_after: Duration::from_secs(1) }))
}

/// One guess more, if it need not wait.
fn count(engine: &Engine, found: Factors, at: Timestamp) -> Result<Factors, Throttled> {
    let (failures, last_at) = found.guesses.map_or((0, at), |guesses| (guesses.failures, guesses.last_at));
    let mfa = &engine.config.mfa;
    if engine.config.limits.enabled {
        if failures >= mfa.at_most {
            return Err(Throttled { retry_after: mfa.max_delay });
        }
        // A clock that was ahead when it dated the last guess must shut nobody out: nobody waits longer than the delay.
        let delay = mfa.delay(failures);
        let passed = at.since(last_at);
        let left = delay.saturating_sub(passed);
        if !left.is_zero() {
            return Err(Throttled { retry_after: left });
        }
    }
    Ok(Factors { guesses: Some(Guesses { failures: failures.saturating_add(1), last_at: at }), ..found })
}

/// Compares a code, in a login or a session whose first factors `methods` are: the factors with it used up and nothing counted any more, or `None` when it is wrong.
pub(crate) async fn check(
    engine: &Engine,
    user: &User,
    factors: &Factors,
    proof: &SecondFactor,
    (asked_with, methods): (AskedWith, &[AuthMethod]),
    at: Timestamp,
) -> Result<Option<Factors>, Internal> {
    let sent_by = match proof.factor {
        ProofMethod::Email => Some(FactorKind::Email),
        ProofMethod::Sms => Some(FactorKind::Sms),
        ProofMethod::Totp | ProofMethod::RecoveryCode => None,
    };
    if let Some(kind) = sent_by {
        // SECURITY: behind a mailed link a mailed code says nothing new.
        if !mfa_policy::offered(user.second_factors, methods).has(kind) {
            return Ok(None);
        }
        let used = sent_code::redeem(engine, user.id, factors, kind, asked_with, &proof.code, at).await?;
        return Ok(used.map(|used| Factors { guesses: None, ..used }));
    }
    let mut used = factors.clone();
    match (proof.factor, &mut used.totp, &mut used.recovery) {
        (ProofMethod::Totp, Some(totp), _) if user.second_factors.has(FactorKind::Totp) => {
            let secret = open(engine, user.id, Seal::Totp, &totp.sealed).await?;
            let Some(step) = totp::matching_step(&secret, proof.code.expose(), at, totp.last_step) else { return Ok(None) };
            totp.last_step = Some(step);
        }
        (ProofMethod::RecoveryCode, _, Some(recovery)) if !user.second_factors.is_empty() => {
            let Some(code) = RecoveryCode::parse(proof.code.expose()) else { return Ok(None) };
            let key = open(engine, user.id, Seal::RecoveryKey, &recovery.key).await?;
            let Some(digest) = code.digest(&key) else { return Ok(None) };
            let Some(place) = recovery.digests.iter().position(|kept| *kept == digest) else { return Ok(None) };
            recovery.digests.remove(place);
        }
        _ => return Ok(None),
    }
    used.guesses = None;
    Ok(Some(used))
}

/// What is sealed in the row of second factors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seal {
    /// The secret of the authenticator app.
    Totp,
    /// The key of the digests of recovery codes.
    RecoveryKey,
    /// The number of the telephone.
    Phone,
    /// The key of the digest of a code that was sent.
    CodeKey(CodeUse),
}

/// Ties what is sealed to its account and its place: sealed for one, it opens for no other.
pub(crate) fn seal_context(user_id: UserId, seal: Seal) -> Vec<u8> {
    let place = match seal {
        Seal::Totp => "totp secret",
        Seal::RecoveryKey => "recovery key",
        Seal::Phone => "telephone",
        Seal::CodeKey(CodeUse::Login) => "code key\nlogin",
        Seal::CodeKey(CodeUse::Reauthentication) => "code key\nreauthentication",
        Seal::CodeKey(CodeUse::Enrolment) => "code key\nenrolment",
    };
    format!("authkit second factor\n{place}\n{user_id}").into_bytes()
}

async fn open(engine: &Engine, user_id: UserId, seal: Seal, sealed: &crate::primitives::Sealed) -> Result<SecretBytes, Internal> {
    Ok(engine.custody.open(sealed, &seal_context(user_id, seal)).await?)
}

/// Opens the secret of an authenticator app.
pub(crate) async fn open_totp(
    engine: &Engine,
    user_id: UserId,
    sealed: &crate::primitives::Sealed,
) -> Result<SecretBytes, Internal> {
    open(engine, user_id, Seal::Totp, sealed).await
}

/// Whether somebody has proved enough of who she is, and lately, to change what she proves it by.
///
/// SECURITY: whoever has a second factor must have shown one: a password alone, or a session of before, takes none off and adds none
/// (downgrade). Where there is more than the mailbox, a code by mail is not enough: whoever reads the mailbox sets a new password with
/// it, and would take off what she cannot show.
pub(crate) fn has_proved_enough(engine: &Engine, principal: &Principal, user: &User, at: Timestamp) -> bool {
    let recent = principal.is_recent(at, engine.config.sessions.recent_authentication);
    let methods = &principal.claims().methods;
    let enough = if user.second_factors.without(FactorKind::Email).is_empty() {
        user.second_factors.is_empty() || methods.iter().any(|method| method.is_second_factor())
    } else {
        AssuranceLevel::of(methods) == AssuranceLevel::Aal2
    };
    recent && enough
}

/// A set of recovery codes as it is kept.
pub(crate) async fn recovery(
    engine: &Engine,
    user_id: UserId,
    codes: &[RecoveryCode],
    at: Timestamp,
) -> Result<RecoveryCodes, Internal> {
    let key = recovery_codes::generate_key(&*engine.entropy);
    let digests = codes.iter().filter_map(|code| code.digest(&key)).collect();
    let key = engine.custody.seal(&key, &seal_context(user_id, Seal::RecoveryKey)).await?;
    Ok(RecoveryCodes { key, digests, created_at: at })
}
