//! A logout on one node is known on the others.

use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::number;
use crate::stopwatch::{Stopwatch, spread};
use crate::support::{Dice, calls};

/// How many logouts are measured, each on two other nodes.
const LOGOUTS: usize = 120;
/// How many at once; each asks the other nodes all the time.
const AT_ONCE: usize = 8;
/// How long a node is left alone between two looks: with Redis, and without.
const OFTEN: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_millis(10);
/// The promise.
const SEEN_WITHIN: Duration = Duration::from_secs(1);
/// What a machine adds that runs every other test as well.
const MARGIN: Duration = Duration::from_millis(1_500);

/// How long a logout is unknown on the other nodes after its reply.
async fn distribution(cluster: &Cluster, pause: Duration) -> Vec<Duration> {
    let logouts = number("NODES_LOGOUTS", LOGOUTS);
    let mut strands = JoinSet::new();
    for strand in 0..AT_ONCE {
        let mut connections: Vec<_> = cluster.nodes.iter().map(crate::support::Server::connect).collect();
        let email = format!("leaver-{strand}@nodes.example");
        // Of an earlier distribution, it may be.
        let registered = connections[0].send(calls::register(&email)).await.expect("a reply").status;
        assert!(matches!(registered, 201 | 409), "{registered}");
        let mut dice = Dice::new(number::<u64>("NODES_SEED", 0).wrapping_add(strand as u64));
        strands.spawn(async move {
            let mut unseen = Vec::new();
            for trial in 0..logouts.div_ceil(AT_ONCE) {
                let here = (trial + strand) % NODES;
                let reply = connections[here].send(calls::log_in(&email)).await.expect("a reply").expect(200);
                let (access, refresh) = (reply.text("access_token"), reply.text("refresh_token"));
                for connection in &mut connections {
                    let reply = connection.send(calls::only_verify(&access)).await.expect("a reply");
                    assert_ne!(reply.status, 401, "every node takes the token");
                }
                // The one before ended with a poll of a node: without this the next would begin right behind it, always.
                sleep(Duration::from_millis(dice.between(0..1_000))).await;
                connections[here].send(calls::log_out(&refresh)).await.expect("a reply").expect(200);
                let watch = Stopwatch::start();
                let mut waiting: Vec<usize> = (0..NODES).collect();
                while !waiting.is_empty() {
                    let mut still = Vec::new();
                    for node in waiting {
                        let reply = connections[node].send(calls::only_verify(&access)).await.expect("a reply");
                        if reply.status == 401 {
                            assert_eq!(reply.code(), "auth.session_ended");
                            unseen.extend((node != here).then(|| watch.elapsed()));
                            continue;
                        }
                        assert_ne!(node, here, "PROMISE BROKEN: the node that ended it knows at once");
                        assert!(watch.elapsed() < SEEN_WITHIN * 10, "node {node} still takes the token");
                        still.push(node);
                    }
                    waiting = still;
                    sleep(pause).await;
                }
            }
            unseen
        });
    }
    strands.join_all().await.into_iter().flatten().collect()
}

fn report(how: &str, unseen: &mut [Duration]) -> [Duration; 3] {
    let [median, p99, most] = spread(unseen);
    let count = unseen.len();
    println!("{how}: a logout is known on another node {median:.1?} (p50), {p99:.1?} (p99), {most:.1?} (most of {count}) later");
    assert!(most < SEEN_WITHIN + MARGIN, "PROMISE BROKEN: a logout is seen everywhere within a second");
    [median, p99, most]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_known_on_every_node_within_a_second_with_redis_and_without() {
    let ground = Ground::new().await;
    let mut cluster = Cluster::start(ground, Some(RedisServer::start().await)).await;
    cluster.all_become("ready").await;
    let [median, ..] = report("with Redis", &mut distribution(&cluster, OFTEN).await);
    // Polls alone would give half a second.
    assert!(median < Duration::from_millis(200), "PROMISE BROKEN: Redis carries a logout faster than polls would: {median:?}");

    cluster.redis.as_mut().expect("it was started").kill();
    cluster.all_become("degraded").await;
    report("Redis killed", &mut distribution(&cluster, SELDOM).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_known_on_every_node_within_a_second_where_there_never_was_a_redis() {
    let cluster = Cluster::start(Ground::new().await, None).await;
    report("no Redis", &mut distribution(&cluster, SELDOM).await);
}
