//! One keep-alive connection, and replies that can be asked about.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for a reply before it calls the server stuck.
const REPLY_LIMIT: Duration = Duration::from_secs(20);

/// Why there was no reply.
#[derive(Debug)]
pub(crate) struct NoReply {
    /// Whether any of the request may have left: then it is not known whether the server acted.
    pub(crate) was_sent: bool,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl NoReply {
    fn before_sending(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { was_sent: false, cause: cause.into() }
    }

    fn after_sending(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { was_sent: true, cause: cause.into() }
    }
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.cause, if self.was_sent { "the request was sent" } else { "the request was not sent" })
    }
}

impl std::error::Error for NoReply {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

/// A POST of JSON.
pub(crate) fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    request.body(Full::new(Bytes::from(body.to_string()))).expect("a request")
}

/// A GET, with a bearer token where one is given.
pub(crate) fn get(path: &str, bearer: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::get(path);
    if let Some(token) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Full::default()).expect("a request")
}

/// A connection that is opened with its first request, kept alive, and opened again after it broke.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection to `address`.
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    /// Where it leads.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and reads its whole reply. The error says whether the server may have acted.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
        let reply = match timeout(REPLY_LIMIT, self.exchange(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(NoReply::after_sending(format!("no reply within {REPLY_LIMIT:?}"))),
        };
        if reply.is_err() {
            self.sender = None;
        }
        reply
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
        if !request.headers().contains_key(HOST) {
            let host = self.address.to_string().parse().expect("an address is printable");
            request.headers_mut().insert(HOST, host);
        }
        // A connection that the server closed since the last reply is opened again.
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        let sender = match &mut self.sender {
            Some(sender) => sender,
            none => none.insert(open(self.address).await?),
        };
        let response = sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            // hyper gives back what it has not begun to write.
            Some(_) => NoReply::before_sending(error.into_error()),
            None => NoReply::after_sending(error.into_error()),
        })?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(NoReply::after_sending)?.to_bytes();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

async fn open(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, NoReply> {
    let stream = TcpStream::connect(address).await.map_err(NoReply::before_sending)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(NoReply::before_sending)?;
    // An error of the connection also reaches the request that waits on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// A whole reply.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The reply itself, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// A header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("not JSON: {error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A member of the body that must be a text.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        let json = self.json();
        json[member].as_str().unwrap_or_else(|| panic!("no text {member:?} in {json}")).to_owned()
    }

    /// The `code` of a problem document; empty when the reply is none.
    pub(crate) fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["code"].as_str().unwrap_or_default().to_owned()
    }
}
