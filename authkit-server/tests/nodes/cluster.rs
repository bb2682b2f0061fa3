//! Three servers on one database and one Redis, behind a balancer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MasterKey;
use authkit_core::{OsEntropy, SystemClock};
use authkit_redis::testkit::RedisServer;
use tokio::time::{sleep, timeout};

use crate::balancer::{Balancer, Door};
use crate::ground::Ground;
use crate::ledger::Ledger;
use crate::stopwatch::Stopwatch;
use crate::support::Server;

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// How long nodes may take to work again once what they need is back: the promise is 5 s.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);
/// How long nodes may take to say that they are well, on a machine that runs every other test as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every node is told. No rate limits: all clients have one address. The cheapest hash that the settings take (OWASP's smallest memory), which may wait long for its turn,
/// since everything runs on one machine. The longest grace: a client that retries through an outage is not a thief.
const SETTINGS: &[(&str, &str)] = &[
    ("AUTHKIT_PUBLIC_URL", "http://localhost:8000"),
    ("AUTHKIT_RATE_LIMITING", "off"),
    ("AUTHKIT_ARGON2_MEMORY_KIB", "7168"),
    ("AUTHKIT_ARGON2_ITERATIONS", "5"),
    ("AUTHKIT_HASHING_MAX_WAIT", "10s"),
    ("AUTHKIT_REFRESH_GRACE", "1m"),
    ("AUTHKIT_DRAIN_DELAY", "1s"),
];

/// Three servers that are one.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) ground: Ground,
    /// Shared hot state, where there is any.
    pub(crate) redis: Option<RedisServer>,
}

impl Cluster {
    /// Starts the nodes one after the other, as an operator would.
    pub(crate) async fn start(ground: Ground, redis: Option<RedisServer>) -> Self {
        Self::start_with(ground, redis, &[]).await
    }

    /// Starts the nodes with settings that differ from those of every cluster here.
    pub(crate) async fn start_with(ground: Ground, redis: Option<RedisServer>, other: &[(&str, &str)]) -> Self {
        // The keys that open the keys in the database must be the same everywhere.
        let master_keys = MasterKey::generate_dated(&SystemClock, &OsEntropy).to_text();
        let mut nodes = Vec::new();
        for node in 0..NODES {
            let (database_url, redis_url) = (ground.url(node), redis.as_ref().map(RedisServer::url));
            let mut env = vec![("DATABASE_URL", database_url.as_str()), ("AUTHKIT_MASTER_KEYS", master_keys.as_str())];
            env.extend(redis_url.as_ref().map(|url| ("REDIS_URL", url.as_str())));
            env.extend(SETTINGS.iter().chain(other));
            nodes.push(Server::start(&env).await);
        }
        let balancer = Balancer::new(nodes.iter().map(Server::address));
        Self { nodes, balancer, ground, redis }
    }

    /// A client's way to the nodes.
    pub(crate) fn door(&self) -> Door {
        self.balancer.door()
    }

    /// Asks a node to end (SIGTERM) and waits until it has.
    pub(crate) async fn stop(&mut self, node: usize) {
        let status = self.nodes[node].stop().await;
        assert!(status.success(), "node {node} ended with {status}; its log:\n{}", self.nodes[node].log());
    }

    /// Kills a node (SIGKILL).
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a node that was stopped or killed, and waits until the balancer sends it requests.
    pub(crate) async fn start_again(&mut self, node: usize) {
        self.nodes[node].start_again().await;
        self.balancer.moved(node, self.nodes[node].address());
        self.all_take_requests().await;
    }

    /// Returns when the balancer sends requests to every node.
    pub(crate) async fn all_take_requests(&self) {
        let all = timeout(PATIENCE, async {
            while !self.balancer.sends_to_all() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(all.await.is_ok(), "a node does not want requests; the logs:\n{}", self.logs());
    }

    /// Returns when every node says that it is well: within seconds of the return of what it needs, and without a restart.
    pub(crate) async fn recovers(&self) {
        let watch = Stopwatch::start();
        self.all_take_requests().await;
        assert!(watch.elapsed() < RECOVERED_WITHIN, "PROMISE BROKEN: nodes recover by themselves: {:?}", watch.elapsed());
    }

    /// Returns when every node says that this is how it is.
    pub(crate) async fn all_become(&self, status: &str) {
        for node in &self.nodes {
            let becomes = timeout(PATIENCE, async {
                while node.get("/health/ready").await.text("status") != status {
                    sleep(Duration::from_millis(20)).await;
                }
            });
            assert!(becomes.await.is_ok(), "a node is not {status}; its log:\n{}", node.log());
        }
    }

    /// What is in the database. No client may be at work.
    pub(crate) async fn ledger(&self) -> Ledger {
        self.ground.ledger().await
    }

    /// What every node wrote since it was last started.
    pub(crate) fn logs(&self) -> String {
        self.nodes.iter().enumerate().fold(String::new(), |mut logs, (node, server)| {
            let _ = writeln!(logs, "-- node {node}\n{}", server.log());
            logs
        })
    }
}
