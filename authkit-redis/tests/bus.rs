//! The bus against a real Redis that is killed, frozen and started again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authkit_core::model::Revocation;
use authkit_core::ports::{BusHealth, RevocationBus, RevocationSink};
use authkit_core::{Entropy, SessionId, Timestamp};
use authkit_redis::testkit::{RedisCluster, RedisServer, SomeRedis};
use authkit_redis::{ConnectError, RedisOptions, RedisRevocationBus, RefusalReason};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

const CHANNEL: &str = "authkit:{bus}:revocations";
/// How long a recovery may take: a heartbeat, a connect limit and the longest wait, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(10);

/// A sink without a store behind it: what it knows came over Redis.
#[derive(Default)]
struct Heard {
    revocations: Mutex<Vec<Revocation>>,
    gaps: AtomicUsize,
}

impl RevocationSink for Heard {
    fn revoked(&self, revocations: &[Revocation]) {
        self.revocations.lock().expect("no panic").extend_from_slice(revocations);
    }

    fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::SeqCst);
    }
}

impl Heard {
    fn has(&self, revocation: Revocation) -> bool {
        self.revocations.lock().expect("no panic").contains(&revocation)
    }

    fn gaps(&self) -> usize {
        self.gaps.load(Ordering::SeqCst)
    }
}

fn revocation(n: u128) -> Revocation {
    Revocation { session_id: SessionId::from_uuid(Uuid::from_u128(n)), at: Timestamp::from_unix_seconds(1_700_000_000) }
}

fn options(redis: &RedisServer) -> RedisOptions {
    RedisOptions::from_url(&redis.url()).expect("a URL")
}

/// A node: a bus and what it hears.
async fn node(redis: &RedisServer) -> (RedisRevocationBus, Arc<Heard>) {
    node_at(&redis.url()).await
}

async fn node_at(url: &str) -> (RedisRevocationBus, Arc<Heard>) {
    let bus = RedisRevocationBus::connect(RedisOptions::from_url(url).expect("a URL")).await.expect("Redis takes us");
    let heard = Arc::new(Heard::default());
    bus.subscribe(heard.clone());
    (bus, heard)
}

#[track_caller]
fn eventually(what: &'static str, mut holds: impl FnMut() -> bool) -> impl Future<Output = Duration> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        let held = timeout(RECOVERY, async {
            while !holds() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(held.await.is_ok(), "{caller}: {what} did not come within {RECOVERY:?}");
        start.elapsed()
    }
}

/// Publishes with one bus until the other hears it.
async fn flows(from: &RedisRevocationBus, to: &Heard, n: u128) {
    from.publish(&[revocation(n)]).await.expect("Redis takes the message");
    eventually("the revocation", || to.has(revocation(n))).await;
}

