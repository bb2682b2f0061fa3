//! The contract judges the store: one test per promise of the port, races and random histories included.

use crate::store::RedbStore;

async fn fresh_store() -> (RedbStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = RedbStore::open(folder.path().join("accounts.redb")).await.expect("a new file");
    (store, folder) // the folder goes with the store
}

authkit_core::store_contract!(fresh_store);
