//! A node is killed (SIGKILL) while everybody works.

use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::crew::Crew;
use crate::ground::Ground;
use crate::support::{Dice, random_seed};
use crate::{number, trials};

const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_nothing_with_it_that_was_acknowledged() {
    let seed = number("NODES_SEED", random_seed());
    println!("NODES_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    let mut crew = Crew::of(&cluster).await;
    for round in 0..number("NODES_ROUNDS", ROUNDS) {
        crew.work_during(&mut cluster, async |cluster| {
            for _ in 0..3 {
                let (node, delay) = (dice.index(NODES), Duration::from_millis(dice.between(50..300)));
                println!("round {round}: node {node} is killed after {delay:?}");
                sleep(delay).await;
                cluster.kill(node);
                sleep(delay).await;
                cluster.start_again(node).await;
            }
        })
        .await;
        trials::hold(&crew, &cluster).await;
    }
    let counts = trials::conclude("killed nodes", &crew, &cluster).await;
    assert!(counts.of("unknown") > 0, "nothing was caught in the act: {counts:?}");
}
