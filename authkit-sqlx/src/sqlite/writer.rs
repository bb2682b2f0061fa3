//! The one task that writes, and its group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authkit_core::ports::{CommitError, StoreError};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::apply::{apply, rotate};
use crate::sqlite::connect;
use crate::sqlite::error::store_error;
use crate::sqlite::execute::{Writing, command, patiently};
use crate::sqlite::job::{Job, SharedFailure};
use crate::sqlite::options::SqliteOptions;
use crate::unreachable::Unreachable;
use crate::work::{Answer, Done, Undone, Work};

/// How much work one transaction takes in: enough to share a sync of the disk among all who wait, and little enough that
/// the first of them does not wait long for the last (about 5 ms of statements).
const BATCH: usize = 128;

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT authkit_set";
const RELEASE: &str = "RELEASE authkit_set";
const ROLLBACK_SET: &str = "ROLLBACK TO authkit_set";

/// What the writer has done since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriterStats {
    /// Transactions that were committed.
    pub batches: u64,
    /// Change sets and rotations that were committed in them, those without effect included.
    pub change_sets: u64,
}

#[derive(Debug, Default)]
struct Counters {
    batches: AtomicU64,
    change_sets: AtomicU64,
}

enum Message {
    Job(Job),
    Close(oneshot::Sender<()>),
}

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    messages: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    options: SqliteOptions,
}

impl Writer {
    /// Starts the task. It ends when the last handle is dropped, after the work that was accepted.
    pub(super) fn start(options: SqliteOptions, connection: SqliteConnection) -> Self {
        let (messages, inbox) = mpsc::channel(options.queue);
        let counters = Arc::<Counters>::default();
        let task = Task { options: options.clone(), connection: Some(connection), counters: Arc::clone(&counters) };
        tokio::spawn(task.serve(inbox));
        Self { messages, counters, options }
    }

    /// Has the work done; answers after its transaction was committed, or was not.
    pub(super) async fn submit(&self, work: Work) -> Answer {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.messages.send(Message::Job(Job { work, reply })).await.map_err(|_| Unreachable::Closed)?;
            answer.await.map_err(|_| Unreachable::Closed)
        };
        let answered = timeout(self.options.operation_timeout, exchange).await.unwrap_or(Err(Unreachable::Stalled));
        answered.map_err(StoreError::from)?
    }

    /// Finishes the work that was accepted, refuses new work, and closes the connection.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.messages.send(Message::Close(reply)).await.is_ok() {
            // An error says that the task is gone, which is what was asked for.
            let _ = closed.await;
        }
    }

    pub(super) fn stats(&self) -> WriterStats {
        WriterStats {
            batches: self.counters.batches.load(Ordering::Relaxed),
            change_sets: self.counters.change_sets.load(Ordering::Relaxed),
        }
    }
}

struct Task {
    options: SqliteOptions,
    /// Absent after a failure that may have left it in an unknown state.
    connection: Option<SqliteConnection>,
    counters: Arc<Counters>,
}

