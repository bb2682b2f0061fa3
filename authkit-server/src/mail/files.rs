//! Without an SMTP server: mails are files, and their links are in the log.

use std::path::PathBuf;

use async_trait::async_trait;
use authkit_core::OutboxMessageId;
use authkit_core::model::Mail;
use authkit_core::ports::{MailError, Mailer};

use super::message::Letterhead;

/// Writes every mail as an `.eml` file into a directory.
#[derive(Debug)]
pub(crate) struct MailFiles {
    directory: PathBuf,
    letterhead: Letterhead,
}

impl MailFiles {
    pub(crate) const fn new(directory: PathBuf, letterhead: Letterhead) -> Self {
        Self { directory, letterhead }
    }
}

#[async_trait]
impl Mailer for MailFiles {
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError> {
        let message = self.letterhead.compose(id, mail).map_err(MailError::Permanent)?;
        let temporary = |error: std::io::Error| MailError::Temporary(error.into());
        let mut directory = tokio::fs::DirBuilder::new();
        // SECURITY: the links in the files log in.
        directory.recursive(true).mode(0o700).create(&self.directory).await.map_err(temporary)?;
        let path = self.directory.join(format!("{id}.eml"));
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).await.map_err(temporary)?;
        tokio::io::AsyncWriteExt::write_all(&mut file, &message.formatted()).await.map_err(temporary)?;
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(temporary)?;
        let link = self.letterhead.link(mail);
        tracing::info!(file = %path.display(), link, "a mail was written to a file: there is no AUTHKIT_SMTP_URL");
        Ok(())
    }
}
