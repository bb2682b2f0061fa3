//! Why a store did not even ask its database.

use authkit_core::ports::StoreError;

/// Why the store did not even ask its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("the store is closed")]
    Closed,
    #[error("the database could not be reached a moment ago")]
    Away,
    #[error("the database did not answer in time")]
    Stalled,
}

impl From<Unreachable> for StoreError {
    fn from(error: Unreachable) -> Self {
        Self::unavailable(error)
    }
}
