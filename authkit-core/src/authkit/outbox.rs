//! The face of the outbox.

use crate::flows::engine::Engine;
use crate::flows::{self, Internal, OutboxError};
use crate::model::{OutboxMessage, OutboxState};
use crate::primitives::{OutboxMessageId, Page, PageRequest};

/// What waits to be sent, and what could not be.
#[derive(Debug, Clone, Copy)]
pub struct Outbox<'a> {
    pub(super) engine: &'a Engine,
}

impl Outbox<'_> {
    /// The messages in a state, the youngest first. What they say is sealed.
    pub async fn list(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, Internal> {
        flows::outbox::list(self.engine, state, page).await
    }

    /// Has a message that was given up tried again, while what it says is still true.
    pub async fn retry(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::outbox::retry(self.engine, id).await
    }

    /// Removes a message.
    pub async fn discard(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::outbox::discard(self.engine, id).await
    }

    /// Works off everything that is due now, and says how many messages that were. Every node does so in the background; this is for
    /// whoever does not want to wait for that.
    pub async fn deliver_due(&self) -> Result<usize, Internal> {
        flows::outbox::work(self.engine).await
    }
}
