//! Settings of access tokens.

use std::time::Duration;

use crate::primitives::SecretBytes;

/// Why a text cannot be an HMAC secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HmacSecretError {
    /// Fewer bytes than the hash puts out (RFC 7518 §3.2).
    #[error("the secret has {bytes} bytes and needs at least 32 (RFC 7518 §3.2)")]
    TooShort {
        /// How many it has.
        bytes: usize,
    },
    /// Long enough, but made of a handful of different bytes, or of a shorter text over and over.
    #[error("the secret repeats a few characters and can be guessed")]
    Guessable,
}

/// The shared secret of HS256.
#[derive(Debug, Clone)]
pub struct HmacSecret(SecretBytes);

impl HmacSecret {
    /// Takes a secret of at least 32 bytes that is not a repetition.
    pub fn new(bytes: Vec<u8>) -> Result<Self, HmacSecretError> {
        if bytes.len() < 32 {
            return Err(HmacSecretError::TooShort { bytes: bytes.len() });
        }
        let distinct = bytes.iter().collect::<std::collections::HashSet<_>>().len();
        // A placeholder that somebody repeated until it was long enough.
        let repeats = (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period]);
        if distinct < 8 || repeats { Err(HmacSecretError::Guessable) } else { Ok(Self(SecretBytes::new(bytes))) }
    }

    /// The secret in the clear.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// How access tokens are signed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with generated keys: the default, because every JWT library verifies it.
    #[default]
    Es256,
    /// Ed25519 with generated keys: faster and smaller, where every consumer knows it.
    EdDsa,
    /// RSA 2048 with generated keys, for consumers that know nothing else. Signing costs twenty times as much.
    Rs256,
    /// HMAC under a secret that every verifier shares, and with which every verifier can also issue.
    Hs256(HmacSecret),
}

/// Settings of access tokens and their keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenConfig {
    /// The `iss` claim, compared as an exact string (RFC 9068 §2.2).
    pub issuer: String,
    /// The `aud` claim: the resource that the tokens are for (RFC 9068 §2.2). By default the issuer.
    pub audience: String,
    /// How tokens are signed. Default ES256.
    pub algorithm: SigningAlgorithm,
    /// How long a token is valid. Default 15 minutes; revocation does not wait for it.
    pub lifetime: Duration,
    /// How long an administrator may act as somebody else before she has to say why again. Its token is valid for that long, because
    /// nothing renews it. Default 15 minutes, at most an hour.
    pub impersonation_lifetime: Duration,
    /// How far the clocks of two nodes may differ. Default 30 s; at most 60 s makes sense (RFC 7519 §4.1.4 "a few minutes" is too much).
    pub leeway: Duration,
    /// How long a signing key is used before the next one is made. Default 90 days (NIST SP 800-57 part 1 §5.3.6 allows 1 to 3 years).
    pub key_lifetime: Duration,
    /// How long a new key is published before it signs, so that every cached JWKS knows it by then. Default 1 hour.
    pub key_lead: Duration,
    /// How many verified tokens are remembered, so that each signature is checked once. Default 10,000, about 10 MB when full; 0 turns it off.
    pub cache_capacity: usize,
}

impl TokenConfig {
    /// How long the longest token is valid: so long a revocation is remembered, and a key that signs no more is kept.
    #[must_use]
    pub fn longest_lifetime(&self) -> Duration {
        self.lifetime.max(self.impersonation_lifetime)
    }

    pub(crate) fn new(issuer: String) -> Self {
        Self {
            audience: issuer.clone(),
            issuer,
            algorithm: SigningAlgorithm::default(),
            lifetime: Duration::from_mins(15),
            impersonation_lifetime: Duration::from_mins(15),
            leeway: Duration::from_secs(30),
            key_lifetime: Duration::from_hours(24 * 90),
            key_lead: Duration::from_hours(1),
            cache_capacity: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_hmac_secret_is_refused() {
        assert_eq!(HmacSecret::new(b"your_secret_key".to_vec()).map(|_| ()), Err(HmacSecretError::TooShort { bytes: 15 }));
        assert_eq!(HmacSecret::new(vec![b'x'; 64]).map(|_| ()), Err(HmacSecretError::Guessable));
        for placeholder in ["your_secret_key", "changeme_", "0123456789abcdef"] {
            let repeated = placeholder.repeat(5).into_bytes();
            assert_eq!(HmacSecret::new(repeated).map(|_| ()), Err(HmacSecretError::Guessable), "{placeholder}");
        }
        assert!(HmacSecret::new((0..32).collect()).is_ok());
    }
}
