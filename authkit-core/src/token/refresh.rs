//! Refresh tokens: minted, authenticated, and succeeded by one that is derived.
//!
//! ```text
//! ak_rt_  base64url( version 1 | key 8 | session 16 | generation 4 | secret 32 | MAC 32 )
//! ```
//!
//! The MAC covers all that stands before it, so only a token that this server made gets as far as the store, and a stranger
//! can trigger nothing. The secret is what proves possession: its digest must be the one in the session's row.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, Entropy, RefreshToken, SessionId, Timestamp};
use crate::token::keyring::Keyring;
use crate::token::refresh_key::{FINGERPRINT_BYTES, RefreshKey};

/// What every refresh token begins with, so that scanners of leaked secrets know one.
pub const PREFIX: &str = "ak_rt_";

const VERSION: u8 = 1;
const SECRET_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

const SESSION_AT: usize = 1 + FINGERPRINT_BYTES;
const GENERATION_AT: usize = SESSION_AT + 16;
const SECRET_AT: usize = GENERATION_AT + 4;
const MAC_AT: usize = SECRET_AT + SECRET_BYTES;
const TOKEN_BYTES: usize = MAC_AT + MAC_BYTES;

/// The length of every refresh token, in characters.
pub const TOKEN_CHARS: usize = PREFIX.len() + TOKEN_BYTES / 3 * 4;

// INVARIANT: a whole number of base64 quanta, so no bit of the last character is spare and each token has one spelling.
const _: () = assert!(TOKEN_BYTES.is_multiple_of(3));

/// Why a refresh token is refused or cannot be made. Clients are told one thing for all of them; the reason is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshTokenError {
    /// Not of the length, the prefix or the alphabet of a refresh token.
    #[error("the refresh token is malformed")]
    Malformed,
    /// Of a version that this one does not know.
    #[error("the refresh token is of an unknown version")]
    UnknownVersion,
    /// Made under a key that is not in the keyring: too old, or another installation's.
    #[error("the refresh token was made under an unknown key")]
    UnknownKey,
    /// Altered, or made up.
    #[error("the refresh token was not made here")]
    BadMac,
    /// Its generation is the last that a counter can hold. At one rotation a second that takes 136 years.
    #[error("the refresh token has no further generation")]
    Exhausted,
    /// There is no key to make a token with.
    #[error("there is no key to authenticate refresh tokens with")]
    NoKey,
}

impl RefreshTokenError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownKey => "unknown_key",
            Self::BadMac => "bad_mac",
            Self::Exhausted => "exhausted",
            Self::NoKey => "no_key",
        }
    }
}

/// A token that was made, and what a store keeps of it.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The token, for the client alone.
    pub token: RefreshToken,
    /// The digest of its secret.
    pub secret: Digest,
    /// Its generation.
    pub generation: u32,
}

/// Makes a token with a drawn secret under the key that is current at `at`.
pub fn mint(
    keyring: &Keyring,
    session_id: SessionId,
    generation: u32,
    at: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Minted, RefreshTokenError> {
    let secret = Zeroizing::new(random_bytes::<SECRET_BYTES>(entropy));
    assemble(keyring, session_id, generation, &secret, at)
}

/// A token that somebody presented and that this server made. Whether it is still good, the session's row knows.
pub struct PresentedRefreshToken {
    bytes: Zeroizing<[u8; TOKEN_BYTES]>,
    key: Arc<RefreshKey>,
    session_id: SessionId,
    generation: u32,
    secret: Digest,
}

impl PresentedRefreshToken {
    /// Reads a token and authenticates it.
    pub fn parse(keyring: &Keyring, text: &str) -> Result<Self, RefreshTokenError> {
        if text.len() != TOKEN_CHARS {
            return Err(RefreshTokenError::Malformed);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(RefreshTokenError::Malformed)?;
        let mut bytes = Zeroizing::new([0_u8; TOKEN_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()) {
            Ok(TOKEN_BYTES) => {}
            _ => return Err(RefreshTokenError::Malformed),
        }
        if bytes[0] != VERSION {
            return Err(RefreshTokenError::UnknownVersion);
        }
        let key = keyring.refresh_by_fingerprint(field(&bytes, 1)).ok_or(RefreshTokenError::UnknownKey)?;
        let (body, mac) = bytes.split_at(MAC_AT);
        if !key.authenticates(body, mac) {
            return Err(RefreshTokenError::BadMac);
        }
        Ok(Self {
            key: Arc::clone(key),
            session_id: SessionId::from_uuid(Uuid::from_bytes(field(&bytes, SESSION_AT))),
            generation: u32::from_be_bytes(field(&bytes, GENERATION_AT)),
            secret: Digest::of(&bytes[SECRET_AT..MAC_AT]),
            bytes,
        })
    }

    /// The session that it belongs to.
    #[must_use]
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Its place in the session's lineage.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The digest of its secret.
    #[must_use]
    pub const fn secret(&self) -> Digest {
        self.secret
    }

    /// The token that follows, as it is issued at `issued_at`.
    ///
    /// It is derived, not drawn: presented again with the `refreshed_at` that the rotation wrote, the token gives the same
    /// successor byte for byte. So a client that lost the reply gets it again, and nothing secret is stored for that.
    ///
    /// # Security
    /// Whoever holds only the token cannot derive its successor, and whoever reads the database can derive nothing.
    pub fn successor(&self, keyring: &Keyring, issued_at: Timestamp) -> Result<Minted, RefreshTokenError> {
        let generation = self.generation.checked_add(1).ok_or(RefreshTokenError::Exhausted)?;
        let secret = Zeroizing::new(self.key.successor_secret(self.bytes.as_slice()));
        assemble(keyring, self.session_id, generation, &secret, issued_at)
    }
}

impl fmt::Debug for PresentedRefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedRefreshToken")
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn assemble(
    keyring: &Keyring,
    session_id: SessionId,
    generation: u32,
    secret: &[u8; SECRET_BYTES],
    at: Timestamp,
) -> Result<Minted, RefreshTokenError> {
    let key = keyring.refresh_at(at).ok_or(RefreshTokenError::NoKey)?;
    let mut bytes = Zeroizing::new([0_u8; TOKEN_BYTES]);
    bytes[0] = VERSION;
    bytes[1..SESSION_AT].copy_from_slice(&key.fingerprint());
    bytes[SESSION_AT..GENERATION_AT].copy_from_slice(session_id.as_uuid().as_bytes());
    bytes[GENERATION_AT..SECRET_AT].copy_from_slice(&generation.to_be_bytes());
    bytes[SECRET_AT..MAC_AT].copy_from_slice(secret);
    let mac = key.mac(&bytes[..MAC_AT]);
    bytes[MAC_AT..].copy_from_slice(&mac);

    // Room for all of it at once: a buffer that grew would leave a part of the token behind in freed memory.
    let mut text = String::with_capacity(TOKEN_CHARS);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
    Ok(Minted { token: RefreshToken::new(text), secret: Digest::of(secret), generation })
}

fn field<const N: usize>(bytes: &[u8; TOKEN_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}
