//! The database under the nodes, and the network between it and them.

use std::net::{Ipv4Addr, SocketAddr};

use authkit_core::testkit::{FaultProxy, NetworkFault};
use authkit_sqlx::testkit::PgServer;
use sqlx::PgConnection;

use crate::cluster::NODES;
use crate::ledger::Ledger;

/// A database that all nodes share, and each node's link to it.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) postgres: PgServer,
    links: Vec<FaultProxy>,
}

impl Ground {
    /// A PostgreSQL of the test's own.
    pub(crate) async fn new() -> Self {
        let postgres = PgServer::start().await;
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, postgres.port()));
        let links = (0..NODES).map(|_| FaultProxy::start(upstream).expect("a free port")).collect();
        Self { postgres, links }
    }

    /// What a node is told of it.
    pub(crate) fn url(&self, node: usize) -> String {
        format!("postgresql://postgres@{}/postgres", self.links[node].address())
    }

    /// Lets this happen between every node and the database.
    pub(crate) async fn spoil(&self, fault: NetworkFault) {
        for node in 0..NODES {
            self.spoil_link(node, fault.clone()).await;
        }
    }

    /// Lets this happen between one node and the database.
    pub(crate) async fn spoil_link(&self, node: usize, fault: NetworkFault) {
        self.links[node].set(fault).await;
    }

    /// Breaks every connection between the nodes and the database.
    pub(crate) fn reset_connections(&self) {
        self.links.iter().for_each(FaultProxy::reset_connections);
    }

    /// How many replies of the database were lost on their way.
    pub(crate) fn lost_replies(&self) -> u64 {
        self.links.iter().map(FaultProxy::lost_replies).sum()
    }

    /// Has the database end every connection but ours, and returns how many there were.
    pub(crate) async fn terminate_backends(&self) -> i64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.expect("the superuser may")
    }

    /// A connection that no fault spoils.
    pub(crate) async fn connect(&self) -> PgConnection {
        self.postgres.connect().await
    }

    /// What is in it.
    pub(crate) async fn ledger(&self) -> Ledger {
        Ledger::read(self.connect().await).await
    }
}
