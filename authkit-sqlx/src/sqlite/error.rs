//! The one place that knows what an error of SQLite means.

use authkit_core::ports::StoreError;
use sqlx::Error;

use crate::work::Undone;

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

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match severity(&error) {
            Severity::Refused => Self::Refused(store_error(error)),
            // SQLite may have rolled the whole transaction back (<https://www.sqlite.org/lang_transaction.html>): going on
            // would write what follows outside of it.
            Severity::Unavailable | Severity::Broken => Self::Lost(store_error(error)),
            Severity::Busy => Self::Busy(store_error(error)),
        }
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
