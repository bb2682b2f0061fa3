//! Mail over SMTP (RFC 5321).

use std::time::Duration;

use async_trait::async_trait;
use authkit_core::OutboxMessageId;
use authkit_core::model::Mail;
use authkit_core::ports::{MailError, Mailer};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::message::Letterhead;

/// How long one exchange with the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends mail to an SMTP server, over a pool of connections.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    letterhead: Letterhead,
}

impl Smtp {
    /// Speaks to the server of a URL: `smtps://user:password@host`, or `smtp://…?tls=required` for STARTTLS.
    pub(crate) fn new(url: &str, letterhead: Letterhead) -> Result<Self, lettre::transport::smtp::Error> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(TIMEOUT)).build();
        Ok(Self { transport, letterhead })
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError> {
        let message = self.letterhead.compose(id, mail).map_err(MailError::Permanent)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(MailError::Permanent(error.into())),
            Err(error) => Err(MailError::Temporary(error.into())),
        }
    }
}
