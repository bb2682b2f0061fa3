//! Brings the schema of a SQLite database up to date.

use sqlx::{Connection, SqliteConnection};

use crate::migration::{Applied, MigrateError, Migration, SchemaStatus, pending, status};
use crate::mutant::Mutation;
use crate::sqlite::connect;
use crate::sqlite::error::store_error;
use crate::sqlite::execute::{command, patiently, rows};
use crate::sqlite::options::SqliteOptions;
use crate::value::args;

/// Our own table: an application that embeds AuthKit in its database may keep sqlx's beside it.
const HISTORY: &str = "CREATE TABLE IF NOT EXISTS authkit_migrations ( \
    version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, \
    checksum BLOB NOT NULL CHECK (length(checksum) = 32), applied_at INTEGER NOT NULL) STRICT";

const HAS_HISTORY: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'authkit_migrations'";

const APPLIED: &str = "SELECT version, name, checksum FROM authkit_migrations ORDER BY version";

/// The time is the database's, for people to read: nothing is decided on it.
const RECORD: &str = "INSERT INTO authkit_migrations (version, name, checksum, applied_at) \
    VALUES ($1, $2, $3, CAST(unixepoch('subsec') * 1000000 AS INTEGER))";

/// Applies what is missing, all of it or nothing.
///
/// Everything happens in one transaction that holds the write lock from its first statement on: of two processes that
/// start at once, the second waits, and then finds nothing to do.
pub(super) async fn migrate(options: &SqliteOptions, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let mut connection = connect::writer(options).await.map_err(store_error)?;
    let begin = options.mutation.rewrite("BEGIN IMMEDIATE");
    patiently!(options.lock_timeout, command(&mut connection, begin).await).map_err(store_error)?;
    let outcome = upgrade(&mut connection, options.mutation, known).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = command(&mut connection, end).await.map_err(store_error);
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the migrating connection did not close cleanly");
    }
    let status = outcome?;
    ended?;
    Ok(status)
}

async fn upgrade(
    connection: &mut SqliteConnection,
    mutation: Mutation,
    known: &[Migration],
) -> Result<SchemaStatus, MigrateError> {
    command(connection, HISTORY).await.map_err(store_error)?;
    let before = applied(connection).await?;
    for step in pending(known, &before)? {
        sqlx::raw_sql(mutation.rewrite(step.sql)).execute(&mut *connection).await.map_err(store_error)?;
        let recorded = args![step.version, step.name, step.checksum()];
        rows(connection, RECORD, &recorded).await.map_err(store_error)?;
        tracing::info!(version = step.version, name = step.name, "migrated the schema");
    }
    status(known, &applied(connection).await?)
}

/// How far the schema is. Writes nothing.
pub(super) async fn check(options: &SqliteOptions, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let mut connection = connect::reader(options).await.map_err(store_error)?;
    let outcome = look(&mut connection, known).await;
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the checking connection did not close cleanly");
    }
    outcome
}

async fn look(connection: &mut SqliteConnection, known: &[Migration]) -> Result<SchemaStatus, MigrateError> {
    let history = rows(connection, HAS_HISTORY, &[]).await.map_err(store_error)?;
    let applied = if history.is_empty() { Vec::new() } else { applied(connection).await? };
    status(known, &applied)
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<Applied>, MigrateError> {
    let rows = rows(connection, APPLIED, &[]).await.map_err(store_error)?;
    Applied::of_rows(&rows)
}
