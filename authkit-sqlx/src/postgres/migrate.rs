//! Brings the schema of a PostgreSQL database up to date.

use sqlx::{Connection, PgConnection, Row as _};

use crate::migration::{Applied, MigrateError, Migration, SchemaStatus, pending, status};
use crate::postgres::connect;
use crate::postgres::error::store_error;
use crate::postgres::execute::{command, rows};
use crate::postgres::options::PgOptions;
use crate::postgres::texts::Texts;
use crate::value::args;

const HAS_HISTORY: &str = "SELECT to_regclass('authkit_migrations') IS NOT NULL";

/// One replica at a time, in whatever schema: the number is the first bytes of SHA-256("authkit migrations"). The lock belongs
/// to the transaction, so that it also holds behind a pooler that gives each transaction another connection.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(1664961612588626511)";

/// Our own table: an application that embeds AuthKit in its database may keep sqlx's beside it.
const HISTORY: &str = "CREATE TABLE IF NOT EXISTS authkit_migrations ( \
    version bigint NOT NULL PRIMARY KEY, name text NOT NULL, \
    checksum bytea NOT NULL CHECK (length(checksum) = 32), applied_at timestamptz NOT NULL DEFAULT now())";

const APPLIED: &str = "SELECT version, name, checksum FROM authkit_migrations ORDER BY version";

const RECORD: &str = "INSERT INTO authkit_migrations (version, name, checksum) VALUES ($1, $2, $3)";

/// Applies what is missing, all of it or nothing. Where nothing is missing it writes nothing and needs no right to.
pub(super) async fn migrate(options: &PgOptions, texts: &Texts, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let mut connection = connect::patient(options).await?;
    let found = look(&mut connection, texts, known).await?;
    let outcome = if found.is_current() { Ok(found) } else { upgrade(&mut connection, options, texts, known).await };
    close(connection).await;
    outcome
}

/// How far the schema is. Writes nothing.
pub(super) async fn check(options: &PgOptions, texts: &Texts, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let mut connection = connect::patient(options).await?;
    let outcome = look(&mut connection, texts, known).await;
    close(connection).await;
    outcome
}

/// Everything happens in one transaction: of two replicas that start at once, the second waits, and then finds nothing to do.
/// On an error the transaction ends with its connection.
async fn upgrade(
    connection: &mut PgConnection,
    options: &PgOptions,
    texts: &Texts,
    known: &[Migration],
) -> Result<SchemaStatus, MigrateError> {
    // Under another level the replica that waited would not see what the first one did.
    command(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(store_error)?;
    rows(connection, texts.of(TAKE_TURNS), &[]).await.map_err(store_error)?;
    let schema = format!("CREATE SCHEMA IF NOT EXISTS {}", options.schema.as_str());
    if !has_schema(connection, options).await? {
        sqlx::raw_sql(sqlx::AssertSqlSafe(schema)).execute(&mut *connection).await.map_err(store_error)?;
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(texts.of(HISTORY))).execute(&mut *connection).await.map_err(store_error)?;
    let before = applied(connection, texts).await?;
    for step in pending(known, &before)? {
        sqlx::raw_sql(sqlx::AssertSqlSafe(texts.of(step.sql))).execute(&mut *connection).await.map_err(store_error)?;
        let recorded = args![step.version, step.name, step.checksum()];
        rows(connection, texts.of(RECORD), &recorded).await.map_err(store_error)?;
        tracing::info!(version = step.version, name = step.name, "migrated the schema");
    }
    let status = status(known, &applied(connection, texts).await?)?;
    command(connection, "COMMIT").await.map_err(store_error)?;
    Ok(status)
}

/// A role that may use a schema need not have the right to make one.
async fn has_schema(connection: &mut PgConnection, options: &PgOptions) -> Result<bool, MigrateError> {
    let found = sqlx::query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1")
        .bind(options.schema.as_str())
        .fetch_optional(connection)
        .await;
    Ok(found.map_err(store_error)?.is_some())
}

async fn look(connection: &mut PgConnection, texts: &Texts, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let found = sqlx::query(sqlx::AssertSqlSafe(texts.of(HAS_HISTORY))).fetch_one(&mut *connection).await;
    let has_history: bool = found.and_then(|row| row.try_get(0)).map_err(store_error)?;
    let applied = if has_history { applied(connection, texts).await? } else { Vec::new() };
    status(known, &applied)
}

async fn applied(connection: &mut PgConnection, texts: &Texts) -> Result<Vec<Applied>, MigrateError> {
    let rows = rows(connection, texts.of(APPLIED), &[]).await.map_err(store_error)?;
    Applied::of_rows(&rows)
}

async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the migrating connection did not close cleanly");
    }
}
