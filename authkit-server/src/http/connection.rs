//! One connection: HTTP/1.1 from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, RequestParts, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::guarded_io::{GuardedIo, Turn, Turns};
use super::limits::Limits;

/// How far the shutdown of the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Requests are taken.
    Serving,
    /// Requests are still taken, and every reply ends its connection: whoever keeps one learns in order that it is over.
    Leaving,
    /// The request in flight is finished, then the connection ends.
    Draining,
    /// The connection ends now.
    Aborting,
}

/// How long a connection without a request lives on when the shutdown comes.
const FRESH_GRACE: Duration = Duration::from_millis(500);

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Serves one connection until it ends; returns whether it ended of itself.
pub(crate) async fn drive<E>(
    stream: TcpStream,
    ends: Ends,
    endpoint: Arc<E>,
    limits: Arc<Limits>,
    mut stage: watch::Receiver<Stage>,
) -> bool
where
    E: Endpoint<Output = Response> + 'static,
{
    let turns = Arc::new(Turns::default());
    let io = TokioIo::new(GuardedIo::new(stream, Arc::clone(&turns), Arc::clone(&limits)));
    let at_reply = stage.clone();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (endpoint, turn, turns, stage) = (Arc::clone(&endpoint), turns.take(), Arc::clone(&turns), at_reply.clone());
        async move {
            let response = endpoint.get_response(to_poem(request, ends, turns)).await;
            let (mut parts, body) = hyper::Response::<BoxBody<Bytes, io::Error>>::from(response).into_parts();
            if *stage.borrow() >= Stage::Leaving {
                parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(hyper::Response::from_parts(parts, ReplyBody { inner: body, _turn: turn }))
        }
    });

    // What is a little over the limits is answered with a problem by the shell; hyper itself stops what is far over.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout + limits.head_timeout)
        .max_headers(limits.max_headers.saturating_mul(2))
        .max_header_size(limits.max_head_bytes.saturating_mul(2))
        .max_buf_size(limits.max_head_bytes.saturating_mul(2).max(16 * 1024))
        .serve_connection(io, service);
    let mut connection = pin!(connection);

    let mut drain = pin!(None::<Sleep>);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                // A client that hangs up, stalls or sends nonsense is no event of ours: not worth a line at the default level.
                if let Err(error) = ended {
                    tracing::debug!(peer = %ends.peer, %error, "a connection broke off");
                }
                return true;
            }
            changed = stage.changed() => {
                let now = *stage.borrow_and_update();
                if changed.is_err() || now == Stage::Aborting {
                    return false;
                }
                if now == Stage::Draining {
                    // hyper drops a connection that has not sent anything yet, but the request of a fresh one may be on its
                    // way: it gets a moment, so that a rolling restart loses none.
                    let grace = if turns.is_fresh() { FRESH_GRACE } else { Duration::ZERO };
                    drain.set(Some(sleep(grace)));
                }
            }
            () = async { drain.as_mut().as_pin_mut().expect("guarded by the condition").await }, if drain.is_some() => {
                drain.set(None);
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn to_poem(request: hyper::Request<Incoming>, ends: Ends, turns: Arc<Turns>) -> Request {
    let (parts, body) = request.into_parts();
    let local = LocalAddr(ends.local.into());
    let peer = RemoteAddr(ends.peer.into());
    let body = RequestBody { inner: body, turns };
    Request::from_parts(RequestParts::from((parts, local, peer, Scheme::HTTP)), BoxBody::new(body).into())
}

/// The body of a request, which notes when nobody read it to its end.
struct RequestBody {
    inner: Incoming,
    turns: Arc<Turns>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.inner).poll_frame(cx).map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            self.turns.note_unread_body();
        }
    }
}

/// The body of a reply; it holds our turn until it is written.
struct ReplyBody {
    inner: BoxBody<Bytes, io::Error>,
    _turn: Turn,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
