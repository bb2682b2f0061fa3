//! All keys of the server at one moment, and where each stands in its life.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{SessionConfig, SigningAlgorithm, TokenConfig};
use crate::model::{KeyAlgorithm, KeyId, KeyPurpose};
use crate::primitives::Timestamp;
use crate::token::access_key::AccessKey;
use crate::token::refresh_key::{FINGERPRINT_BYTES, RefreshKey};
use crate::token::seal_key::SealKey;

/// Where a key stands in its life. It follows from the time alone, so nothing has to be moved when the hour comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, so that every verifier knows it by the time it signs.
    Next,
    /// Signs.
    Current,
    /// Verifies what it signed.
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

/// A key that should be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueKey {
    /// Its place among the keys of its purpose.
    pub serial: u32,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// When it should start to sign.
    pub activates_at: Timestamp,
}

/// What both kinds of keys have in common.
trait Aged {
    fn key_id(&self) -> &KeyId;
    fn age(&self) -> (u32, Timestamp);
}

impl Aged for AccessKey {
    fn key_id(&self) -> &KeyId {
        self.id()
    }
    fn age(&self) -> (u32, Timestamp) {
        (self.serial(), self.activates_at())
    }
}

impl Aged for SealKey {
    fn key_id(&self) -> &KeyId {
        self.id()
    }
    fn age(&self) -> (u32, Timestamp) {
        (self.serial(), self.activates_at())
    }
}

impl Aged for RefreshKey {
    fn key_id(&self) -> &KeyId {
        self.id()
    }
    fn age(&self) -> (u32, Timestamp) {
        (self.serial(), self.activates_at())
    }
}

/// A snapshot of the server's keys. It never changes: when a key is added or deleted, a new one takes its place.
///
/// Of each purpose the current key at an instant is the one with the greatest serial among the active. Where none is active
/// yet it is the first: a node whose clock is a little behind the one that made the very first key can work all the same.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    // INVARIANT: all are sorted by serial, and no id is there twice.
    access: Vec<Arc<AccessKey>>,
    refresh: Vec<Arc<RefreshKey>>,
    seals: Vec<Arc<SealKey>>,
}

impl Keyring {
    /// Puts keys together, in any order.
    #[must_use]
    pub fn new(access: Vec<Arc<AccessKey>>, refresh: Vec<Arc<RefreshKey>>) -> Self {
        Self { access: sorted(access), refresh: sorted(refresh), seals: Vec::new() }
    }

    /// Adds the keys of seals, in any order.
    #[must_use]
    pub fn with_seals(mut self, seals: Vec<Arc<SealKey>>) -> Self {
        self.seals = sorted(seals);
        self
    }

    /// The keys of seals, oldest first.
    #[must_use]
    pub fn seal_keys(&self) -> &[Arc<SealKey>] {
        &self.seals
    }

    /// The key that seals at `now`; `None` only when there is no such key at all.
    #[must_use]
    pub fn current_seal(&self, now: Timestamp) -> Option<&Arc<SealKey>> {
        current(&self.seals, now)
    }

    /// The key of seals with a name.
    #[must_use]
    pub fn seal_by_id(&self, id: &KeyId) -> Option<&Arc<SealKey>> {
        self.seals.iter().find(|key| key.id() == id)
    }

    /// The keys of access tokens, oldest first.
    #[must_use]
    pub fn access_keys(&self) -> &[Arc<AccessKey>] {
        &self.access
    }

    /// The keys of refresh tokens, oldest first.
    #[must_use]
    pub fn refresh_keys(&self) -> &[Arc<RefreshKey>] {
        &self.refresh
    }

    /// The key that signs access tokens at `now`; `None` only when there is no key at all.
    #[must_use]
    pub fn current_access(&self, now: Timestamp) -> Option<&Arc<AccessKey>> {
        current(&self.access, now)
    }

    /// The access key with a name.
    #[must_use]
    pub fn access_by_id(&self, kid: &str) -> Option<&Arc<AccessKey>> {
        self.access.iter().find(|key| key.id().as_str() == kid)
    }

