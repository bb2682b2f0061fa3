//! What only the inside can arrange: another history of migrations, a database that takes no writes, the query plans.

use authkit_core::model::{ChangeSet, UserChange};
use authkit_core::ports::{CommitError, Store, StoreError, UserReads};
use authkit_core::testkit::Fixtures;
use sqlx::Row;
use tempfile::TempDir;

use super::*;
use crate::migration::Migration;
use crate::statement::every::every_text;

fn fresh() -> (TempDir, SqliteOptions) {
    let directory = TempDir::new().expect("a directory for the test");
    let options = SqliteOptions::new(directory.path().join("authkit.db"));
    (directory, options)
}

async fn opened(options: &SqliteOptions) -> SqliteStore {
    let store = SqliteStore::open(options.clone()).await.expect("opens");
    store.migrate().await.expect("migrates");
    store
}

const TWO_STEPS: &[Migration] = &[
    migration::SQLITE[0],
    Migration { version: 2, name: "second", sql: "CREATE TABLE authkit_second (id INTEGER PRIMARY KEY) STRICT" },
];

/// Brings eight connections at once from the first step to the second.
async fn race_to_the_second_step(options: &SqliteOptions) -> Vec<Result<SchemaStatus, MigrateError>> {
    let _store = SqliteStore::open(options.clone()).await.expect("opens");
    migrate::migrate(options, &TWO_STEPS[..1]).await.expect("migrates");
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let options = options.clone();
            tokio::spawn(async move { migrate::migrate(&options, TWO_STEPS).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.expect("no panic"));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_migrations_of_an_older_database_all_succeed() {
    for _ in 0..20 {
        let (_directory, options) = fresh();
        for outcome in race_to_the_second_step(&options).await {
            assert_eq!(outcome.expect("every racer is content").version, 2);
        }
    }
}

/// The mutant that only this race can see.
#[cfg(feature = "mutants")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plain_begin_breaks_racing_migrations() {
    for _ in 0..50 {
        let (_directory, mut options) = fresh();
        options = options.mutant(crate::mutant::Mutant::PlainBegin);
        if race_to_the_second_step(&options).await.iter().any(Result::is_err) {
            return;
        }
    }
    panic!("no race of fifty was lost");
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing() {
    const BAD: &[Migration] = &[
        migration::SQLITE[0],
        Migration {
            version: 2,
            name: "bad",
            sql: "CREATE TABLE authkit_half (id INTEGER) STRICT; INSERT INTO no_such VALUES (1)",
        },
    ];
    let (_directory, options) = fresh();
    let _store = SqliteStore::open(options.clone()).await.expect("opens");
    let outcome = migrate::migrate(&options, BAD).await;
    assert!(matches!(outcome, Err(MigrateError::Store(StoreError::Failed(_)))), "{outcome:?}");
    assert_eq!(migrate::check(&options, BAD).await.expect("readable").pending, ["initial", "bad"]);
    assert!(migrate::migrate(&options, migration::SQLITE).await.expect("the good ones").is_current());
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_unavailable_and_readable() {
    let (_directory, mut options) = fresh();
    let fixtures = Fixtures::new(1);
    let user = fixtures.user();
    let writable = opened(&options).await;
    writable.commit(&ChangeSet::new().and(UserChange::Insert(user.clone()))).await.expect("commits");
    writable.close().await;

    options.query_only = true;
    let store = SqliteStore::open(options).await.expect("opens");
    let one = store.commit(&ChangeSet::new().and(UserChange::Insert(fixtures.user()))).await;
    assert!(matches!(one, Err(CommitError::Store(StoreError::Unavailable(_)))), "{one:?}");
    let other = fixtures.user();
    let two = store.commit(&ChangeSet::new().and(UserChange::Insert(other.clone())).and(fixtures.event(other.id))).await;
    assert!(matches!(two, Err(CommitError::Store(StoreError::Unavailable(_)))), "{two:?}");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.user_by_id(user.id).await.expect("reads"), Some(user));
}

// A scan is a cost that grows with the table: fine on a handful of keys and for a list in the order of its index.
#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let (_directory, options) = fresh();
    let _store = opened(&options).await;
    let fixtures = Fixtures::new(2);
    let mut connection = connect::writer(&options).await.expect("connects");
    let texts: Vec<&str> = every_text(&dialect::SQLITE, &fixtures).iter().map(|query| query.sql).collect();
    for text in texts {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan = sqlx::query(explain).fetch_all(&mut connection).await.expect("a plan");
        for step in plan {
            let step: String = step.get("detail");
            // The table of passwords has no rowid: it lies in the order of its key, and the page ends the scan.
            let ordered_list = step.starts_with("SCAN authkit_audit_events USING INDEX sqlite_autoindex")
                || (step == "SCAN authkit_password_credentials" && text.contains("ORDER BY user_id LIMIT"));
            let handful = ["SCAN authkit_server_keys", "SCAN authkit_role_graph"].iter().any(|scan| step.starts_with(scan))
                || ["SCAN CONSTANT ROW", "SCAN o"].contains(&step.as_str());
            // A thousand roles at most, and what was found through an index: all under these names.
            let handful = handful
                || ["r", "g", "s", "supers", "h", "holders", "c"]
                    .iter()
                    .any(|alias| step.trim_end_matches(" LEFT-JOIN") == format!("SCAN {alias}"));
            // The places in the leaves of one seal are no table.
            let made_up = step == "SCAN leaf";
            // An index that holds none but those that are looked for; the words of a query; and rows that a search has found.
            let unindexed = step.starts_with("SCAN u USING INDEX authkit_users_unindexed");
            let found = ["SCAN a", "SCAN s", "SCAN c", "SCAN e", "SCAN r", "SCAN u", "SCAN found"].contains(&step.as_str());
            let searched = unindexed || found || step.contains("VIRTUAL TABLE");
            assert!(!step.starts_with("SCAN") || ordered_list || handful || searched || made_up, "{step} in {text}");
            let page = text.contains("OFFSET") || text.contains("authkit_role_graph g") || text.contains(" holders ");
            assert!(!step.contains("TEMP B-TREE") || page || text.contains("UNION ALL"), "{step} in {text}");
        }
    }
}
