//! The face of keys.

use crate::flows::engine::Engine;
use crate::flows::{self, Internal, KeyStatus, RotateKeyError};
use crate::model::{KeyId, KeyPurpose};

/// The keys that sign tokens.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    pub(super) engine: &'a Engine,
}

impl Keys<'_> {
    /// The public keys as a JWK set (RFC 7517 §5), as JSON: next, current and retired ones that still verify.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.engine.keyring.load().jwks(self.engine.now(), &self.engine.config.tokens)
    }

    /// Every stored key, without what is secret about it.
    pub async fn list(&self) -> Result<Vec<KeyStatus>, Internal> {
        flows::keys::list(self.engine).await
    }

    /// Makes the next key of a purpose: used after the lead time, or from now on where `immediately` says so.
    pub async fn rotate(&self, purpose: KeyPurpose, immediately: bool) -> Result<(), RotateKeyError> {
        flows::keys::rotate(self.engine, purpose, immediately).await
    }

    /// Forgets that a secret of password hashes was ever used, so that it can be taken out of the settings: `pepper-…` or `signer-…`
    /// and its identifier. Goes through all password hashes.
    ///
    /// # Errors
    /// [`PasswordSecretError`](crate::flows::PasswordSecretError) while hashes need it, or new ones are made with it.
    pub async fn forget_password_secret(&self, id: &KeyId) -> Result<(), Internal> {
        flows::password_secrets::forget(self.engine, id).await
    }
}
