//! The rate limiter when Redis is killed, frozen, full, emptied or moves its keys.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::model::{LimitScope, Quota};
use authkit_core::ports::{BucketKey, Charge, LimiterHealth, RateLimiter};
use authkit_core::{Entropy, OsEntropy};
use authkit_redis::testkit::{RedisCluster, RedisServer, SomeRedis};
use authkit_redis::{RedisConnections, RedisOptions, RedisRateLimiter};
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_hours(1);
/// How long a recovery may take: a heartbeat, a connect limit and the longest wait, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(15);
/// What a call to a Redis that hangs may cost: the operation limit of 75 ms, on a busy machine.
const FIRST: Duration = Duration::from_millis(400);
/// What a call may cost that asks nobody.
const AT_ONCE: Duration = Duration::from_millis(40);

async fn limiter(url: &str) -> RedisRateLimiter {
    let options = RedisOptions::from_url(url).expect("a URL");
    RedisRateLimiter::new(&RedisConnections::connect(options).await.expect("Redis takes us"))
}

fn charge(subject: &str, burst: u32, interval: Duration) -> Charge {
    let quota = Quota::new(burst, interval).expect("a quota");
    Charge { key: BucketKey::new(LimitScope::LoginAccount, subject.as_bytes()), quota }
}

async fn until(what: &str, limiter: &RedisRateLimiter, health: LimiterHealth) -> Duration {
    let start = Instant::now();
    while limiter.health() != health {
        assert!(start.elapsed() < RECOVERY, "{what} did not come within {RECOVERY:?}");
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// For two seconds every call fails, none of them late, and health says so.
async fn fails_at_once(limiter: &RedisRateLimiter) {
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(2) {
        let start = Instant::now();
        limiter.charge(&[charge("account", 3, HOUR)]).await.expect_err("nobody counts");
        slowest = slowest.max(start.elapsed());
        assert_eq!(limiter.health(), LimiterHealth::Degraded);
        sleep(Duration::from_millis(10)).await;
    }
    println!("the slowest call with an open breaker took {slowest:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
}

async fn remaining(limiter: &RedisRateLimiter, charge: Charge) -> Option<u32> {
    let readings = limiter.charge(&[charge]).await.expect("Redis counts");
    readings[0].is_allowed().then_some(readings[0].remaining)
}

#[tokio::test]
async fn a_killed_redis_fails_at_once_and_comes_back_by_itself() {
    let mut redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(2));
    redis.kill();
    let start = Instant::now();
    limiter.charge(&[charge("account", 3, HOUR)]).await.unwrap_err();
    println!("the first call took {:?}", start.elapsed());
    assert!(start.elapsed() < FIRST);
    fails_at_once(&limiter).await;
    redis.start_again().await;
    println!("back {:?} after Redis", until("the return", &limiter, LimiterHealth::Working).await);
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(2), "it has forgotten: the burst is there once more");
}

#[tokio::test]
async fn a_frozen_redis_costs_one_call_its_limit_and_the_others_nothing() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(2));
    redis.freeze();
    let start = Instant::now();
    limiter.charge(&[charge("other", 3, HOUR)]).await.unwrap_err();
    println!("the first call took {:?}", start.elapsed());
    assert!(start.elapsed() < FIRST);
    fails_at_once(&limiter).await;
    redis.thaw();
    println!("back {:?} after the thaw", until("the return", &limiter, LimiterHealth::Working).await);
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(1), "what was counted before still counts");
}

#[tokio::test]
async fn a_full_redis_is_one_that_does_not_work_until_it_has_room() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(2));
    redis.configure("maxmemory-policy", "noeviction").await;
    redis.configure("maxmemory", "1").await;
    limiter.charge(&[charge("account", 3, HOUR)]).await.unwrap_err();
    fails_at_once(&limiter).await;
    // It answers every PING, and must not be taken for well because of that while nobody asks it for more.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(limiter.health(), LimiterHealth::Degraded);
        sleep(Duration::from_millis(5)).await;
    }
    redis.configure("maxmemory", "0").await;
    until("the return", &limiter, LimiterHealth::Working).await;
    assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, Some(1));
}

#[tokio::test]
async fn an_emptied_redis_counts_on_from_the_burst() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    for left in [Some(1), Some(0), None] {
        assert_eq!(remaining(&limiter, charge("account", 2, HOUR)).await, left);
    }
    redis.flush().await;
    for left in [Some(1), Some(0), None] {
        assert_eq!(remaining(&limiter, charge("account", 2, HOUR)).await, left);
    }
    assert_eq!(limiter.health(), LimiterHealth::Working);
}

