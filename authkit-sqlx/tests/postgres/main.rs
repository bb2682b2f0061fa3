//! What is PostgreSQL's own: its locks, its timeouts, its plans, and what happens when it goes away. What every store promises
//! is in the contract.

mod wire;

use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::model::{
    ChangeSet, CredentialChange, RevocationReason, RotationOutcome, Session, SessionChange, User, UserChange,
};
use authkit_core::ports::{CommitError, KeyCustody, SessionReads, Store, StoreError, UserReads};
use authkit_core::testkit::Fixtures;
use authkit_core::{
    AuthKit, Clock, Config, Email, Login, Password, Refreshed, Registration, RequestContext, SystemClock, Timestamp,
};
use authkit_sqlx::testkit::{PgServer, TestDatabase};
use authkit_sqlx::{MigrateError, PgOpenError, PgOptions, PgStore};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use tokio::task::JoinSet;
use wire::Wire;

async fn open(options: PgOptions) -> PgStore {
    let store = PgStore::open(options).await.expect("opens");
    store.migrate().await.expect("migrates");
    store
}

fn insert(user: &User) -> ChangeSet {
    ChangeSet::new().and(UserChange::Insert(user.clone()))
}

const fn is_unavailable<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_))))
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_replicas_can_start_at_once_on_no_schema() {
    for _ in 0..5 {
        let database = TestDatabase::fresh().await;
        let mut replicas = JoinSet::new();
        for _ in 0..8 {
            let options = database.options();
            replicas.spawn(async move { PgStore::open(options).await.expect("opens").migrate().await });
        }
        while let Some(replica) = replicas.join_next().await {
            assert!(replica.expect("no panic").expect("migrates").is_current());
        }
    }
}

