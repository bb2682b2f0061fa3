//! What a store is asked to write, and what became of it.

use authkit_core::model::{Committed, RotationOutcome};
use authkit_core::ports::{CommitError, Conflict, StoreError};

use crate::row::DecodeError;
use crate::statement::{Guard, Query, Statement};

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

impl Work {
    /// Whether the work is one statement and its guard tells all: then it needs no transaction around it. A guard that asks for
    /// a second look must see there what the first one saw.
    pub(crate) fn is_single(&self) -> bool {
        match self {
            Self::Apply(statements) => {
                matches!(statements.as_slice(), [statement] if !matches!(statement.guard, Guard::OneRowOr { .. }))
            }
            Self::Rotate { .. } | Self::Ping => true,
        }
    }
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Done {
    Applied(Committed),
    Rotated(RotationOutcome),
    Alive,
}

impl Done {
    pub(crate) fn applied(self) -> Result<Committed, StoreError> {
        match self {
            Self::Applied(committed) => Ok(committed),
            _ => Err(StoreError::failed(Misanswered)),
        }
    }

    pub(crate) fn rotated(self) -> Result<RotationOutcome, StoreError> {
        match self {
            Self::Rotated(outcome) => Ok(outcome),
            _ => Err(StoreError::failed(Misanswered)),
        }
    }
}

/// The question was another one than the answer.
#[derive(Debug, thiserror::Error)]
#[error("the store gave itself an answer of another kind")]
struct Misanswered;

/// Why it was not done.
#[derive(Debug)]
pub(crate) enum Undone {
    /// A guard did not hold.
    Guard(Conflict),
    /// This work alone cannot be done; the transaction goes on where its database lets it.
    Refused(StoreError),
    /// Another transaction is in the way, and nothing has happened: worth trying again.
    Busy(StoreError),
    /// The transaction cannot go on, and nobody's work in it was done.
    Lost(StoreError),
}

impl From<DecodeError> for Undone {
    /// The write behind the row has happened, and only the end of the transaction undoes it for sure.
    fn from(error: DecodeError) -> Self {
        Self::Lost(error.into())
    }
}

/// The answer to one request.
pub(crate) type Answer = Result<Done, CommitError>;

/// The error of a call whose only possible conflict would be a defect.
pub(crate) fn without_conflict(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => StoreError::failed(other),
    }
}
