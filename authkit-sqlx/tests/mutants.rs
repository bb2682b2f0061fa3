//! A green contract proves nothing by itself: each of these faults has to turn it red, on every database where it can exist.

use authkit_core::model::{ChangeSet, CredentialChange, FactorChange, UserChange};
use authkit_core::ports::{CommitError, Conflict, Store};
use authkit_core::testkit::Fixtures;
use authkit_core::testkit::store_contract::{Stores, promises, run};
use authkit_sqlx::testkit::TestDatabase;
use authkit_sqlx::{Mutant, PgStore, SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::task::JoinSet;

fn sqlite(mutant: Option<Mutant>) -> Stores {
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

fn postgres(mutant: Option<Mutant>) -> Stores {
    Stores::new(move || async move {
        let mut options = TestDatabase::fresh().await.options();
        if let Some(mutant) = mutant {
            options = options.mutant(mutant);
        }
        let store = PgStore::open(options).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    })
}

/// Whether stores keep a promise of the contract.
async fn keeps(stores: Stores, name: &str) -> Result<(), String> {
    let promise = promises().into_iter().find(|promise| promise.name == name).expect("a promise of the contract");
    run(&promise, &stores).await
}

macro_rules! noticed {
    ($database:ident { $($name:ident: $mutant:ident by $promise:literal,)* }) => {
        mod $database {
            use super::{Mutant, keeps};

            /// The faults that the contract can see on this database.
            pub(super) const NOTICED: &[Mutant] = &[$(Mutant::$mutant),*];

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                assert_eq!(keeps(super::$database(None), $promise).await, Ok(()), "without a fault");
                let broken = keeps(super::$database(Some(Mutant::$mutant)), $promise).await;
                assert!(broken.is_err(), "the contract does not notice {:?}", Mutant::$mutant);
            })*
        }
    };
}

noticed! { sqlite {
    a_rotation_without_its_guard_is_noticed: RotationGuardDropped by "a_rotation_of_another_generation_is_refused",
    a_rotation_that_checks_and_then_writes_is_noticed: RotationCheckThenWrite by "one_generation_is_rotated_once",
    a_change_outside_the_transaction_is_noticed: ChangeOutsideTheTransaction by "a_failing_change_undoes_the_ones_before_it",
    a_session_without_its_guard_is_noticed: SessionGuardDropped by "no_session_of_an_old_password_survives_its_change",
    a_dropped_email_index_is_noticed: EmailIndexDropped by "one_address_is_registered_once",
    a_lookup_by_spelling_is_noticed: EmailBySpelling by "an_address_finds_its_account_in_every_spelling",
    a_revocation_without_its_guard_is_noticed: RevokeGuardDropped by "a_session_is_revoked_by_one_of_many",
    a_refused_set_that_is_kept_is_noticed: RefusedSetKept by "one_address_is_registered_once",
    a_password_without_its_guard_is_noticed: PasswordGuardDropped by "one_of_many_password_changes_wins",
    a_guess_without_its_guard_is_noticed: GuessGuardDropped by "one_of_many_reserves_the_guess",
    a_purge_of_high_counts_is_noticed: GuessPurgeTooWide by "old_counts_are_purged_and_high_ones_stay",
    factors_without_their_guard_are_noticed: FactorGuardDropped by "one_of_many_writes_the_factors",
    factors_in_force_without_their_guard_are_noticed: FactorEpochGuardDropped by "one_of_many_changes_of_the_factors_in_force_wins",
    a_chain_that_forks_is_noticed: SealForks by "seals_are_one_chain",
    a_receiver_without_its_lease_is_noticed: StreamLeaseDropped by "one_of_many_nodes_serves_a_receiver",
    a_use_of_a_passkey_without_its_guard_is_noticed: PasskeyUseGuardDropped by "one_of_many_uses_of_a_counter_is_recorded",
    an_answer_without_its_guard_is_noticed: PasskeyAnswerGuardDropped by "a_challenge_is_answered_once_by_what_it_is",
    a_used_up_token_without_its_guard_is_noticed: ConsumeGuardDropped by "a_token_is_used_up_by_what_it_is_and_for_what_it_is",
} }

