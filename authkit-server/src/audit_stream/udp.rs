//! A syslog that takes datagrams (RFC 5426).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::AuditEvent;
use authkit_core::ports::{AuditSink, AuditSinkError};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::Mutex;

use super::syslog::{DATAGRAM_BYTES, Sender};

/// How long a delivery waits for word that nobody takes it: as long as a network of one's own takes to say so.
const OBJECTIONS: Duration = Duration::from_millis(20);

/// Sends each event as a datagram. Nobody says that it arrived; where its machine says that nobody listens, that is an error.
#[derive(Debug)]
pub(super) struct UdpSink {
    name: String,
    host: String,
    port: u16,
    sender: Sender,
    socket: Mutex<Option<UdpSocket>>,
}

impl UdpSink {
    pub(super) fn new(name: String, host: String, port: u16) -> Self {
        Self { name, host, port, sender: Sender::here(), socket: Mutex::new(None) }
    }

    async fn send(&self, events: &[AuditEvent]) -> io::Result<()> {
        let mut slot = self.socket.lock().await;
        let socket = match slot.take() {
            Some(socket) => socket,
            None => self.connect().await?,
        };
        for event in events {
            socket.send(self.sender.rfc5424(event, DATAGRAM_BYTES).as_bytes()).await?;
        }
        tokio::time::sleep(OBJECTIONS).await;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        *slot = Some(socket);
        Ok(())
    }

    /// Asks anew where the host is, every time.
    async fn connect(&self) -> io::Result<UdpSocket> {
        let mut last = None;
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            let own: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let connected = async {
                let socket = UdpSocket::bind(own).await?;
                socket.connect(address).await?;
                Ok(socket)
            };
            match connected.await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("the name has no address")))
    }
}

#[async_trait]
impl AuditSink for UdpSink {
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
    async fn a_receiver_that_is_away_is_noticed_and_gets_it_later() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let address = receiver.local_addr().expect("an address");
        let sink = UdpSink::new("syslog+udp:test".to_owned(), "127.0.0.1".to_owned(), address.port());
        let fixtures = Fixtures::new(1);
        let mut events: Vec<AuditEvent> = (0..20).map(|_| fixtures.event(fixtures.user().id)).collect();
        events[7].details.insert("huge".to_owned(), "\u{1F511}\n".repeat(1_000_000));
        let take = async |receiver: &UdpSocket| {
            for event in &events {
                let mut buffer = vec![0; 65_536];
                let length = receiver.recv(&mut buffer).await.expect("receives");
                let message = std::str::from_utf8(&buffer[..length]).expect("ASCII");
                assert!(length <= DATAGRAM_BYTES && message.contains(&event.id.to_string()), "{message}");
            }
        };
        sink.deliver(&events).await.expect("sends");
        take(&receiver).await;
        drop(receiver);
        for _ in 0..3 {
            sink.deliver(&events[..1]).await.expect_err("nobody listens");
        }
        let receiver = UdpSocket::bind(address).await.expect("binds");
        sink.deliver(&events).await.expect("sends");
        take(&receiver).await;
    }
}
