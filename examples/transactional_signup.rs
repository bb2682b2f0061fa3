//! An account and the application's own row in one transaction: both are there, or neither is.
//!
//! `cargo run -p authkit-examples --bin transactional_signup` runs on a SQLite file; with the URL of a PostgreSQL database as its
//! argument it runs there. The two functions `sign_up` differ in the type of the transaction alone.

use std::sync::Arc;

use authkit_core::flows::RegisterError;
use authkit_core::ports::Store;
use authkit_core::{AuthKit, Config, Email, LocalKeyCustody, LoggedIn, Login, OsEntropy, Password, Registration, RequestContext};
use authkit_sqlx::{PgStore, SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CUSTOMERS: &str = "CREATE TABLE customers (user_id TEXT PRIMARY KEY, plan TEXT NOT NULL CHECK (plan IN ('free', 'paid')))";
const INSERT: &str = "INSERT INTO customers (user_id, plan) VALUES ($1, $2)";
const COUNT: &str = "SELECT count(*) FROM customers";

async fn sign_up(
    auth: &AuthKit,
    store: &PgStore,
    db: &mut PgConnection,
    who: Registration,
    plan: &str,
) -> Result<LoggedIn, Failure> {
    // Everything slow (the hash of the password) and every decision comes first; no transaction is open yet.
    let planned = auth.accounts().plan_register(who, &RequestContext::default()).await?;
    let mut transaction = db.begin().await?;
    let committed = store.apply(&mut transaction, planned.changes()).await.map_err(RegisterError::from)?;
    sqlx::query(INSERT).bind(planned.user_id().to_string()).bind(plan).execute(&mut *transaction).await?;
    transaction.commit().await?;
    // Only now do the tokens exist for anybody.
    Ok(planned.committed(committed).await)
}

async fn sign_up_on_sqlite(
    auth: &AuthKit,
    store: &SqliteStore,
    db: &mut SqliteConnection,
    who: Registration,
    plan: &str,
) -> Result<LoggedIn, Failure> {
    let planned = auth.accounts().plan_register(who, &RequestContext::default()).await?;
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    let committed = store.apply(&mut transaction, planned.changes()).await.map_err(RegisterError::from)?;
    sqlx::query(INSERT).bind(planned.user_id().to_string()).bind(plan).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(planned.committed(committed).await)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    if let Some(url) = std::env::args().nth(1) { on_postgres(&url).await } else { on_sqlite().await }
}

async fn on_postgres(url: &str) -> Result<(), Failure> {
    let store = PgStore::open(url.parse()?).await?;
    store.migrate().await?;
    let mut db = PgConnection::connect(url).await?;
    db.execute(CUSTOMERS).await?;
    let auth = auth(Arc::new(store.clone())).await?;
    for (email, plan) in SIGN_UPS {
        tell(&sign_up(&auth, &store, &mut db, account(email)?, plan).await);
    }
    finish(&auth, sqlx::query_scalar(COUNT).fetch_one(&mut db).await?).await
}

async fn on_sqlite() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.sqlite3");
    let store = SqliteStore::open(SqliteOptions::new(&file)).await?;
    store.migrate().await?;
    let mut db = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&file)).await?;
    db.execute(CUSTOMERS).await?;
    let auth = auth(Arc::new(store.clone())).await?;
    for (email, plan) in SIGN_UPS {
        tell(&sign_up_on_sqlite(&auth, &store, &mut db, account(email)?, plan).await);
    }
    finish(&auth, sqlx::query_scalar(COUNT).fetch_one(&mut db).await?).await
}

/// The second has the address of the first, and the third has a plan that the application does not know.
const SIGN_UPS: [(&str, &str); 3] = [("ada@example.com", "paid"), ("ADA@example.com", "free"), ("bob@example.com", "stolen")];

async fn auth(store: Arc<dyn Store>) -> Result<AuthKit, Failure> {
    // A real application keeps its master key: see `LocalKeyCustody::in_file`.
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    Ok(AuthKit::builder(Config::new("https://app.example")).store(store).custody(custody).build().await?)
}

fn account(email: &str) -> Result<Registration, Failure> {
    Ok(Registration::new(Email::parse(email)?, Password::parse("SecurePass123")?))
}

fn tell(outcome: &Result<LoggedIn, Failure>) {
    match outcome {
        Ok(logged_in) => println!("signed up: {}", logged_in.user.email),
        Err(refused) => println!("refused: {refused}"),
    }
}

/// Ada has an account and a row. Bob's row was refused, and so he has no account either.
async fn finish(auth: &AuthKit, customers: i64) -> Result<(), Failure> {
    let log_in = async |email| {
        let login = Login::new(Email::parse(email)?, Password::parse("SecurePass123")?);
        Ok::<_, Failure>(auth.sessions().log_in(login, &RequestContext::default()).await.is_ok())
    };
    println!(
        "customers: {customers}; ada can log in: {}; bob can: {}",
        log_in("ada@example.com").await?,
        log_in("bob@example.com").await?
    );
    Ok(())
}
