//! The server's own keys: what signs access tokens, and what authenticates refresh tokens.

use std::fmt;

use crate::primitives::{Sealed, Timestamp};

/// Names a key: the `kid` of a token. 1 to 64 characters of `A-Z a-z 0-9 _ -`, and never a path or a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Takes a name; `None` when it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let sane = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        sane.then(|| Self(text.to_owned()))
    }

    /// A name that this library made up, of the right form by construction.
    pub(crate) fn constant(name: &str) -> Self {
        debug_assert!(Self::parse(name).is_some(), "{name} is no name of a key");
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key is for. A key of one purpose is never used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Signs access tokens.
    AccessToken,
    /// Authenticates refresh tokens and derives their successors, and authenticates device tokens: each under a label of its own.
    RefreshToken,
    /// Signs the seals of the audit log. Such a key is never deleted: what it has sealed stays to be verified.
    AuditSeal,
    /// Tells whether a secret from the settings that goes into password hashes is still the same. Not a key itself.
    PasswordSecret,
}

impl KeyPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::AccessToken, Self::RefreshToken, Self::AuditSeal, Self::PasswordSecret];

    /// The stable name, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::AuditSeal => "audit_seal",
            Self::PasswordSecret => "password_secret",
        }
    }

    /// The purpose with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// The algorithm of a key, fixed when the key is made and never taken from a token (RFC 8725 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// RSA PKCS#1 v1.5 with SHA-256 (RFC 7518 §3.3), 2048 bits.
    Rs256,
    /// HMAC with SHA-256 (RFC 7518 §3.2).
    Hs256,
}

impl KeyAlgorithm {
    /// The `alg` of RFC 7518 §3.1 and RFC 8037 §3.1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm with an `alg` name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// A key as a store keeps it.
///
/// Its place in the life cycle follows from time alone, so that no state has to be moved: a key is *next* until
/// `activates_at`, *current* while no younger key of its purpose is active, and *retired* after that. Of each purpose
/// the current key at an instant is the one with the greatest serial among the active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKey {
    /// Names the key in tokens.
    pub id: KeyId,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its place among the keys of its purpose, from 1. Two nodes that rotate at once draw the same one, and one of them loses.
    pub serial: u32,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The private key, sealed with the key's id and purpose as associated data.
    pub private: Sealed,
    /// The public key as a JWK (RFC 7517), as JSON; `None` for a symmetric key.
    pub public_jwk: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it starts to sign.
    pub activates_at: Timestamp,
}

/// One change of keys, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChange {
    /// Adds a key. Guard: its id is not taken among all keys (`Conflict::DuplicateId`), nor its serial among the keys of its
    /// purpose (`Conflict::KeySerialTaken`). Where both are taken, either is named.
    Insert(ServerKey),
    /// Forgets a key. Guard: it is there (`Conflict::KeyGone`).
    Delete {
        /// Which.
        id: KeyId,
    },
}