#[tokio::test]
async fn the_schema_is_checked_without_being_touched_and_a_strange_one_is_refused() {
    let database = TestDatabase::fresh().await;
    let store = PgStore::open(database.options()).await.expect("opens");
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

    let (schema, mut stranger) = (database.schema(), database.connect().await);
    let alter = format!("UPDATE {schema}.migrations SET checksum = decode(repeat('00', 32), 'hex') WHERE version = 1");
    stranger.execute(AssertSqlSafe(alter)).await.expect("alters");
    for outcome in [store.migrate().await, store.check().await] {
        assert!(matches!(outcome, Err(MigrateError::Altered { version: 1, .. })), "{outcome:?}");
    }
    let newer = format!("INSERT INTO {schema}.migrations VALUES (99, 'future', decode(repeat('00', 32), 'hex'))");
    stranger.execute(AssertSqlSafe(newer)).await.expect("a newer version was here");
    for outcome in [store.migrate().await, store.check().await] {
        assert!(matches!(outcome, Err(MigrateError::Newer { found: 99, .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_role_that_may_change_no_schema_can_serve_one_that_is_current() {
    let database = TestDatabase::fresh().await;
    let (schema, mut admin) = (database.schema().to_owned(), database.connect().await);
    open(database.options()).await.close().await;
    let role = format!("r{schema}");
    for sql in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
    ] {
        admin.execute(AssertSqlSafe(sql)).await.expect("an administrator may");
    }
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let options = url.parse::<PgOptions>().expect("a URL").schema(&schema).expect("a schema");
    let store = open(options).await;
    store.commit(&insert(&Fixtures::new(1).user())).await.expect("commits");
}

#[tokio::test]
async fn a_rotation_moves_no_index() {
    let database = TestDatabase::fresh().await;
    let store = open(database.options()).await;
    let fixtures = Fixtures::new(2);
    let user = fixtures.user();
    let session = fixtures.session(user.id);
    let begin = SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: 0 };
    store.commit(&insert(&user).and(begin)).await.expect("commits");
    let rounds = 500;
    let mut rotation = fixtures.rotation(&session);
    for _ in 0..rounds {
        let moved = match store.rotate(&rotation).await.expect("rotates") {
            RotationOutcome::Rotated(moved) => moved.session,
            refused => panic!("{refused:?}"),
        };
        rotation = fixtures.rotation(&moved);
    }
    // A backend reports its figures when it ends.
    store.close().await;
    let figures = format!(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = '{}' AND relname = 'sessions'",
        database.schema()
    );
    let mut connection = database.connect().await;
    for _ in 0..500 {
        let row = connection.fetch_one(AssertSqlSafe(figures.clone())).await.expect("figures");
        let (updates, hot): (i64, i64) = (row.get(0), row.get(1));
        if updates == rounds {
            // A page fills up now and then, when a transaction of another test still needs to see what is dead on it.
            assert!(hot * 100 >= updates * 95, "{hot} of {updates} updates were heap-only");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the figures did not come");
}

/// Flows over a store behind a wire that counts.
async fn counted() -> (AuthKit, Wire, TestDatabase) {
    let database = TestDatabase::fresh().await;
    open(database.options()).await.close().await;
    let wire = Wire::to(database.url()).await;
    let options: PgOptions = wire.url().parse().expect("a URL");
    let store = PgStore::open(options.schema(database.schema()).expect("a schema").connections(1)).await.expect("opens");
    let mut config = Config::new("https://auth.example");
    config.passwords.params.memory_kib = 8;
    config.passwords.params.iterations = 1;
    let custody = LocalKeyCustody::ephemeral(Arc::new(authkit_core::OsEntropy));
    let auth = AuthKit::builder(config).store(Arc::new(store)).custody(Arc::new(custody));
    // Without the background task, whose polls would be counted too.
    (auth.build_unattended().await.expect("builds"), wire, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flow_makes_the_round_trips_that_the_documents_name() {
    let (auth, wire, _database) = counted().await;
    let request = RequestContext::default();
    let (email, password) =
        (Email::parse("ada@example.com").expect("an address"), Password::parse("violet-anchor-7").expect("fits"));
    let again = Registration::new(Email::parse("bob@example.com").expect("an address"), password.clone());
    // The first time a connection sees a statement it prepares it, in a round trip of its own.
    auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await.expect("registers");
    let mut measured = Vec::new();
    for _ in 0..2 {
        measured.clear();
        let login = wire.count(auth.sessions().log_in(Login::new(email.clone(), password.clone()), &request)).await;
        let logged_in = login.0.expect("logs in");
        let principal = auth.authenticate(logged_in.tokens.access_token.expose()).expect("a valid token");
        let me = wire.count(auth.accounts().profile(&principal)).await;
        me.0.expect("a profile");
        let refresh = wire.count(auth.sessions().refresh(&logged_in.tokens.refresh_token, &request)).await;
        let Refreshed::Renewed(renewed) = refresh.0.expect("refreshes") else { panic!("reused") };
        let logout = wire.count(auth.sessions().log_out(&renewed.tokens.refresh_token, &request)).await;
        logout.0.expect("logs out");
        measured.extend([("login", login.1), ("me", me.1), ("refresh", refresh.1), ("logout", logout.1)]);
    }
    let register = wire.count(auth.accounts().register(again, &request)).await;
    register.0.expect("registers");
    measured.push(("register", register.1));
    // Named in the documents of `PgStore`.
    assert_eq!(measured, FLOWS, "(round trips, statements) of each flow");
}

/// The round trips and the statements of the flows, BEGIN and COMMIT included.
const FLOWS: &[(&str, (usize, usize))] =
    &[("login", (5, 5)), ("me", (1, 1)), ("refresh", (1, 1)), ("logout", (2, 2)), ("register", (6, 6))];

/// The system's clock, put forward.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_wrong_is_not_ready() {
    let database = TestDatabase::fresh().await;
    let store = Arc::new(open(database.options()).await);
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(authkit_core::OsEntropy)));
    for (ahead, is_ready) in [(0, true), (20, true), (40, false), (86_400, false)] {
        let auth = AuthKit::builder(Config::new("https://auth.example"))
            .store(Arc::clone(&store) as Arc<dyn Store>)
            .custody(Arc::clone(&custody) as Arc<dyn KeyCustody>)
            .clock(Arc::new(Ahead(Duration::from_secs(ahead))))
            .build()
            .await
            .expect("builds");
        let health = auth.health().await;
        assert_eq!(health.is_ready(), is_ready, "{health:?}");
        let skew = health.clock_skew.expect("PostgreSQL has a clock");
        assert!(skew.abs_diff(Duration::from_secs(ahead)) < Duration::from_secs(5), "{skew:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_runs_years_ahead_forgets_nothing() {
    let database = TestDatabase::fresh().await;
    let store = Arc::new(open(database.options()).await);
    // Long over by our clock, and live by the true one.
    let fixtures = Fixtures::new(9);
    let (user, now) = (fixtures.user(), SystemClock.now());
    let month = Duration::from_hours(24 * 30);
    let alive = Session { idle_expires_at: now + month, expires_at: now + month, ..fixtures.session(user.id) };
    let over = Session { expires_at: now - month * 2, ..fixtures.session(user.id) };
    let begin = |session: &Session| SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: 0 };
    store.commit(&insert(&user).and(begin(&alive)).and(begin(&over))).await.expect("commits");
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(authkit_core::OsEntropy)));
    for (years, is_there) in [(10, [true, true]), (0, [true, false])] {
        let auth = AuthKit::builder(Config::new("https://auth.example"))
            .store(Arc::clone(&store) as Arc<dyn Store>)
            .custody(Arc::clone(&custody) as Arc<dyn KeyCustody>)
            .clock(Arc::new(Ahead(Duration::from_hours(24 * 365 * years))))
            .build_unattended()
            .await
            .expect("builds");
        auth.maintain(true).await.expect("keeps house");
        for (session, is_there) in [&alive, &over].into_iter().zip(is_there) {
            let found = store.session_by_id(session.id).await.expect("reads").is_some();
            assert_eq!(found, is_there, "{years} years ahead");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_prefers_snapshots_is_asked_for_read_committed() {
    let database = TestDatabase::fresh().await;
    let mut admin = database.connect().await;
    let role = format!("snapshot_{}", database.schema());
    for sql in [
        format!("CREATE ROLE {role} LOGIN SUPERUSER"),
        format!("ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'"),
    ] {
        admin.execute(AssertSqlSafe(sql)).await.expect("an administrator may");
    }
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let options = || url.parse::<PgOptions>().expect("a URL").schema(database.schema()).expect("a schema");
    let mut replicas = JoinSet::new();
    for _ in 0..8 {
        let options = options();
        replicas.spawn(async move { PgStore::open(options).await.expect("opens").migrate().await });
    }
    while let Some(replica) = replicas.join_next().await {
        assert!(replica.expect("no panic").expect("migrates").is_current());
    }
    // The race that only READ COMMITTED wins; see `no_session_of_an_old_password_survives_its_change` of the contract.
    let store = Arc::new(open(options()).await);
    for seed in 0..30 {
        let fixtures = Fixtures::new(100 + seed);
        let (user, now) = (fixtures.user(), fixtures.now());
        store.commit(&insert(&user)).await.expect("commits");
        let raise = ChangeSet::new()
            .and(fixtures.event(user.id))
            .and(UserChange::RaiseAuthEpoch { id: user.id, from: 0, at: now })
            .and(SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::PasswordChanged, at: now });
        let session = fixtures.session(user.id);
        let begin = SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: 0 };
        let begin = ChangeSet::new().and(begin).and(fixtures.event(user.id));
        let (raised, _) = tokio::join!(store.commit(&raise), store.commit(&begin));
        raised.expect("the password is changed");
        let found = store.session_by_id(session.id).await.expect("reads");
        assert!(found.is_none_or(|found| found.session.revoked.is_some()), "a session of the old password is alive");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_is_answered_with_unavailable_and_reads_go_on() {
    let database = TestDatabase::fresh().await;
    let store = open(database.options().lock_timeout(Duration::from_millis(50))).await;
    let fixtures = Fixtures::new(3);
    let user = fixtures.user();
    store.commit(&insert(&user)).await.expect("commits");
    let mut stranger = database.connect().await;
    let lock = format!("BEGIN; SELECT 1 FROM {}.users FOR UPDATE", database.schema());
    stranger.execute(AssertSqlSafe(lock)).await.expect("locks");
    let raise = ChangeSet::new().and(UserChange::RaiseAuthEpoch { id: user.id, from: 0, at: fixtures.now() });
    let outcome = store.commit(&raise).await;
    assert!(is_unavailable(&outcome), "{outcome:?}");
    assert!(store.user_by_id(user.id).await.expect("reads").is_some());
    stranger.execute("ROLLBACK").await.expect("lets go");
    store.commit(&raise).await.expect("commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_unavailable_until_it_takes_writes_again() {
    let server = PgServer::start().await;
    let database = TestDatabase::of(&server);
    let store = open(database.options()).await;
    let mut admin = server.connect().await;
    admin.execute("ALTER SYSTEM SET default_transaction_read_only = on").await.expect("sets");
    admin.execute("SELECT pg_reload_conf()").await.expect("reloads");
    let fixtures = Fixtures::new(4);
    let write = || {
        let user = fixtures.user();
        insert(&user).and(fixtures.event(user.id))
    };
    // The backends hear of it a moment later.
    let mut outcome = store.commit(&write()).await;
    for _ in 0..500 {
        if outcome.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        outcome = store.commit(&write()).await;
    }
    assert!(is_unavailable(&outcome), "{outcome:?}");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(store.user_by_id(fixtures.user().id).await.expect("reads go on").is_none());
    let opened = PgStore::open(database.options()).await;
    assert!(matches!(opened, Err(PgOpenError::ReadOnly { .. })), "{opened:?}");
    admin.execute("SET default_transaction_read_only = off").await.expect("for this session");
    admin.execute("ALTER SYSTEM RESET default_transaction_read_only").await.expect("resets");
    admin.execute("SELECT pg_reload_conf()").await.expect("reloads");
    for _ in 0..500 {
        if store.ping().await.is_ok() {
            store.commit(&write()).await.expect("commits");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store did not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_off_are_replaced_and_nobody_notices() {
    let database = TestDatabase::fresh().await;
    let name = format!("cut_{}", database.schema());
    let url = format!("{}?application_name={}", database.url(), name);
    let store = open(url.parse::<PgOptions>().expect("a URL").schema(database.schema()).expect("a schema")).await;
    let mut admin = database.connect().await;
    let fixtures = Fixtures::new(5);
    for round in 0..20 {
        let user = fixtures.user();
        let password = CredentialChange::InsertPassword { user_id: user.id, hash: fixtures.password_hash(), at: fixtures.now() };
        store.commit(&insert(&user).and(password)).await.expect("commits");
        let cut = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '{name}'");
        let cut = admin.fetch_all(AssertSqlSafe(cut)).await.expect("an administrator may").len();
        assert!(cut >= 1, "no connection was cut off");
        // A read, and a transaction that has written nothing yet, are begun anew on another connection.
        if round % 2 == 0 {
            assert!(store.user_by_id(user.id).await.expect("reads").is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_went_away_is_said_at_once_and_found_again() {
    let mut server = PgServer::start().await;
    let database = TestDatabase::of(&server);
    let store = open(database.options()).await;
    let fixtures = Fixtures::new(6);
    let user = fixtures.user();
    store.commit(&insert(&user)).await.expect("commits");
    for crash in [true, false] {
        if crash {
            server.crash();
        } else {
            server.stop();
        }
        assert!(matches!(store.user_by_id(user.id).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        let outcome = store.commit(&insert(&fixtures.user()).and(fixtures.event(user.id))).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
        server.start_again().await;
        for _ in 0..500 {
            if store.ping().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(store.user_by_id(user.id).await.expect("reads").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_begun_is_finished_when_its_caller_goes_away() {
    let database = TestDatabase::fresh().await;
    let store = open(database.options()).await;
    let fixtures = Fixtures::new(7);
    for _ in 0..50 {
        let user = fixtures.user();
        let changes = insert(&user).and(fixtures.event(user.id)).and(fixtures.event(user.id));
        // Polled once, which begins it, and dropped.
        let abandoned = tokio::time::timeout(Duration::ZERO, store.commit(&changes)).await;
        if abandoned.is_ok() {
            continue;
        }
        for _ in 0..500 {
            if store.user_by_id(user.id).await.expect("reads").is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(store.user_by_id(user.id).await.expect("reads").is_some(), "the commit was given up half-way");
    }
}

#[tokio::test]
async fn whoever_asks_a_closed_store_is_told() {
    let database = TestDatabase::fresh().await;
    let store = open(database.options()).await;
    store.close().await;
    let fixtures = Fixtures::new(8);
    assert!(is_unavailable(&store.commit(&insert(&fixtures.user())).await));
    assert!(matches!(store.session_by_id(fixtures.session(fixtures.user().id).id).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_told_apart() {
    let database = TestDatabase::fresh().await;
    let options = |url: String| url.parse::<PgOptions>().expect("a URL").connect_timeout(Duration::from_millis(300));
    let nosuch = database.url().rsplit_once('/').map(|(server, _)| format!("{server}/nosuch")).expect("a database");
    let error = PgStore::open(options(nosuch)).await.expect_err("there is none");
    assert!(matches!(error, PgOpenError::NoDatabase { .. }), "{error:?}");
    let error = PgStore::open(options("postgresql://u:canary@127.0.0.1:9/d".to_owned())).await.expect_err("nobody listens");
    assert!(matches!(error, PgOpenError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused") && !format!("{error:?}{error}").contains("canary"), "{error}");
    // A server that takes connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("postgresql://u:canary@{}/d", mute.local_addr().expect("bound"));
    let error = PgStore::open(options(url)).await.expect_err("it says nothing");
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    let mut latin = database.connect().await;
    let name = format!("latin_{}", database.schema());
    let make = format!("CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0");
    latin.execute(AssertSqlSafe(make)).await.expect("makes");
    let url = database.url().rsplit_once('/').map(|(server, _)| format!("{server}/{name}")).expect("a database");
    let error = PgStore::open(options(url)).await.expect_err("another encoding");
    assert!(matches!(error, PgOpenError::Encoding { .. }), "{error:?}");
    latin.execute(AssertSqlSafe(format!("DROP DATABASE {name}"))).await.expect("drops");
    latin.close().await.expect("closes");
}
