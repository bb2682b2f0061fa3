//! The parts that all nodes need, and the network between: each is lost while everybody works, and comes back.

use std::time::Duration;

use authkit_core::testkit::NetworkFault;
use authkit_redis::testkit::RedisServer;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::crew::Crew;
use crate::ground::Ground;
use crate::support::{Dice, random_seed};
use crate::trials::Counts;
use crate::{number, trials};

const ROUNDS: usize = 5;

/// Has everybody work through a fault, again and again.
#[expect(clippy::future_not_send, reason = "a test runs on the thread that it began on")]
async fn endure(what: &str, rounds: usize, fault: impl AsyncFn(&mut Cluster, &mut Dice)) -> (Cluster, Counts) {
    let seed = number("NODES_SEED", random_seed());
    println!("{what}: NODES_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    let mut crew = Crew::of(&cluster).await;
    for _ in 0..number("NODES_ROUNDS", rounds) {
        crew.work_during(&mut cluster, async |cluster| {
            sleep(Duration::from_millis(dice.between(100..400))).await;
            fault(cluster, &mut dice).await;
            cluster.recovers().await;
            sleep(Duration::from_millis(200)).await;
        })
        .await;
        trials::hold(&crew, &cluster).await;
    }
    let counts = trials::conclude(what, &crew, &cluster).await;
    (cluster, counts)
}

/// Fails when nothing was caught in the act.
fn assert_caught(counts: &Counts) {
    assert!(counts.of("unknown") > 0, "nothing was caught in the act: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_after_commit_is_neither_done_twice_nor_forgotten() {
    let (cluster, counts) = endure("replies lost after COMMIT", ROUNDS, async |cluster, dice| {
        cluster.ground.spoil(NetworkFault::lost_reply("COMMIT")).await;
        sleep(Duration::from_millis(dice.between(200..600))).await;
        cluster.ground.spoil(NetworkFault::None).await;
    })
    .await;
    assert_caught(&counts);
    assert!(cluster.ground.lost_replies() >= 5, "{} replies were lost: too few", cluster.ground.lost_replies());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_reply_that_is_lost_is_neither_done_twice_nor_forgotten() {
    // A rotation is one statement, with no COMMIT of its own.
    let (cluster, counts) = endure("any reply lost", ROUNDS, async |cluster, dice| {
        cluster.ground.spoil(NetworkFault::LoseReply { request: Vec::new(), reply: Vec::new() }).await;
        sleep(Duration::from_millis(dice.between(100..300))).await;
        cluster.ground.spoil(NetworkFault::None).await;
    })
    .await;
    assert_caught(&counts);
    assert!(cluster.ground.lost_replies() >= 5, "{} replies were lost: too few", cluster.ground.lost_replies());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_take_nothing_with_them() {
    let (_, counts) = endure("connections reset", ROUNDS, async |cluster, dice| {
        for _ in 0..10 {
            cluster.ground.reset_connections();
            sleep(Duration::from_millis(dice.between(1..60))).await;
        }
    })
    .await;
    assert_caught(&counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_and_comes_back_delivers_nothing_twice() {
    // Longer than a node waits for the database, so that what was given up for lost arrives afterwards.
    let (_, counts) = endure("black hole", 3, async |cluster, dice| {
        cluster.ground.spoil(NetworkFault::BlackHole).await;
        sleep(Duration::from_millis(dice.between(2_500..6_000))).await;
        cluster.ground.spoil(NetworkFault::None).await;
    })
    .await;
    assert_caught(&counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_alone_is_cut_off_is_not_missed() {
    let (_, counts) = endure("one node cut off", 3, async |cluster, dice| {
        let node = dice.index(NODES);
        let fault = if dice.index(2) == 0 { NetworkFault::BlackHole } else { NetworkFault::Refuse };
        cluster.ground.spoil_link(node, fault).await;
        sleep(Duration::from_millis(dice.between(500..3_000))).await;
        cluster.ground.spoil_link(node, NetworkFault::None).await;
    })
    .await;
    // The balancer notices within moments, and then nothing goes there.
    let (done, unknown) = (counts.of("done"), counts.of("unknown"));
    assert!(unknown * 10 < done, "PROMISE BROKEN: a node without a database is sent nothing: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_the_database_ends_take_nothing_with_them() {
    let (_, counts) = endure("backends terminated", ROUNDS, async |cluster, dice| {
        let mut ended = 0;
        for _ in 0..10 {
            ended += cluster.ground.terminate_backends().await;
            sleep(Duration::from_millis(dice.between(1..60))).await;
        }
        assert!(ended > 0, "there was a connection to end");
    })
    .await;
    assert_caught(&counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_takes_nothing_with_it() {
    let (_, counts) = endure("database crashed", ROUNDS, async |cluster, dice| {
        for _ in 0..3 {
            cluster.ground.postgres.crash();
            sleep(Duration::from_millis(dice.between(0..400))).await;
            cluster.ground.postgres.start_again().await;
            cluster.recovers().await;
        }
    })
    .await;
    assert_caught(&counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_freezes_is_not_missed() {
    let (_, counts) = endure("Redis frozen", ROUNDS, async |cluster, dice| {
        let redis = cluster.redis.as_ref().expect("it was started");
        redis.freeze();
        sleep(Duration::from_millis(dice.between(500..2_500))).await;
        redis.thaw();
    })
    .await;
    assert_eq!(counts.of("unknown") + counts.of("not sent"), 0, "PROMISE BROKEN: no request fails for want of Redis");
}
