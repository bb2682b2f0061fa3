//! The server's keys: read, made where they are missing or due, forgotten when nothing can need them.

use std::sync::Arc;

use crate::config::SigningAlgorithm;
use crate::flows::engine::{Engine, Internal};
use crate::model::{
    Actor, AuditAction, ChangeSet, KeyAlgorithm, KeyChange, KeyId, KeyPurpose, Outcome, RequestContext, ServerKey,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{SecretBytes, Timestamp};
use crate::token::{AccessKey, Keyring, PrivateKey, RefreshKey};

/// Where a key is in its life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// Published, and not yet used.
    Next,
    /// In use.
    Current,
    /// Still verifies what it signed.
    Retired,
}

impl KeyState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retired => "retired",
        }
    }
}

/// A key, without what is secret about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyStatus {
    /// Its name.
    pub id: KeyId,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Where it is in its life cycle.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it starts, or started, to be used.
    pub activates_at: Timestamp,
}

/// How often a node tries again when another one makes the same key at the same time.
const ATTEMPTS: usize = 5;

/// Reads the keys, makes those that are missing or due, and puts them in force on this node.
pub(crate) async fn reload(engine: &Engine) -> Result<(), Internal> {
    let mut overtaken = None;
    for _ in 0..ATTEMPTS {
        let now = engine.now();
        let stored = engine.store.server_keys().await?;
        match missing(engine, &stored, now) {
            None => return put_in_force(engine, &stored, now).await,
            Some((purpose, activates_at)) => match make(engine, &stored, purpose, activates_at, now).await {
                Ok(()) => {}
                Err(CommitError::Conflict(conflict)) => overtaken = Some(conflict),
                Err(error) => return Err(error.into()),
            },
        }
    }
    Err(Internal::Conflict(overtaken.unwrap_or(Conflict::KeySerialTaken).into()))
}

/// Makes the next key of a purpose. It is used after the lead time, or from now on where `immediately` says so.
pub(crate) async fn rotate(engine: &Engine, purpose: KeyPurpose, immediately: bool) -> Result<(), Internal> {
    let now = engine.now();
    let stored = engine.store.server_keys().await?;
    let activates_at = if immediately { now } else { now + engine.config.tokens.key_lead };
    make(engine, &stored, purpose, activates_at, now).await?;
    reload(engine).await
}

/// Every key that is stored, in the order of purpose and serial.
pub(crate) async fn list(engine: &Engine) -> Result<Vec<KeyStatus>, Internal> {
    let now = engine.now();
    let stored = engine.store.server_keys().await?;
    let status = |key: &ServerKey| KeyStatus {
        id: key.id.clone(),
        purpose: key.purpose,
        algorithm: key.algorithm,
        state: state(&stored, key, now),
        created_at: key.created_at,
        activates_at: key.activates_at,
    };
    Ok(stored.iter().map(status).collect())
}

/// Forgets keys that can verify nothing any more.
pub(crate) async fn purge(engine: &Engine) -> Result<(), Internal> {
    let now = engine.now();
    let stored = engine.store.server_keys().await?;
    for key in &stored {
        if superseded_at(&stored, key).is_some_and(|since| since + usefulness(engine, key.purpose) < now) {
            let event = engine.event(now, AuditAction::KeyDeleted, Outcome::Success, &RequestContext::default());
            let event = event.by(Actor::System).with("key_id", key.id.as_str()).with("purpose", key.purpose.as_str());
            engine.commit(&ChangeSet::new().and(KeyChange::Delete { id: key.id.clone() }).and(event)).await?;
        }
    }
    Ok(())
}

fn state(stored: &[ServerKey], key: &ServerKey, now: Timestamp) -> KeyState {
    if key.activates_at > now {
        KeyState::Next
    } else if superseded_at(stored, key).is_some_and(|at| at <= now) {
        KeyState::Retired
    } else {
        KeyState::Current
    }
}

/// When a younger key of the same purpose takes over, or took over.
fn superseded_at(stored: &[ServerKey], key: &ServerKey) -> Option<Timestamp> {
    stored.iter().filter(|other| other.purpose == key.purpose && other.serial > key.serial).map(|other| other.activates_at).min()
}

/// How long after it is superseded a key can still be asked to verify something.
fn usefulness(engine: &Engine, purpose: KeyPurpose) -> std::time::Duration {
    match purpose {
        KeyPurpose::AccessToken => engine.config.tokens.lifetime + engine.config.tokens.leeway * 2,
        KeyPurpose::RefreshToken => engine.config.sessions.absolute_timeout + engine.config.tokens.leeway,
    }
}

