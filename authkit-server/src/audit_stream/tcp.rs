//! A syslog that takes a connection: plain (RFC 6587), or inside TLS (RFC 5425). Every message stands behind its length.
//!
//! No receiver of syslog says what it has taken: a write succeeds when the bytes are in a buffer of this machine, and a connection
//! that breaks takes along what was still under way. So what was written last is kept, and written again on the next connection.
//! Whoever receives drops what it has by the id.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::AuditEvent;
use authkit_core::ports::{AuditSink, AuditSinkError};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::syslog::{MESSAGE_BYTES, Sender};
use crate::cli::OperationError;

/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a write may take. Both together are less than the ten seconds that a delivery has.
const WRITE: Duration = Duration::from_secs(4);
/// What is written again on the next connection: what is younger than this when one breaks, and at most so many bytes. Two buffers of
/// the kernels lie in between, each a few megabytes where much is under way, and the receiver's own.
const REPEATED: Duration = Duration::from_mins(5);
const REPEATED_BYTES: usize = 8 * 1_024 * 1_024;
/// How often it is looked whether the connection still stands.
const LOOK: Duration = Duration::from_secs(5);
/// How long bytes may be under way before the connection counts as broken (RFC 5482), and when an idle one is asked.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How TLS is spoken, and with whom.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For a host, whose certificate has to be signed by `authority` (PEM), or by one of the web's.
    pub(super) fn new(host: &str, authority: Option<&[u8]>) -> Result<Self, OperationError> {
        const CA_FILE: &str = "AUTHKIT_AUDIT_STREAM_CA_FILE";
        let mut roots = RootCertStore::empty();
        match authority {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| format!("{CA_FILE}: is not PEM: {error}"))?;
                    roots.add(certificate).map_err(|error| format!("{CA_FILE}: {error}"))?;
                }
                if roots.is_empty() {
                    return Err(format!("{CA_FILE}: has no certificate in it").into());
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "AUTHKIT_AUDIT_STREAM: names no host that a certificate could be for")?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for S {}

/// Writes each event behind its length.
pub(super) struct TcpSink {
    name: String,
    sender: Sender,
    line: Arc<Mutex<Line>>,
}

/// The connection, and what was written to it last.
struct Line {
    host: String,
    port: u16,
    tls: Option<Tls>,
    stream: Option<Box<dyn Duplex>>,
    /// What may not have arrived, by when it was written.
    written: VecDeque<(Instant, Vec<u8>)>,
    written_bytes: usize,
}

impl TcpSink {
    /// Connects when there is something to write; must be called inside a runtime.
    pub(super) fn start(name: String, host: String, port: u16, tls: Option<Tls>) -> Self {
        let line = Line { host, port, tls, stream: None, written: VecDeque::new(), written_bytes: 0 };
        let line = Arc::new(Mutex::new(line));
        tokio::spawn(look_after(Arc::downgrade(&line)));
        Self { name, sender: Sender::here(), line }
    }
}

impl std::fmt::Debug for TcpSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpSink").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl AuditSink for TcpSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError> {
        let mut frames = Vec::with_capacity(events.len() * 1_024);
        for event in events {
            let message = self.sender.rfc5424(event, MESSAGE_BYTES);
            frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
            frames.extend_from_slice(message.as_bytes());
        }
        self.line.lock().await.send(frames).await.map_err(AuditSinkError::new)
    }
}

/// A connection that breaks while nothing is written would keep to itself what was lost with it until the next event.
async fn look_after(line: Weak<Mutex<Line>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(line) = line.upgrade() else { return };
        let mut line = line.lock().await;
        if line.is_broken().await || (line.stream.is_none() && !line.written.is_empty()) {
            // Whether it succeeds is seen at the next look, and told at the next delivery.
            drop(line.stand().await);
        }
    }
}

impl Line {
    async fn send(&mut self, frames: Vec<u8>) -> io::Result<()> {
        self.stand().await?;
        self.write(&frames).await?;
        let now = Instant::now();
        self.written_bytes += frames.len();
        self.written.push_back((now, frames));
        while self.written.len() > 1
            && self.written.front().is_some_and(|(at, _)| now - *at > REPEATED || self.written_bytes > REPEATED_BYTES)
        {
            self.written_bytes -= self.written.pop_front().map_or(0, |(_, frames)| frames.len());
        }
        Ok(())
    }

    /// Makes sure that there is a connection, and that what may not have arrived on the one before is written.
    async fn stand(&mut self) -> io::Result<()> {
        if self.stream.is_some() && !self.is_broken().await {
            return Ok(());
        }
        self.break_off();
        let connected = timeout(CONNECT, self.connect()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        self.stream = Some(connected?);
        let written = std::mem::take(&mut self.written);
        let mut outcome = Ok(());
        for (_, frames) in &written {
            outcome = self.write(frames).await;
            if outcome.is_err() {
                break;
            }
        }
        self.written = written;
        outcome
    }

    async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        watch(&stream)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.connector.connect(tls.name.clone(), stream).await?)),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        let written = timeout(WRITE, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        let written = written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if written.is_err() {
            // How much of it arrived is not known, so nothing can follow it on this connection.
            self.break_off();
        }
        written
    }

    /// Gives the connection up. What was written to it long ago has arrived; the rest is kept for the next one, however long that takes.
    fn break_off(&mut self) {
        if self.stream.take().is_none() {
            return;
        }
        let now = Instant::now();
        while self.written.front().is_some_and(|(at, _)| now - *at > REPEATED) {
            self.written_bytes -= self.written.pop_front().map_or(0, |(_, frames)| frames.len());
        }
    }

    /// Whether the other side has closed, or the connection failed. Syslog is one way: what comes back is thrown away.
    async fn is_broken(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut bytes = [0; 512];
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer))).await {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return true,
            }
        }
        // It talks without an end: whatever that is, it is no syslog.
        true
    }
}

/// Has the kernel notice when the other side is gone without a word.
fn watch(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    let millis = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, millis)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, UNACKNOWLEDGED)?;
    Ok(())
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
