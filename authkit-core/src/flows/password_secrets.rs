//! The secrets of password hashes, held against what they were: a wrong pepper must not look like a wrong password.
//!
//! When a pepper or a signer key is configured for the first time, its check value (a MAC of a constant under it) is stored, sealed,
//! among the server's keys. From then on a node starts only when each secret that was ever used is there and is the same. So a
//! lost setting, or a pepper of another installation under the same name, stops the start with its name, instead of failing
//! every login and counting it against its user.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::flows::engine::{Engine, Internal};
use crate::flows::keys::seal_context;
use crate::model::{
    Actor, AuditAction, ChangeSet, KeyAlgorithm, KeyChange, KeyId, KeyPurpose, Outcome, RequestContext, ServerKey,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{PageLimit, PageRequest, PasswordHash, SecretBytes};

const PURPOSE: KeyPurpose = KeyPurpose::PasswordSecret;

/// How often a node tries again when another one stores the same check value at the same time.
const ATTEMPTS: usize = 5;

/// Why the secrets of password hashes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordSecretError {
    /// The secret is not the one that hashes were made with.
    #[error("{name} is another secret than the one of that name that password hashes were made with")]
    Wrong {
        /// Which: `pepper-…` or `signer-…`.
        name: String,
    },
    /// Hashes were made with a secret that is not configured.
    #[error("{name} is not configured, and password hashes were made with it: bring it back, or forget it once none needs it")]
    Missing {
        /// Which: `pepper-…` or `signer-…`.
        name: String,
    },
    /// New hashes are made with it.
    #[error("{name} is the one that new hashes are made with: configure another one in front of it first")]
    InUse {
        /// Which.
        name: String,
    },
    /// There are hashes that nobody could verify without it.
    #[error("{name} is needed by {hashes} password hashes or more; their users have not logged in since")]
    Needed {
        /// Which.
        name: String,
        /// How many were found at least.
        hashes: u64,
    },
    /// No check value is stored of it.
    #[error("{name} was never used")]
    Unknown {
        /// Which.
        name: String,
    },
}

/// Compares the configured secrets with those that were used, and notes the new ones.
pub(crate) async fn check(engine: &Engine) -> Result<(), Internal> {
    let mut overtaken = Conflict::KeySerialTaken;
    for _ in 0..ATTEMPTS {
        let stored: Vec<_> = engine.store.server_keys().await?.into_iter().filter(|key| key.purpose == PURPOSE).collect();
        let configured = configured(engine);
        for key in &stored {
            let name = key.id.as_str();
            let Some((_, secret)) = configured.iter().find(|(id, _)| id.as_str() == name) else {
                return Err(PasswordSecretError::Missing { name: name.to_owned() }.into());
            };
            let kept = engine.custody.open(&key.private, &seal_context(&key.id, PURPOSE)).await?;
            if !bool::from(kept.expose().ct_eq(check_value(secret).expose())) {
                return Err(PasswordSecretError::Wrong { name: name.to_owned() }.into());
            }
        }
        let mut serial = stored.iter().map(|key| key.serial).max().unwrap_or(0);
        let mut changes = ChangeSet::new();
        let now = engine.now();
        for (id, secret) in configured.into_iter().filter(|(id, _)| !stored.iter().any(|key| key.id == *id)) {
            serial = serial.saturating_add(1);
            let private = engine.custody.seal(&check_value(secret), &seal_context(&id, PURPOSE)).await?;
            let event = engine.event(now, AuditAction::KeyCreated, Outcome::Success, &RequestContext::default());
            let event = event.by(Actor::System).with("key_id", id.as_str()).with("purpose", PURPOSE.as_str());
            let key = ServerKey {
                id,
                purpose: PURPOSE,
                serial,
                algorithm: KeyAlgorithm::Hs256,
                private,
                public_jwk: None,
                created_at: now,
                activates_at: now,
            };
            changes = changes.and(KeyChange::Insert(key)).and(event);
        }
        if changes.changes().is_empty() {
            return Ok(());
        }
        match engine.commit(&changes).await {
            Ok(_) => return Ok(()),
            // Another node is starting too: compare with what it has stored.
            Err(CommitError::Conflict(conflict)) => overtaken = conflict,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()))
}

/// Forgets that a secret was used, when no hash needs it any more. The setting can be taken away then.
pub(crate) async fn forget(engine: &Engine, id: &KeyId) -> Result<(), Internal> {
    let name = || id.as_str().to_owned();
    let peppers = &engine.config.passwords.peppers;
    if peppers.newest().is_some_and(|(newest, _)| id.as_str() == pepper_name(newest)) {
        return Err(PasswordSecretError::InUse { name: name() }.into());
    }
    if !engine.store.server_keys().await?.iter().any(|key| key.purpose == PURPOSE && key.id == *id) {
        return Err(PasswordSecretError::Unknown { name: name() }.into());
    }
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut page = PageRequest { limit, cursor: None };
    loop {
        let read = engine.store.password_hashes(page).await?;
        let hashes = read.items.iter().filter(|stored| needs(engine, &stored.hash, id)).count();
        if hashes > 0 {
            return Err(PasswordSecretError::Needed { name: name(), hashes: hashes as u64 }.into());
        }
        page.cursor = read.next;
        if page.cursor.is_none() {
            break;
        }
    }
    let event = engine.event(engine.now(), AuditAction::KeyDeleted, Outcome::Success, &RequestContext::default());
    let event = event.by(Actor::System).with("key_id", id.as_str()).with("purpose", PURPOSE.as_str());
    match engine.commit(&ChangeSet::new().and(KeyChange::Delete { id: id.clone() }).and(event)).await {
        Ok(_) | Err(CommitError::Conflict(Conflict::KeyGone)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn needs(engine: &Engine, hash: &PasswordHash, id: &KeyId) -> bool {
    let secrets = engine.pool.secrets_of(hash);
    secrets.pepper.is_some_and(|pepper| pepper_name(&pepper) == id.as_str())
        || secrets.signer_key.is_some_and(|key| signer_name(&key) == id.as_str())
}

fn pepper_name(id: &str) -> String {
    format!("pepper-{id}")
}

fn signer_name(id: &str) -> String {
    format!("signer-{id}")
}

/// Every configured secret, under the name that it has among the server's keys.
fn configured(engine: &Engine) -> Vec<(KeyId, &SecretBytes)> {
    let passwords = &engine.config.passwords;
    let peppers = passwords.peppers.ids().filter_map(|id| Some((pepper_name(id), passwords.peppers.by_id(id)?)));
    let signer_keys = &passwords.firebase_signer_keys;
    let signers = signer_keys.ids().filter_map(|id| Some((signer_name(id), signer_keys.by_id(id)?)));
    peppers.chain(signers).filter_map(|(name, secret)| Some((KeyId::parse(&name)?, secret))).collect()
}

/// What tells a secret from another one without telling it: HMAC-SHA-256 of a constant.
fn check_value(secret: &SecretBytes) -> SecretBytes {
    // HMAC takes a key of any length (RFC 2104 §3).
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("a key of any length");
    mac.update(b"authkit check value of a password secret");
    SecretBytes::new(mac.finalize().into_bytes().to_vec())
}
