//! Sending mail.

use std::error::Error;

use async_trait::async_trait;

use crate::model::Mail;
use crate::primitives::OutboxMessageId;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// Not now: it is tried again.
    #[error("the mail could not be sent now")]
    Temporary(#[source] Box<dyn Error + Send + Sync>),
    /// Never: the recipient is refused, or the mail cannot be written.
    #[error("the mail cannot be sent")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
}

/// Sends mail. It writes the mail too: the library says what is to be said, and the host in which words.
///
/// **When it is down** nothing is lost and nobody waits: messages stay in the outbox, are tried again with growing pauses, and are given
/// up when they are no longer true or after a day.
#[async_trait]
pub trait Mailer: std::fmt::Debug + Send + Sync {
    /// Sends a mail, or says why not. It returns within half a minute.
    ///
    /// A mail is sent at least once: one whose delivery could not be written down comes again, with the same `id`. Make the
    /// `Message-ID` of it, so that receivers can tell.
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError>;
}
