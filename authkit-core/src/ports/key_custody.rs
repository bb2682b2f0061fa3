//! Encryption at rest: who holds the keys that seal what must be stored reversibly.

use std::error::Error;

use async_trait::async_trait;

use crate::primitives::{Sealed, SecretBytes};

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The envelope names a key that this custody does not hold: a master key was removed too early, or belongs to another installation.
    #[error("sealed under the master key {key_id:?}, which is not configured")]
    UnknownKey {
        /// The key that is named.
        key_id: String,
    },
    /// The envelope was altered, moved to another row, or sealed under another key of the same name.
    #[error("a sealed value does not open: the master key is another one, or the value was altered")]
    Forged,
    /// The custody cannot be reached.
    #[error("key custody is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Seals and opens small values with authenticated encryption.
///
/// **When it is down** nothing new is sealed and nothing unknown is opened; keys that are already in memory go on working.
#[async_trait]
pub trait KeyCustody: std::fmt::Debug + Send + Sync {
    /// Seals `plaintext` under the newest key. `context` is authenticated with it and must be given again to open: it ties
    /// the envelope to its row, so that two rows cannot be swapped.
    async fn seal(&self, plaintext: &SecretBytes, context: &[u8]) -> Result<Sealed, CustodyError>;

    /// Opens what was sealed with the same `context`, under whichever key the envelope names.
    async fn open(&self, sealed: &Sealed, context: &[u8]) -> Result<SecretBytes, CustodyError>;
}
