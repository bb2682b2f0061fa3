//! Statements on a connection.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Error, SqliteConnection};
use uuid::Uuid;

use crate::apply::Executor;
use crate::mutant::Mutation;
use crate::row::{DecodeError, impl_row};
use crate::value::Value;
use crate::work::Undone;

fn arguments(values: &[Value]) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Int(number) => arguments.add(*number),
            Value::Text(text) => arguments.add(text.clone()),
            Value::Bytes(bytes) => arguments.add(bytes.clone()),
            Value::Id(id) => arguments.add(id.map(|id| id.as_bytes().to_vec())),
        }
        .map_err(Error::Encode)?;
    }
    Ok(arguments)
}

/// Runs a statement to its end and returns its rows. The statement stays prepared.
pub(super) async fn rows(connection: &mut SqliteConnection, sql: &'static str, args: &[Value]) -> Result<Vec<SqliteRow>, Error> {
    sqlx::query_with(sql, arguments(args)?).fetch_all(connection).await
}

/// Runs a statement to its end and returns how many rows it touched. The statement stays prepared.
pub(crate) async fn affect(connection: &mut SqliteConnection, sql: &'static str, args: &[Value]) -> Result<u64, Error> {
    Ok(sqlx::query_with(sql, arguments(args)?).execute(connection).await?.rows_affected())
}

/// Runs a statement that takes no arguments, e.g. `COMMIT`.
pub(super) async fn command(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), Error> {
    sqlx::query(sql).execute(connection).await.map(drop)
}

/// The writing connection, as the work sees it.
pub(super) struct Writing<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    pub(super) mutation: Mutation,
}

impl Executor for Writing<'_> {
    type Row = SqliteRow;

    async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<SqliteRow>, Undone> {
        Ok(rows(self.connection, self.mutation.rewrite(sql), args).await?)
    }

    async fn affect(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Undone> {
        Ok(affect(self.connection, self.mutation.rewrite(sql), args).await?)
    }
}

/// Repeats what fails because another connection holds the lock, until the time is over. Each try waits for
/// [`LOCK_PROBE`](crate::sqlite::connect::LOCK_PROBE) in SQLite, so that counting the tries measures the time; and a try
/// is never abandoned half-way, which could leave a transaction open behind our back.
macro_rules! patiently {
    ($timeout:expr, $attempt:expr) => {{
        let mut tries = $crate::sqlite::execute::tries_within($timeout);
        loop {
            match $attempt {
                Err(error) if tries > 0 && $crate::sqlite::error::Contended::is_busy(&error) => {
                    tries -= 1;
                    // Some locks (recovery, the switch to WAL) are not waited for in SQLite at all.
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                outcome => break outcome,
            }
        }
    }};
}

pub(super) use patiently;

/// How many tries fill the time.
pub(super) fn tries_within(timeout: std::time::Duration) -> u128 {
    timeout.as_millis() / super::connect::LOCK_PROBE.as_millis()
}

impl_row!(SqliteRow, sqlx::Sqlite, id);

/// SQLite has no type for identifiers: they are 16 bytes.
fn id(row: &SqliteRow, at: usize) -> Result<Option<Uuid>, DecodeError> {
    let parse = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|source| DecodeError::Column { at, source: source.into() });
    column::<Option<&[u8]>>(row, at)?.map(parse).transpose()
}
