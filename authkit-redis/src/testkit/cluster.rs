//! A Redis Cluster of three masters without replicas.

use std::fmt::Write as _;

use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::server::arguments;
use super::{POLL, RedisServer, START_POLLS};

/// The last slot of each node: a third of the 16,384 each.
const LAST_SLOTS: [u16; 3] = [5_460, 10_922, 16_383];

/// Three `redis-server` processes that share the slots. What one of them held is gone with it, and the others go on.
///
/// Starting takes about two seconds: so long a master waits before it takes writes.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: [RedisServer; 3],
}

impl RedisCluster {
    /// Starts one, and waits until every node says that the cluster works.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start() -> Self {
        let (one, two, three) = tokio::join!(start_node(), start_node(), start_node());
        let cluster = Self { nodes: [one, two, three] };
        cluster.join().await;
        cluster.works().await;
        cluster
    }

    /// The nodes.
    #[must_use]
    pub const fn nodes(&self) -> &[RedisServer; 3] {
        &self.nodes
    }

    /// One of the nodes, to be killed or started again.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.nodes[index]
    }

    /// The URL that names all nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let mut url = "redis+cluster://".to_owned();
        for (index, node) in self.nodes.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(url, "{comma}127.0.0.1:{}", node.port()).expect("a string takes everything");
        }
        url
    }

    /// Waits until every node that runs says that the cluster works.
    ///
    /// # Panics
    /// When that takes longer than 30 s.
    pub async fn works(&self) {
        for node in &self.nodes {
            let mut polls = 0;
            while !says_ok(node).await {
                polls += 1;
                assert!(polls < START_POLLS, "the cluster does not get ready");
                sleep(POLL).await;
            }
        }
    }

    /// Gives every node its slots, and then makes them known to one another.
    async fn join(&self) {
        let mut first_slot = 0;
        for (index, (node, last_slot)) in self.nodes.iter().zip(LAST_SLOTS).enumerate() {
            let mut connection = node.connect().await.expect("a node that answers");
            // Epochs that differ spare the nodes an election about who yields. A node takes one only while it is alone.
            command(&mut connection, &["SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
            command(&mut connection, &["ADDSLOTSRANGE", &first_slot.to_string(), &last_slot.to_string()]).await;
            first_slot = last_slot + 1;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let mut connection = node.connect().await.expect("a node that answers");
            // Everybody meets everybody, which is faster than gossip.
            for other in &self.nodes[index + 1..] {
                let bus_port = other.setting("cluster-port").await;
                command(&mut connection, &["MEET", "127.0.0.1", &other.port().to_string(), &bus_port]).await;
            }
        }
    }
}

async fn start_node() -> RedisServer {
    // Short, so that a dead node is noticed soon; and a dead node stops its own slots only.
    let words = ["--cluster-enabled", "yes", "--cluster-port", "{port}", "--cluster-node-timeout", "1000"];
    RedisServer::start_with(None, arguments(&[&words[..], &["--cluster-require-full-coverage", "no"]].concat())).await
}

async fn command(connection: &mut MultiplexedConnection, words: &[&str]) {
    redis::cmd("CLUSTER").arg(words).exec_async(connection).await.expect("a cluster command");
}

async fn says_ok(node: &RedisServer) -> bool {
    let Ok(mut connection) = node.connect().await else { return !node.is_running() };
    let info: redis::RedisResult<String> = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await;
    info.is_ok_and(|info| {
        ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"].iter().all(|line| info.contains(line))
    })
}