    /// The key that authenticated the refresh tokens of an instant; `None` only when there is no key at all.
    #[must_use]
    pub fn refresh_at(&self, instant: Timestamp) -> Option<&Arc<RefreshKey>> {
        current(&self.refresh, instant)
    }

    /// The refresh key with a name.
    #[must_use]
    pub fn refresh_by_id(&self, id: &KeyId) -> Option<&Arc<RefreshKey>> {
        self.refresh.iter().find(|key| key.id() == id)
    }

    pub(super) fn refresh_by_fingerprint(&self, fingerprint: [u8; FINGERPRINT_BYTES]) -> Option<&Arc<RefreshKey>> {
        self.refresh.iter().find(|key| key.fingerprint() == fingerprint)
    }

    /// Where a key stands at `now`; `None` when it is not here.
    #[must_use]
    pub fn state(&self, id: &KeyId, now: Timestamp) -> Option<KeyState> {
        state(&self.access, id, now).or_else(|| state(&self.refresh, id, now)).or_else(|| state(&self.seals, id, now))
    }

    /// The JWK set (RFC 7517 §5) to publish at `now`, as JSON: every public key that signs, will sign, or has signed a token
    /// that may still be valid. A shared secret is never in it.
    #[must_use]
    pub fn jwks(&self, now: Timestamp, tokens: &TokenConfig) -> String {
        let stored = self.stored_access();
        let kept = verify_period(tokens);
        let mut json = String::from(r#"{"keys":["#);
        let published =
            stored.iter().filter(|key| !is_useless(&stored, key.as_ref(), now, kept)).filter_map(|key| key.public_jwk());
        for (index, jwk) in published.enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(jwk);
        }
        json.push_str("]}");
        json
    }

    /// The key that must be made now, if any: the first of its purpose, the successor of one whose time is nearly up, or one
    /// of the algorithm that was configured since.
    ///
    /// A successor is due `key_lead` before it signs, so that every verifier has it by then. Two nodes that ask at once get the
    /// same serial, and the store takes one of them.
    #[must_use]
    pub fn due_key(&self, now: Timestamp, purpose: KeyPurpose, tokens: &TokenConfig) -> Option<DueKey> {
        let next = self.next_key(now, purpose, tokens)?;
        let Some((active_since, algorithm)) = self.youngest(purpose) else { return Some(next) };
        if purpose == KeyPurpose::AuditSeal {
            // Nothing that it signs is handed to strangers, and all of it has to be verified for as long as it is kept: it is rotated
            // when somebody wants it to be.
            return None;
        }
        let ends_at = active_since + tokens.key_lifetime;
        let soonest = now + tokens.key_lead;
        if algorithm != next.algorithm {
            return Some(DueKey { activates_at: soonest, ..next });
        }
        (ends_at <= soonest).then_some(DueKey { activates_at: soonest, ..next })
    }

    /// The key that comes after the youngest of its purpose, to start at `activates_at`; `None` where the secret comes from the
    /// settings, and so does the next one.
    #[must_use]
    pub fn next_key(&self, activates_at: Timestamp, purpose: KeyPurpose, tokens: &TokenConfig) -> Option<DueKey> {
        let algorithm = match (purpose, &tokens.algorithm) {
            (KeyPurpose::RefreshToken, _) => KeyAlgorithm::Hs256,
            (KeyPurpose::AuditSeal, _) => SealKey::ALGORITHM,
            (KeyPurpose::AccessToken, SigningAlgorithm::Es256) => KeyAlgorithm::Es256,
            (KeyPurpose::AccessToken, SigningAlgorithm::EdDsa) => KeyAlgorithm::EdDsa,
            (KeyPurpose::AccessToken, SigningAlgorithm::Rs256) => KeyAlgorithm::Rs256,
            (KeyPurpose::AccessToken, SigningAlgorithm::Hs256(_)) | (KeyPurpose::PasswordSecret, _) => return None,
        };
        let serial = match purpose {
            KeyPurpose::AccessToken => self.stored_access().last().map(|key| key.serial()),
            KeyPurpose::RefreshToken => self.refresh.last().map(|key| key.serial()),
            KeyPurpose::AuditSeal => self.seals.last().map(|key| key.serial()),
            KeyPurpose::PasswordSecret => None,
        };
        Some(DueKey { serial: serial.unwrap_or(0).saturating_add(1), algorithm, activates_at })
    }

