//! The record cache against the contract of its port, on one Redis and on a cluster of three; and what Redis holds then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::UserId;
use authkit_core::ports::record_cache::{CacheHealth, Lease, LookUp, RecordCache, RecordKey};
use authkit_core::testkit::Outage;
use authkit_core::testkit::record_cache_contract::FreshCache;
use authkit_redis::testkit::{RedisCluster, RedisServer};
use authkit_redis::{RedisConnections, RedisOptions, RedisRecordCache};

async fn node(url: &str, operation_limit: Duration) -> Arc<RedisRecordCache> {
    let options = RedisOptions::from_url(url).expect("a URL").operation_limit(operation_limit);
    Arc::new(RedisRecordCache::new(&RedisConnections::connect(options).await.expect("Redis takes us")))
}

/// Long enough that a machine that is busy does not look like a Redis that is away, and short enough to count as fast.
const LIMIT: Duration = Duration::from_millis(250);

mod on_one_redis {
    use super::*;

    struct Killed(RedisServer);

    #[async_trait]
    impl Outage for Killed {
        async fn begin(&mut self) {
            self.0.kill();
        }

        async fn end(&mut self) {
            self.0.start_again().await;
        }
    }

    async fn fresh_cache() -> FreshCache {
        let redis = RedisServer::start().await;
        FreshCache::new([node(&redis.url(), LIMIT).await, node(&redis.url(), LIMIT).await]).failing_with(Killed(redis))
    }

    authkit_core::record_cache_contract!(fresh_cache, with outages);
}

mod on_a_cluster {
    use super::*;

    struct Frozen(RedisCluster);

    #[async_trait]
    impl Outage for Frozen {
        async fn begin(&mut self) {
            self.0.nodes().iter().for_each(RedisServer::freeze);
        }

        async fn end(&mut self) {
            self.0.nodes().iter().for_each(RedisServer::thaw);
            self.0.works().await;
        }
    }

    async fn fresh_cache() -> FreshCache {
        let redis = RedisCluster::start().await;
        FreshCache::new([node(&redis.url(), LIMIT).await, node(&redis.url(), LIMIT).await]).failing_with(Frozen(redis))
    }

    authkit_core::record_cache_contract!(fresh_cache, with outages);
}

fn key(n: u128) -> RecordKey {
    RecordKey::User(UserId::from_uuid(uuid::Uuid::from_u128(n)))
}

async fn lease(cache: &RedisRecordCache, n: u128) -> Lease {
    match cache.look_up(key(n)).await.expect("Redis answers") {
        LookUp::Missing(Some(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_key_has_its_end() {
    let redis = RedisServer::start().await;
    let cache = node(&redis.url(), LIMIT).await;
    let filled = lease(&cache, 1).await;
    cache.fill(key(1), filled, b"record").await.unwrap();
    lease(&cache, 2).await;
    let mut admin = redis.connect().await.unwrap();
    for (n, longest) in [(1, 30_000), (2, 5_000)] {
        let key = format!("authkit:record:{{{}}}", key(n));
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut admin).await.unwrap();
        assert!((longest - 4_000..=longest).contains(&left), "{key} ends in {left} ms");
    }
}

#[tokio::test]
async fn an_emptied_redis_takes_nothing_that_was_read_before() {
    let redis = RedisServer::start().await;
    let cache = node(&redis.url(), LIMIT).await;
    let filled = lease(&cache, 1).await;
    cache.fill(key(1), filled, b"record").await.unwrap();
    let old = lease(&cache, 2).await;
    redis.flush().await;
    cache.fill(key(2), old, b"read before").await.unwrap();
    for n in [1, 2] {
        let new = lease(&cache, n).await;
        cache.fill(key(n), new, b"read after").await.unwrap();
        assert_eq!(cache.look_up(key(n)).await.unwrap(), LookUp::Found(b"read after".to_vec()));
    }
    assert_eq!(cache.health(), CacheHealth::Working);
}

#[tokio::test]
async fn a_full_redis_caches_nothing_and_says_so() {
    let redis = RedisServer::start().await;
    let cache = node(&redis.url(), LIMIT).await;
    lease(&cache, 1).await;
    redis.configure("maxmemory", "1").await;
    cache.look_up(key(2)).await.unwrap_err();
    assert_eq!(cache.health(), CacheHealth::Degraded);
    redis.configure("maxmemory", "0").await;
    while cache.health() != CacheHealth::Working {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lease(&cache, 2).await;
}
