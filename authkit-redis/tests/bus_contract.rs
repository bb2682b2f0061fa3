//! The bus against the contract of its port, on one Redis and on a cluster of three.

use std::sync::Arc;

use async_trait::async_trait;
use authkit_core::testkit::Outage;
use authkit_core::testkit::bus_contract::FreshBus;
use authkit_redis::testkit::{RedisCluster, RedisServer};
use authkit_redis::{RedisOptions, RedisRevocationBus};

async fn node(url: &str) -> Arc<RedisRevocationBus> {
    let options = RedisOptions::from_url(url).expect("a URL");
    Arc::new(RedisRevocationBus::connect(options).await.expect("Redis takes us"))
}

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

    async fn fresh_bus() -> FreshBus {
        let redis = RedisServer::start().await;
        FreshBus::new([node(&redis.url()).await, node(&redis.url()).await]).failing_with(Killed(redis))
    }

    authkit_core::revocation_bus_contract!(fresh_bus, with outages);
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

    async fn fresh_bus() -> FreshBus {
        let redis = RedisCluster::start().await;
        FreshBus::new([node(&redis.url()).await, node(&redis.url()).await]).failing_with(Frozen(redis))
    }

    authkit_core::revocation_bus_contract!(fresh_bus, with outages);
}