/// The algorithm that a new key of this purpose gets; `None` when this purpose needs no stored key.
fn wanted(engine: &Engine, purpose: KeyPurpose) -> Option<KeyAlgorithm> {
    match (purpose, &engine.config.tokens.algorithm) {
        (KeyPurpose::RefreshToken, _) => Some(KeyAlgorithm::Hs256),
        (KeyPurpose::AccessToken, SigningAlgorithm::Es256) => Some(KeyAlgorithm::Es256),
        (KeyPurpose::AccessToken, SigningAlgorithm::EdDsa) => Some(KeyAlgorithm::EdDsa),
        (KeyPurpose::AccessToken, SigningAlgorithm::Rs256) => Some(KeyAlgorithm::Rs256),
        (KeyPurpose::AccessToken, SigningAlgorithm::Hs256(_)) => None,
    }
}

/// A key that has to be made now, and from when on it is used.
fn missing(engine: &Engine, stored: &[ServerKey], now: Timestamp) -> Option<(KeyPurpose, Timestamp)> {
    let config = &engine.config.tokens;
    [KeyPurpose::AccessToken, KeyPurpose::RefreshToken].into_iter().find_map(|purpose| {
        let algorithm = wanted(engine, purpose)?;
        let youngest = stored.iter().filter(|key| key.purpose == purpose).max_by_key(|key| key.serial);
        match youngest {
            None => Some((purpose, now)),
            Some(key) if key.algorithm != algorithm => Some((purpose, now + config.key_lead)),
            // The lead is part of the lifetime, so that a key is never used for longer than that.
            Some(key) if key.activates_at + config.key_lifetime <= now + config.key_lead => Some((purpose, now + config.key_lead)),
            Some(_) => None,
        }
    })
}

async fn make(
    engine: &Engine,
    stored: &[ServerKey],
    purpose: KeyPurpose,
    activates_at: Timestamp,
    now: Timestamp,
) -> Result<(), CommitError> {
    let algorithm = wanted(engine, purpose).unwrap_or(KeyAlgorithm::Es256);
    let generated = PrivateKey::generate(purpose, algorithm, &*engine.entropy).map_err(crate::ports::StoreError::failed)?;
    let context = seal_context(&generated.id, purpose);
    let private = engine.custody.seal(&generated.private, &context).await.map_err(crate::ports::StoreError::unavailable)?;
    let serial = stored.iter().filter(|key| key.purpose == purpose).map(|key| key.serial).max().unwrap_or(0) + 1;
    let event = engine.event(now, AuditAction::KeyCreated, Outcome::Success, &RequestContext::default());
    let event = event.by(Actor::System).with("key_id", generated.id.as_str()).with("purpose", purpose.as_str());
    let event = event.with("algorithm", algorithm.as_str()).with("activates_at", activates_at.to_string());
    let key = ServerKey {
        id: generated.id,
        purpose,
        serial,
        algorithm,
        private,
        public_jwk: generated.public_jwk,
        created_at: now,
        activates_at,
    };
    engine.commit(&ChangeSet::new().and(KeyChange::Insert(key)).and(event)).await.map(|_| ())
}

/// Opens what this node does not hold yet and replaces its ring.
async fn put_in_force(engine: &Engine, stored: &[ServerKey], now: Timestamp) -> Result<(), Internal> {
    let held = engine.keyring.load_full();
    let mut access: Vec<Arc<AccessKey>> = Vec::new();
    let mut refresh: Vec<Arc<RefreshKey>> = Vec::new();
    for key in stored {
        match key.purpose {
            KeyPurpose::AccessToken => access.push(match held.access_by_id(key.id.as_str()) {
                Some(held) => Arc::clone(held),
                None => Arc::new(AccessKey::load(key, &open(engine, key).await?)?),
            }),
            KeyPurpose::RefreshToken => refresh.push(match held.refresh_by_id(&key.id) {
                Some(held) => Arc::clone(held),
                None => Arc::new(RefreshKey::load(key, &open(engine, key).await?)?),
            }),
        }
    }
    let shared = match &engine.config.tokens.algorithm {
        SigningAlgorithm::Hs256(secret) => Some(Arc::new(AccessKey::shared(secret)?)),
        SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa | SigningAlgorithm::Rs256 => None,
    };
    let ring = Keyring::new(access, shared, refresh);
    tracing::debug!(keys = stored.len(), at = %now, "keys in force");
    let withdrawn = held.holds_what_lacks(&ring);
    engine.keyring.store(Arc::new(ring));
    if withdrawn {
        // SECURITY: a token that was verified by a key which is gone must be refused from now on.
        engine.verified.clear();
    }
    Ok(())
}

async fn open(engine: &Engine, key: &ServerKey) -> Result<SecretBytes, Internal> {
    Ok(engine.custody.open(&key.private, &seal_context(&key.id, key.purpose)).await?)
}

/// Ties a sealed key to its row: sealed for one key, it opens for no other.
fn seal_context(id: &KeyId, purpose: KeyPurpose) -> Vec<u8> {
    format!("authkit server key\n{}\n{}", purpose.as_str(), id.as_str()).into_bytes()
}
