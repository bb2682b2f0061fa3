//! A bounded memory of verified tokens, so that the signature of each is checked once.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;

use crate::config::TokenConfig;
use crate::model::KeyId;
use crate::primitives::Timestamp;
use crate::token::access::{self, AccessTokenError};
use crate::token::claims::AccessClaims;
use crate::token::keyring::Keyring;

/// A token that was verified, and what somebody has worked out from it: that is there again when the token is.
#[derive(Debug)]
pub struct Verified<A> {
    claims: AccessClaims,
    attached: ArcSwapOption<A>,
}

impl<A> Verified<A> {
    const fn new(claims: AccessClaims, attached: ArcSwapOption<A>) -> Self {
        Self { claims, attached }
    }

    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// What was attached last.
    #[must_use]
    pub fn attached(&self) -> Option<Arc<A>> {
        self.attached.load_full()
    }

    /// Attaches what was worked out, in the place of what was.
    pub fn attach(&self, worked_out: Arc<A>) {
        self.attached.store(Some(worked_out));
    }
}

#[derive(Debug)]
struct Remembered<A> {
    token: Arc<Verified<A>>,
    key_id: Arc<KeyId>,
}

// Derived, it would ask the same of `A`.
impl<A> Clone for Remembered<A> {
    fn clone(&self) -> Self {
        Self { token: Arc::clone(&self.token), key_id: Arc::clone(&self.key_id) }
    }
}

/// The tokens that were verified, by their text.
///
/// # Security
/// Only a token whose signature held goes in, and it is found again by its exact text, so an attacker can neither fill the
/// memory nor be mistaken for what is in it; the table is keyed with random state. A hit is checked anew for what can change:
/// the time, and whether the key that signed it is still in the keyring.
#[derive(Debug)]
pub struct VerifiedTokens<A> {
    tokens: Option<Cache<Box<str>, Remembered<A>>>,
}

impl<A> VerifiedTokens<A> {
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
    ) -> Result<Arc<Verified<A>>, AccessTokenError> {
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
            remembered.token.claims.check_time(config, now)?;
            return Ok(remembered.token);
        }
        let (claims, key) = access::verify_signed(keyring, config, token)?;
        claims.check_time(config, now)?;
        let verified = Arc::new(Verified::new(claims, ArcSwapOption::empty()));
        if let Some(tokens) = &self.tokens {
            tokens.insert(token.into(), Remembered { token: Arc::clone(&verified), key_id: key.shared_id() });
        }
        Ok(verified)
    }

    /// Forgets the tokens of keys that `keyring` does not hold, and those that expired, to make room.
    pub fn retain(&self, keyring: &Keyring, config: &TokenConfig, now: Timestamp) {
        if let Some(tokens) = &self.tokens {
            tokens.retain(|_, held| {
                keyring.access_by_id(held.key_id.as_str()).is_some() && held.token.claims.check_time(config, now).is_ok()
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
