//! The connections that read.

use std::sync::{Arc, Mutex, PoisonError};

use authkit_core::ports::StoreError;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::row::{DecodeError, Fields};
use crate::sqlite::connect;
use crate::sqlite::error::{Severity, severity, store_error};
use crate::sqlite::execute;
use crate::sqlite::options::SqliteOptions;
use crate::statement::Query;
use crate::unreachable::Unreachable;

/// A few connections, opened when they are first needed and lent one read at a time.
///
/// A read is one statement, so that a connection carries no state from one to the next and nothing has to be tested or
/// reset when it comes back. (sqlx's pool pings each connection on a task of its own after every use.)
#[derive(Debug)]
pub(super) struct Readers {
    options: SqliteOptions,
    permits: Semaphore,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
}

/// A connection that returns by itself, also when the read was cancelled: its thread finishes the statement before it
/// takes the next, so that a stuck disk holds up no more threads than there are connections.
struct Lease {
    connection: Option<SqliteConnection>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

impl Readers {
    pub(super) fn new(options: SqliteOptions) -> Self {
        let permits = Semaphore::new(usize::try_from(options.readers).unwrap_or(1));
        Self { options, permits, idle: Arc::default() }
    }

    /// The rows of a query.
    pub(super) async fn all<T>(
        &self,
        query: Query,
        decode: impl Fn(&mut Fields<'_>) -> Result<T, DecodeError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let rows = timeout(self.options.operation_timeout, self.fetch(query)).await.map_err(|_| Unreachable::Stalled)??;
        rows.iter().map(|row| decode(&mut Fields::of(row)).map_err(StoreError::from)).collect()
    }

    async fn fetch(&self, query: Query) -> Result<Vec<SqliteRow>, StoreError> {
        let waiting = timeout(self.options.acquire_timeout, self.permits.acquire());
        let _permit = waiting.await.map_err(|_| Unreachable::Stalled)?.map_err(|_| Unreachable::Closed)?;
        // The lease is declared after the permit, so that the connection is back before the next read may look for it.
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::reader(&self.options).await.map_err(store_error)?,
        };
        let mut lease = Lease { connection: Some(connection), idle: Arc::clone(&self.idle) };
        let connection = lease.connection.as_mut().expect("the lease was just made with a connection");
        let outcome = execute::rows(connection, self.options.mutation.rewrite(query.sql), &query.args).await;
        if outcome.as_ref().is_err_and(|error| severity(error) != Severity::Refused) {
            // What failed may fail for ever: the next read opens a new one.
            lease.connection = None;
        }
        outcome.map_err(store_error)
    }

    /// Lets the reads under way finish, refuses new ones, and closes the connections.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.options.readers).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a reading connection did not close cleanly");
            }
        }
    }
}
