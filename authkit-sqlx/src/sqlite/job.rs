//! What the writer is asked to do, and how each request is answered.

use std::sync::Arc;

use authkit_core::model::{Committed, RotationOutcome};
use authkit_core::ports::{CommitError, Conflict, StoreError};
use tokio::sync::oneshot;

use crate::statement::{Query, Statement};

/// What is written.
#[derive(Debug)]
pub(crate) enum Work {
    /// A change set.
    Apply(Vec<Statement>),
    /// A rotation: the guarded write, and the read that tells how the session stands when it was refused.
    Rotate { attempt: Query, state: Query },
    /// Nothing: only whether something could be written.
    Ping,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Done {
    Applied(Committed),
    Rotated(RotationOutcome),
    Alive,
}

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Undone {
    /// A guard did not hold.
    Guard(Conflict),
    /// This work alone cannot be done; the transaction goes on.
    Refused(StoreError),
    /// Another connection holds the lock; nothing has happened.
    Busy(StoreError),
    /// The transaction cannot go on, and nobody's work in it was done.
    Lost(StoreError),
}

/// The answer to one request.
pub(crate) type Answer = Result<Done, CommitError>;

/// One request.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(super) reply: oneshot::Sender<Answer>,
}

impl Job {
    /// Whether somebody still waits for the answer. Work that nobody waits for is not begun.
    pub(super) fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Whether the work is one statement, which is done or undone as a whole without a savepoint.
    pub(super) fn is_single(&self) -> bool {
        match &self.work {
            Work::Apply(statements) => statements.len() == 1,
            Work::Rotate { .. } | Work::Ping => true,
        }
    }
}

/// The writer answered another question than it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the writer gave an answer of another kind")]
pub(super) struct Misanswered;

/// The same failure for everybody whose work was in one transaction.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the transaction failed")]
pub(super) struct SharedFailure(#[source] Arc<StoreError>);

impl SharedFailure {
    pub(super) fn new(error: StoreError) -> Self {
        Self(Arc::new(error))
    }

    /// The failure for one of them.
    pub(super) fn to_error(&self) -> StoreError {
        match *self.0 {
            StoreError::Unavailable(_) => StoreError::unavailable(self.clone()),
            _ => StoreError::failed(self.clone()),
        }
    }
}
