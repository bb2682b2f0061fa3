//! The store on SQLite.

mod connect;
mod error;
mod execute;
mod job;
mod migrate;
mod options;
mod readers;
mod within;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use authkit_core::PageLimit;
use authkit_core::model::{ChangeSet, Committed, Rotation, RotationOutcome};
use authkit_core::ports::{CommitError, Store, StoreError};
use sqlx::SqliteConnection;
use tokio::time::timeout;

use crate::aggregate::session;
use crate::apply::PROBE;
use crate::dialect;
use crate::migration::{self, MigrateError, SchemaStatus};
use crate::reads::impl_reads;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, compile};
use crate::work::{Answer, Work, without_conflict};

pub use connect::SqliteOpenError;
pub use options::{SqliteOptions, SqliteUrlError};
pub use writer::WriterStats;

#[cfg(feature = "mutants")]
pub(crate) use {execute::affect, job::Job};

use readers::Readers;
use writer::Writer;

/// The durable store in a SQLite file.
///
/// One task writes, and takes everything that waits into one transaction, so that many callers share one sync of the disk;
/// a few connections read beside it. What was acknowledged has reached the disk (WAL with `synchronous = FULL`). Several
/// processes can use one file on one machine; a network file system is no place for it
/// (<https://www.sqlite.org/wal.html>, §1).
///
/// It is cheap to clone. Dropping the last clone finishes what was accepted, in the background; [`close`](Self::close)
/// waits for that.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: SqliteOptions,
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database, and makes the file if it is missing. The schema is left alone: [`migrate`](Self::migrate) brings
    /// it up to date. Must be called on a Tokio runtime with its timer.
    pub async fn open(options: SqliteOptions) -> Result<Self, SqliteOpenError> {
        connect::ensure_file(&options.path).await?;
        let connection = connect::writer(&options).await.map_err(error::store_error).map_err(SqliteOpenError::Store)?;
        let writer = Writer::start(options.clone(), connection);
        Ok(Self { inner: Arc::new(Inner { readers: Readers::new(options.clone()), writer, options }) })
    }

    /// Applies the migrations that are missing, all of them or none, and says how far the schema is. Any number of
    /// processes may do so at once.
    pub async fn migrate(&self) -> Result<SchemaStatus, MigrateError> {
        migrate::migrate(&self.inner.options, migration::SQLITE).await
    }

    /// Says how far the schema is, and writes nothing.
    pub async fn check(&self) -> Result<SchemaStatus, MigrateError> {
        migrate::check(&self.inner.options, migration::SQLITE).await
    }

    /// Applies a change set inside a transaction of the caller's own, whole or not at all, so that a use case of AuthKit and
    /// rows of the application are committed together or not at all. A conflict leaves the transaction usable, and without any
    /// of the changes; a call that is dropped before it has answered leaves the transaction in the middle of the set: then roll it
    /// back. The connection is the caller's, on the same file; begin its transaction with `BEGIN IMMEDIATE`, because one
    /// that has read before it writes cannot wait for the lock.
    ///
    /// After the COMMIT, and not before, hand what this returns to [`Planned::committed`](authkit_core::Planned::committed).
    pub async fn apply(&self, transaction: &mut SqliteConnection, changes: &ChangeSet) -> Result<Committed, CommitError> {
        within::apply(transaction, self.inner.options.mutation, &Work::Apply(compile(&dialect::SQLITE, changes)?)).await
    }

    /// Finishes what was accepted, moves the log into the database file, and closes it. Whoever asks afterwards is told that
    /// the store is unavailable.
    pub async fn close(&self) {
        // The reads first: the connection that closes last is the one that can empty the log, and a reader cannot.
        let patience = self.inner.options.operation_timeout;
        let reads = timeout(patience, self.inner.readers.close()).await;
        let writes = timeout(patience, self.inner.writer.close()).await;
        if reads.is_err() || writes.is_err() {
            tracing::warn!("the database did not close in time; what was acknowledged is in its log");
        }
    }

    /// Writes.
    async fn write(&self, work: Work) -> Answer {
        self.inner.writer.submit(work).await
    }

    /// The rows of a query.
    async fn all<T>(
        &self,
        query: Query,
        decode: impl Fn(&mut Fields<'_>) -> Result<T, DecodeError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        self.inner.readers.all(query, decode).await
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.inner.writer.stats()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        if changes.changes().is_empty() {
            return Ok(Committed::default());
        }
        Ok(self.inner.writer.submit(Work::Apply(compile(&dialect::SQLITE, changes)?)).await?.applied()?)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let attempt = session::rotation(&dialect::SQLITE, rotation);
        let state = session::by_id(rotation.session_id);
        #[cfg(feature = "mutants")]
        if let Some(outcome) = self.inner.options.mutation.check_first(self, rotation).await? {
            return Ok(outcome);
        }
        self.inner.writer.submit(Work::Rotate { attempt, state }).await.map_err(without_conflict)?.rotated()
    }

    async fn index_users(&self, limit: PageLimit) -> Result<usize, StoreError> {
        self.index(limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.all(Query::new(PROBE, Vec::new()), |_| Ok(())).await?;
        self.inner.writer.submit(Work::Ping).await.map_err(without_conflict)?;
        Ok(())
    }
}

impl_reads!(super::SqliteStore, crate::dialect::SQLITE);

#[cfg(test)]
mod tests;
