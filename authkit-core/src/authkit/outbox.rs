//! The face of the outbox.

use crate::flows::engine::Engine;
use crate::flows::{self, Administrator, Internal, OutboxError, OutboxStats};
use crate::model::{OutboxMessage, OutboxState, RequestContext};
use crate::primitives::{OutboxMessageId, Page, PageRequest};

/// What waits to be sent, and what could not be, for the operator of the machine. What an administrator does with it is in
/// [`Administration`](crate::Administration).
#[derive(Debug, Clone, Copy)]
pub struct Outbox<'a> {
    pub(super) engine: &'a Engine,
}

impl Outbox<'_> {
    /// The messages in a state, the youngest first. What they say is sealed.
    pub async fn list(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, OutboxError> {
        flows::admin_outbox::list(self.engine, Administrator::Operator, state, page).await
    }

    /// Has a message that was given up tried again, while what it says is still true.
    pub async fn retry(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::admin_outbox::retry(self.engine, Administrator::Operator, id, &RequestContext::default()).await
    }

    /// Removes a message.
    pub async fn discard(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::admin_outbox::discard(self.engine, Administrator::Operator, id, &RequestContext::default()).await
    }

    /// What this node has done with messages since it started, and what it last saw waiting.
    #[must_use]
    pub fn stats(&self) -> OutboxStats {
        self.engine.outbox_books.stats()
    }

    /// Works off everything that is due now, and says how many messages that were. Every node does so in the background; this is for
    /// whoever does not want to wait for that.
    pub async fn deliver_due(&self) -> Result<usize, Internal> {
        flows::outbox::work(self.engine).await
    }
}
