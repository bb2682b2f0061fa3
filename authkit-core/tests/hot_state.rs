//! The in-process hot state against the contracts of its ports.

use std::sync::Arc;

use authkit_core::embedded::LocalRevocationBus;
use authkit_core::testkit::bus_contract::FreshBus;

async fn fresh_bus() -> FreshBus {
    let bus = Arc::new(LocalRevocationBus::new());
    FreshBus::new([bus.clone(), bus])
}

authkit_core::revocation_bus_contract!(fresh_bus);
