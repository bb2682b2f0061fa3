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

/// Whether stores with this fault, or with none, keep a promise of the contract.
async fn keeps(mutant: Option<Mutant>, name: &str) -> Result<(), String> {
    let promise = promises().into_iter().find(|promise| promise.name == name).expect("a promise of the contract");
    run(&promise, &stores(mutant)).await
}

macro_rules! noticed {
    ($($name:ident: $mutant:ident by $promise:literal,)*) => {
        /// The faults that the contract can see.
        const NOTICED: &[Mutant] = &[$(Mutant::$mutant),*];

        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            assert_eq!(keeps(None, $promise).await, Ok(()), "without a fault");
            assert!(keeps(Some(Mutant::$mutant), $promise).await.is_err(), "the contract does not notice {:?}", Mutant::$mutant);
        })*
    };
}

noticed! {
    a_rotation_without_its_guard_is_noticed: RotationGuardDropped by "a_rotation_of_another_generation_is_refused",
    a_rotation_that_checks_and_then_writes_is_noticed: RotationCheckThenWrite by "one_generation_is_rotated_once",
    a_change_outside_the_transaction_is_noticed: ChangeOutsideTheTransaction by "a_failing_change_undoes_the_ones_before_it",
    a_session_without_its_guard_is_noticed: SessionGuardDropped by "no_session_of_an_old_password_survives_its_change",
    a_dropped_email_index_is_noticed: EmailIndexDropped by "one_address_is_registered_once",
    a_lookup_by_spelling_is_noticed: EmailBySpelling by "an_address_finds_its_account_in_every_spelling",
    a_revocation_without_its_guard_is_noticed: RevokeGuardDropped by "a_session_is_revoked_by_one_of_many",
    a_savepoint_that_is_kept_is_noticed: SavepointNotRolledBack by "one_address_is_registered_once",
    a_password_without_its_guard_is_noticed: PasswordGuardDropped by "one_of_many_password_changes_wins",
}

#[test]
fn every_fault_is_on_trial() {
    // A plain BEGIN shows only where a transaction reads first: in racing migrations, whose test is beside them.
    let elsewhere = [Mutant::PlainBegin];
    for mutant in Mutant::ALL {
        assert!(NOTICED.contains(&mutant) || elsewhere.contains(&mutant), "{mutant:?} is nowhere on trial");
    }
}
