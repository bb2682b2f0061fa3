//! The syslog of this machine.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use authkit_core::model::AuditEvent;
use authkit_core::ports::{AuditSink, AuditSinkError};
use tokio::net::UnixDatagram;
use tokio::sync::Mutex;

use super::syslog::{DATAGRAM_BYTES, Sender};

/// Sends each event as a datagram. A reader that is slow is waited for, one that is away is an error.
#[derive(Debug)]
pub(super) struct UnixSink {
    name: String,
    path: PathBuf,
    rfc5424: bool,
    sender: Sender,
    socket: Mutex<Option<UnixDatagram>>,
}

impl UnixSink {
    pub(super) fn new(name: String, path: PathBuf, rfc5424: bool) -> Self {
        Self { name, path, rfc5424, sender: Sender::here(), socket: Mutex::new(None) }
    }

    async fn send(&self, events: &[AuditEvent]) -> io::Result<()> {
        let mut slot = self.socket.lock().await;
        let socket = if let Some(socket) = slot.take() {
            socket
        } else {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.path)?;
            socket
        };
        for event in events {
            let message =
                if self.rfc5424 { self.sender.rfc5424(event, DATAGRAM_BYTES) } else { self.sender.local(event, DATAGRAM_BYTES) };
            socket.send(message.as_bytes()).await?;
        }
        *slot = Some(socket);
        Ok(())
    }
}

#[async_trait]
impl AuditSink for UnixSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError> {
        self.send(events).await.map_err(AuditSinkError::new)
    }
}

#[cfg(test)]
mod tests {
    use authkit_core::testkit::Fixtures;

    use super::*;

    #[tokio::test]
    async fn a_daemon_that_starts_anew_gets_what_it_missed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let sink = UnixSink::new("syslog:test".to_owned(), path.clone(), false);
        let fixtures = Fixtures::new(1);
        let events: Vec<AuditEvent> = (0..3).map(|_| fixtures.event(fixtures.user().id)).collect();
        sink.deliver(&events).await.expect_err("nobody is there");
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&path).expect("binds");
            // The first attempt behind a restart finds the socket of before.
            if sink.deliver(&events).await.is_err() {
                sink.deliver(&events).await.expect("is taken");
            }
            for event in &events {
                let mut buffer = [0; DATAGRAM_BYTES];
                let length = daemon.recv(&mut buffer).await.expect("receives");
                let message = std::str::from_utf8(&buffer[..length]).expect("ASCII");
                assert!(message.starts_with("<86>") && message.contains(&event.id.to_string()), "{message}");
            }
            drop(daemon);
            std::fs::remove_file(&path).expect("removes");
        }
    }
}
