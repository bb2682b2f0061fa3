//! A use case of AuthKit inside the application's own transaction: with the application's rows, or not at all.

use std::sync::Arc;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::model::ChangeSet;
use authkit_core::ports::{CommitError, Conflict, Store};
use authkit_core::{AuthKit, Config, Email, Login, OsEntropy, Password, PasswordChange, Registration, RequestContext};
use sqlx::{Connection as _, Executor as _};

async fn auth(store: Arc<dyn Store>) -> AuthKit {
    let mut config = Config::new("https://app.example");
    (config.passwords.params.memory_kib, config.passwords.params.iterations) = (8, 1);
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    AuthKit::builder(config).store(store).custody(custody).build().await.expect("builds")
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).expect("an address")
}

fn password() -> Password {
    Password::parse("violet-anchor-7").expect("fits")
}

fn request() -> RequestContext {
    RequestContext::default()
}

/// The same promises on each database, whose transactions have types of their own.
macro_rules! embedding {
    ($database:ident, $begin:literal, $open:expr) => {
        mod $database {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn an_account_and_a_row_are_there_together_or_not_at_all() {
                let (store, mut app, _guard) = $open.await;
                let auth = auth(Arc::new(store.clone())).await;
                app.execute("CREATE TABLE customers (name TEXT PRIMARY KEY)").await.expect("a table");
                for (name, commits) in [("ada", true), ("bob", false)] {
                    let who = Registration::new(email(name), password());
                    let planned = auth.accounts().plan_register(who, &request()).await.expect("plans");
                    let mut transaction = app.begin_with($begin).await.expect("begins");
                    let committed = store.apply(&mut transaction, planned.changes()).await.expect("applies");
                    sqlx::query("INSERT INTO customers VALUES ($1)").bind(name).execute(&mut *transaction).await.expect("a row");
                    if commits {
                        transaction.commit().await.expect("commits");
                        let jane = planned.committed(committed).await;
                        auth.authenticate(jane.tokens.access_token.expose()).expect("a valid token");
                    } else {
                        transaction.rollback().await.expect("rolls back");
                    }
                }
                let customers: Vec<String> =
                    sqlx::query_scalar("SELECT name FROM customers").fetch_all(&mut app).await.expect("reads");
                assert_eq!(customers, ["ada"]);
                assert!(auth.sessions().log_in(Login::new(email("ada"), password()), &request()).await.is_ok());
                assert!(auth.sessions().log_in(Login::new(email("bob"), password()), &request()).await.is_err());
                let events = auth
                    .audit()
                    .events(&authkit_core::model::AuditFilter::new(), authkit_core::PageRequest::default())
                    .await
                    .expect("reads")
                    .items;
                let registered = events.iter().filter(|event| event.action.as_str() == "account.registered").count();
                assert_eq!(registered, 1, "an audit event is there exactly when its change is");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_conflict_leaves_the_transaction_to_its_owner_and_nothing_of_ours_in_it() {
                let (store, mut app, _guard) = $open.await;
                let auth = auth(Arc::new(store.clone())).await;
                app.execute("CREATE TABLE customers (name TEXT PRIMARY KEY)").await.expect("a table");
                auth.accounts().register(Registration::new(email("ada"), password()), &request()).await.expect("registers");
                let who = Registration::new(email("ada"), password());
                let planned = auth.accounts().plan_register(who, &request()).await.expect("plans");
                let mut transaction = app.begin_with($begin).await.expect("begins");
                // The account behind the taken one is not there either: the set is applied whole or not at all.
                let other =
                    auth.accounts().plan_create(Registration::new(email("bob"), password()), &request()).await.expect("plans");
                let both: ChangeSet = other.changes().changes().iter().chain(planned.changes().changes()).cloned().collect();
                let outcome = store.apply(&mut transaction, &both).await;
                assert!(matches!(outcome, Err(CommitError::Conflict(Conflict::EmailTaken))), "{outcome:?}");
                sqlx::query("INSERT INTO customers VALUES ('ada')").execute(&mut *transaction).await.expect("goes on");
                transaction.commit().await.expect("commits");
                let customers: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM customers").fetch_one(&mut app).await.expect("reads");
                assert_eq!(customers, 1);
                assert!(auth.sessions().log_in(Login::new(email("bob"), password()), &request()).await.is_err());
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn sessions_that_a_plan_ends_have_ended_at_once() {
                let (store, mut app, _guard) = $open.await;
                let auth = auth(Arc::new(store.clone())).await;
                auth.accounts().register(Registration::new(email("ada"), password()), &request()).await.expect("registers");
                let log_in = async || auth.sessions().log_in(Login::new(email("ada"), password()), &request()).await.expect("in");
                let (here, there) = (log_in().await, log_in().await);
                let principal = auth.authenticate(here.tokens.access_token.expose()).expect("a valid token");

                let change = PasswordChange { current: password(), new: Password::parse("amber-harbour-91").expect("fits") };
                let planned = auth.accounts().plan_change_password(&principal, &change, &request()).await.expect("plans");
                let mut transaction = app.begin_with($begin).await.expect("begins");
                let committed = store.apply(&mut transaction, planned.changes()).await.expect("applies");
                transaction.commit().await.expect("commits");
                // The session of the registration, and the other one.
                assert_eq!(planned.committed(committed).await.sessions_ended, 2);
                assert!(auth.authenticate(there.tokens.access_token.expose()).is_err());
                auth.authenticate(here.tokens.access_token.expose()).expect("her own session goes on");

                let planned = auth.accounts().plan_close(&principal, &request()).expect("she has just logged in");
                let mut transaction = app.begin_with($begin).await.expect("begins");
                let committed = store.apply(&mut transaction, planned.changes()).await.expect("applies");
                transaction.commit().await.expect("commits");
                planned.committed(committed).await;
                assert!(auth.authenticate(here.tokens.access_token.expose()).is_err());
            }
        }
    };
}

embedding!(sqlite, "BEGIN IMMEDIATE", async {
    use authkit_sqlx::{SqliteOptions, SqliteStore};
    let directory = tempfile::TempDir::new().expect("a directory for the test");
    let file = directory.path().join("app.db");
    let store = SqliteStore::open(SqliteOptions::new(&file)).await.expect("opens");
    store.migrate().await.expect("migrates");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    (store, sqlx::SqliteConnection::connect_with(&options).await.expect("connects"), directory)
});

embedding!(postgres, "BEGIN", async {
    use authkit_sqlx::PgStore;
    use authkit_sqlx::testkit::TestDatabase;
    let database = TestDatabase::fresh().await;
    let store = PgStore::open(database.options()).await.expect("opens");
    store.migrate().await.expect("migrates");
    let mut app = database.connect().await;
    // The application's tables are in a schema of the test's own, and ours are found all the same.
    let own = format!("CREATE SCHEMA app_{0}; SET search_path TO app_{0}", database.schema());
    app.execute(sqlx::AssertSqlSafe(own)).await.expect("a schema");
    (store, app, database)
});

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_with_a_snapshot_of_its_own_is_refused() {
    let database = authkit_sqlx::testkit::TestDatabase::fresh().await;
    let store = authkit_sqlx::PgStore::open(database.options()).await.expect("opens");
    store.migrate().await.expect("migrates");
    let auth = auth(Arc::new(store.clone())).await;
    let mut app = database.connect().await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let planned =
            auth.accounts().plan_register(Registration::new(email("ada"), password()), &request()).await.expect("plans");
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        let mut transaction = app.begin_with(sqlx::AssertSqlSafe(begin)).await.expect("begins");
        let outcome = store.apply(&mut transaction, planned.changes()).await;
        let error = outcome.expect_err("another level");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("READ COMMITTED"), "{level}: {error:?}");
    }
}
