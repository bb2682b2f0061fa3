//! What is SQLite's own: the file, its lock, its log and its limits. What every store promises is in the contract.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use authkit_core::PageRequest;
use authkit_core::model::{
    AuditFilter, Change, ChangeSet, CredentialChange, Revocation, RevocationReason, RotationOutcome, SessionChange, User,
    UserChange,
};
use authkit_core::ports::{AuditReads, CommitError, Conflict, SessionReads, Store, StoreError, UserReads};
use authkit_core::testkit::Fixtures;
use authkit_sqlx::{MigrateError, SqliteOpenError, SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

struct Database {
    directory: TempDir,
}

impl Database {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory for the test") }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("authkit.db")
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path())
    }

    async fn open(&self) -> SqliteStore {
        self.open_with(self.options()).await
    }

    async fn open_with(&self, options: SqliteOptions) -> SqliteStore {
        let store = SqliteStore::open(options).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    }

    /// Another program that uses the file.
    async fn stranger(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.expect("connects")
    }

    /// A stranger who holds the write lock.
    async fn lock(&self) -> SqliteConnection {
        let mut stranger = self.stranger().await;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("takes the lock");
        stranger
    }
}

async fn unlock(mut stranger: SqliteConnection) {
    sqlx::query("ROLLBACK").execute(&mut stranger).await.expect("lets go");
}

fn registration(fixtures: &Fixtures) -> (User, ChangeSet) {
    let user = fixtures.user();
    let password = CredentialChange::InsertPassword { user_id: user.id, hash: fixtures.password_hash(), at: fixtures.now() };
    let changes = ChangeSet::new().and(UserChange::Insert(user.clone())).and(password).and(fixtures.event(user.id));
    (user, changes)
}

fn insert(user: &User) -> ChangeSet {
    ChangeSet::new().and(UserChange::Insert(user.clone()))
}

