//! The cluster behind a real balancer, with the configuration of `deploy/haproxy.cfg`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::balancer::Balancer;
use crate::checker::check;
use crate::cluster::{Cluster, NODES};
use crate::crew::Crew;
use crate::ground::Ground;
use crate::haproxy::HaProxy;
use crate::support::{Connection, Dice, calls, free_address, get, random_seed};
use crate::{number, trials};

/// Longer than HAProxy takes to notice: two checks, half a second apart, of a node on a busy machine.
const DRAIN_DELAY: (&str, &str) = ("AUTHKIT_DRAIN_DELAY", "3s");

async fn cluster_behind_haproxy() -> (Cluster, HaProxy) {
    let ground = Ground::new().await;
    let mut cluster = Cluster::start_with(ground, Some(RedisServer::start().await), &[DRAIN_DELAY]).await;
    let haproxy = HaProxy::start([0, 1, 2].map(|node| cluster.nodes[node].address())).await;
    // From here on there is one address for everybody.
    cluster.balancer = Balancer::new([haproxy.address()]);
    (cluster, haproxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_haproxy_fails_no_request() {
    let (mut cluster, _haproxy) = cluster_behind_haproxy().await;
    let mut crew = Crew::of(&cluster).await;
    for node in 0..NODES {
        crew.work_during(&mut cluster, async |cluster| {
            cluster.stop(node).await;
            cluster.nodes[node].start_again_in_place().await;
            // HAProxy looks every half second.
            sleep(Duration::from_millis(1_500)).await;
        })
        .await;
    }
    check(&crew.history.entries(), &cluster.ledger().await);
    let counts = trials::report("rolling restart behind HAProxy", &crew);
    assert_eq!(counts.all(), counts.of("done"), "PROMISE BROKEN: no request fails: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_sends_nothing_twice_when_a_node_is_killed() {
    let seed = number("NODES_SEED", random_seed());
    println!("NODES_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (mut cluster, _haproxy) = cluster_behind_haproxy().await;
    let mut crew = Crew::of(&cluster).await;
    for _ in 0..number("NODES_ROUNDS", 3) {
        let (node, delay) = (dice.index(NODES), Duration::from_millis(dice.between(200..700)));
        crew.work_during(&mut cluster, async |cluster| {
            sleep(delay).await;
            cluster.kill(node);
            sleep(delay).await;
            cluster.nodes[node].start_again_in_place().await;
        })
        .await;
        trials::hold(&crew, &cluster).await;
    }
    trials::conclude("killed nodes behind HAProxy", &crew, &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_haproxy_nodes_without_a_database_still_speak_for_themselves() {
    let (mut cluster, haproxy) = cluster_behind_haproxy().await;
    let mut connection = Connection::new(haproxy.address());
    let registered = connection.send(calls::register("ada@nodes.example")).await.expect("a reply").expect(201);
    connection.send(get("/metrics", None)).await.expect("a reply").expect(404);

    cluster.ground.postgres.crash();
    // Before HAProxy has noticed that no node wants requests, and after.
    for _ in 0..30 {
        let reply = connection.send(calls::refresh(&registered.text("refresh_token"))).await.expect("a reply").expect(503);
        assert_eq!(reply.code(), "service.unavailable", "a node says so, not HAProxy");
        assert!(!reply.header("retry-after").is_empty());
        connection.send(get("/.well-known/jwks.json", None)).await.expect("a reply").expect(200);
        sleep(Duration::from_millis(100)).await;
    }
    cluster.ground.postgres.start_again().await;
    cluster.recovers().await;
    connection.send(calls::refresh(&registered.text("refresh_token"))).await.expect("a reply").expect(200);
}

/// Something that says that it wants requests, and then drops every POST that it got. It counts them.
async fn traitor(got: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind(free_address()).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = Arc::clone(&got);
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                if request[..read].starts_with(b"POST") {
                    got.fetch_add(1, Ordering::SeqCst);
                } else {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await);
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_gives_to_another_node_only_what_was_not_sent() {
    let got = Arc::new(AtomicUsize::new(0));
    let haproxy = HaProxy::start([traitor(Arc::clone(&got)).await, traitor(Arc::clone(&got)).await, free_address()]).await;
    // Two nodes take requests and answer none, and where the third should be is nobody: what goes there was not sent.
    for sent in 1..=6 {
        let reply = Connection::new(haproxy.address()).send(calls::register("ada@nodes.example")).await.expect("a reply");
        assert_eq!(reply.status, 502, "{reply:?}");
        assert_eq!(got.load(Ordering::SeqCst), sent, "PROMISE BROKEN: a POST that was sent is sent to nobody else");
    }
}