noticed! { postgres {
    a_rotation_without_its_guard_is_noticed: RotationGuardDropped by "a_rotation_of_another_generation_is_refused",
    a_rotation_that_checks_and_then_writes_is_noticed: RotationCheckThenWrite by "one_generation_is_rotated_once",
    a_change_outside_the_transaction_is_noticed: ChangeOutsideTheTransaction by "a_failing_change_undoes_the_ones_before_it",
    a_session_without_its_guard_is_noticed: SessionGuardDropped by "no_session_of_an_old_password_survives_its_change",
    a_session_without_its_lock_is_noticed: SessionLockDropped by "no_session_of_an_old_password_survives_its_change",
    a_dropped_email_index_is_noticed: EmailIndexDropped by "one_address_is_registered_once",
    a_lookup_by_spelling_is_noticed: EmailBySpelling by "an_address_finds_its_account_in_every_spelling",
    a_revocation_without_its_guard_is_noticed: RevokeGuardDropped by "a_session_is_revoked_by_one_of_many",
    a_refused_set_that_is_kept_is_noticed: RefusedSetKept by "a_failing_change_undoes_the_ones_before_it",
    a_password_without_its_guard_is_noticed: PasswordGuardDropped by "one_of_many_password_changes_wins",
    a_guess_without_its_guard_is_noticed: GuessGuardDropped by "one_of_many_reserves_the_guess",
    a_count_on_from_what_was_read_is_noticed: GuessCountOverwritten by "no_guess_among_rivals_is_lost",
    a_purge_of_high_counts_is_noticed: GuessPurgeTooWide by "old_counts_are_purged_and_high_ones_stay",
    factors_without_their_guard_are_noticed: FactorGuardDropped by "one_of_many_writes_the_factors",
    factors_in_force_without_their_guard_are_noticed: FactorEpochGuardDropped by "one_of_many_changes_of_the_factors_in_force_wins",
    a_chain_that_forks_is_noticed: SealForks by "seals_are_one_chain",
    a_receiver_without_its_lease_is_noticed: StreamLeaseDropped by "one_of_many_nodes_serves_a_receiver",
    a_reported_deadlock_is_noticed: DeadlockReported by "rivals_in_opposite_order_all_succeed",
    a_use_of_a_passkey_without_its_guard_is_noticed: PasskeyUseGuardDropped by "one_of_many_uses_of_a_counter_is_recorded",
    an_answer_without_its_guard_is_noticed: PasskeyAnswerGuardDropped by "a_challenge_is_answered_once_by_what_it_is",
    a_passkey_without_its_lock_is_noticed: PasskeyLockDropped by "no_account_gets_more_passkeys_than_it_may_have",
    a_used_up_token_without_its_guard_is_noticed: ConsumeGuardDropped by "a_token_is_used_up_by_what_it_is_and_for_what_it_is",
    a_claim_without_its_lock_is_noticed: ClaimLockDropped by "no_message_is_claimed_by_two",
} }

