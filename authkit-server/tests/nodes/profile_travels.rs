//! What is changed at one node is shown changed at the others, although all of them remember what they have read.

use authkit_redis::testkit::RedisServer;
use tokio::task::JoinSet;

use crate::client::Closing;
use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::support::calls;

const CHANGES: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_was_changed_is_shown_changed_at_every_node() {
    let cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    let registered = cluster.nodes[0].send(calls::register("ada@nodes.example")).await.expect(201);
    let access = registered.text("access_token");

    // Somebody looks at it all the time, at every node: each look may put what it read into the cache.
    let (closing, mut looking) = (Closing::default(), JoinSet::new());
    for node in &cluster.nodes {
        let (mut connection, closing, access) = (node.connect(), closing.clone(), access.clone());
        looking.spawn(async move {
            while !closing.is_called() {
                connection.send(calls::profile(&access)).await.expect("a reply").expect(200);
            }
        });
    }
    let mut connections: Vec<_> = cluster.nodes.iter().map(crate::support::Server::connect).collect();
    for change in 0..CHANGES {
        let name = format!("Ada the {change}th");
        let here = change % NODES;
        connections[here].send(calls::change_profile(&access, &name)).await.expect("a reply").expect(200);
        for offset in 1..=NODES {
            let node = (here + offset) % NODES;
            let shown = connections[node].send(calls::profile(&access)).await.expect("a reply").expect(200);
            assert_eq!(shown.text("full_name"), name, "PROMISE BROKEN: node {node} shows what was before change {change}");
        }
    }
    closing.call();
    looking.join_all().await;
}
