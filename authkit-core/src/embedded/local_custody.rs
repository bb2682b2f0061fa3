//! Encryption at rest under master keys that the host hands in.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};

use crate::model::KeyId;
use crate::ports::key_custody::{CustodyError, KeyCustody};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, Sealed, SecretBytes};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The first byte of an envelope: which of the formats it has.
const VERSION: u8 = 1;

/// Why a text is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// There is no colon between an id and a key.
    #[error("a master key has the form id:key, the key being 32 bytes in base64url without padding")]
    Malformed,
    /// The id cannot be one.
    #[error("the id of a master key has 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Id,
    /// The key is not base64url.
    #[error("the key is not base64url without padding (RFC 4648 §5)")]
    Encoding,
    /// The key is too short or too long for the cipher.
    #[error("the key has {bytes} bytes and needs exactly 32")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// The key is made of a handful of different bytes, as a placeholder is.
    #[error("the key repeats a few bytes and can be guessed; generate a random one")]
    Guessable,
}

/// A master key: 32 secret bytes and the name under which envelopes refer to them.
#[derive(Debug, Clone)]
pub struct MasterKey {
    id: KeyId,
    secret: SecretBytes,
}

impl MasterKey {
    /// Draws a new key.
    #[must_use]
    pub fn generate(id: KeyId, entropy: &dyn Entropy) -> Self {
        let mut bytes = vec![0_u8; KEY_BYTES];
        entropy.fill(&mut bytes);
        Self { id, secret: SecretBytes::new(bytes) }
    }

    /// Reads `id:key`, the key being 32 bytes in base64url without padding.
    ///
    /// # Security
    /// A key of fewer than 8 different bytes is refused: chance makes no such key, people who fill in a form do.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let (id, key) = text.trim().split_once(':').ok_or(MasterKeyError::Malformed)?;
        let id = KeyId::parse(id).ok_or(MasterKeyError::Id)?;
        let secret = SecretBytes::new(URL_SAFE_NO_PAD.decode(key).map_err(|_| MasterKeyError::Encoding)?);
        if secret.expose().len() != KEY_BYTES {
            return Err(MasterKeyError::Length { bytes: secret.expose().len() });
        }
        if secret.expose().iter().collect::<HashSet<_>>().len() < 8 {
            return Err(MasterKeyError::Guessable);
        }
        Ok(Self { id, secret })
    }

    /// The name of the key.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key in the clear, as [`MasterKey::parse`] reads it: for the one moment in which an operator stores it.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.id, URL_SAFE_NO_PAD.encode(self.secret.expose()))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(self.secret.expose()).expect("a master key has the length of the cipher's key")
    }
}

/// Why a set of master keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is none to seal with.
    #[error("at least one master key is needed")]
    Empty,
    /// Two of them have one name, so an envelope would not say which one opens it.
    #[error("two master keys are called {id}")]
    DuplicateId {
        /// The name.
        id: KeyId,
    },
}

/// Seals with XChaCha20-Poly1305 under the newest of some master keys, and opens under any of them.
///
/// To rotate, put a new key in front and keep the old one until nothing is sealed under it any more.
///
/// # Security
/// The nonce has 192 random bits (draft-irtf-cfrg-xchacha §2.1), so that no counter has to survive a restart and two nodes
/// cannot collide. The header of the envelope and the caller's context are associated data: an envelope under another
/// name, in another format or in another row does not open.
///
/// ```
/// use std::sync::Arc;
/// use authkit_core::OsEntropy;
/// use authkit_core::embedded::{LocalKeyCustody, MasterKey};
/// use authkit_core::model::KeyId;
///
/// let key = MasterKey::generate(KeyId::parse("2025-01").unwrap(), &OsEntropy);
/// let custody = LocalKeyCustody::new(vec![key], Arc::new(OsEntropy)).unwrap();
/// ```
pub struct LocalKeyCustody {
    /// INVARIANT: never empty, and no two of one name.
    keys: Vec<MasterKey>,
    entropy: Arc<dyn Entropy>,
}

impl LocalKeyCustody {
    /// Takes the master keys, the newest first.
    pub fn new(keys: Vec<MasterKey>, entropy: Arc<dyn Entropy>) -> Result<Self, KeyringError> {
        usable_together(&keys)?;
        Ok(Self { keys, entropy })
    }

