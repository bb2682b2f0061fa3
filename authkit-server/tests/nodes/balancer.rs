//! A balancer on the client's side: round robin over the nodes that want requests.
//!
//! It does what a real one is told to in `deploy/`: it asks every node again and again whether it wants requests, sends no new
//! ones to a node that does not, and gives a request to another node only when nothing of it was sent. When no node wants
//! requests it sends them all the same: a node without a database still says what it can.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::stopwatch::Stopwatch;
use crate::support::{Connection, NoReply, Reply, get};

/// How often a node is asked whether it wants requests.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take to say so.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// How long a request looks for a node that takes it.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// The nodes, as the balancer sees them.
#[derive(Debug)]
pub(crate) struct Balancer {
    nodes: Arc<[Node]>,
    next: AtomicUsize,
    _looking: JoinSet<()>,
}

#[derive(Debug)]
struct Node {
    address: Mutex<SocketAddr>,
    wants_requests: AtomicBool,
}

impl Node {
    fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_for_ever(&self) {
        let mut connection = Connection::new(self.address());
        loop {
            if connection.address() != self.address() {
                connection = Connection::new(self.address());
            }
            let looked = timeout(LOOK_LIMIT, connection.send(get("/health/ready", None))).await;
            let wants = matches!(looked, Ok(Ok(Reply { status: 200, .. })));
            self.wants_requests.store(wants, Ordering::SeqCst);
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Balancer {
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Arc<Self> {
        let node = |address| Node { address: Mutex::new(address), wants_requests: AtomicBool::new(true) };
        let nodes: Arc<[Node]> = addresses.into_iter().map(node).collect();
        let mut looking = JoinSet::new();
        for index in 0..nodes.len() {
            let nodes = Arc::clone(&nodes);
            looking.spawn(async move { nodes[index].look_for_ever().await });
        }
        Arc::new(Self { nodes, next: AtomicUsize::new(0), _looking: looking })
    }

    /// A node is somewhere else from now on.
    pub(crate) fn moved(&self, node: usize, address: SocketAddr) {
        *self.nodes[node].address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Whether every node was last seen to want requests.
    pub(crate) fn sends_to_all(&self) -> bool {
        (0..self.nodes.len()).all(|node| self.sends_to(node))
    }

    fn sends_to(&self, node: usize) -> bool {
        self.nodes[node].wants_requests.load(Ordering::SeqCst)
    }

    /// A client's way to the nodes.
    pub(crate) fn door(self: &Arc<Self>) -> Door {
        Door { balancer: Arc::clone(self), connections: self.nodes.iter().map(|_| None).collect() }
    }

    /// The node whose turn it is.
    fn pick(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.nodes.len();
        (0..count).map(|offset| (turn + offset) % count).find(|node| self.sends_to(*node)).unwrap_or(turn % count)
    }
}

/// One client's way to the nodes, with a kept connection to each.
#[derive(Debug)]
pub(crate) struct Door {
    balancer: Arc<Balancer>,
    connections: Vec<Option<Connection>>,
}

impl Door {
    /// Sends a request to the next node that takes it.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
        let watch = Stopwatch::start();
        loop {
            let node = self.balancer.pick();
            match self.connection(node).send(request.clone()).await {
                // What was not sent may be sent elsewhere; the next look will tell what became of this node.
                Err(error) if !error.was_sent && watch.elapsed() < PATIENCE => {
                    self.balancer.nodes[node].wants_requests.store(false, Ordering::SeqCst);
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn connection(&mut self, node: usize) -> &mut Connection {
        let address = self.balancer.nodes[node].address();
        let kept = &mut self.connections[node];
        if kept.as_ref().is_none_or(|connection| connection.address() != address) {
            *kept = Some(Connection::new(address));
        }
        kept.as_mut().expect("it was just made")
    }
}
