//! One keep-alive connection of HTTP/1.1, on hyper, with nothing between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long one request may take, its connection included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The greatest body that is read; the contract's replies are a hundredth of it.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody listens, or the handshake failed.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// The reply was greater than any reply of the contract.
    #[error("reply of more than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// No whole reply within [`REQUEST_TIMEOUT`].
    #[error("no reply within {REQUEST_TIMEOUT:?}")]
    TimedOut,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its `Retry-After`, where it carries one in seconds.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Bytes,
}

/// A connection that is opened when it is first used, kept alive, and opened again after it broke.
///
/// Each connection is a client of its own: to a server on IPv4 loopback it comes from an address of 127.0.0.0/8 that no other
/// connection of this process has. A server that limits what one address may have open, or may have hashed, then sees what it
/// sees in the field, where 256 logins at once come from 256 places.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    source: Option<SocketAddr>,
    host: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection to `address`; nothing is sent yet.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an address is printable ASCII")]
    pub fn new(address: SocketAddr) -> Self {
        let host = HeaderValue::from_str(&address.to_string()).expect("an address is printable ASCII");
        Self { address, source: source_for(address), host, sender: None }
    }

    /// Sends `request`, whose URI is a path, and reads the whole reply. One request at a time: HTTP/1.1 answers in order.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, TransportError> {
        match timeout(REQUEST_TIMEOUT, self.exchange(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            // After a failure the connection is in the middle of a reply: the next request gets a new one.
            Ok(Err(error)) => {
                self.sender = None;
                Err(error)
            }
            Err(_) => {
                self.sender = None;
                Err(TransportError::TimedOut)
            }
        }
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<Reply, TransportError> {
        request.headers_mut().insert(HOST, self.host.clone());
        let sender = self.sender().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return TransportError::TooLarge;
            }
            error.downcast::<hyper::Error>().map_or(TransportError::TooLarge, |error| TransportError::Http(*error))
        })?;
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Reply { status: parts.status, retry_after: retry_after.map(Duration::from_secs), body: body.to_bytes() })
    }

    /// The open connection, or a new one when there is none or the server closed it since the last reply.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, TransportError> {
        let open = match self.sender.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match open {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        Ok(self.sender.insert(sender))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, TransportError> {
        let failed = |source| TransportError::Connect { address: self.address, source };
        let stream = open(self.source, self.address).await.map_err(failed)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // An error of the connection also reaches the request that waits on it, so it need not be kept here.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

/// The next address of 127.0.0.0/8, from 127.1.0.1 on; `None` where the target is not IPv4 loopback.
fn source_for(target: SocketAddr) -> Option<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = u32::from_be_bytes([127, 1, 0, 1]);
    const LAST: u32 = u32::from_be_bytes([127, 255, 255, 254]);
    match target.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && cfg!(target_os = "linux") => {
            let offset = NEXT.fetch_add(1, Ordering::Relaxed) % (LAST - FIRST + 1);
            Some(SocketAddr::from((Ipv4Addr::from(FIRST + offset), 0)))
        }
        _ => None,
    }
}

async fn open(source: Option<SocketAddr>, target: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = match source {
        None => TcpStream::connect(target).await?,
        Some(source) => {
            let socket = TcpSocket::new_v4()?;
            socket.bind(source)?;
            socket.connect(target).await?
        }
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn every_connection_comes_from_an_address_of_its_own() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let target = listener.local_addr().expect("bound");
        let mut peers = Vec::new();
        for _ in 0..2 {
            let _stream = open(source_for(target), target).await.expect("connects");
            peers.push(listener.accept().await.expect("accepts").1.ip());
        }
        assert!(peers.iter().all(IpAddr::is_loopback), "{peers:?}");
        if cfg!(target_os = "linux") {
            assert_ne!(peers[0], peers[1]);
        }
    }
}
