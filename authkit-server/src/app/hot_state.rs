//! What the nodes of a cluster share beside the store.

use std::fs;
use std::sync::Arc;

use authkit_core::ports::{BusHealth, RevocationBus};
use authkit_redis::{RedisConnections, RedisOptions, RedisRateLimiter, RedisRecordCache, RedisRevocationBus};

use crate::cli::OperationError;
use crate::settings::{RedisEndpoint, Settings};

/// Where a refusal points: the URL and its parts are the same setting in two spellings.
const NAMES: &str = "REDIS_URL or REDIS_HOST, REDIS_PORT, REDIS_PASSWORD";

/// The Redis of the settings: a connection that is subscribed, for revocations, and those that limits and records share.
pub(super) struct HotState {
    pub(super) bus: Arc<RedisRevocationBus>,
    pub(super) limiter: Arc<RedisRateLimiter>,
    pub(super) cache: Arc<RedisRecordCache>,
    connections: RedisConnections,
}

impl HotState {
    /// Connects to the Redis that the settings name; `None`: there are no other nodes, or they poll the store. A Redis that is
    /// away does not stop the start. One that refuses does, and so does a name that does not resolve: that is a mistake in the
    /// settings, which nobody would find later.
    pub(super) async fn connect(settings: &Settings) -> Result<Option<Self>, OperationError> {
        let Some(endpoint) = &settings.redis else { return Ok(None) };
        let options = options(settings, endpoint)?;
        // Both at once, so that a Redis that hangs delays the start by one limit and not by two.
        let (bus, connections) =
            tokio::try_join!(RedisRevocationBus::connect(options.clone()), RedisConnections::connect(options))
                .map_err(|error| format!("{NAMES}: {error}"))?;
        Ok(Some(Self {
            bus: Arc::new(bus),
            limiter: Arc::new(RedisRateLimiter::new(&connections)),
            cache: Arc::new(RedisRecordCache::new(&connections)),
            connections,
        }))
    }

    /// Whether everything about Redis works at this moment.
    pub(super) fn is_working(&self) -> bool {
        self.bus.health() == BusHealth::Connected && self.connections.is_usable()
    }
}

fn options(settings: &Settings, endpoint: &RedisEndpoint) -> Result<RedisOptions, OperationError> {
    let options = RedisOptions::from_url(endpoint.expose_url()).map_err(|error| format!("{NAMES}: {error}"))?;
    let Some(path) = &settings.redis_ca_file else { return Ok(options) };
    let shown = path.display();
    if !options.is_tls() {
        return Err(format!(
            "REDIS_CA_FILE: is {shown}, and the connection is not encrypted: write rediss for redis in REDIS_URL"
        )
        .into());
    }
    let pem = fs::read(path).map_err(|error| format!("REDIS_CA_FILE: {shown} cannot be read: {error}"))?;
    Ok(options.root_certificates(pem))
}
