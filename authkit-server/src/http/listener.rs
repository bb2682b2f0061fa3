//! The accept loop, and the end of service.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poem::http::StatusCode;
use poem::{Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Refusal};
use super::client_address::TrustedProxies;
use super::connection::{Ends, Stage, drive};
use super::limits::Limits;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::telemetry::Metrics;

/// Whether the service wants new requests: what the readiness probe answers.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether requests are wanted. False before the listener runs, and from the first moment of a shutdown on.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

/// How a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Every request in flight was answered.
    Clean,
    /// Some were not, within the time that they had.
    Aborted,
}

/// What the accept loop needs beside the socket.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) limits: Arc<Limits>,
    pub(crate) trusted: TrustedProxies,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

impl Service {
    /// Accepts until `shutdown` comes, then lets what is in flight finish.
    pub(crate) async fn run<E>(self, listener: TcpListener, endpoint: Arc<E>, shutdown: impl Future<Output = ()>) -> Drained
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let (stage, _) = watch::channel(Stage::Serving);
        // Every connection holds a sender; when the last one is gone, the receiver hears of it.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let acceptor = Acceptor {
            admission: Arc::new(Admission::new(&self.limits, self.trusted.clone())),
            limits: Arc::clone(&self.limits),
            metrics: self.metrics.clone(),
            endpoint,
            stage: stage.clone(),
            alive,
        };
        tracing::debug!(max_connections = acceptor.admission.max_total(), "accepting connections");
        self.readiness.set(true);

        tokio::pin!(shutdown);
        tokio::select! {
            never = acceptor.accept_forever(&listener) => match never {},
            () = &mut shutdown => self.readiness.set(false),
        }
        stage.send_replace(Stage::Leaving);
        let _ = timeout(self.limits.drain_delay, acceptor.accept_forever(&listener)).await;
        acceptor.accept_backlog(&listener).await;
        drop(listener);
        drop(acceptor);

        stage.send_replace(Stage::Draining);
        if timeout(self.limits.shutdown_timeout, all_gone.recv()).await.is_ok() {
            return Drained::Clean;
        }
        tracing::warn!(waited = ?self.limits.shutdown_timeout, "requests in flight did not finish in time");
        stage.send_replace(Stage::Aborting);
        all_gone.recv().await;
        Drained::Aborted
    }
}

struct Acceptor<E> {
    admission: Arc<Admission>,
    limits: Arc<Limits>,
    metrics: Metrics,
    endpoint: Arc<E>,
    stage: watch::Sender<Stage>,
    alive: mpsc::Sender<()>,
}

impl<E: Endpoint<Output = Response> + 'static> Acceptor<E> {
    async fn accept_forever(&self, listener: &TcpListener) -> Infallible {
        let mut pause = FIRST_PAUSE;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    self.admit(stream, peer);
                }
                // The client was gone before we came to it.
                Err(error) if is_of_the_client(&error) => {}
                // Out of descriptors or memory. The connection stays in the backlog, so accepting at once would spin.
                Err(error) => {
                    tracing::error!(%error, ?pause, "connections cannot be accepted");
                    self.metrics.accept_failed();
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Takes the connections that the kernel has already accepted: closing the socket would reset them.
    async fn accept_backlog(&self, listener: &TcpListener) {
        while let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await {
            self.admit(stream, peer);
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let ticket = match self.admission.admit(peer.ip()) {
            Ok(ticket) => ticket,
            Err(refusal) => return self.turn_away(&stream, peer.ip(), refusal),
        };
        let Ok(local) = stream.local_addr() else { return };
        // A reply is written in one piece; waiting for more to send would only delay it. Failing here costs latency, no more.
        let _ = stream.set_nodelay(true);
        let open = self.metrics.connection_opened();
        let (limits, endpoint) = (Arc::clone(&self.limits), Arc::clone(&self.endpoint));
        let (stage, alive) = (self.stage.subscribe(), self.alive.clone());
        tokio::spawn(async move {
            let _held = (ticket, open, alive);
            drive(stream, Ends { local, peer }, endpoint, limits, stage).await;
        });
    }

    fn turn_away(&self, stream: &TcpStream, peer: IpAddr, refusal: Refusal) {
        tracing::debug!(%peer, ?refusal, "a connection was turned away");
        self.metrics.connection_refused();
        // One attempt and no waiting: whoever is turned away may not cost anything more.
        let _ = stream.try_write(&canned_reply(refusal));
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A complete reply for those who are turned away before a request of theirs was read.
fn canned_reply(refusal: Refusal) -> Vec<u8> {
    let (status, code) = match refusal {
        Refusal::Full => (StatusCode::SERVICE_UNAVAILABLE, "server.too_many_connections"),
        Refusal::AddressFull => (StatusCode::TOO_MANY_REQUESTS, "request.too_many_connections"),
    };
    let body = Problem::new(status, code, "There are too many connections").to_json().to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
