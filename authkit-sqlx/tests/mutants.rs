//! A green contract proves nothing by itself: each of these faults has to turn it red.

use authkit_core::testkit::store_contract::{Stores, promises, run};
use authkit_sqlx::{Mutant, SqliteOptions, SqliteStore};
use tempfile::TempDir;

fn stores(mutant: Option<Mutant>) -> Stores {
    Stores::new(move || async move {
        let directory = TempDir::new().expect("a directory for the test");
        let mut options = SqliteOptions::new(directory.path().join("authkit.db"));
        if let Some(mutant) = mutant {
            options = options.mutant(mutant);
        }
        let store = SqliteStore::open(options).await.expect("opens");
        store.migrate().await.expect("migrates");
        (store, directory)
    })
}

/// The promises that a store with this fault breaks.
async fn broken(mutant: Option<Mutant>) -> Vec<&'static str> {
    let stores = stores(mutant);
    let mut broken = Vec::new();
    for promise in promises() {
        if run(&promise, &stores).await.is_err() {
            broken.push(promise.name);
        }
    }
    broken
}

macro_rules! kills {
    ($($name:ident: $mutant:ident,)*) => {
        /// One test for each fault that the contract can see on one node.
        const KILLED: &[Mutant] = &[$(Mutant::$mutant),*];

        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let broken = broken(Some(Mutant::$mutant)).await;
            println!("{:?} breaks {broken:?}", Mutant::$mutant);
            assert!(!broken.is_empty(), "the contract does not notice {:?}", Mutant::$mutant);
        })*
    };
}

kills! {
    a_rotation_without_its_guard_is_noticed: RotationGuardDropped,
    a_rotation_that_checks_and_then_writes_is_noticed: RotationCheckThenWrite,
    a_change_outside_the_transaction_is_noticed: ChangeOutsideTheTransaction,
    a_session_without_its_guard_is_noticed: SessionGuardDropped,
    a_dropped_email_index_is_noticed: EmailIndexDropped,
    a_lookup_by_spelling_is_noticed: EmailBySpelling,
    a_savepoint_that_is_kept_is_noticed: SavepointNotRolledBack,
    a_revocation_without_its_guard_is_noticed: RevokeGuardDropped,
    a_password_without_its_guard_is_noticed: PasswordGuardDropped,
}

#[test]
fn every_fault_is_on_trial() {
    // A plain BEGIN shows only where a transaction reads first: in racing migrations, which have a test of their own.
    let elsewhere = [Mutant::PlainBegin];
    for mutant in Mutant::ALL {
        assert!(KILLED.contains(&mutant) || elsewhere.contains(&mutant), "{mutant:?} is nowhere on trial");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_without_a_fault_keeps_every_promise() {
    assert_eq!(broken(None).await, Vec::<&str>::new());
}
