//! Statements on a connection.

use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Error, PgConnection};

use crate::apply::Executor;
use crate::postgres::texts::Texts;
use crate::row::impl_row;
use crate::value::Value;
use crate::work::Undone;

fn arguments(values: &[Value]) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Int(number) => arguments.add(*number),
            Value::Text(text) => arguments.add(text.as_deref()),
            Value::Bytes(bytes) => arguments.add(bytes.as_deref()),
            Value::Id(id) => arguments.add(*id),
        }
        .map_err(Error::Encode)?;
    }
    Ok(arguments)
}

/// Runs a statement to its end and returns its rows. The statement stays prepared.
pub(super) async fn rows(connection: &mut PgConnection, sql: Arc<str>, args: &[Value]) -> Result<Vec<PgRow>, Error> {
    sqlx::query_with(AssertSqlSafe(sql), arguments(args)?).fetch_all(connection).await
}

/// Runs a statement to its end and returns how many rows it touched. The statement stays prepared.
pub(super) async fn affect(connection: &mut PgConnection, sql: Arc<str>, args: &[Value]) -> Result<u64, Error> {
    Ok(sqlx::query_with(AssertSqlSafe(sql), arguments(args)?).execute(connection).await?.rows_affected())
}

/// Runs a statement that takes no arguments, e.g. `COMMIT`, in one message.
pub(super) async fn command(connection: &mut PgConnection, sql: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

/// Runs statements that take no arguments, in one message.
pub(super) async fn script(connection: &mut PgConnection, sql: Arc<str>) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// A connection, as the work sees it.
pub(super) struct Session<'c> {
    pub(super) connection: &'c mut PgConnection,
    pub(super) texts: &'c Texts,
}

impl Executor for Session<'_> {
    type Row = PgRow;

    async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<PgRow>, Undone> {
        rows(self.connection, self.texts.of(sql), args).await.map_err(Undone::of_postgres)
    }

    async fn affect(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Undone> {
        affect(self.connection, self.texts.of(sql), args).await.map_err(Undone::of_postgres)
    }
}

impl_row!(PgRow, sqlx::Postgres, column);