    fn youngest(&self, purpose: KeyPurpose) -> Option<(Timestamp, KeyAlgorithm)> {
        match purpose {
            KeyPurpose::AccessToken => self.stored_access().last().map(|key| (key.activates_at(), key.algorithm())),
            KeyPurpose::RefreshToken => self.refresh.last().map(|key| (key.activates_at(), KeyAlgorithm::Hs256)),
            KeyPurpose::AuditSeal => self.seals.last().map(|key| (key.activates_at(), SealKey::ALGORITHM)),
            KeyPurpose::PasswordSecret => None,
        }
    }

    /// Whether a key of `purpose` must be made now; [`Keyring::due_key`] says which.
    #[must_use]
    pub fn needs_rotation(&self, now: Timestamp, purpose: KeyPurpose, tokens: &TokenConfig) -> bool {
        self.due_key(now, purpose, tokens).is_some()
    }

    /// The keys that can be deleted at `now`, because nothing that they signed or authenticated can be valid any more: a
    /// lifetime and the leeway after an access key was succeeded, the longest session, or the time for which a device is known,
    /// after a refresh key was. A key of seals never is: what it signed is verified for as long as it is kept.
    #[must_use]
    pub fn useless(&self, now: Timestamp, tokens: &TokenConfig, sessions: &SessionConfig) -> Vec<KeyId> {
        let stored = self.stored_access();
        let refresh_period = sessions.absolute_timeout.max(sessions.device_lifetime).saturating_add(tokens.leeway);
        let access =
            stored.iter().filter(|key| is_useless(&stored, key.as_ref(), now, verify_period(tokens))).map(|key| key.id());
        let refresh =
            self.refresh.iter().filter(|key| is_useless(&self.refresh, key.as_ref(), now, refresh_period)).map(|key| key.id());
        access.chain(refresh).cloned().collect()
    }

    /// The access keys that a store keeps. A shared secret is no part of their succession: it has no beginning, so it would
    /// seem to have succeeded all of them long ago.
    fn stored_access(&self) -> Vec<&Arc<AccessKey>> {
        self.access.iter().filter(|key| !key.is_shared()).collect()
    }
}

/// How long after its succession an access key is still asked for: the last token that it signed may have come from a node
/// whose clock is behind by the leeway, and is accepted for a lifetime and the leeway.
fn verify_period(tokens: &TokenConfig) -> Duration {
    tokens.lifetime.saturating_add(tokens.leeway.saturating_mul(2))
}

fn sorted<K: Aged>(mut keys: Vec<Arc<K>>) -> Vec<Arc<K>> {
    keys.sort_by(|a, b| (a.age().0, a.key_id()).cmp(&(b.age().0, b.key_id())));
    keys.dedup_by(|a, b| a.key_id() == b.key_id());
    keys
}

fn current<K: Aged>(keys: &[Arc<K>], at: Timestamp) -> Option<&Arc<K>> {
    keys.iter().rev().find(|key| key.age().1 <= at).or_else(|| keys.first())
}

fn state<K: Aged>(keys: &[Arc<K>], id: &KeyId, now: Timestamp) -> Option<KeyState> {
    let current = current(keys, now)?.age().0;
    let serial = keys.iter().find(|key| key.key_id() == id)?.age().0;
    Some(match serial.cmp(&current) {
        std::cmp::Ordering::Less => KeyState::Retired,
        std::cmp::Ordering::Equal => KeyState::Current,
        std::cmp::Ordering::Greater => KeyState::Next,
    })
}

/// Whether some younger key took over from `key` at least `period` before `now`.
fn is_useless<K: Aged, P: AsRef<K>>(keys: &[P], key: &K, now: Timestamp, period: Duration) -> bool {
    let successors = keys.iter().map(|other| other.as_ref().age()).filter(|(serial, _)| *serial > key.age().0);
    successors.map(|(_, since)| since).min().is_some_and(|succeeded_at| succeeded_at + period <= now)
}
