//! One request to the writer, and how it is answered.

use std::sync::Arc;

use authkit_core::ports::StoreError;
use tokio::sync::oneshot;

use crate::work::{Answer, Work};

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
