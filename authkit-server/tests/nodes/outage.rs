//! No database: what needs none goes on, everything else is refused in time, and it comes back by itself.

use std::time::Duration;

use authkit_core::testkit::NetworkFault;
use authkit_redis::testkit::RedisServer;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::ground::Ground;
use crate::stopwatch::Stopwatch;
use crate::support::{Server, calls, get};

const EMAIL: &str = "ada@nodes.example";
/// How long a refusal may take when the database refuses connections; and what a busy machine adds, hashing included.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// How long a refusal may take when the network swallows everything: as long as a node waits for the database (4 s), and a margin.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(5_500);
/// How long a node may take to work again once the database is back.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// The sessions that the test knows.
struct Known {
    access: String,
    refresh: String,
    ended: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_tokens_are_verified_and_everything_else_is_refused_in_time() {
    let mut cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    let known = sessions(&cluster).await;

    // What its owner has just looked at is in Redis.
    cluster.nodes[0].send(calls::profile(&known.access)).await.expect(200);
    cluster.ground.postgres.crash();
    let shown = cluster.nodes[1].send(calls::profile(&known.access)).await.expect(200);
    assert_eq!(shown.text("email"), EMAIL);
    let slowest = holds_out(&cluster, &known, REFUSED_WITHIN).await;
    println!("PostgreSQL gone: the slowest refusal took {slowest:.1?}");
    let known = comes_back(&mut cluster, known, async |cluster| cluster.ground.postgres.start_again().await).await;

    cluster.ground.spoil(NetworkFault::BlackHole).await;
    let slowest = holds_out(&cluster, &known, GIVEN_UP_WITHIN).await;
    println!("PostgreSQL in a black hole: the slowest refusal took {slowest:.1?}");
    comes_back(&mut cluster, known, async |cluster| cluster.ground.spoil(NetworkFault::None).await).await;
}

/// A session that lives, and one that has ended and is known to have everywhere.
async fn sessions(cluster: &Cluster) -> Known {
    let node = &cluster.nodes[0];
    let registered = node.send(calls::register(EMAIL)).await.expect(201);
    let other = node.send(calls::log_in(EMAIL)).await.expect(200);
    let ended = other.text("access_token");
    node.send(calls::log_out(&other.text("refresh_token"))).await.expect(200);
    for node in &cluster.nodes {
        while node.send(calls::only_verify(&ended)).await.status != 401 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    Known { access: registered.text("access_token"), refresh: registered.text("refresh_token"), ended }
}

/// Holds every node against what is promised of one without a database, and returns how long the slowest refusal took.
async fn holds_out(cluster: &Cluster, known: &Known, deadline: Duration) -> Duration {
    let mut slowest = Duration::ZERO;
    for node in &cluster.nodes {
        node.get("/health/live").await.expect(200);
        assert_eq!(node.get("/health/ready").await.expect(503).text("status"), "unavailable");

        // The token is taken, and the body refused; then one that has ended; then the keys with which others verify.
        let watch = Stopwatch::start();
        let verified = node.send(calls::only_verify(&known.access)).await;
        assert!((400..500).contains(&verified.status) && verified.status != 401, "{verified:?}");
        assert_eq!(node.send(calls::only_verify(&known.ended)).await.expect(401).code(), "auth.session_ended");
        node.get("/.well-known/jwks.json").await.expect(200);
        assert!(watch.elapsed() < Duration::from_secs(1), "what needs no database does not wait for it: {:?}", watch.elapsed());

        for request in needs_the_database(known) {
            slowest = slowest.max(refused(node, request, deadline).await);
        }
    }
    slowest
}

fn needs_the_database(known: &Known) -> [Request<Full<Bytes>>; 7] {
    [
        calls::register("grace@nodes.example"),
        calls::log_in(EMAIL),
        calls::log_in("nobody@nodes.example"),
        calls::refresh(&known.refresh),
        calls::log_out(&known.refresh),
        calls::change_password(&known.access, calls::PASSWORD, "velvet-harbor-2093-lantern"),
        get("/api/v1/users/me/sessions", Some(&known.access)),
    ]
}

async fn refused(node: &Server, request: Request<Full<Bytes>>, deadline: Duration) -> Duration {
    let what = format!("{} {}", request.method(), request.uri());
    let watch = Stopwatch::start();
    let reply = node.send(request).await;
    let took = watch.elapsed();
    assert_eq!((reply.status, reply.code().as_str()), (503, "service.unavailable"), "{what}");
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{what}: {:?}", reply.headers);
    assert!(took < deadline, "{what} was refused only after {took:?}");
    took
}

/// Brings the database back, and waits until every node works again: the session that lived lives.
async fn comes_back(cluster: &mut Cluster, known: Known, bring_back: impl AsyncFnOnce(&mut Cluster)) -> Known {
    let processes: Vec<_> = cluster.nodes.iter().map(Server::pid).collect();
    bring_back(cluster).await;
    let watch = Stopwatch::start();
    let mut refresh = known.refresh;
    for node in &cluster.nodes {
        loop {
            let reply = node.send(calls::refresh(&refresh)).await;
            if reply.status == 200 {
                refresh = reply.text("refresh_token");
                break;
            }
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(watch.elapsed() < RECOVERED_WITHIN, "PROMISE BROKEN: a node recovers within 5 s; its log:\n{}", node.log());
            sleep(Duration::from_millis(20)).await;
        }
        node.send(calls::log_in(EMAIL)).await.expect(200);
        node.send(calls::profile(&known.access)).await.expect(200);
    }
    println!("every node works again {:.1?} after the database is back", watch.elapsed());
    assert!(watch.elapsed() < RECOVERED_WITHIN, "PROMISE BROKEN: nodes recover within 5 s: {:?}", watch.elapsed());
    cluster.all_become("ready").await;
    assert_eq!(cluster.nodes.iter().map(Server::pid).collect::<Vec<_>>(), processes, "nobody was restarted");
    let ledger = cluster.ledger().await;
    assert_eq!(ledger.half_made, [], "PROMISE BROKEN: nothing is half-made");
    Known { refresh, ..known }
}
