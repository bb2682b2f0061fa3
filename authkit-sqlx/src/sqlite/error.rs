//! The one place that knows what an error of SQLite means.

use authkit_core::ports::StoreError;
use sqlx::Error;

use crate::row::DecodeError;
use crate::sqlite::job::Undone;

/// What an error means for the transaction that it happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Another connection holds the lock, and nothing has happened yet: worth trying again.
    Busy,
    /// The database cannot be used right now, and the transaction may be gone.
    Unavailable,
    /// The database is damaged or is not ours, and the transaction may be gone.
    Broken,
    /// This statement was refused and undone; the transaction goes on.
    Refused,
}

/// Sorts an error. The result codes are SQLite's primary ones (<https://www.sqlite.org/rescode.html>).
pub(super) fn severity(error: &Error) -> Severity {
    match error {
        Error::Database(error) => match error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
            // BUSY, LOCKED
            Some(5 | 6) => Severity::Busy,
            // PERM, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
            Some(3 | 7..=10 | 13..=15) => Severity::Unavailable,
            // TOOBIG, CONSTRAINT, MISMATCH, RANGE: SQLite undoes the statement alone.
            Some(18..=20 | 25) => Severity::Refused,
            _ => Severity::Broken,
        },
        Error::Io(_) | Error::WorkerCrashed | Error::PoolTimedOut | Error::PoolClosed => Severity::Unavailable,
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) => Severity::Refused,
        _ => Severity::Broken,
    }
}

/// The error of the port. The cause stays inside, for the log; what is shown names neither a statement nor a constraint.
pub(super) fn store_error(error: Error) -> StoreError {
    match severity(&error) {
        Severity::Busy | Severity::Unavailable => StoreError::unavailable(error),
        Severity::Broken | Severity::Refused => StoreError::failed(error),
    }
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::failed(error)
    }
}

/// An error that may say that another connection holds the lock.
pub(super) trait Contended {
    /// Whether it says so, which also says that nothing has happened.
    fn is_busy(&self) -> bool;
}

impl Contended for Error {
    fn is_busy(&self) -> bool {
        severity(self) == Severity::Busy
    }
}

impl Contended for Undone {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

/// Why the store did not even ask its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("the store is closed")]
    Closed,
    #[error("the database did not answer in time")]
    Stalled,
}

impl From<Unreachable> for StoreError {
    fn from(error: Unreachable) -> Self {
        Self::unavailable(error)
    }
}
