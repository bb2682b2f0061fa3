//! The store on PostgreSQL.

mod connect;
mod error;
mod execute;
mod fuse;
mod migrate;
mod options;
mod perform;
mod pool;
mod texts;

use std::sync::Arc;

use async_trait::async_trait;
use authkit_core::model::{ChangeSet, Committed, Rotation, RotationOutcome};
use authkit_core::ports::{CommitError, Store, StoreError};
use authkit_core::{PageLimit, Timestamp};
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::aggregate::session;
use crate::dialect;
use crate::migration::{self, MigrateError, SchemaStatus};
use crate::reads::impl_reads;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, compile};
use crate::unreachable::Unreachable;
use crate::work::{Answer, Work, without_conflict};

pub use connect::PgOpenError;
pub use options::{PgOptions, PgUrlError, SchemaNameError};

use perform::Worker;
use pool::Pool;
#[cfg(feature = "testkit")]
pub(crate) use texts::SchemaName;
use texts::Texts;

/// What tells whether the database takes writes, in one round trip and without one.
const SIGN_OF_LIFE: &str =
    "SELECT version FROM authkit_migrations WHERE current_setting('transaction_read_only') = 'off' LIMIT 1";

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The durable store in a PostgreSQL database, version 14 or later, in a schema of its own.
///
/// # What a flow costs
/// | flow | round trips | statements |
/// |---|---:|---:|
/// | a refresh | 1 | 1 |
/// | the caller's profile | 1 | 1 |
/// | a logout: the read, and the revocation with its event | 2 | 2 |
/// | a login: the read, BEGIN, the session, the cap with the event, COMMIT | 5 | 5 |
/// | a registration: BEGIN, the account, the password, the session, the cap with the event, COMMIT | 6 | 6 |
///
/// An event rides along with the change that it tells of. The first time a connection sees a statement it takes one round trip
/// more, to prepare it.
///
/// # When PostgreSQL is away
/// Every call fails as [`StoreError::Unavailable`] within [`PgOptions::operation_timeout`], and within milliseconds once a
/// connection could not be opened; nothing is half-done. The pool opens new connections by itself when it is back. A write
/// whose COMMIT was not answered is never repeated here: it may have happened.
///
/// # Rivals
/// Everything runs under READ COMMITTED. Guards are part of their statements, and a guard that depends on another row locks it.
/// Transactions that PostgreSQL undoes because they stood in each other's way are begun anew, and no caller learns of it.
///
/// It is cheap to clone.
#[derive(Debug, Clone)]
pub struct PgStore {
    worker: Worker,
}

impl PgStore {
    /// Opens the database, and sees that it can be worked with. The schema is left alone: [`migrate`](Self::migrate) brings it
    /// up to date. Must be called on a Tokio runtime with its timer.
    pub async fn open(options: PgOptions) -> Result<Self, PgOpenError> {
        let first = connect::first(&options).await?;
        let texts = Arc::new(Texts::new(options.schema.clone(), options.mutation));
        Ok(Self { worker: Worker::new(Pool::new(options, first), texts) })
    }

    /// Applies the migrations that are missing, all of them or none, and says how far the schema is. Any number of replicas
    /// may do so at once: one of them works, and the others wait for it.
    pub async fn migrate(&self) -> Result<SchemaStatus, MigrateError> {
        migrate::migrate(self.worker.pool.options(), &self.worker.texts, migration::POSTGRES).await
    }

    /// Says how far the schema is, and writes nothing.
    pub async fn check(&self) -> Result<SchemaStatus, MigrateError> {
        let options = self.worker.pool.options();
        let look = migrate::check(options, &self.worker.texts, migration::POSTGRES);
        timeout(options.operation_timeout, look).await.unwrap_or_else(|_| Err(StoreError::from(Unreachable::Stalled).into()))
    }

    /// Applies a change set inside a transaction of the caller's own, whole or not at all, so that a use case of AuthKit and
    /// rows of the application are committed together or not at all. A conflict leaves the transaction usable, and without
    /// any of the changes. A call that is dropped before it has answered (a timeout around it) leaves the transaction in the middle
    /// of the set: then roll it back.
    ///
    /// The transaction must run under READ COMMITTED, PostgreSQL's default: under a snapshot of its own it would not see the session
    /// that a rival has just begun, and a change of password would leave that alive. Any other level is refused.
    ///
    /// After the COMMIT, and not before, hand what this returns to [`Planned::committed`](authkit_core::Planned::committed).
    pub async fn apply(&self, transaction: &mut PgConnection, changes: &ChangeSet) -> Result<Committed, CommitError> {
        self.worker.apply_within(transaction, &Work::Apply(compile(&dialect::POSTGRES, changes)?)).await
    }

    /// Finishes what was begun and closes the connections. Whoever asks afterwards is told that the store is unavailable.
    pub async fn close(&self) {
        let patience = self.worker.pool.options().operation_timeout;
        if timeout(patience, self.worker.pool.close()).await.is_err() {
            self.worker.pool.refuse();
            tracing::warn!("the connections to the database did not close in time");
        }
    }

    /// Writes.
    async fn write(&self, work: Work) -> Answer {
        self.worker.write(work).await
    }

    /// The rows of a query.
    async fn all<T>(
        &self,
        query: Query,
        decode: impl Fn(&mut Fields<'_>) -> Result<T, DecodeError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.worker.read(query).await?;
        rows.iter().map(|row| decode(&mut Fields::of(row)).map_err(StoreError::from)).collect()
    }
}

#[async_trait]
impl Store for PgStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        if changes.changes().is_empty() {
            return Ok(Committed::default());
        }
        let statements = compile(&dialect::POSTGRES, changes)?;
        let done = match self.worker.write(Work::Apply(fuse::riders(statements))).await {
            Err(CommitError::Store(error)) if fuse::is_taken(&error) => {
                self.worker.write(Work::Apply(compile(&dialect::POSTGRES, changes)?)).await
            }
            other => other,
        };
        Ok(done?.applied()?)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let attempt = session::rotation(&dialect::POSTGRES, rotation);
        let state = session::by_id(rotation.session_id);
        #[cfg(feature = "mutants")]
        if let Some(outcome) = self.worker.texts.mutation().check_first(self, rotation).await? {
            return Ok(outcome);
        }
        self.worker.write(Work::Rotate { attempt, state }).await.map_err(without_conflict)?.rotated()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match self.optional(Query::new(SIGN_OF_LIFE, Vec::new()), |_| Ok(())).await? {
            Some(()) => Ok(()),
            None => Err(StoreError::unavailable(ReadOnly)),
        }
    }

    async fn index_users(&self, limit: PageLimit) -> Result<usize, StoreError> {
        self.index(limit).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let instant = |fields: &mut Fields<'_>| fields.time();
        self.optional(Query::new(CLOCK, Vec::new()), instant).await
    }
}

/// The database answers and takes no writes.
#[derive(Debug, thiserror::Error)]
#[error("the database is read-only")]
struct ReadOnly;

impl_reads!(super::PgStore, crate::dialect::POSTGRES);

#[cfg(test)]
mod tests;
