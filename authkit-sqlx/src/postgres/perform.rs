//! A piece of work on a connection of the pool: what is tried again, and what is not.

use std::sync::Arc;

use authkit_core::model::Committed;
use authkit_core::ports::{CommitError, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tokio::time::timeout;

use crate::apply::apply;
use crate::postgres::error::{Severity, severity, store_error};
use crate::postgres::execute::{self, Session, command};
use crate::postgres::pool::{Lease, Pool};
use crate::postgres::texts::Texts;
use crate::statement::Query;
use crate::unreachable::Unreachable;
use crate::work::{Answer, Done, Undone, Work};

/// How often work is begun anew that rivals, or a connection that had died, undid before anything was committed.
const ATTEMPTS: u32 = 6;

/// Work that rivals undid comes back one piece at a time, or the same rivals would undo it again. It waits for its turn as
/// long as for everything. The number is the first bytes
/// of SHA-256("authkit retries").
const BEGIN_AGAIN: &str =
    "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(-6714178555665714692); SET LOCAL lock_timeout TO DEFAULT";

/// What work needs to know.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) pool: Arc<Pool>,
    pub(super) texts: Arc<Texts>,
}

impl Worker {
    /// The rows of a query.
    pub(super) async fn read(&self, query: Query) -> Result<Vec<PgRow>, StoreError> {
        let this = self.clone();
        self.to_the_end(async move { this.fetch(&query).await }).await
    }

    /// Writes, in a transaction where it takes more than one statement.
    pub(super) async fn write(&self, work: Work) -> Answer {
        let this = self.clone();
        self.to_the_end(async move { Ok(this.attempt(&work).await) }).await?
    }

    /// Runs on a task of its own: a caller who goes away must not leave a connection in the middle of something, and a commit
    /// that was begun is finished.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let patience = self.pool.options().operation_timeout;
        let bounded = async move { timeout(patience, work).await.unwrap_or_else(|_| Err(Unreachable::Stalled.into())) };
        // A task that holds its future by value copies its 8 KiB a dozen times until it is gone; a box is a pointer.
        tokio::spawn(Box::pin(bounded)).await.unwrap_or_else(|panic| Err(StoreError::failed(panic)))
    }

    async fn fetch(&self, query: &Query) -> Result<Vec<PgRow>, StoreError> {
        loop {
            let mut lease = self.pool.lease().await?;
            let error = match execute::rows(lease.connection(), self.texts.of(query.sql), &query.args).await {
                Ok(rows) => {
                    lease.give_back();
                    return Ok(rows);
                }
                Err(error) => error,
            };
            // A read may be repeated whatever became of it. A connection that died while it rested says nothing about the database.
            let again = lease.reused && severity(&error) == Severity::Gone;
            settle(lease, severity(&error));
            if !again {
                return Err(store_error(error));
            }
        }
    }

    async fn attempt(&self, work: &Work) -> Answer {
        let attempts = self.texts.mutation().attempts(ATTEMPTS);
        let mut attempt = 1;
        loop {
            let mut lease = self.pool.lease().await?;
            let reused = lease.reused;
            let outcome = if work.is_single() {
                let done = apply(&mut self.session(lease.connection()), work).await;
                done.map_err(|undone| Failure { undone, may_be_done: true })
            } else {
                self.transaction(lease.connection(), work, attempt > 1).await
            };
            let failure = match outcome {
                Ok(done) => {
                    lease.give_back();
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            match failure.undone {
                Undone::Guard(conflict) => {
                    lease.give_back();
                    return Err(conflict.into());
                }
                Undone::Busy(_) if attempt < attempts => lease.give_back(),
                Undone::Busy(error) | Undone::Refused(error) => {
                    lease.give_back();
                    return Err(error.into());
                }
                Undone::Lost(error) => {
                    let dead = matches!(error, StoreError::Unavailable(_));
                    settle(lease, if dead { Severity::Gone } else { Severity::Broken });
                    // SECURITY: what may have been committed is not done again: a rotation that is done twice looks like a theft.
                    if failure.may_be_done || !dead || !reused {
                        return Err(error.into());
                    }
                }
            }
            attempt += 1;
        }
    }

    /// The work between BEGIN and COMMIT. A failure leaves no transaction open, or a connection that is not used again.
    async fn transaction(&self, connection: &mut PgConnection, work: &Work, again: bool) -> Result<Done, Failure> {
        #[cfg(feature = "mutants")]
        self.texts.mutation().write_outside_postgres(&mut self.session(connection), work).await;
        let begun = command(connection, if again { BEGIN_AGAIN } else { "BEGIN" }).await.map_err(Undone::of_postgres);
        let applied = match begun {
            Ok(()) => apply(&mut self.session(connection), work).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(done) => match command(connection, "COMMIT").await {
                Ok(()) => Ok(done),
                // A COMMIT that was answered with an error has undone everything; one that was not answered may have done it.
                Err(error) => {
                    let may_be_done = severity(&error) == Severity::Gone;
                    Err(Failure { undone: Undone::of_postgres(error), may_be_done })
                }
            },
            Err(lost @ Undone::Lost(_)) => Err(Failure { undone: lost, may_be_done: false }),
            Err(other) => match command(connection, self.texts.mutation().rewrite("ROLLBACK")).await {
                Ok(()) => Err(Failure { undone: other, may_be_done: false }),
                Err(error) => Err(Failure { undone: Undone::of_postgres(error), may_be_done: false }),
            },
        }
    }

    fn session<'c>(&'c self, connection: &'c mut PgConnection) -> Session<'c> {
        Session { connection, texts: &self.texts }
    }

    /// Applies a change set inside a transaction that is somebody else's, whole or not at all.
    pub(super) async fn apply_within(&self, connection: &mut PgConnection, work: &Work) -> Result<Committed, CommitError> {
        let failed = |error| CommitError::Store(store_error(error));
        command(connection, "SAVEPOINT authkit_set").await.map_err(failed)?;
        let outcome = apply(&mut self.session(connection), work).await;
        let (end, answer) = match outcome {
            Ok(done) => ("RELEASE SAVEPOINT authkit_set", Ok(done.applied()?)),
            Err(Undone::Guard(conflict)) => (UNDO, Err(conflict.into())),
            Err(Undone::Refused(error) | Undone::Busy(error) | Undone::Lost(error)) => (UNDO, Err(CommitError::Store(error))),
        };
        match command(connection, end).await {
            Ok(()) => answer,
            // The transaction is gone with its connection: what it was told first says why.
            Err(error) => answer.and(Err(failed(error))),
        }
    }
}

const UNDO: &str = "ROLLBACK TO SAVEPOINT authkit_set; RELEASE SAVEPOINT authkit_set";

/// Why work was not done, and whether it may be done all the same.
struct Failure {
    undone: Undone,
    may_be_done: bool,
}

/// Gives a connection back after an error, if it can be used again.
fn settle(lease: Lease, severity: Severity) {
    match severity {
        Severity::Gone => lease.bury(),
        // Outside of a transaction an error ends nothing but its statement.
        Severity::Busy | Severity::Unavailable => lease.give_back(),
        // It may not understand us: a new one is cheap.
        Severity::Broken => drop(lease),
    }
}
