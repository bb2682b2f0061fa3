//! What every client has: a way to the nodes, a record to write, and a time to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::time::sleep;

use crate::balancer::Door;
use crate::history::{Deed, History, Outcome};
use crate::support::Reply;

/// How long a client pauses that got nothing, so that the next moment is another one.
const PAUSE: Duration = Duration::from_millis(25);

/// Whether clients are to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(crate) fn call(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_called(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A client's means.
#[derive(Debug)]
pub(crate) struct Client {
    door: Door,
    history: Arc<History>,
    pub(crate) closing: Closing,
}

/// What a client was told, and what it does with it.
#[derive(Debug)]
pub(crate) enum Told {
    /// Go on from here.
    Done(Reply),
    /// Nothing was done.
    Refused { status: u16 },
    /// Find out.
    Unknown,
}

impl Client {
    pub(crate) const fn new(door: Door, history: Arc<History>, closing: Closing) -> Self {
        Self { door, history, closing }
    }

    /// Asks for something, and writes down what for and what came.
    pub(crate) async fn ask(&mut self, email: &str, deed: Deed, request: Request<Full<Bytes>>, expected: u16) -> Told {
        let brings_a_token = !matches!(deed, Deed::LogOut { .. } | Deed::ChangePassword);
        let open = self.history.invoke(email, deed);
        let (outcome, told) = match self.door.send(request).await {
            Ok(reply) if reply.status == expected => {
                let token = brings_a_token.then(|| reply.text("refresh_token"));
                (Outcome::Done { token }, Told::Done(reply))
            }
            // The server does not know either: its own request to the database was not answered.
            Ok(reply) if reply.status == 503 && reply.code() == "service.unavailable" => {
                assert!(!reply.header("retry-after").is_empty(), "a 503 says when to come again");
                (Outcome::Unknown { why: reply.code() }, Told::Unknown)
            }
            // A balancer lost the node that it had sent the request to.
            Ok(reply) if matches!(reply.status, 502 | 504) && reply.code().is_empty() => {
                (Outcome::Unknown { why: format!("{} of the balancer", reply.status) }, Told::Unknown)
            }
            Ok(reply) => (Outcome::Refused { status: reply.status, code: reply.code() }, Told::Refused { status: reply.status }),
            Err(error) if error.was_sent => (Outcome::Unknown { why: error.to_string() }, Told::Unknown),
            Err(_) => (Outcome::NotSent, Told::Refused { status: 0 }),
        };
        self.history.end(open, outcome);
        if !matches!(told, Told::Done(_)) {
            sleep(PAUSE).await;
        }
        told
    }
}