/// Eight replicas start at once on no database, ten times; whether all of them migrate.
async fn replicas_start_at_once(mutant: Option<Mutant>) -> bool {
    for _ in 0..10 {
        let database = TestDatabase::fresh().await;
        let mut replicas = JoinSet::new();
        for _ in 0..8 {
            let options = database.options();
            let options = if let Some(mutant) = mutant { options.mutant(mutant) } else { options };
            replicas.spawn(async move { PgStore::open(options).await.expect("opens").migrate().await });
        }
        while let Some(replica) = replicas.join_next().await {
            if replica.expect("no panic").is_err() {
                return false;
            }
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_migration_without_its_lock_is_noticed() {
    assert!(replicas_start_at_once(None).await, "without a fault");
    assert!(!replicas_start_at_once(Some(Mutant::MigrationLockDropped)).await, "nobody notices the missing lock");
}

/// The first second factor is set while its account is being closed, many times; how many closed accounts have one afterwards.
async fn factors_of_closed_accounts(mutant: Option<Mutant>) -> i64 {
    let database = TestDatabase::fresh().await;
    let options = database.options();
    let store = PgStore::open(if let Some(mutant) = mutant { options.mutant(mutant) } else { options }).await.expect("opens");
    store.migrate().await.expect("migrates");
    let fixtures = Fixtures::new(7);
    for _ in 0..50 {
        let user = fixtures.user();
        store.commit(&ChangeSet::new().and(UserChange::Insert(user.clone()))).await.expect("an account");
        let (user_id, at) = (user.id, fixtures.now());
        // Each with an event behind it, so that both are transactions of some length.
        let factors = FactorChange::Put(Box::new(fixtures.factors(user_id)));
        let factors = ChangeSet::new().and(factors).and(fixtures.event(user_id));
        let close = ChangeSet::new().and(UserChange::Close { id: user_id, at }).and(fixtures.event(user_id));
        let (set, closed) = tokio::join!(store.commit(&factors), store.commit(&close));
        assert!(matches!(set, Ok(_) | Err(CommitError::Conflict(Conflict::UserChanged))), "{set:?}");
        closed.expect("closes");
    }
    let left = format!(
        "SELECT count(*) FROM {0}.factors f JOIN {0}.users u ON u.id = f.user_id WHERE u.status = 'closed'",
        database.schema()
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(&mut database.connect().await).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn factors_without_their_lock_are_noticed() {
    assert_eq!(factors_of_closed_accounts(None).await, 0, "without a fault");
    assert!(factors_of_closed_accounts(Some(Mutant::FactorLockDropped)).await > 0, "nobody notices the missing lock");
}

/// A password is set while its account is being closed, many times; how many closed accounts have a password afterwards. No read
/// of the store would show it.
async fn passwords_of_closed_accounts(mutant: Option<Mutant>) -> i64 {
    let database = TestDatabase::fresh().await;
    let options = database.options();
    let store = PgStore::open(if let Some(mutant) = mutant { options.mutant(mutant) } else { options }).await.expect("opens");
    store.migrate().await.expect("migrates");
    let fixtures = Fixtures::new(7);
    for _ in 0..50 {
        let user = fixtures.user();
        store.commit(&ChangeSet::new().and(UserChange::Insert(user.clone()))).await.expect("an account");
        let (user_id, at) = (user.id, fixtures.now());
        // Each with an event behind it, so that both are transactions of some length.
        let password = CredentialChange::InsertPassword { user_id, hash: fixtures.password_hash(), at };
        let password = ChangeSet::new().and(password).and(fixtures.event(user_id));
        let close = ChangeSet::new().and(UserChange::Close { id: user_id, at }).and(fixtures.event(user_id));
        let (set, closed) = tokio::join!(store.commit(&password), store.commit(&close));
        assert!(matches!(set, Ok(_) | Err(CommitError::Conflict(Conflict::UserChanged))), "{set:?}");
        closed.expect("closes");
    }
    let left = format!(
        "SELECT count(*) FROM {0}.password_credentials c JOIN {0}.users u ON u.id = c.user_id WHERE u.status = 'closed'",
        database.schema()
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(&mut database.connect().await).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_without_its_lock_is_noticed() {
    assert_eq!(passwords_of_closed_accounts(None).await, 0, "without a fault");
    assert!(passwords_of_closed_accounts(Some(Mutant::PasswordLockDropped)).await > 0, "nobody notices the missing lock");
}

#[test]
fn every_fault_is_on_trial() {
    // What can exist on one database only, on trial there or in a test of its own.
    let postgres_only = [
        Mutant::SessionLockDropped,
        Mutant::PasswordLockDropped,
        Mutant::DeadlockReported,
        Mutant::MigrationLockDropped,
        Mutant::GuessCountOverwritten,
        Mutant::FactorLockDropped,
        Mutant::ClaimLockDropped,
        Mutant::PasskeyLockDropped,
    ];
    // A plain BEGIN shows only where a transaction reads first: in racing migrations, whose test is beside them.
    let sqlite_only = [Mutant::PlainBegin];
    for mutant in Mutant::ALL {
        let elsewhere =
            [Mutant::PlainBegin, Mutant::PasswordLockDropped, Mutant::MigrationLockDropped, Mutant::FactorLockDropped]
                .contains(&mutant);
        let on_sqlite = sqlite::NOTICED.contains(&mutant) || postgres_only.contains(&mutant) || elsewhere;
        let on_postgres = postgres::NOTICED.contains(&mutant) || sqlite_only.contains(&mutant) || elsewhere;
        assert!(on_sqlite && on_postgres, "{mutant:?} is nowhere on trial");
    }
}
