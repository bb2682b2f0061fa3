//! Sending text messages.

use std::error::Error;

use async_trait::async_trait;

use crate::model::Sms;
use crate::primitives::OutboxMessageId;

/// Why a text message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmsError {
    /// Not now: it is tried again.
    #[error("the text message could not be sent now")]
    Temporary(#[source] Box<dyn Error + Send + Sync>),
    /// Never: the number or the message is refused.
    #[error("the text message cannot be sent")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
}

/// Sends text messages. It writes them too: the library says what is to be said, and the host in which words.
///
/// **When it is down** nothing is lost and nobody waits: messages stay in the outbox, are tried again with growing pauses, and are
/// given up when their code is no longer good. Whoever has another factor, or a recovery code, goes on with that.
#[async_trait]
pub trait SmsSender: std::fmt::Debug + Send + Sync {
    /// Sends a text message, or says why not. It returns within half a minute.
    ///
    /// A message is sent at least once: one whose delivery could not be written down comes again, with the same `id`. Hand it to the
    /// gateway as the key by which it tells repetitions.
    async fn send(&self, id: OutboxMessageId, sms: &Sms) -> Result<(), SmsError>;
}
