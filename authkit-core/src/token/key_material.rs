//! Making keys: what comes out is sealed, stored, and loaded from there like any other.

use sha2::{Digest as _, Sha256};

use crate::model::{KeyAlgorithm, KeyId};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, SecretBytes};
use crate::token::{backend, jwk, jws};

/// Why a key can be neither made nor used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// This build cannot sign with the algorithm: RS256 needs the feature `aws-lc-rs`, because the only other
    /// implementation leaks the private key through its timing (RUSTSEC-2023-0071).
    #[error("this build cannot sign with {}", .0.as_str())]
    Unsupported(KeyAlgorithm),
    /// The key is stored for another purpose, or with an algorithm that its purpose does not have.
    #[error("the key is not for this purpose")]
    WrongPurpose,
    /// The private key does not parse.
    #[error("the private key is malformed")]
    Malformed,
    /// The private key belongs to another id: rows were swapped, or altered.
    #[error("the private key does not belong to the id that it is stored under")]
    WrongId,
    /// The key signs, but what it signs does not verify.
    #[error("the key failed its self-test")]
    SelfTest,
}

/// A fresh key: what a store will keep, the private half still to be sealed.
#[derive(Debug)]
pub struct KeyMaterial {
    /// Its name: the thumbprint of the public key (RFC 7638), or for a symmetric key a digest of the secret.
    pub id: KeyId,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The private key as PKCS#8 DER (RFC 5208, version 1); for a symmetric key 32 random bytes.
    pub private: SecretBytes,
    /// The public key as a JWK, as JSON; `None` for a symmetric key.
    pub public_jwk: Option<String>,
}

impl KeyMaterial {
    /// Makes a key.
    ///
    /// Everything is drawn from `entropy`, but for the primes of an RSA key: those come from the generator of aws-lc, which
    /// is seeded by the operating system. An RSA key takes some hundred milliseconds, so make it off the async runtime.
    pub fn generate(algorithm: KeyAlgorithm, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        if algorithm == KeyAlgorithm::Hs256 {
            let private = SecretBytes::new(random_bytes::<32>(entropy).to_vec());
            return Ok(Self { id: secret_id(private.expose()), algorithm, private, public_jwk: None });
        }
        let private = backend::generate(algorithm, entropy)?;
        let public = backend::SigningKey::from_pkcs8(algorithm, private.expose())?.public_jwk()?;
        let public_jwk = serde_json::to_string(&public).map_err(|_| KeyError::Malformed)?;
        Ok(Self { id: jwk::thumbprint(&public)?, algorithm, private, public_jwk: Some(public_jwk) })
    }
}

/// The name of a symmetric key.
///
/// SECURITY: it is in every token. For 256 random bits it reveals nothing; for a secret that somebody made up it is no better
/// a target for guessing than the signature of those tokens.
pub(super) fn secret_id(secret: &[u8]) -> KeyId {
    let digest = Sha256::new().chain_update(b"authkit symmetric key id v1\0").chain_update(secret).finalize();
    KeyId::parse(&jws::encode(&digest)).expect("base64url of a digest is 43 characters of the alphabet of key ids")
}
