//! The reference model keeps every promise that it is the reference for.

use authkit_core::embedded::MemoryStore;

async fn fresh_store() -> MemoryStore {
    MemoryStore::new()
}

authkit_core::store_contract!(fresh_store);
