//! One refresh token, presented to all nodes at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::number;
use crate::stopwatch::{Stopwatch, spread};
use crate::support::{calls, get};

/// How often a token is raced for.
const RACES: usize = 10_000;
/// How many sessions are raced for side by side.
const SESSIONS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_at_every_node_at_once_gives_one_lineage() {
    let each = number("NODES_RACES", RACES).div_ceil(SESSIONS);
    let cluster = Cluster::start(Ground::new().await, None).await;
    let watch = Stopwatch::start();
    let mut sessions = JoinSet::new();
    for session in 0..SESSIONS {
        let email = format!("racer-{session}@nodes.example");
        let first = cluster.nodes[session % NODES].send(calls::register(&email)).await.expect(201).text("refresh_token");
        let mut connections: Vec<_> = cluster.nodes.iter().map(crate::support::Server::connect).collect();
        sessions.spawn(async move {
            let mut token = first;
            let mut took = Vec::new();
            for connection in &mut connections {
                connection.send(get("/health/live", None)).await.expect("connected before the start");
            }
            for race in 0..each {
                let start = Arc::new(Barrier::new(NODES));
                let mut racers = JoinSet::new();
                for mut connection in connections.drain(..) {
                    let (request, start) = (calls::refresh(&token), Arc::clone(&start));
                    racers.spawn(async move {
                        start.wait().await;
                        let watch = Stopwatch::start();
                        let reply = connection.send(request).await.expect("a reply");
                        (connection, reply, watch.elapsed())
                    });
                }
                let mut successors = BTreeSet::new();
                for (connection, reply, elapsed) in racers.join_all().await {
                    let status = reply.status;
                    assert_eq!(status, 200, "PROMISE BROKEN: a race logs nobody out ({email}, race {race}): {:?}", reply.body);
                    successors.insert(reply.text("refresh_token"));
                    connections.push(connection);
                    took.push(elapsed);
                }
                assert_eq!(successors.len(), 1, "PROMISE BROKEN: never two lineages ({email}, race {race})");
                token = successors.pop_first().expect("one");
            }
            took
        });
    }
    let mut took: Vec<_> = sessions.join_all().await.into_iter().flatten().collect();
    let elapsed = watch.elapsed();

    let ledger = cluster.ledger().await;
    assert_eq!(ledger.half_made, [], "PROMISE BROKEN: nothing is half-made");
    for (email, account) in &ledger.accounts {
        assert_eq!(account.sessions, 1, "{email}");
        assert_eq!(account.rotations, i64::try_from(each).expect("few"), "PROMISE BROKEN: each race rotates once ({email})");
    }
    let [median, p99, most] = spread(&mut took);
    println!(
        "{} races of {NODES} refreshes each, {SESSIONS} sessions side by side: one successor each, no refusal, in {elapsed:.1?}; a \
         refresh took {median:.1?} (p50), {p99:.1?} (p99), {most:.1?} (most)",
        each * SESSIONS
    );
}
