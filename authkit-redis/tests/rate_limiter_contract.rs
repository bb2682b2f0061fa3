//! The rate limiter against the contract of its port, on one Redis and on a cluster of three.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::ports::RateLimiter;
use authkit_core::testkit::rate_limiter_contract::LimiterUnderTest;
use authkit_core::{Clock, SystemClock, Timestamp};
use authkit_redis::testkit::{RedisCluster, RedisServer};
use authkit_redis::{RedisConnections, RedisOptions, RedisRateLimiter};

/// Three nodes, each with connections of its own, and the Redis that they share.
struct Shared<R> {
    nodes: Vec<Arc<dyn RateLimiter>>,
    redis: R,
}

impl<R: Servers> Shared<R> {
    async fn on(redis: R) -> Self {
        let mut nodes: Vec<Arc<dyn RateLimiter>> = Vec::new();
        for _ in 0..3 {
            // Here it is counted and not timed: a machine that is busy must not look like a Redis that is away.
            let options = RedisOptions::from_url(&redis.url()).expect("a URL").operation_limit(Duration::from_secs(10));
            let connections = RedisConnections::connect(options).await.expect("Redis takes us");
            nodes.push(Arc::new(RedisRateLimiter::new(&connections)));
        }
        Self { nodes, redis }
    }
}

trait Servers: Send + Sync {
    fn url(&self) -> String;
    fn servers(&self) -> &[RedisServer];
}

impl Servers for RedisServer {
    fn url(&self) -> String {
        self.url()
    }

    fn servers(&self) -> &[RedisServer] {
        std::slice::from_ref(self)
    }
}

impl Servers for RedisCluster {
    fn url(&self) -> String {
        self.url()
    }

    fn servers(&self) -> &[RedisServer] {
        self.nodes()
    }
}

#[async_trait]
impl<R: Servers> LimiterUnderTest for Shared<R> {
    fn nodes(&self) -> Vec<Arc<dyn RateLimiter>> {
        self.nodes.clone()
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn buckets(&self) -> usize {
        let mut count = 0;
        for server in self.redis.servers() {
            count += server.keys("authkit:limit:*").await.len();
        }
        count
    }
}

mod on_one_redis {
    use super::*;

    async fn fresh_limiter() -> Shared<RedisServer> {
        Shared::on(RedisServer::start().await).await
    }

    authkit_core::rate_limiter_contract!(fresh_limiter);
}

mod on_a_cluster {
    use super::*;

    async fn fresh_limiter() -> Shared<RedisCluster> {
        Shared::on(RedisCluster::start().await).await
    }

    authkit_core::rate_limiter_contract!(fresh_limiter);
}
