//! A service of ranges over HTTPS (<https://haveibeenpwned.com/API/v3#PwnedPasswords>): it learns five of forty digits of a SHA-1.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use authkit_core::ports::{BreachDigest, BreachList, BreachListError};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderName, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use quick_cache::sync::Cache;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long one question may take, the connection included: a person waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of an answer; those of Have I Been Pwned have about 40 KiB, padded.
const ANSWER_BYTES: usize = 1_024 * 1_024;
/// How many questions are under way at a time: a flood of registrations does not become one of connections.
const CONCURRENCY: usize = 16;
/// How many ranges are remembered (some 3 MB), and for how long. The list changes a few times a year.
const REMEMBERED: usize = 64;
const FRESH: Duration = Duration::from_hours(1);

/// A service of ranges.
pub struct RangeService {
    host: String,
    authority: String,
    port: u16,
    /// What stands in front of the five digits.
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    turns: Semaphore,
    ranges: Cache<String, (Instant, Arc<str>)>,
}

/// What a service can do wrong.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {ANSWER_BYTES} bytes, or broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is not text")]
    NotText,
    #[error("it cannot be reached")]
    Connection(#[from] std::io::Error),
    #[error("it speaks no HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("the URL names no host that a certificate could be for")]
    Host,
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl RangeService {
    /// Takes the address of a service. Nothing is asked yet.
    ///
    /// # Errors
    /// A host that no certificate could be for.
    pub fn new(url: &Url) -> Result<Self, BreachListError> {
        Self::build(url).map_err(BreachListError::new)
    }

    fn build(url: &Url) -> Result<Self, Trouble> {
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
        let path = format!("{}/range/", url.path().trim_end_matches('/'));
        Ok(Self { host, authority, port, path, tls, turns: Semaphore::new(CONCURRENCY), ranges: Cache::new(REMEMBERED) })
    }

    /// The range of a prefix, and whether it was asked for just now.
    async fn range(&self, prefix: &str) -> Result<(Arc<str>, bool), Trouble> {
        if let Some((read_at, range)) = self.ranges.get(prefix)
            && now().saturating_duration_since(read_at) < FRESH
        {
            return Ok((range, false));
        }
        let range: Arc<str> = timeout(PATIENCE, self.ask(prefix)).await.map_err(|_| Trouble::Slow)??.into();
        Ok((range, true))
    }

    async fn ask(&self, prefix: &str) -> Result<String, Trouble> {
        // Never closed; and were it, the answer would only be unbounded.
        let _turn = self.turns.acquire().await.ok();
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            None => self.exchange(stream, prefix).await,
            Some((connector, name)) => self.exchange(connector.connect(name.clone(), stream).await?, prefix).await,
        }
    }

    async fn exchange<S>(&self, stream: S, prefix: &str) -> Result<String, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::Builder::new().max_headers(64).handshake(TokioIo::new(stream)).await?;
        let request = Request::get(format!("{}{prefix}", self.path))
            .header(HOST, &self.authority)
            .header(USER_AGENT, "authkit-server")
            .header(ACCEPT, "text/plain")
            // The length of an answer would tell about the prefix to whoever sees the ciphertext.
            .header(HeaderName::from_static("add-padding"), "true")
            .body(Empty::<Bytes>::new())?;
        // Driven here and not on a task of its own: when the answer is given up, so is the connection.
        let mut connection = std::pin::pin!(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            // A redirect is followed to nowhere: whoever can make one could read the prefix, and send us anywhere.
            if response.status() != StatusCode::OK {
                return Err(Trouble::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(Trouble::Body)?;
            String::from_utf8(body.to_bytes().into()).map_err(|_| Trouble::NotText)
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => { ended?; answer.await }
        }
    }
}

#[async_trait]
impl BreachList for RangeService {
    async fn times_seen(&self, digest: &BreachDigest) -> Result<u64, BreachListError> {
        let (range, is_new) = self.range(digest.prefix()).await.map_err(BreachListError::new)?;
        let times = digest.times_in(&range)?;
        // Only what could be read is remembered.
        if is_new {
            self.ranges.insert(digest.prefix().to_owned(), (now(), range));
        }
        Ok(times)
    }
}

impl fmt::Debug for RangeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeService").field("authority", &self.authority).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "says how old a remembered answer is; decides no expiry of anything of ours")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
