//! Nodes are replaced one after the other while everybody works, and nobody notices.

use std::collections::BTreeMap;
use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use tokio::time::sleep;

use crate::checker::check;
use crate::cluster::{Cluster, NODES};
use crate::crew::Crew;
use crate::ground::Ground;
use crate::history::Outcome;
use crate::number;

/// How often all nodes are replaced.
const ROUNDS: usize = 2;
/// How long everybody works with all nodes, between two of them.
const IN_PEACE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request() {
    let mut cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    let mut crew = Crew::of(&cluster).await;
    for _ in 0..number("NODES_ROUNDS", ROUNDS) {
        for node in 0..NODES {
            crew.work_during(&mut cluster, async |cluster| {
                sleep(IN_PEACE).await;
                cluster.stop(node).await;
                cluster.start_again(node).await;
                sleep(IN_PEACE).await;
            })
            .await;
        }
    }
    let entries = crew.history.entries();
    check(&entries, &cluster.ledger().await);
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        let name = match entry.outcome() {
            Some(Outcome::Done { .. }) => "done",
            failed => panic!("PROMISE BROKEN: no request fails: {failed:?} of {entry:?}"),
        };
        *outcomes.entry(name).or_default() += 1;
    }
    println!("rolling restarts of {NODES} nodes: {outcomes:?}, nothing else");
    assert!(entries.len() > 500, "too quiet a run to prove anything: {}", entries.len());
}
