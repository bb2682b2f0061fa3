//! A bounded memory of verified tokens, so that the signature of each is checked once.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::config::TokenConfig;
use crate::model::KeyId;
use crate::primitives::Timestamp;
use crate::token::access::{self, AccessTokenError};
use crate::token::claims::AccessClaims;
use crate::token::keyring::Keyring;

#[derive(Debug, Clone)]
struct Remembered {
    claims: Arc<AccessClaims>,
    key_id: Arc<KeyId>,
}

/// The tokens that were verified, by their text.
///
/// # Security
/// Only a token whose signature held goes in, and it is found again by its exact text, so an attacker can neither fill the
/// memory nor be mistaken for what is in it; the table is keyed with random state. A hit is checked anew for what can change:
/// the time, and whether the key that signed it is still in the keyring.
#[derive(Debug)]
pub struct VerifiedTokens {
    tokens: Option<Cache<Box<str>, Remembered>>,
}

impl VerifiedTokens {
    /// A memory for so many tokens; with 0 there is none.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { tokens: (capacity > 0).then(|| Cache::new(capacity)) }
    }

    /// Verifies a token like [`access::verify`], from memory where possible. A hit allocates nothing.
    pub fn verify(
        &self,
        keyring: &Keyring,
        config: &TokenConfig,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<AccessClaims>, AccessTokenError> {
        // The longest token that can be in here; hashing a longer one would be work for a stranger.
        if token.len() > access::MAX_TOKEN_BYTES {
            return Err(AccessTokenError::TooLong);
        }
        if let Some(remembered) = self.tokens.as_ref().and_then(|tokens| tokens.get(token)) {
            // INVARIANT: a key's id is the digest of its material, so the same id is the same key in every keyring. Asking here,
            // and not only when a key is withdrawn, leaves no moment between two threads in which a withdrawn key counts.
            if keyring.access_by_id(remembered.key_id.as_str()).is_none() {
                return Err(AccessTokenError::UnknownKey);
            }
            remembered.claims.check_time(config, now)?;
            return Ok(remembered.claims);
        }
        let (claims, key) = access::verify_signed(keyring, config, token)?;
        claims.check_time(config, now)?;
        let claims = Arc::new(claims);
        if let Some(tokens) = &self.tokens {
            tokens.insert(token.into(), Remembered { claims: Arc::clone(&claims), key_id: key.shared_id() });
        }
        Ok(claims)
    }

    /// Forgets the tokens of keys that `keyring` does not hold, and those that expired, to make room.
    pub fn retain(&self, keyring: &Keyring, config: &TokenConfig, now: Timestamp) {
        if let Some(tokens) = &self.tokens {
            tokens.retain(|_, token| {
                keyring.access_by_id(token.key_id.as_str()).is_some() && token.claims.check_time(config, now).is_ok()
            });
        }
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.as_ref().map_or(0, Cache::len)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
