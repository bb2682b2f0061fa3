//! The server's keys: read, made where they are missing or due, forgotten when nothing can need them.

use std::sync::Arc;

use crate::config::SigningAlgorithm;
use crate::flows::engine::{Engine, Internal};
use crate::model::{
    Actor, AuditAction, ChangeSet, KeyAlgorithm, KeyChange, KeyId, KeyPurpose, Outcome, RequestContext, ServerKey,
};
use crate::ports::{CommitError, Conflict, CustodyError, KeyCustody, StoreError};
use crate::primitives::{SecretBytes, Timestamp};
use crate::token::{AccessKey, DueKey, KeyMaterial, KeyState, Keyring, RefreshKey, SealKey};

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
    let _turn = engine.keyring_turn.lock().await;
    let mut overtaken = None;
    for _ in 0..ATTEMPTS {
        let ring = read(engine).await?;
        let now = engine.now();
        let due = KeyPurpose::ALL
            .into_iter()
            .find_map(|purpose| ring.due_key(now, purpose, &engine.config.tokens).map(|due| (purpose, due)));
        engine.keyring.store(Arc::new(ring));
        let Some((purpose, due)) = due else { return Ok(()) };
        match make(engine, purpose, due, now).await {
            Ok(()) => {}
            Err(Make::Overtaken(conflict)) => overtaken = Some(conflict),
            Err(Make::Failed(error)) => return Err(error),
        }
    }
    Err(Internal::Conflict(overtaken.unwrap_or(Conflict::KeySerialTaken).into()))
}

/// Makes the next key of a purpose, whether one is due or not. It is used after the lead time, or from now on where
/// `immediately` says so. The secret of HS256 comes from the settings and is rotated there.
pub(crate) async fn rotate(engine: &Engine, purpose: KeyPurpose, immediately: bool) -> Result<(), RotateKeyError> {
    reload(engine).await?;
    let now = engine.now();
    let activates_at = if immediately { now } else { now + engine.config.tokens.key_lead };
    let next =
        engine.keyring.load().next_key(activates_at, purpose, &engine.config.tokens).ok_or(RotateKeyError::SharedSecret)?;
    match make(engine, purpose, next, now).await {
        Ok(()) => Ok(reload(engine).await?),
        Err(Make::Overtaken(_)) => Err(RotateKeyError::Overtaken),
        Err(Make::Failed(error)) => Err(error.into()),
    }
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateKeyError {
    /// Access tokens are signed with a secret from the settings: change it there.
    #[error("HS256 signs with the configured secret: change that one instead")]
    SharedSecret,
    /// Another node has made the next key at the same time.
    #[error("another node has just made the next key")]
    Overtaken,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// Every key that is stored, in the order of purpose and serial.
pub(crate) async fn list(engine: &Engine) -> Result<Vec<KeyStatus>, Internal> {
    let now = engine.now();
    let stored = engine.store.server_keys().await?;
    let ring = open_all(engine, &stored).await?;
    let status = |key: ServerKey| KeyStatus {
        state: match key.purpose {
            KeyPurpose::PasswordSecret => KeyState::Current,
            _ => ring.state(&key.id, now).unwrap_or(KeyState::Retired),
        },
        id: key.id,
        purpose: key.purpose,
        algorithm: key.algorithm,
        created_at: key.created_at,
        activates_at: key.activates_at,
    };
    Ok(stored.into_iter().map(status).collect())
}

/// Forgets keys that can verify nothing any more.
pub(crate) async fn purge(engine: &Engine) -> Result<(), Internal> {
    let now = engine.now();
    let useless = engine.keyring.load().useless(now, &engine.config.tokens, &engine.config.sessions);
    for id in useless {
        let event = engine.event(now, AuditAction::KeyDeleted, Outcome::Success, &RequestContext::default());
        let event = event.by(Actor::System).with("key_id", id.as_str());
        match engine.commit(&ChangeSet::new().and(KeyChange::Delete { id }).and(event)).await {
            // Another node was faster, and has audited it.
            Ok(_) | Err(CommitError::Conflict(Conflict::KeyGone)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

enum Make {
    Overtaken(Conflict),
    Failed(Internal),
}

impl<E: Into<Internal>> From<E> for Make {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn make(engine: &Engine, purpose: KeyPurpose, due: DueKey, now: Timestamp) -> Result<(), Make> {
    let DueKey { serial, algorithm, activates_at } = due;
    let entropy = Arc::clone(&engine.entropy);
    // An RSA key takes some hundred milliseconds to find.
    let generated = tokio::task::spawn_blocking(move || KeyMaterial::generate(algorithm, &*entropy)).await;
    let generated = generated.map_err(StoreError::failed)?.map_err(Internal::from)?;
    let private = engine.custody.seal(&generated.private, &seal_context(&generated.id, purpose)).await?;
    let event = engine.event(now, AuditAction::KeyCreated, Outcome::Success, &RequestContext::default());
    let event = event.by(Actor::System).with("key_id", generated.id.as_str()).with("purpose", purpose.as_str());
    let event = event.with("algorithm", algorithm.as_str()).with("activates_at", activates_at.to_string());
    let public_jwk = generated.public_jwk;
    let key = ServerKey { id: generated.id, purpose, serial, algorithm, private, public_jwk, created_at: now, activates_at };
    match engine.commit(&ChangeSet::new().and(KeyChange::Insert(key)).and(event)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(conflict)) => Err(Make::Overtaken(conflict)),
        Err(error) => Err(error.into()),
    }
}

async fn read(engine: &Engine) -> Result<Keyring, Internal> {
    let stored = engine.store.server_keys().await?;
    open_all(engine, &stored).await
}

/// Opens the keys that this node does not hold yet, and puts all of them together.
async fn open_all(engine: &Engine, stored: &[ServerKey]) -> Result<Keyring, Internal> {
    let held = engine.keyring.load_full();
    let mut access: Vec<Arc<AccessKey>> = Vec::new();
    let mut refresh: Vec<Arc<RefreshKey>> = Vec::new();
    let mut seals: Vec<Arc<SealKey>> = Vec::new();
    if let SigningAlgorithm::Hs256(secret) = &engine.config.tokens.algorithm {
        access.push(Arc::new(AccessKey::shared(secret)?));
    }
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
            KeyPurpose::AuditSeal => seals.push(match held.seal_by_id(&key.id) {
                Some(held) => Arc::clone(held),
                None => Arc::new(SealKey::load(key, &open(engine, key).await?)?),
            }),
            // It signs nothing: `password_secrets` compares it at start.
            KeyPurpose::PasswordSecret => {}
        }
    }
    Ok(Keyring::new(access, refresh).with_seals(seals))
}

async fn open(engine: &Engine, key: &ServerKey) -> Result<SecretBytes, Internal> {
    Ok(engine.custody.open(&key.private, &seal_context(&key.id, key.purpose)).await?)
}

/// Whether `custody` can open a stored key: for whoever examines an installation without starting it.
pub async fn try_open(custody: &dyn KeyCustody, key: &ServerKey) -> Result<(), CustodyError> {
    custody.open(&key.private, &seal_context(&key.id, key.purpose)).await.map(|_| ())
}

/// Ties a sealed key to its row: sealed for one key, it opens for no other.
pub(crate) fn seal_context(id: &KeyId, purpose: KeyPurpose) -> Vec<u8> {
    format!("authkit server key\n{}\n{}", purpose.as_str(), id.as_str()).into_bytes()
}