#[tokio::test]
async fn a_script_that_was_forgotten_is_sent_again_and_nothing_is_counted_twice() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    let mut admin = redis.connect().await.unwrap();
    for left in [Some(2), Some(1), Some(0), None] {
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut admin).await.unwrap();
        assert_eq!(remaining(&limiter, charge("account", 3, HOUR)).await, left);
    }
}

#[tokio::test]
async fn the_buckets_of_a_request_cost_one_round_trip_and_every_key_has_its_end() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    let mut admin = redis.connect().await.unwrap();
    let charges = [charge("one", 2, HOUR), charge("two", 5, Duration::from_millis(1)), charge("three", 1, HOUR)];
    // The first call brings the script.
    limiter.charge(&[charge("first", 1, HOUR)]).await.unwrap();
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut admin).await.unwrap();
    limiter.charge(&charges).await.unwrap();
    assert_eq!(limiter.charge(&charges).await.unwrap().len(), 3);
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut admin).await.unwrap();
    assert!(stats.contains("cmdstat_evalsha:calls=2,") && !stats.contains("cmdstat_eval:"), "{stats}");

    let keys = redis.keys("authkit:limit:*").await;
    assert!(keys.len() >= 3, "{keys:?}");
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut admin).await.unwrap();
        let debt = i64::try_from(2 * HOUR.as_millis()).unwrap();
        // -2 is a key that went in the meantime, and 0 one that is just going; -1 would be one that stays.
        assert!(left == -2 || (0..=debt).contains(&left), "{key} ends in {left} ms");
    }
}

#[tokio::test]
async fn a_clock_that_jumped_back_and_foreign_values_shut_no_bucket() {
    let redis = RedisServer::start().await;
    let limiter = limiter(&redis.url()).await;
    let mut admin = redis.connect().await.unwrap();
    let quota = charge("account", 1, Duration::from_millis(200));
    let key = format!("authkit:limit:{{{}}}", quota.key);
    let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(&mut admin).await.unwrap();
    let ahead = format!("200000 {}000000", seconds + 3_600);
    redis::cmd("SET").arg(&key).arg(ahead).arg("EX").arg(4_000).exec_async(&mut admin).await.unwrap();
    assert_eq!(remaining(&limiter, quota).await, None, "the debt is still owed");
    sleep(Duration::from_millis(210)).await;
    assert_eq!(remaining(&limiter, quota).await, Some(0), "and is paid off from now on");

    redis::cmd("SET").arg(&key).arg("nonsense").exec_async(&mut admin).await.unwrap();
    assert_eq!(remaining(&limiter, quota).await, Some(0));
    redis::cmd("DEL").arg(&key).exec_async(&mut admin).await.unwrap();
    redis::cmd("LPUSH").arg(&key).arg(1).exec_async(&mut admin).await.unwrap();
    limiter.charge(&[quota]).await.unwrap_err();
    assert_eq!(limiter.health(), LimiterHealth::Working, "one key that is no bucket is no reason to count apart");
}