#[tokio::test]
async fn nodes_hear_one_another_and_the_way_is_fast() {
    let redis = SomeRedis::find().await;
    let ((one, heard_by_one), (two, heard_by_two)) = (node_at(redis.url()).await, node_at(redis.url()).await);
    flows(&one, &heard_by_two, 1).await;
    flows(&two, &heard_by_one, 2).await;

    let many: Vec<_> = (10..3_010).map(revocation).collect();
    one.publish(&many).await.unwrap();
    eventually("every one of many revocations", || many.iter().all(|one| heard_by_two.has(*one))).await;

    let mut times = Vec::new();
    for n in 10_000..10_200 {
        let start = Instant::now();
        one.publish(&[revocation(n)]).await.unwrap();
        while !heard_by_two.has(revocation(n)) {
            tokio::task::yield_now().await;
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("publish to delivery: median {:?}, p99 {:?}", times[100], times[197]);
    assert!(times[100] < Duration::from_millis(100), "the bus is no faster than polling the store: {:?}", times[100]);
    assert_eq!((one.malformed_messages(), two.malformed_messages()), (0, 0));
}

#[tokio::test]
async fn a_killed_redis_fails_fast_and_its_return_is_a_gap_after_which_messages_flow() {
    let mut redis = RedisServer::start().await;
    let ((one, _heard), (two, heard)) = (node(&redis).await, node(&redis).await);
    flows(&one, &heard, 1).await;
    assert_eq!((one.health(), two.health()), (BusHealth::Connected, BusHealth::Connected));

    redis.kill();
    let noticed = eventually("the loss", || one.health() == BusHealth::Degraded && two.health() == BusHealth::Degraded).await;
    let gaps = heard.gaps();
    let start = Instant::now();
    one.publish(&[revocation(2)]).await.unwrap_err();
    println!("loss noticed after {noticed:?}, a publish without Redis takes {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(500));

    redis.start_again().await;
    let back = eventually("the return", || one.health() == BusHealth::Connected && two.health() == BusHealth::Connected).await;
    println!("back {back:?} after Redis");
    eventually("the gap", || heard.gaps() > gaps).await;
    flows(&one, &heard, 3).await;
    assert!(!heard.has(revocation(2)), "what could not be published is the store's to tell");
}

#[tokio::test]
async fn a_frozen_redis_costs_one_publish_a_bounded_time_and_the_next_ones_nothing() {
    let redis = RedisServer::start().await;
    let ((one, _heard), (two, heard)) = (node(&redis).await, node(&redis).await);
    flows(&one, &heard, 1).await;

    redis.freeze();
    let start = Instant::now();
    one.publish(&[revocation(2)]).await.unwrap_err();
    let first = start.elapsed();
    // Several seconds of logouts: also the background task's attempts must not be paid for by anyone.
    let (mut slowest, start) = (Duration::ZERO, Instant::now());
    while start.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        one.publish(&[revocation(3)]).await.unwrap_err();
        slowest = slowest.max(start.elapsed());
        assert_eq!(one.health(), BusHealth::Degraded);
        sleep(Duration::from_millis(5)).await;
    }
    println!("frozen Redis: the first publish took {first:?}, the slowest of the later ones {slowest:?}");
    assert!(first < Duration::from_millis(600), "{first:?}");
    assert!(slowest < Duration::from_millis(80), "{slowest:?}");
    eventually("the other node's notice", || two.health() == BusHealth::Degraded).await;

    let gaps = heard.gaps();
    redis.thaw();
    let back = eventually("the return", || one.health() == BusHealth::Connected && two.health() == BusHealth::Connected).await;
    println!("back {back:?} after the thaw");
    assert!(heard.gaps() > gaps);
    flows(&one, &heard, 4).await;
}

#[tokio::test]
async fn a_short_stall_closes_the_breaker_again_on_the_same_connection() {
    let redis = RedisServer::start().await;
    let (bus, heard) = node(&redis).await;
    flows(&bus, &heard, 1).await;
    let gaps = heard.gaps();
    redis.freeze();
    bus.publish(&[revocation(2)]).await.unwrap_err();
    redis.thaw();
    eventually("the recovery", || bus.health() == BusHealth::Connected).await;
    flows(&bus, &heard, 3).await;
    assert_eq!(heard.gaps(), gaps, "nothing was lost, so the store need not be read");
    assert!(heard.has(revocation(2)), "Redis took the late message, and a revocation is never too late");
}

#[tokio::test]
async fn garbage_on_the_channel_is_counted_and_ignored() {
    let redis = RedisServer::start().await;
    let (bus, heard) = node(&redis).await;
    flows(&bus, &heard, 1).await;
    let mut stranger = redis.connect().await.unwrap();
    let garbage: [&[u8]; 6] = [b"", b"{}", &[1; 24], &[2; 25], &vec![0xff; 70_000], b"*1\r\n$4\r\nPING\r\n"];
    for message in garbage {
        redis::cmd("PUBLISH").arg(CHANNEL).arg(message).exec_async(&mut stranger).await.unwrap();
    }
    flows(&bus, &heard, 2).await;
    assert_eq!(bus.malformed_messages(), 6);
    assert_eq!(heard.revocations.lock().unwrap().len(), 2);
    assert_eq!(bus.health(), BusHealth::Connected);
}

#[tokio::test]
async fn refused_credentials_are_an_error_that_shows_no_secret() {
    let redis = RedisServer::start_with_password("right-canary").await;
    let wrong = format!("redis://:wrong-canary@127.0.0.1:{}", redis.port());
    let none = format!("redis://127.0.0.1:{}", redis.port());
    for url in [wrong, none, redis.url().replace("redis://:", "redis://stranger:"), format!("{}/99", redis.url())] {
        let error = RedisRevocationBus::connect(RedisOptions::from_url(&url).unwrap()).await.unwrap_err();
        let ConnectError::Refused { reason, .. } = &error else { panic!("{error:?}") };
        let expected = if url.ends_with("/99") { RefusalReason::Database } else { RefusalReason::Credentials };
        assert_eq!(*reason, expected, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let (bus, heard) = node(&redis).await;
    flows(&bus, &heard, 1).await;
    assert!(!format!("{bus:?} {:?}", options(&redis)).contains("canary"));
}

#[tokio::test]
async fn a_user_needs_the_documented_rights_and_no_more() {
    let redis = RedisServer::start().await;
    let mut admin = redis.connect().await.unwrap();
    for (user, channels) in [("minimal", "&authkit:*"), ("deaf", "&other:*")] {
        let rights = ["SETUSER", user, "on", ">secret", "resetchannels", channels, "+publish", "+subscribe", "+ping", "+hello"];
        redis::cmd("ACL").arg(&rights).exec_async(&mut admin).await.unwrap();
    }
    let as_user = |user| RedisOptions::from_url(&format!("redis://{user}:secret@127.0.0.1:{}", redis.port())).unwrap();
    let bus = RedisRevocationBus::connect(as_user("minimal")).await.unwrap();
    let heard = Arc::new(Heard::default());
    bus.subscribe(heard.clone());
    flows(&bus, &heard, 1).await;
    let refused = RedisRevocationBus::connect(as_user("deaf")).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { reason: RefusalReason::Permission, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_redis_that_is_away_or_frozen_at_the_start_is_found_later() {
    let mut redis = RedisServer::start().await;
    redis.freeze();
    let start = Instant::now();
    let (early, heard) = node(&redis).await;
    assert!(start.elapsed() < Duration::from_secs(3), "a start must not hang");
    redis.kill();
    let (late, _heard) = node(&redis).await;
    assert_eq!((early.health(), late.health()), (BusHealth::Degraded, BusHealth::Degraded));
    redis.start_again().await;
    eventually("the connection", || early.health() == BusHealth::Connected && late.health() == BusHealth::Connected).await;
    flows(&late, &heard, 1).await;
}

#[tokio::test]
async fn tls_against_a_redis_without_tls_is_degraded_and_does_not_panic() {
    let redis = RedisServer::start().await;
    let url = redis.url().replace("redis://", "rediss://");
    let bus = RedisRevocationBus::connect(RedisOptions::from_url(&url).unwrap()).await.unwrap();
    assert_eq!(bus.health(), BusHealth::Degraded);
}

#[tokio::test]
async fn the_connection_ends_with_the_last_sink_and_a_new_sink_starts_another() {
    let redis = RedisServer::start().await;
    let (bus, heard) = node(&redis).await;
    let second = Arc::new(Heard::default());
    bus.subscribe(second.clone());
    flows(&bus, &heard, 1).await;
    assert!(second.has(revocation(1)));
    drop((heard, second));
    eventually("the end", || bus.health() == BusHealth::Degraded).await;

    let third = Arc::new(Heard::default());
    bus.subscribe(third.clone());
    eventually("the connection", || bus.health() == BusHealth::Connected).await;
    flows(&bus, &third, 2).await;
}

/// Entropy that is always the same, so that a bus begins with the node of that number.
#[derive(Debug)]
struct Always(u8);

impl Entropy for Always {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

#[tokio::test]
async fn in_a_cluster_messages_cross_nodes_and_a_bus_moves_on_when_its_node_is_gone() {
    let mut redis = RedisCluster::start().await;
    let mut nodes = Vec::new();
    for number in 0..3 {
        let options = RedisOptions::from_url(&redis.url()).unwrap().entropy(Arc::new(Always(number)));
        let bus = RedisRevocationBus::connect(options).await.unwrap();
        let heard = Arc::new(Heard::default());
        bus.subscribe(heard.clone());
        nodes.push((bus, heard));
    }
    flows(&nodes[0].0, &nodes[1].1, 1).await;
    flows(&nodes[1].0, &nodes[2].1, 2).await;
    flows(&nodes[2].0, &nodes[0].1, 3).await;

    let gaps: Vec<_> = nodes.iter().map(|(_, heard)| heard.gaps()).collect();
    redis.node_mut(0).kill();
    eventually("the gap of the one whose node is gone", || nodes[0].1.gaps() > gaps[0]).await;
    eventually("the move", || nodes[0].0.health() == BusHealth::Connected).await;
    flows(&nodes[0].0, &nodes[2].1, 4).await;
    flows(&nodes[2].0, &nodes[0].1, 5).await;
    assert_eq!(nodes[2].1.gaps(), gaps[2], "the others lost nothing");
}
