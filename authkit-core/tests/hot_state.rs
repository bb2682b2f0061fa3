//! The in-process hot state against the contracts of its ports.
#![expect(clippy::unused_async, reason = "a contract takes an async factory")]

use std::sync::Arc;

use authkit_core::SystemClock;
use authkit_core::embedded::{LocalRecordCache, LocalRevocationBus};
use authkit_core::testkit::bus_contract::FreshBus;
use authkit_core::testkit::record_cache_contract::FreshCache;

async fn fresh_bus() -> FreshBus {
    let bus = Arc::new(LocalRevocationBus::new());
    FreshBus::new([bus.clone(), bus])
}

authkit_core::revocation_bus_contract!(fresh_bus);

async fn fresh_cache() -> FreshCache {
    let cache = Arc::new(LocalRecordCache::new(Arc::new(SystemClock)));
    FreshCache::new([cache.clone(), cache])
}

authkit_core::record_cache_contract!(fresh_cache);
