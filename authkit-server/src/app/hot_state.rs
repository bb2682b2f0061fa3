//! What the nodes of a cluster share beside the store.

use std::sync::Arc;

use authkit_core::ports::RevocationBus;
use authkit_redis::{RedisOptions, RedisRevocationBus};

use crate::cli::OperationError;
use crate::settings::Settings;

/// Where a refusal points: the URL and its parts are the same setting in two spellings.
const NAMES: &str = "REDIS_URL or REDIS_PASSWORD";

/// The bus that the settings name; `None`: there are no other nodes, or they poll the store. A Redis that is away does not
/// stop the start, one that refuses does: that is a mistake in the settings, which nobody would find later.
pub(super) async fn revocation_bus(settings: &Settings) -> Result<Option<Arc<dyn RevocationBus>>, OperationError> {
    match connect(settings).await? {
        Some(bus) => Ok(Some(Arc::new(bus))),
        None => Ok(None),
    }
}

/// Connects to the Redis of the settings, when there is one.
pub(super) async fn connect(settings: &Settings) -> Result<Option<RedisRevocationBus>, OperationError> {
    let Some(endpoint) = &settings.redis else { return Ok(None) };
    if endpoint.is_cluster() {
        return Err("REDIS_URL: this version takes a single Redis: write redis://… or rediss://…".into());
    }
    let options = RedisOptions::from_url(endpoint.expose_url()).map_err(|error| format!("{NAMES}: {error}"))?;
    let bus = RedisRevocationBus::connect(options).await.map_err(|error| format!("{NAMES}: {error}"))?;
    Ok(Some(bus))
}
