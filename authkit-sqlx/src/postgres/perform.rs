//! A piece of work on a connection of the pool: what is tried again, and what is not.

use std::sync::Arc;

use authkit_core::Digest;
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

/// What work needs to know.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) pool: Arc<Pool>,
    pub(super) texts: Arc<Texts>,
    begin_again: Arc<str>,
}

impl Worker {
    pub(super) fn new(pool: Arc<Pool>, texts: Arc<Texts>) -> Self {
        // Work that rivals undid comes back one piece at a time, or the same rivals would undo it again. The lock is known by its number
        // alone, so the number is made of the schema: others in the same database have theirs.
        let digest = Digest::of(format!("authkit retries {}", pool.options().schema.as_str()).as_bytes());
        let number = digest.as_bytes().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let begin_again = format!("BEGIN; SELECT pg_advisory_xact_lock({number})").into();
        Self { pool, texts, begin_again }
    }

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
        tokio::spawn(Box::pin(bounded)).await.unwrap_or_else(|_| Err(StoreError::failed(Ended)))
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
        let mut turn = None;
        loop {
            let mut lease = self.pool.lease().await?;
            let reused = lease.reused;
            let outcome = if work.is_single() {
                let done = apply(&mut self.session(lease.connection()), work).await;
                done.map_err(|undone| Failure { undone, may_be_done: true, is_open: false })
            } else {
                self.transaction(lease.connection(), work, turn.is_some()).await
            };
            let Failure { undone, may_be_done, is_open } = match outcome {
                Ok(done) => {
                    lease.give_back();
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            // What becomes of the connection, and whether the work is begun anew.
            let (after, error) = match undone {
                Undone::Guard(conflict) => {
                    // It was told by a statement, and the ROLLBACK behind it was answered.
                    lease.give_back();
                    return Err(conflict.into());
                }
                Undone::Busy(error) => (Severity::Busy, error),
                Undone::Refused(error @ StoreError::Unavailable(_)) => (Severity::Unavailable, error),
                Undone::Lost(error @ StoreError::Unavailable(_)) => (Severity::Gone, error),
                Undone::Refused(error) | Undone::Lost(error) => (Severity::Broken, error),
            };
            settle(lease, if is_open && after != Severity::Gone { Severity::Broken } else { after });
            match after {
                Severity::Busy if attempt < attempts => {
                    // Before the next connection is taken, never while one is held.
                    turn = match turn {
                        Some(turn) => Some(turn),
                        None => Some(self.pool.returns.acquire().await.map_err(|_| StoreError::from(Unreachable::Closed))?),
                    };
                }
                // SECURITY: what may have been committed is not done again: a rotation that is done twice looks like a theft.
                Severity::Gone if reused && !may_be_done => {}
                _ => return Err(error.into()),
            }
            attempt += 1;
        }
    }

    /// The work between BEGIN and COMMIT. A failure leaves no transaction open, or a connection that is not used again.
    async fn transaction(&self, connection: &mut PgConnection, work: &Work, again: bool) -> Result<Done, Failure> {
        #[cfg(feature = "mutants")]
        self.texts.mutation().write_outside_postgres(&mut self.session(connection), work).await;
        let begun = if again {
            execute::script(connection, Arc::clone(&self.begin_again)).await
        } else {
            command(connection, "BEGIN").await
        };
        let applied = match begun {
            Ok(()) => apply(&mut self.session(connection), work).await,
            Err(error) => Err(Undone::of_postgres(error)),
        };
        // An end that is answered with an error may have left the transaction open: a cancellation can hit the end itself.
        let failure = |undone, may_be_done, is_open| Failure { undone, may_be_done, is_open };
        match applied {
            Ok(done) => match command(connection, "COMMIT").await {
                Ok(()) => Ok(done),
                // One that was not answered may have committed; one that was answered with an error has not.
                Err(error) => {
                    let may_be_done = severity(&error) == Severity::Gone;
                    Err(failure(Undone::of_postgres(error), may_be_done, true))
                }
            },
            Err(lost @ Undone::Lost(_)) => Err(failure(lost, false, true)),
            Err(other) => match command(connection, self.texts.mutation().rewrite("ROLLBACK")).await {
                Ok(()) => Err(failure(other, false, false)),
                Err(error) => Err(failure(Undone::of_postgres(error), false, true)),
            },
        }
    }

    fn session<'c>(&'c self, connection: &'c mut PgConnection) -> Session<'c> {
        Session { connection, texts: &self.texts }
    }

    /// Applies a change set inside a transaction that is somebody else's, whole or not at all.
    pub(super) async fn apply_within(&self, connection: &mut PgConnection, work: &Work) -> Result<Committed, CommitError> {
        let failed = |error| CommitError::Store(store_error(error));
        let level: String = sqlx::query_scalar(LEVEL).fetch_one(&mut *connection).await.map_err(failed)?;
        if level != "read committed" {
            return Err(StoreError::failed(WrongIsolation).into());
        }
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

const LEVEL: &str = "SELECT current_setting('transaction_isolation')";

/// Somebody else's transaction would not see what the guards have to see.
#[derive(Debug, thiserror::Error)]
#[error("the transaction has to run under READ COMMITTED")]
struct WrongIsolation;

/// The task that worked ended without an answer: it panicked, and what the panic says may hold what it worked on; or the runtime
/// is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("the work on the database ended without an answer")]
struct Ended;

/// Why work was not done.
struct Failure {
    undone: Undone,
    /// Whether it may be done all the same.
    may_be_done: bool,
    /// Whether its transaction may still be open on the connection.
    is_open: bool,
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