    /// Takes the one master key that there is.
    #[must_use]
    pub fn of(key: MasterKey, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys: vec![key], entropy }
    }

    /// Takes keys that a [`MasterKeyFile`](crate::embedded::MasterKeyFile) has read, and so checked.
    pub(super) fn of_checked(keys: Vec<MasterKey>, entropy: Arc<dyn Entropy>) -> Self {
        debug_assert!(usable_together(&keys).is_ok(), "the list was parsed");
        Self { keys, entropy }
    }

    /// Draws a master key that nobody else ever sees: what is sealed under it is lost with this value. For tests and for a
    /// store that is as short-lived.
    #[must_use]
    pub fn ephemeral(entropy: Arc<dyn Entropy>) -> Self {
        Self::of(MasterKey::generate(KeyId::constant("ephemeral"), &*entropy), entropy)
    }

    fn key_named(&self, id: &str) -> Result<&MasterKey, CustodyError> {
        let key = self.keys.iter().find(|key| key.id.as_str() == id);
        key.ok_or_else(|| CustodyError::UnknownKey { key_id: id.to_owned() })
    }
}

impl fmt::Debug for LocalKeyCustody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKeyCustody").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyCustody for LocalKeyCustody {
    async fn seal(&self, plaintext: &SecretBytes, context: &[u8]) -> Result<Sealed, CustodyError> {
        let key = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = random_bytes(&*self.entropy);
        let header = header(&key.id);
        let start = header.len() + NONCE_BYTES;
        let mut envelope = Vec::with_capacity(start + plaintext.expose().len() + TAG_BYTES);
        envelope.extend_from_slice(&header);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plaintext.expose());
        let tag = key
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), &bound_to(&header, context), (&mut envelope[start..]).into())
            .expect("a value in memory is far below the cipher's limit of 256 GiB");
        envelope.extend_from_slice(&tag);
        Ok(Sealed::from_bytes(envelope))
    }

    async fn open(&self, sealed: &Sealed, context: &[u8]) -> Result<SecretBytes, CustodyError> {
        let envelope = Envelope::parse(sealed.as_bytes()).ok_or(CustodyError::Forged)?;
        let key = self.key_named(envelope.key_id)?;
        let mut plaintext = zeroize::Zeroizing::new(envelope.ciphertext.to_vec());
        key.cipher()
            .decrypt_inout_detached(
                &XNonce::from(envelope.nonce),
                &bound_to(envelope.header, context),
                plaintext.as_mut_slice().into(),
                &Tag::from(envelope.tag),
            )
            .map_err(|_| CustodyError::Forged)?;
        Ok(SecretBytes::new(std::mem::take(&mut *plaintext)))
    }
}

/// Whether an envelope can say which of the keys opens it.
pub(super) fn usable_together(keys: &[MasterKey]) -> Result<(), KeyringError> {
    if keys.is_empty() {
        return Err(KeyringError::Empty);
    }
    let mut seen = HashSet::new();
    match keys.iter().find(|key| !seen.insert(&key.id)) {
        Some(twin) => Err(KeyringError::DuplicateId { id: twin.id.clone() }),
        None => Ok(()),
    }
}

/// The parts of an envelope: version, length of the key's name, name, nonce, ciphertext, tag.
struct Envelope<'a> {
    header: &'a [u8],
    key_id: &'a str,
    nonce: [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
    tag: [u8; TAG_BYTES],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, length], _) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (header, rest) = bytes.split_at_checked(2 + usize::from(length))?;
        let key_id = std::str::from_utf8(&header[2..]).ok()?;
        let (&nonce, rest) = rest.split_first_chunk()?;
        let (ciphertext, &tag) = rest.split_last_chunk()?;
        Some(Self { header, key_id, nonce, ciphertext, tag })
    }
}

fn header(key_id: &KeyId) -> Vec<u8> {
    let name = key_id.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("a key id has at most 64 characters");
    [&[VERSION, length], name].concat()
}

/// The associated data. The header says its own length, so no two pairs of header and context run together to the same bytes.
fn bound_to(header: &[u8], context: &[u8]) -> Vec<u8> {
    [header, context].concat()
}

#[cfg(test)]
mod tests;
