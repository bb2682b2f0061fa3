//! A mailer that keeps what it is given.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::model::Mail;
use crate::ports::{MailError, Mailer};
use crate::primitives::{OneTimeTokenText, OutboxMessageId};

/// Keeps every mail, and fails when it is told to. Clones are one mailbox.
#[derive(Debug, Clone, Default)]
pub struct Mailbox(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    mails: Vec<(OutboxMessageId, Mail)>,
    failing: Option<bool>,
}

impl Mailbox {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes mail again (`None`), or fails: for good where `permanently` says so.
    pub fn fail(&self, permanently: Option<bool>) {
        self.inside().failing = permanently;
    }

    /// Takes out what has arrived.
    #[must_use]
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut self.inside().mails).into_iter().map(|(_, mail)| mail).collect()
    }

    /// The token of the only mail of a name that has arrived; takes everything out.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[must_use]
    pub fn only_token(&self, name: &str) -> OneTimeTokenText {
        let mut named: Vec<Mail> = self.take().into_iter().filter(|mail| mail.content.name() == name).collect();
        assert_eq!(named.len(), 1, "mails of the name {name}");
        named.remove(0).content.token().expect("a token").clone()
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError> {
        let mut inside = self.inside();
        match inside.failing {
            None => inside.mails.push((id, mail.clone())),
            Some(true) => return Err(MailError::Permanent("no such mailbox".into())),
            Some(false) => return Err(MailError::Temporary("greylisted".into())),
        }
        Ok(())
    }
}
