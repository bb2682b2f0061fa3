//! Text messages through an HTTP gateway: one signed POST each.
//!
//! The body is JSON: `id`, `to` (E.164), `text`, `kind`. `Idempotency-Key` is the id, so that a repetition is told from a second
//! message. `AuthKit-Timestamp` is the time in whole seconds since 1970, and `AuthKit-Signature` is `v1=` and the HMAC-SHA-256 (RFC 2104),
//! in hexadecimal digits, of the timestamp, a dot and the body under `AUTHKIT_SMS_TOKEN`. Whoever checks both refuses what is older than
//! some minutes.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::Sms;
use authkit_core::ports::{SmsError, SmsSender};
use authkit_core::{Clock, OutboxMessageId, SystemClock};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::words::Wording;

/// How long one message may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(10);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TIMESTAMP: HeaderName = HeaderName::from_static("authkit-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("authkit-signature");

/// Where a gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayUrl(Url);

/// Why a text is the address of no gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GatewayUrlError {
    /// It is no URL of a host.
    #[error("is not the URL of a gateway")]
    Form,
    /// Codes could be read on the way.
    #[error("is not https: whoever is on the way could read the codes")]
    Insecure,
    /// What would stand in logs.
    #[error("has a user or a fragment: the request is signed with AUTHKIT_SMS_TOKEN")]
    Parts,
}

impl GatewayUrl {
    /// Reads `https://host[:port]/path?query`; `http` for a gateway on this machine.
    pub(crate) fn parse(text: &str) -> Result<Self, GatewayUrlError> {
        let url = Url::parse(text).map_err(|_| GatewayUrlError::Form)?;
        let on_this_machine = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(GatewayUrlError::Form),
        };
        match url.scheme() {
            "https" => {}
            "http" if on_this_machine => {}
            "http" => return Err(GatewayUrlError::Insecure),
            _ => return Err(GatewayUrlError::Form),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(GatewayUrlError::Parts);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A gateway.
pub(crate) struct Gateway {
    host: String,
    authority: String,
    port: u16,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token: SecretString,
    wording: Wording,
    patience: Duration,
}

/// What a gateway can do wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no answer in time")]
    Slow,
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("it cannot be reached")]
    Connection(#[from] std::io::Error),
    #[error("it speaks no HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("the URL names no host that a certificate could be for")]
    Host,
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("the body cannot be written")]
    Body(#[from] serde_json::Error),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Trouble {
    /// Whether the same message can fare better later: the gateway is away, or says so (RFC 9110 §15).
    fn is_temporary(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::CONFLICT
                            | StatusCode::TOO_EARLY
                            | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            Self::Slow | Self::Connection(_) | Self::Http(_) => true,
            Self::Host | Self::Request(_) | Self::Body(_) | Self::Tls(_) => false,
        }
    }
}

impl Gateway {
    /// Speaks to a gateway. Nothing is sent yet.
    pub(crate) fn new(GatewayUrl(url): &GatewayUrl, token: SecretString, wording: Wording) -> Result<Self, Trouble> {
        let host = url.host_str().ok_or(Trouble::Host)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or(Trouble::Host)?;
        let tls = if url.scheme() == "https" {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let config = config.with_root_certificates(roots).with_no_client_auth();
            let name = ServerName::try_from(host.clone()).map_err(|_| Trouble::Host)?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", url.path());
        Ok(Self { host, authority, port, path, tls, token, wording, patience: PATIENCE })
    }

    async fn post(&self, id: OutboxMessageId, sms: &Sms) -> Result<(), Trouble> {
        let body = serde_json::to_vec(&serde_json::json!({
            "id": id.to_string(),
            "to": sms.to.expose(),
            "text": self.wording.text(sms),
            "kind": sms.content.name(),
        }))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            None => self.exchange(stream, id, body).await,
            Some((connector, name)) => self.exchange(connector.connect(name.clone(), stream).await?, id, body).await,
        }
    }

    async fn exchange<S>(&self, stream: S, id: OutboxMessageId, body: Vec<u8>) -> Result<(), Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::Builder::new().max_headers(64).handshake(TokioIo::new(stream)).await?;
        let timestamp = SystemClock.now().unix_seconds().to_string();
        let signature = sign(self.token.expose_secret().as_bytes(), &timestamp, &body);
        let request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, "authkit-server")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, id.to_string())
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))?;
        // Driven here and not on a task of its own: when the answer is given up, so is the connection.
        let mut connection = std::pin::pin!(connection);
        let answer = async {
            // A redirect is followed to nowhere: whoever can make one would be sent the code. Of the answer only the status counts.
            let status = sender.send_request(request).await?.status();
            if status.is_success() { Ok(()) } else { Err(Trouble::Status(status)) }
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => { ended?; answer.await }
        }
    }
}

/// The signature of a body that is sent at a time.
fn sign(token: &[u8], timestamp: &str, body: &[u8]) -> String {
    // A key of any length is one (RFC 2104 §3).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token) else { unreachable!("HMAC takes a key of any length") };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::from("v1="), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[async_trait]
impl SmsSender for Gateway {
    async fn send(&self, id: OutboxMessageId, sms: &Sms) -> Result<(), SmsError> {
        let sent = timeout(self.patience, self.post(id, sms)).await.unwrap_or(Err(Trouble::Slow));
        sent.map_err(|trouble| {
            if trouble.is_temporary() { SmsError::Temporary(trouble.into()) } else { SmsError::Permanent(trouble.into()) }
        })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("authority", &self.authority).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