const fn is_unavailable<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_))))
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_are_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = Database::new();
    let store = database.open().await;
    store.commit(&insert(&Fixtures::new(1).user())).await.expect("commits");
    for entry in std::fs::read_dir(database.directory.path()).expect("lists") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_missing_directory_is_not_made() {
    let database = Database::new();
    let outcome = SqliteStore::open(SqliteOptions::new(database.directory.path().join("no/such.db"))).await;
    assert!(matches!(outcome, Err(SqliteOpenError::File(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let database = Database::new();
    let text = "a shopping list, and much more than sixteen bytes of it".repeat(100);
    std::fs::write(database.path(), &text).expect("writes");
    let outcome = SqliteStore::open(database.options()).await;
    assert!(matches!(outcome, Err(SqliteOpenError::Store(StoreError::Failed(_)))), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(database.path()).expect("reads"), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_nodes_can_start_at_once_on_no_database() {
    for _ in 0..10 {
        let database = Database::new();
        let mut nodes = JoinSet::new();
        for _ in 0..8 {
            let options = database.options();
            nodes.spawn(async move { SqliteStore::open(options).await.expect("opens").migrate().await });
        }
        while let Some(node) = nodes.join_next().await {
            assert!(node.expect("no panic").expect("migrates").is_current());
        }
    }
}

#[tokio::test]
async fn the_schema_is_checked_without_being_touched() {
    let database = Database::new();
    let store = SqliteStore::open(database.options()).await.expect("opens");
    assert_eq!(
        store.check().await.expect("empty").pending,
        [
            "initial",
            "session_expiry",
            "login_failures",
            "administration",
            "audit",
            "one_time_tokens_and_outbox",
            "roles",
            "factors",
            "passkeys",
            "sent_codes"
        ]
    );
    assert_eq!(store.check().await.expect("still empty").version, 0);
    store.migrate().await.expect("migrates");
    assert!(store.check().await.expect("current").is_current());
}

#[tokio::test]
async fn a_newer_or_altered_schema_is_refused() {
    let database = Database::new();
    let store = database.open().await;
    let mut stranger = database.stranger().await;
    sqlx::query("UPDATE authkit_migrations SET checksum = zeroblob(32) WHERE version = 1")
        .execute(&mut stranger)
        .await
        .expect("alters");
    for outcome in [store.migrate().await, store.check().await] {
        assert!(matches!(outcome, Err(MigrateError::Altered { version: 1, .. })), "{outcome:?}");
    }
    sqlx::query("INSERT INTO authkit_migrations VALUES (99, 'future', zeroblob(32), 0)")
        .execute(&mut stranger)
        .await
        .expect("a newer version was here");
    for outcome in [store.migrate().await, store.check().await] {
        assert!(matches!(outcome, Err(MigrateError::Newer { found: 99, .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopen() {
    let database = Database::new();
    let fixtures = Fixtures::new(2);
    let (user, changes) = registration(&fixtures);
    let first = database.open().await;
    first.commit(&changes).await.expect("commits");
    // Neither closed nor dropped, as after a kill: another process sees it all the same.
    let second = database.open().await;
    assert_eq!(second.user_by_id(user.id).await.expect("reads"), Some(user.clone()));
    drop(first);
    second.close().await;
    let third = database.open().await;
    assert!(third.credentials_by_id(user.id).await.expect("reads").expect("is there").password.is_some());
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_leaves_one_file() {
    let database = Database::new();
    let store = database.open().await;
    let user = Fixtures::new(3).user();
    store.commit(&insert(&user)).await.expect("commits");
    store.user_by_id(user.id).await.expect("reads");
    store.close().await;
    let left: Vec<_> =
        std::fs::read_dir(database.directory.path()).expect("lists").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["authkit.db"]);
    assert!(is_unavailable(&store.commit(&insert(&user)).await));
    assert!(matches!(store.user_by_id(user.id).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_and_64_writers_on_one_file_see_no_error() {
    let database = Database::new();
    let nodes = [database.open().await, database.open().await];
    let mut writers = JoinSet::new();
    for writer in 0..64_u64 {
        let node = nodes[usize::from(writer % 2 == 1)].clone();
        writers.spawn(async move {
            let fixtures = Fixtures::new(1_000 + writer);
            let mut users = Vec::new();
            for _ in 0..10 {
                let (user, changes) = registration(&fixtures);
                node.commit(&changes).await.expect("no error under contention");
                assert_eq!(
                    node.user_by_id(user.id).await.expect("reads"),
                    Some(user.clone()),
                    "a read sees what was acknowledged"
                );
                users.push(user.id);
            }
            users
        });
    }
    while let Some(users) = writers.join_next().await {
        for id in users.expect("no panic") {
            assert!(nodes[0].user_by_id(id).await.expect("reads").is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_rotations_on_two_nodes_one_wins_and_the_others_see_it() {
    let database = Database::new();
    let nodes = [database.open().await, database.open().await];
    for round in 0..20 {
        let fixtures = Fixtures::new(2_000 + round);
        let user = fixtures.user();
        let session = fixtures.session(user.id);
        nodes[0].commit(&insert(&user)).await.expect("commits");
        let begin = SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: 0 };
        nodes[0].commit(&ChangeSet::new().and(begin)).await.expect("commits");
        let mut racers = JoinSet::new();
        for racer in 0..64 {
            let (node, rotation) = (nodes[racer % 2].clone(), fixtures.rotation(&session));
            racers.spawn(async move { node.rotate(&rotation).await.expect("no error") });
        }
        let (mut won, mut seen) = (0, HashSet::new());
        while let Some(outcome) = racers.join_next().await {
            let after = match outcome.expect("no panic") {
                RotationOutcome::Rotated(after) => {
                    won += 1;
                    after
                }
                RotationOutcome::Refused(after) => after.expect("the session is there"),
                other => panic!("{other:?}"),
            };
            assert_eq!(after.session.generation, 1);
            seen.insert(*after.session.secret.as_bytes());
        }
        assert_eq!((won, seen.len()), (1, 1));
    }
}

/// Has `sets` committed at once, in as few transactions as the store can, and returns the outcomes in order.
async fn together(database: &Database, store: &SqliteStore, sets: Vec<ChangeSet>) -> Vec<Result<(), CommitError>> {
    let stranger = database.lock().await;
    let tasks: Vec<_> = sets
        .into_iter()
        .map(|set| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(&set).await.map(drop) })
        })
        .collect();
    // On the one thread of this test, each task has handed in its set when it first yields.
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    unlock(stranger).await;
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    outcomes
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let database = Database::new();
    let store = database.open().await;
    let fixtures = Fixtures::new(4);
    let before = store.stats();
    let sets = (0..100).map(|_| registration(&fixtures).1).collect();
    for outcome in together(&database, &store, sets).await {
        outcome.expect("commits");
    }
    let (batches, change_sets) = (store.stats().batches - before.batches, store.stats().change_sets - before.change_sets);
    assert_eq!(change_sets, 100);
    assert!(batches <= 3, "{batches} transactions for 100 change sets");
}

#[tokio::test]
async fn a_refused_change_set_does_not_hurt_its_neighbours() {
    let database = Database::new();
    let store = database.open().await;
    let fixtures = Fixtures::new(5);
    let taken = fixtures.user();
    let ended = User { auth_epoch: u32::MAX, ..fixtures.user() };
    store.commit(&insert(&taken)).await.expect("commits");
    store.commit(&insert(&ended)).await.expect("commits");
    let before = store.stats().batches;

    let (first, first_set) = registration(&fixtures);
    let (half, last) = (fixtures.user(), fixtures.user());
    // Its first change is fine, its second is not.
    let conflicting = insert(&half).and(UserChange::Insert(User { id: fixtures.user().id, ..taken.clone() }));
    // It breaks a CHECK of the table: an error of the database and not a guard.
    let exhausted = ChangeSet::new().and(fixtures.event(ended.id)).and(UserChange::RaiseAuthEpoch {
        id: ended.id,
        from: u32::MAX,
        at: fixtures.now(),
    });
    let sets = vec![first_set, conflicting, exhausted, insert(&last)];
    let outcomes = together(&database, &store, sets).await;

    assert!(outcomes[0].is_ok() && outcomes[3].is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[1], Err(CommitError::Conflict(Conflict::EmailTaken))), "{outcomes:?}");
    assert!(matches!(outcomes[2], Err(CommitError::Store(StoreError::Failed(_)))), "{outcomes:?}");
    assert!(store.stats().batches - before <= 2, "they were not in one transaction");
    assert!(store.user_by_id(first.id).await.expect("reads").is_some());
    assert!(store.user_by_id(last.id).await.expect("reads").is_some());
    assert_eq!(store.user_by_id(half.id).await.expect("reads"), None);
    assert!(
        store.audit_events(&AuditFilter::new().subject(ended.id), PageRequest::default()).await.expect("reads").items.is_empty()
    );
}

#[tokio::test]
async fn a_full_storage_is_unavailable_and_nothing_is_half_done() {
    let database = Database::new();
    let store = database.open_with(database.options().max_pages(60)).await;
    let fixtures = Fixtures::new(6);
    let mut acknowledged = Vec::new();
    let (refused, error) = loop {
        let (user, changes) = registration(&fixtures);
        match store.commit(&changes).await {
            Ok(_) => acknowledged.push(user.id),
            Err(error) => break (user.id, error),
        }
        assert!(acknowledged.len() < 10_000, "the storage never filled up");
    };
    assert!(matches!(error, CommitError::Store(StoreError::Unavailable(_))), "{error:?}");
    assert!(!format!("{error}").to_lowercase().contains("full") && !format!("{error}").contains("authkit_"), "{error}");
    assert_eq!(store.user_by_id(refused).await.expect("reads"), None);
    for id in acknowledged {
        let event = store.audit_events(&AuditFilter::new().subject(id), PageRequest::default()).await.expect("reads").items;
        assert_eq!(event.len(), 1);
        assert!(store.credentials_by_id(id).await.expect("reads").expect("is there").password.is_some());
    }
}

#[tokio::test]
async fn a_database_that_stays_locked_is_unavailable_and_not_a_hang() {
    let database = Database::new();
    let store = database.open_with(database.options().lock_timeout(Duration::from_millis(100))).await;
    let fixtures = Fixtures::new(7);
    let (user, changes) = registration(&fixtures);
    let stranger = database.lock().await;
    assert!(is_unavailable(&store.commit(&changes).await));
    assert!(is_unavailable(&store.commit(&insert(&user)).await));
    assert_eq!(store.user_by_id(user.id).await.expect("a reader needs no lock"), None);
    unlock(stranger).await;
    store.commit(&changes).await.expect("commits again");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let database = Database::new();
    let store = database.open_with(database.options().operation_timeout(Duration::from_millis(100))).await;
    let fixtures = Fixtures::new(8);
    let ((first, first_set), (second, second_set)) = (registration(&fixtures), registration(&fixtures));
    let stranger = database.lock().await;
    let (one, two) = tokio::join!(store.commit(&first_set), store.commit(&second_set));
    assert!(is_unavailable(&one) && is_unavailable(&two));
    unlock(stranger).await;
    store.commit(&registration(&fixtures).1).await.expect("commits again");
    assert_eq!(store.user_by_id(first.id).await.expect("reads"), None);
    assert_eq!(store.user_by_id(second.id).await.expect("reads"), None);
}

fn bytes_of(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).expect("lists");
    files.flat_map(|entry| std::fs::read(entry.expect("an entry").path()).expect("reads")).collect()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn a_closed_account_leaves_its_revocations_and_nothing_personal() {
    let database = Database::new();
    let store = database.open().await;
    let fixtures = Fixtures::new(9);
    let user = fixtures.user();
    let session = fixtures.session(user.id);
    let at = fixtures.now();
    let begin = SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: 0 };
    let hash = fixtures.password_hash();
    let password = CredentialChange::InsertPassword { user_id: user.id, hash: hash.clone(), at };
    store.commit(&insert(&user).and(password).and(begin)).await.expect("commits");
    let personal = [
        user.email.spelling().to_owned(),
        user.email.normal().to_owned(),
        user.full_name.clone().expect("a name").to_string(),
        session.created_by.ip.expect("an address").to_string(),
        session.device_name.clone().expect("a device").to_string(),
        hash.expose().to_owned(),
    ];
    let bytes = bytes_of(database.directory.path());
    assert!(personal.iter().all(|text| contains(&bytes, text)), "the test looks in the wrong place");

    let revoke = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::AccountClosed, at };
    let changes: Vec<Change> = vec![revoke.into(), UserChange::Close { id: user.id, at }.into()];
    let committed = store.commit(&changes.into_iter().collect()).await.expect("closes");
    let revocation = Revocation { session_id: session.id, at };
    assert_eq!(committed.revoked, [revocation]);
    let mark = authkit_core::ports::RevocationMark { at, session_id: None };
    assert_eq!(store.revocations_after(mark, authkit_core::PageLimit::default()).await.expect("reads"), [revocation]);
    store.close().await;
    let bytes = bytes_of(database.directory.path());
    for text in personal {
        assert!(!contains(&bytes, &text), "{text:?} is still in the file");
    }
}

#[test]
fn a_store_can_outlive_its_runtime() {
    let database = Database::new();
    let fixtures = Fixtures::new(10);
    let user = fixtures.user();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let first = runtime();
    let store = first.block_on(database.open());
    first.block_on(store.commit(&insert(&user))).expect("commits");
    drop(first);
    let second = runtime();
    assert!(is_unavailable(&second.block_on(store.commit(&insert(&fixtures.user())))));
    drop(store);
    let reopened = second.block_on(database.open());
    assert_eq!(second.block_on(reopened.user_by_id(user.id)).expect("reads"), Some(user));
}

#[tokio::test]
async fn no_error_shows_a_statement_or_a_constraint() {
    let database = Database::new();
    let store = database.open().await;
    let mut stranger = database.stranger().await;
    sqlx::query("DROP TABLE authkit_audit_events").execute(&mut stranger).await.expect("a vandal");
    stranger.close().await.expect("closes");
    let fixtures = Fixtures::new(11);
    let (user, changes) = registration(&fixtures);
    let commit = store.commit(&changes).await.expect_err("a table is missing");
    let read = store.audit_events(&AuditFilter::new(), PageRequest::default()).await.expect_err("a table is missing");
    assert_eq!((commit.to_string().as_str(), read.to_string().as_str()), ("storage failed", "storage failed"));
    assert_eq!(store.user_by_id(user.id).await.expect("reads"), None);
}
