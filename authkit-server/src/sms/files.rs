//! Without a gateway: text messages are files.

use std::path::PathBuf;

use async_trait::async_trait;
use authkit_core::OutboxMessageId;
use authkit_core::model::Sms;
use authkit_core::ports::{SmsError, SmsSender};
use tokio::io::AsyncWriteExt as _;

use super::words::Wording;

/// Writes every text message as a file into a directory.
#[derive(Debug)]
pub(crate) struct SmsFiles {
    directory: PathBuf,
    wording: Wording,
}

impl SmsFiles {
    pub(crate) const fn new(directory: PathBuf, wording: Wording) -> Self {
        Self { directory, wording }
    }
}

#[async_trait]
impl SmsSender for SmsFiles {
    async fn send(&self, id: OutboxMessageId, sms: &Sms) -> Result<(), SmsError> {
        let temporary = |error: std::io::Error| SmsError::Temporary(error.into());
        let mut directory = tokio::fs::DirBuilder::new();
        // SECURITY: the codes in the files let somebody in.
        directory.recursive(true).mode(0o700).create(&self.directory).await.map_err(temporary)?;
        let path = self.directory.join(format!("{id}.sms.txt"));
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).await.map_err(temporary)?;
        let text = format!("To: {}\n\n{}\n", sms.to.expose(), self.wording.text(sms));
        file.write_all(text.as_bytes()).await.map_err(temporary)?;
        file.flush().await.map_err(temporary)?;
        tracing::info!(file = %path.display(), "a text message was written to a file: there is no AUTHKIT_SMS_URL");
        Ok(())
    }
}
