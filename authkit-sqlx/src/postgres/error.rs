//! The one place that knows what an error of PostgreSQL means.

use authkit_core::ports::StoreError;
use sqlx::Error;

use crate::work::Undone;

/// What an error means for the transaction that it happened in, and for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Rivals stood in each other's way and this transaction was undone: worth trying again.
    Busy,
    /// The connection is gone, or leads to a server that takes no writes: others of the pool are probably no better.
    Gone,
    /// The database cannot do it right now: a timeout, no room, too many connections.
    Unavailable,
    /// The database holds something that must not be, is not ours, or refused a statement.
    Broken,
}

/// Sorts an error by its SQLSTATE (PostgreSQL manual, appendix A).
pub(super) fn severity(error: &Error) -> Severity {
    let Error::Database(error) = error else {
        return match error {
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => Severity::Gone,
            Error::PoolTimedOut | Error::PoolClosed => Severity::Unavailable,
            _ => Severity::Broken,
        };
    };
    match error.code().as_deref().unwrap_or_default() {
        // serialization_failure, deadlock_detected; lock_not_available, which comes first where two rivals wait for each other:
        // PostgreSQL looks for a deadlock only after deadlock_timeout, 1 s by default.
        // query_canceled: a lock timeout that fires while the lock is just granted is reported as one. So is statement_timeout, after
        // which the time for the whole operation leaves no room for many more attempts.
        "40001" | "40P01" | "55P03" | "57014" => Severity::Busy,
        // read_only_sql_transaction: we talk to a replica, or to a primary that was one until now;
        // idle_in_transaction_session_timeout, idle_session_timeout.
        "25006" | "25P03" | "57P05" => Severity::Gone,
        code => match code.get(..2).unwrap_or_default() {
            // connection exceptions; admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped
            "08" | "57" => Severity::Gone,
            // insufficient resources (disk full, out of memory, too many connections), system errors; and the credentials of
            // connections that come, while those that are open go on.
            "53" | "58" | "28" => Severity::Unavailable,
            _ => Severity::Broken,
        },
    }
}

/// The error of the port. The cause stays inside, for the log; what is shown names neither a statement nor a constraint.
pub(super) fn store_error(error: Error) -> StoreError {
    match severity(&error) {
        Severity::Busy | Severity::Gone | Severity::Unavailable => StoreError::unavailable(error),
        Severity::Broken => StoreError::failed(error),
    }
}

impl Undone {
    /// What an error of PostgreSQL undoes: every error ends its transaction.
    pub(super) fn of_postgres(error: Error) -> Self {
        match severity(&error) {
            Severity::Busy => Self::Busy(store_error(error)),
            Severity::Gone => Self::Lost(store_error(error)),
            Severity::Unavailable | Severity::Broken => Self::Refused(store_error(error)),
        }
    }
}
