//! Somebody with the database and without the keys: whatever she does to the audit log, a verification names it.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::flows::{AuditFault, Verification, VerifyOptions};
use authkit_core::model::{AuditChange, AuditEvent, AuditFilter, ChangeSet};
use authkit_core::ports::Store;
use authkit_core::testkit::{Fixtures, FrozenClock};
use authkit_core::{AuditEventId, AuthKit, Clock, Config, OsEntropy, SystemClock, Timestamp};
use sqlx::{AssertSqlSafe, Executor as _};

async fn auth(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> AuthKit {
    let mut config = Config::new("https://app.example");
    (config.passwords.params.memory_kib, config.passwords.params.iterations) = (8, 1);
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    AuthKit::builder(config).store(store).custody(custody).clock(clock).build().await.expect("builds")
}

/// Thirty events, and a seal over every ten of them.
async fn sealed_log(auth: &AuthKit, store: &dyn Store, fixtures: &Fixtures, clock: &FrozenClock) -> Vec<AuditEvent> {
    let mut events = Vec::new();
    for index in 0..30_u64 {
        clock.advance(Duration::from_secs(1));
        let event = event_of(fixtures, clock.now());
        store.commit(&ChangeSet::new().and(event.clone())).await.expect("commits");
        events.push(event);
        if index % 10 == 9 {
            clock.advance(Duration::from_secs(91));
            assert!(auth.audit().seal().await.expect("seals").events >= 10);
        }
    }
    clock.advance(Duration::from_hours(1));
    events
}

fn event_of(fixtures: &Fixtures, at: Timestamp) -> AuditEvent {
    let tail = fixtures.user().id.as_uuid().as_u128() & 0xffff_ffff_ffff;
    let id = AuditEventId::from_uuid(uuid::Uuid::from_u128(AuditEventId::first_of(at).as_uuid().as_u128() | tail));
    AuditEvent { id, at, ..fixtures.event(fixtures.user().id) }
}

async fn verified(auth: &AuthKit) -> Verification {
    auth.audit().verify(&VerifyOptions::default()).await.expect("verifies")
}

macro_rules! tampering {
    ($database:ident, $bytes:literal, $open:expr) => {
        mod $database {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn whatever_is_done_behind_the_servers_back_is_named() {
                let id = |event: &AuditEvent| format!($bytes, event.id.as_uuid().simple());
                for case in 0..11 {
                    let (store, mut vandal, prefix, _guard) = $open.await;
                    let clock = FrozenClock::new();
                    let auth = auth(Arc::new(store.clone()), Arc::new(clock.clone())).await;
                    let fixtures = Fixtures::new(case);
                    let events = sealed_log(&auth, &store, &fixtures, &clock).await;
                    let intact = verified(&auth).await;
                    assert!(intact.is_intact() && intact.events >= 30 && intact.seals == 3, "{intact:?}");
                    let (table, seals) = (format!("{prefix}audit_events"), format!("{prefix}audit_seals"));
                    let leaves = format!("{prefix}audit_leaves");
                    let (one, other) = (&events[14], &events[17]);
                    let (a, b) = (id(one), id(other));
                    let (sql, seal, event, fault) = match case {
                        0 => {
                            (format!("UPDATE {table} SET ip = '192.0.2.66' WHERE id = {a}"), 2, Some(one.id), AuditFault::Altered)
                        }
                        1 => (
                            format!("UPDATE {table} SET outcome = 'failure' WHERE id = {a}"),
                            2,
                            Some(one.id),
                            AuditFault::Altered,
                        ),
                        2 => (
                            format!("UPDATE {table} SET action = 'made.up' WHERE id = {a}"),
                            2,
                            Some(one.id),
                            AuditFault::Altered,
                        ),
                        3 => (
                            format!("UPDATE {table} SET details = 'no json' WHERE id = {a}"),
                            2,
                            Some(one.id),
                            AuditFault::Altered,
                        ),
                        4 => (format!("DELETE FROM {table} WHERE id = {a}"), 2, Some(one.id), AuditFault::Removed),
                        // Two rows change places: the earlier one is named.
                        5 => {
                            let spare = format!($bytes, "00000000000000000000000000000000");
                            let swap = format!(
                                "UPDATE {table} SET id = {spare} WHERE id = {a}; UPDATE {table} SET id = {a} WHERE id = {b}; \
                                 UPDATE {table} SET id = {b} WHERE id = {spare}"
                            );
                            (swap, 2, Some(one.id), AuditFault::Altered)
                        }
                        6 => (format!("DELETE FROM {seals} WHERE number = 2"), 2, None, AuditFault::SealRemoved),
                        7 => (
                            format!("UPDATE {seals} SET sealed_at = sealed_at + 1 WHERE number = 2"),
                            2,
                            None,
                            AuditFault::SealAltered,
                        ),
                        8 => (format!("DELETE FROM {leaves} WHERE seal = 2"), 2, None, AuditFault::LeavesAltered),
                        // A theft that calls itself a purge.
                        9 => {
                            let purge =
                                format!("UPDATE {seals} SET purged = 2 WHERE number = 3; DELETE FROM {leaves} WHERE seal <= 2");
                            (purge, 3, None, AuditFault::SealAltered)
                        }
                        // What is put among sealed ones, older than anything that can be late.
                        _ => (String::new(), 2, None, AuditFault::Added),
                    };
                    let mut event = event;
                    if sql.is_empty() {
                        let added = event_of(&fixtures, one.at + Duration::from_millis(7));
                        store.commit(&ChangeSet::new().and(added.clone())).await.expect("commits");
                        event = Some(added.id);
                    } else {
                        vandal.execute(AssertSqlSafe(sql)).await.expect("the vandal has the right");
                    }
                    let found = verified(&auth).await;
                    let named: Vec<_> =
                        found.problems.iter().map(|problem| (problem.seal, problem.event, problem.fault)).collect();
                    assert!(named.contains(&(seal, event, fault)), "case {case}: {named:?}");
                    if case != 9 {
                        assert_eq!(named.first(), Some(&(seal, event, fault)), "case {case}: {named:?}");
                    }
                    store.close().await;
                }
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_purge_goes_on_where_one_was_interrupted() {
                let (store, _vandal, _prefix, _guard) = $open.await;
                let auth = auth(Arc::new(store.clone()), Arc::new(SystemClock)).await;
                let fixtures = Fixtures::new(50);
                let start = SystemClock.now() - Duration::from_hours(100);
                for index in 0..1_500_u64 {
                    store
                        .commit(&ChangeSet::new().and(event_of(&fixtures, start + Duration::from_millis(index))))
                        .await
                        .expect("commits");
                }
                assert_eq!(auth.audit().seal().await.expect("seals").events, 1_500);
                let done = auth.audit().purge(Duration::from_hours(24), false).await.expect("purges");
                assert_eq!((done.deleted, done.sealed_events), (1_000, 1_000), "whole seals: the last one reaches into this day");
                let found = verified(&auth).await;
                assert!(found.is_intact() && found.purged == 1_000 && found.events == 500, "{found:?}");
                let old = AuditFilter::new().until(SystemClock.now() - Duration::from_hours(90));
                let left = auth.audit().events(&old, authkit_core::PageRequest::default()).await.expect("reads");
                assert!(!left.items.is_empty());
                store.close().await;
            }
        }
    };
}

tampering!(sqlite, "X'{}'", async {
    use authkit_sqlx::{SqliteOptions, SqliteStore};
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;
    let directory = tempfile::TempDir::new().expect("a directory for the test");
    let path = directory.path().join("authkit.db");
    let store = SqliteStore::open(SqliteOptions::new(&path)).await.expect("opens");
    store.migrate().await.expect("migrates");
    let vandal =
        SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_secs(10)).connect().await.expect("connects");
    (store, vandal, "authkit_".to_owned(), directory)
});

tampering!(postgres, "'{}'::uuid", async {
    use authkit_sqlx::PgStore;
    use authkit_sqlx::testkit::TestDatabase;
    let database = TestDatabase::fresh().await;
    let store = PgStore::open(database.options()).await.expect("opens");
    store.migrate().await.expect("migrates");
    let prefix = format!("{}.", database.schema());
    let vandal = database.connect().await;
    (store, vandal, prefix, database)
});

/// The server needs neither UPDATE nor DELETE on its audit log: with the rights of a role that has neither, everything works.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_can_only_read_and_append_is_enough() {
    use authkit_core::{Email, Login, Password, Registration, RequestContext};
    use authkit_sqlx::testkit::TestDatabase;
    use authkit_sqlx::{PgOptions, PgStore};
    let database = TestDatabase::fresh().await;
    let owner = PgStore::open(database.options()).await.expect("opens");
    owner.migrate().await.expect("migrates");
    owner.close().await;
    let schema = database.schema().to_string();
    let mut admin = database.connect().await;
    let role = format!("append_{schema}");
    let rights = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'append-only'; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}; \
         REVOKE UPDATE, DELETE ON {schema}.audit_events, {schema}.audit_seals, {schema}.audit_leaves FROM {role}"
    );
    admin.execute(AssertSqlSafe(rights)).await.expect("a role of few rights");
    let (protocol, rest) = database.url().split_once("://").expect("a URL");
    let place = rest.split_once('@').map_or(rest, |(_, place)| place);
    let options: PgOptions = format!("{protocol}://{role}:append-only@{place}").parse().expect("a URL");
    let store = PgStore::open(options.schema(&schema).expect("a name")).await.expect("opens");
    let auth = auth(Arc::new(store.clone()), Arc::new(SystemClock)).await;
    let request = RequestContext::default();
    let (email, password) =
        (Email::parse("ada@example.com").expect("an address"), Password::parse("violet-anchor-7").expect("fits"));
    auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await.expect("registers");
    let ada = auth.sessions().log_in(Login::new(email, password), &request).await.expect("logs in");
    auth.sessions().log_out(&ada.tokens.refresh_token, &request).await.expect("logs out");
    auth.sessions().refresh(&ada.tokens.refresh_token, &request).await.expect_err("is refused, and that is recorded");
    let old = event_of(&Fixtures::new(60), SystemClock.now() - Duration::from_hours(50));
    store.commit(&ChangeSet::new().and(old)).await.expect("appends");
    assert!(auth.audit().seal().await.expect("seals").events >= 1);
    assert!(verified(&auth).await.is_intact());
    let purge = store.commit(&ChangeSet::new().and(AuditChange::PurgeSealed { seal: 1 })).await;
    let text = format!("{purge:?}");
    assert!(purge.is_err() && text.contains("permission denied"), "the rights are what this is about: {text}");
    store.close().await;
}