impl Task {
    async fn serve(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH);
        let mut closers = Vec::new();
        while inbox.recv_many(&mut messages, BATCH).await > 0 {
            let mut batch = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Job(job) if job.is_wanted() => batch.push(job),
                    Message::Job(_) => {}
                    Message::Close(reply) => {
                        inbox.close();
                        closers.push(reply);
                    }
                }
            }
            if !batch.is_empty() {
                self.settle(batch).await;
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the writing connection did not close cleanly");
        }
        for closer in closers {
            let _ = closer.send(());
        }
    }

    /// Does all the work of a batch and answers it.
    async fn settle(&mut self, batch: Vec<Job>) {
        match self.write(&batch).await {
            Ok(answers) => self.answer(batch, answers),
            // Something that cannot be read or written: let it hurt nobody but the one who brought it.
            Err(StoreError::Failed(_)) if batch.len() > 1 => {
                self.recover().await;
                for job in batch {
                    let batch = vec![job];
                    match self.write(&batch).await {
                        Ok(answers) => self.answer(batch, answers),
                        Err(error) => self.fail(batch, error).await,
                    }
                }
            }
            Err(error) => self.fail(batch, error).await,
        }
    }

    async fn write(&mut self, batch: &[Job]) -> Result<Vec<Answer>, StoreError> {
        if let [job] = batch
            && let Some(answer) = self.alone(&job.work).await?
        {
            return Ok(vec![answer]);
        }
        self.transaction(batch).await
    }

    fn answer(&self, batch: Vec<Job>, answers: Vec<Answer>) {
        let change_sets = batch.iter().filter(|job| !matches!(job.work, Work::Ping)).count();
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.counters.change_sets.fetch_add(change_sets as u64, Ordering::Relaxed);
        for (job, answer) in batch.into_iter().zip(answers) {
            // Whoever no longer waits has given up; what was committed stays.
            let _ = job.reply.send(answer);
        }
    }

    async fn fail(&mut self, batch: Vec<Job>, error: StoreError) {
        tracing::error!(error = &error as &dyn std::error::Error, waiting = batch.len(), "a transaction failed");
        self.recover().await;
        let failure = SharedFailure::new(error);
        for job in batch {
            let _ = job.reply.send(Err(CommitError::Store(failure.to_error())));
        }
    }

    /// Leaves no transaction open. A connection that cannot even roll back is thrown away.
    async fn recover(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && command(&mut connection, ROLLBACK).await.is_ok()
        {
            self.connection = Some(connection);
        }
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect::writer(&self.options).await.map_err(store_error)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// One statement for the only waiting caller is a transaction by itself: one round trip. `None` when it takes more, or
    /// when its guard did not hold and the answer asks for a second look, which must see what the first one saw.
    async fn alone(&mut self, work: &Work) -> Result<Option<Answer>, StoreError> {
        let (lock_timeout, mutation) = (self.options.lock_timeout, self.options.mutation);
        let mut writing = Writing { connection: self.connection().await?, mutation };
        let outcome = match work {
            Work::Apply(_) if work.is_single() => patiently!(lock_timeout, apply(&mut writing, work).await),
            Work::Rotate { attempt, .. } => match patiently!(lock_timeout, rotate(&mut writing, attempt).await) {
                Ok(None) => return Ok(None),
                Ok(Some(rotated)) => Ok(Done::Rotated(rotated)),
                Err(undone) => Err(undone),
            },
            Work::Apply(_) | Work::Ping => return Ok(None),
        };
        answer_of(outcome).map(Some)
    }

    /// Does the work of a batch in one transaction, a savepoint for each piece that could be left half-done.
    async fn transaction(&mut self, batch: &[Job]) -> Result<Vec<Answer>, StoreError> {
        let (lock_timeout, mutation) = (self.options.lock_timeout, self.options.mutation);
        let connection = self.connection().await?;
        #[cfg(feature = "mutants")]
        mutation.write_outside(connection, batch).await;
        patiently!(lock_timeout, command(connection, mutation.rewrite(BEGIN)).await).map_err(store_error)?;
        let grouped = batch.len() > 1;
        let mut answers = Vec::with_capacity(batch.len());
        let mut keep = grouped;
        for job in batch {
            // The wait for the lock may have outlasted a caller, who was told that the store is unavailable.
            if !job.is_wanted() {
                answers.push(Err(StoreError::from(Unreachable::Stalled).into()));
                continue;
            }
            let savepoint = grouped && !job.is_single();
            if savepoint {
                command(connection, SAVEPOINT).await.map_err(store_error)?;
            }
            let outcome = apply(&mut Writing { connection: &mut *connection, mutation }, &job.work).await;
            let undo = outcome.is_err();
            let answer = answer_of(outcome)?;
            keep |= !undo;
            if savepoint {
                if undo {
                    command(connection, mutation.rewrite(ROLLBACK_SET)).await.map_err(store_error)?;
                }
                command(connection, RELEASE).await.map_err(store_error)?;
            }
            answers.push(answer);
        }
        // A change set that is alone in its transaction needs no savepoint: the transaction is one.
        command(connection, if keep { COMMIT } else { ROLLBACK }).await.map_err(store_error)?;
        Ok(answers)
    }
}

/// The answer to one caller, or the failure of everybody in the transaction.
fn answer_of(outcome: Result<Done, Undone>) -> Result<Answer, StoreError> {
    match outcome {
        Ok(done) => Ok(Ok(done)),
        Err(Undone::Guard(conflict)) => Ok(Err(CommitError::Conflict(conflict))),
        Err(Undone::Refused(error)) => Ok(Err(CommitError::Store(error))),
        Err(Undone::Busy(error) | Undone::Lost(error)) => Err(error),
    }
}
