//! Signatures by `jsonwebtoken` on its RustCrypto backend: pure Rust, for hosts without a C compiler.

use std::fmt;

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::EncodePrivateKey as _;
use zeroize::Zeroizing;

use crate::model::KeyAlgorithm;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, SecretBytes};
use crate::token::jwk;
use crate::token::key_material::KeyError;

/// Makes the private key of an asymmetric algorithm, as PKCS#8 version 1.
pub(in crate::token) fn generate(algorithm: KeyAlgorithm, entropy: &dyn Entropy) -> Result<SecretBytes, KeyError> {
    match algorithm {
        KeyAlgorithm::Es256 => generate_p256(entropy),
        KeyAlgorithm::EdDsa => Ok(super::generate_ed25519(entropy)),
        // SECURITY: private-key operations of the `rsa` crate are open to timing (RUSTSEC-2023-0071, "Marvin").
        KeyAlgorithm::Rs256 => Err(KeyError::Unsupported(algorithm)),
        KeyAlgorithm::Hs256 => Err(KeyError::WrongPurpose),
    }
}

/// A P-256 key whose scalar is drawn from `entropy`: candidates that are zero or not below the order of the group are
/// dropped (FIPS 186-5 appendix A.2.2, "rejection sampling"), which one in four billion is.
fn generate_p256(entropy: &dyn Entropy) -> Result<SecretBytes, KeyError> {
    for _ in 0..16 {
        let scalar = Zeroizing::new(random_bytes::<32>(entropy));
        if let Ok(key) = p256::SecretKey::from_slice(scalar.as_slice()) {
            let pkcs8 = key.to_pkcs8_der().map_err(|_| KeyError::Malformed)?;
            return Ok(SecretBytes::new(pkcs8.as_bytes().to_vec()));
        }
    }
    // Sixteen refusals in a row say that the entropy source is broken.
    Err(KeyError::SelfTest)
}

/// A private key that is ready to sign.
pub(in crate::token) struct SigningKey {
    algorithm: KeyAlgorithm,
    key: EncodingKey,
}

impl SigningKey {
    pub(in crate::token) fn from_pkcs8(algorithm: KeyAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            KeyAlgorithm::Es256 => EncodingKey::from_ec_der(der),
            KeyAlgorithm::EdDsa => EncodingKey::from_ed_der(der),
            KeyAlgorithm::Rs256 => return Err(KeyError::Unsupported(algorithm)),
            KeyAlgorithm::Hs256 => return Err(KeyError::WrongPurpose),
        };
        let key = Self { algorithm, key };
        // An `EncodingKey` is only bytes until it signs; deriving the public half parses it.
        key.public_jwk()?;
        Ok(key)
    }

    pub(in crate::token) fn from_secret(secret: &[u8]) -> Self {
        Self { algorithm: KeyAlgorithm::Hs256, key: EncodingKey::from_secret(secret) }
    }

    /// The public half; an error for a symmetric key.
    pub(in crate::token) fn public_jwk(&self) -> Result<Jwk, KeyError> {
        let der = self.key.as_bytes();
        match self.algorithm {
            KeyAlgorithm::Es256 => {
                let secret = p256::SecretKey::from_pkcs8_der(der).map_err(|_| KeyError::Malformed)?;
                let point = secret.public_key().to_encoded_point(false);
                jwk::from_public_key(self.algorithm, &DecodingKey::from_ec_der(point.as_bytes()))
            }
            KeyAlgorithm::EdDsa => {
                let secret = ed25519_dalek::SigningKey::from_pkcs8_der(der).map_err(|_| KeyError::Malformed)?;
                jwk::from_public_key(self.algorithm, &DecodingKey::from_ed_der(secret.verifying_key().as_bytes()))
            }
            KeyAlgorithm::Rs256 => Err(KeyError::Unsupported(self.algorithm)),
            KeyAlgorithm::Hs256 => Err(KeyError::WrongPurpose),
        }
    }

    /// Appends the signature of `message` as base64url.
    pub(in crate::token) fn sign_into(&self, message: &[u8], token: &mut String) -> Result<(), KeyError> {
        let signature =
            jsonwebtoken::crypto::sign(message, &self.key, jwk::jose(self.algorithm)).map_err(|_| KeyError::SelfTest)?;
        token.push_str(&signature);
        Ok(())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A key that is ready to verify. Its algorithm is its own and never a token's.
pub(in crate::token) struct VerifyingKey {
    algorithm: KeyAlgorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    pub(in crate::token) fn from_jwk(algorithm: KeyAlgorithm, public: &Jwk) -> Result<Self, KeyError> {
        let key = DecodingKey::from_jwk(public).map_err(|_| KeyError::Malformed)?;
        if key.family() == jwk::jose(algorithm).family() { Ok(Self { algorithm, key }) } else { Err(KeyError::Malformed) }
    }

    pub(in crate::token) fn from_secret(secret: &[u8]) -> Self {
        Self { algorithm: KeyAlgorithm::Hs256, key: DecodingKey::from_secret(secret) }
    }

    /// Whether `signature`, as base64url, is this key's for `message`.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.key, jwk::jose(self.algorithm)).unwrap_or(false)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}