/// Subjects whose buckets are at each of the three nodes.
async fn subjects(cluster: &RedisCluster) -> [String; 3] {
    let mut found = [const { None }; 3];
    let mut connection = cluster.nodes()[0].connect().await.expect("a node that answers");
    for number in 0.. {
        let subject = format!("account {number}");
        let slot = slot_of(&mut connection, &subject).await;
        found[usize::from(slot > 5_460) + usize::from(slot > 10_922)].get_or_insert(subject);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.map(|subject| subject.expect("found"))
}

async fn slot_of(connection: &mut MultiplexedConnection, subject: &str) -> u16 {
    let key = format!("authkit:limit:{{{}}}", charge(subject, 1, HOUR).key);
    redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(connection).await.expect("a slot")
}

#[tokio::test]
async fn in_a_cluster_the_loss_of_a_node_is_the_loss_of_its_buckets_alone() {
    let mut cluster = RedisCluster::start().await;
    let subjects = subjects(&cluster).await;
    let limiter = limiter(&cluster.url()).await;
    for subject in &subjects {
        assert_eq!(remaining(&limiter, charge(subject, 9, HOUR)).await, Some(8));
    }
    cluster.nodes()[0].freeze();
    let start = Instant::now();
    limiter.charge(&[charge(&subjects[0], 9, HOUR)]).await.unwrap_err();
    assert!(start.elapsed() < FIRST, "{:?}", start.elapsed());
    assert_eq!(limiter.health(), LimiterHealth::Degraded);
    let (start, mut left) = (Instant::now(), 8);
    while left > 0 {
        left -= 1;
        for subject in &subjects[1..] {
            assert_eq!(remaining(&limiter, charge(subject, 9, HOUR)).await, Some(left));
        }
        let asked = Instant::now();
        limiter.charge(&[charge(&subjects[0], 9, HOUR)]).await.unwrap_err();
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        sleep(Duration::from_millis(200)).await;
    }
    println!("{:?} with a frozen node", start.elapsed());
    cluster.nodes()[0].thaw();
    cluster.node_mut(1).kill();
    cluster.node_mut(1).start_again().await;
    cluster.works().await;
    until("the return", &limiter, LimiterHealth::Working).await;
    for subject in &subjects {
        limiter.charge(&[charge(subject, 9, HOUR)]).await.unwrap();
    }
}

#[tokio::test]
async fn in_a_cluster_a_bucket_is_followed_when_its_slot_moves() {
    let cluster = RedisCluster::start().await;
    let subject = &subjects(&cluster).await[0];
    let limiter = Arc::new(limiter(&cluster.url()).await);
    let bucket = charge(subject, 9, HOUR);
    assert_eq!(remaining(&limiter, bucket).await, Some(8));

    let (mut from, mut to) = (cluster.nodes()[0].connect().await.unwrap(), cluster.nodes()[1].connect().await.unwrap());
    let slot = slot_of(&mut from, subject).await;
    let id = |mut connection: MultiplexedConnection| async move {
        redis::cmd("CLUSTER").arg("MYID").query_async::<String>(&mut connection).await.unwrap()
    };
    let (from_id, to_id) = (id(from.clone()).await, id(to.clone()).await);
    let mut setslot = redis::cmd("CLUSTER");
    setslot.arg("SETSLOT").arg(slot).arg("IMPORTING").arg(&from_id).exec_async(&mut to).await.unwrap();
    let mut setslot = redis::cmd("CLUSTER");
    setslot.arg("SETSLOT").arg(slot).arg("MIGRATING").arg(&to_id).exec_async(&mut from).await.unwrap();
    assert_eq!(remaining(&limiter, bucket).await, Some(7), "it is still here");
    let key = format!("authkit:limit:{{{}}}", bucket.key);
    let port = cluster.nodes()[1].port();
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(port).arg(&key).arg(0).arg(1_000).exec_async(&mut from).await.unwrap();
    assert_eq!(remaining(&limiter, bucket).await, Some(6), "the one that has it not any more says whom to ask");
    for connection in [&mut to, &mut from] {
        redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&to_id).exec_async(connection).await.unwrap();
    }
    for left in (0..6).rev() {
        assert_eq!(remaining(&limiter, bucket).await, Some(left), "it has moved");
    }
    assert_eq!(limiter.health(), LimiterHealth::Working);
}

#[tokio::test]
async fn in_a_cluster_the_slots_of_a_dead_node_are_found_where_they_went() {
    let mut cluster = RedisCluster::start().await;
    let subject = &subjects(&cluster).await[0];
    let limiter = limiter(&cluster.url()).await;
    limiter.charge(&[charge(subject, 9, HOUR)]).await.unwrap();
    cluster.node_mut(0).kill();
    until("the loss", &limiter, LimiterHealth::Degraded).await;
    // As an operator does whose node does not come back.
    let mut heir = cluster.nodes()[1].connect().await.unwrap();
    for words in [["DELSLOTSRANGE", "0", "5460"], ["ADDSLOTSRANGE", "0", "5460"]] {
        redis::cmd("CLUSTER").arg(&words).exec_async(&mut heir).await.unwrap();
    }
    redis::cmd("CLUSTER").arg("BUMPEPOCH").exec_async(&mut heir).await.unwrap();
    println!("found {:?} later", until("the heir", &limiter, LimiterHealth::Working).await);
    assert_eq!(remaining(&limiter, charge(subject, 9, HOUR)).await, Some(8), "what the dead node had counted is gone with it");
}

#[tokio::test]
async fn counting_is_no_burden() {
    let redis = SomeRedis::find().await;
    let limiter = limiter(redis.url()).await;
    let mut own = [0; 16];
    OsEntropy.fill(&mut own);
    let charges = ["address", "account"].map(|of| charge(&format!("{own:?} {of}"), 1_000_000, Duration::from_millis(1)));
    limiter.charge(&charges).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let start = Instant::now();
        limiter.charge(&charges).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("two buckets: median {:?}, p99 {:?}", times[500], times[990]);
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let limiter = limiter.clone();
        running.spawn(async move {
            for _ in 0..100 {
                limiter.charge(&charges).await.unwrap();
            }
        });
    }
    running.join_all().await;
    println!("64 at a time: {:.0} requests of two buckets a second", 6_400.0 / start.elapsed().as_secs_f64());
    assert!(times[500] < Duration::from_millis(20), "a login waits {:?} to be counted", times[500]);
}
