//! A key that signs the seals of the audit log, and its public half, which verifies them.

use std::fmt;

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm as JwkAlgorithm};

use crate::model::{KeyAlgorithm, KeyId, KeyPurpose, ServerKey};
use crate::primitives::{SecretBytes, Timestamp};
use crate::token::backend::{SigningKey, VerifyingKey};
use crate::token::jwk;
use crate::token::key_material::KeyError;

/// A key of seals: Ed25519, whatever signs the access tokens, because a seal is verified by ourselves, for years, and deterministically
/// signed. It has a purpose of its own, so that no token can be passed off as a seal or the other way round.
pub struct SealKey {
    serial: u32,
    activates_at: Timestamp,
    signing: SigningKey,
    verifier: SealVerifier,
    public_jwk: String,
}

impl SealKey {
    /// The algorithm of new keys.
    pub const ALGORITHM: KeyAlgorithm = KeyAlgorithm::EdDsa;

    /// Loads a stored key with its opened private half, PKCS#8 DER. The public half is derived from it, not taken from the row, and
    /// the id must be its thumbprint: whoever can write to the store and not open its keys cannot put one of her own in their place.
    pub fn load(key: &ServerKey, private: &SecretBytes) -> Result<Self, KeyError> {
        if key.purpose != KeyPurpose::AuditSeal || key.algorithm != Self::ALGORITHM {
            return Err(KeyError::WrongPurpose);
        }
        let signing = SigningKey::from_pkcs8(key.algorithm, private.expose())?;
        let public_jwk = serde_json::to_string(&signing.public_jwk()?).map_err(|_| KeyError::Malformed)?;
        let verifier = SealVerifier::from_jwk(&public_jwk)?;
        if verifier.id != key.id {
            return Err(KeyError::WrongId);
        }
        let loaded = Self { serial: key.serial, activates_at: key.activates_at, signing, verifier, public_jwk };
        let signature = loaded.sign(b"self-test")?;
        if loaded.verifier.verifies(b"self-test", &signature) { Ok(loaded) } else { Err(KeyError::SelfTest) }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.verifier.id
    }

    /// Its place among the keys of seals.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// When it starts to sign.
    #[must_use]
    pub const fn activates_at(&self) -> Timestamp {
        self.activates_at
    }

    /// Its public half as a JWK, as JSON: what verifies its seals elsewhere.
    #[must_use]
    pub fn public_jwk(&self) -> &str {
        &self.public_jwk
    }

    /// What verifies its seals.
    #[must_use]
    pub const fn verifier(&self) -> &SealVerifier {
        &self.verifier
    }

    /// Signs a message: the signature as base64url.
    pub fn sign(&self, message: &[u8]) -> Result<String, KeyError> {
        let mut signature = String::with_capacity(86);
        self.signing.sign_into(message, &mut signature)?;
        Ok(signature)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", self.id()).field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// The public half of a key of seals.
pub struct SealVerifier {
    id: KeyId,
    key: VerifyingKey,
}

impl SealVerifier {
    /// Takes a public key as a JWK (RFC 7517), as JSON: Ed25519 alone.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let public: Jwk = serde_json::from_str(json).map_err(|_| KeyError::Malformed)?;
        // A key that says what it is for says this.
        if public.common.key_algorithm.is_some_and(|algorithm| algorithm != JwkAlgorithm::EdDSA) {
            return Err(KeyError::WrongPurpose);
        }
        debug_assert_eq!(jwk::jose(SealKey::ALGORITHM), Algorithm::EdDSA);
        Ok(Self { id: jwk::thumbprint(&public)?, key: VerifyingKey::from_jwk(SealKey::ALGORITHM, &public)? })
    }

    /// The name of the key: its thumbprint (RFC 7638).
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Whether `signature`, as base64url, is the key's for `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        self.key.verify(message, signature)
    }
}

impl fmt::Debug for SealVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealVerifier").field("id", &self.id).finish_non_exhaustive()
    }
}
