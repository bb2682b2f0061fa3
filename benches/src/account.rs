//! Accounts that a load acts as.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::Tokens;

/// The password of every account: strong enough for the policy, and the same, so that only the hash costs.
pub const PASSWORD: &str = "plumage-orbit-4417-cadence";

/// An account on the measured server, and the session that its registration began.
#[derive(Debug)]
pub struct Account {
    email: String,
    tokens: Mutex<Tokens>,
}

impl Account {
    /// An account that was registered with [`PASSWORD`].
    #[must_use]
    pub const fn new(email: String, tokens: Tokens) -> Self {
        Self { email, tokens: Mutex::new(tokens) }
    }

    /// Its address.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The newest tokens of its session.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        self.lock().clone()
    }

    /// Keeps the tokens that a refresh brought.
    pub fn keep(&self, tokens: Tokens) {
        *self.lock() = tokens;
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        // Tokens are replaced whole, so a panic elsewhere leaves no half of them.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
