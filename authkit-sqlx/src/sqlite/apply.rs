//! One piece of work on the writing connection, inside or outside of a transaction.

use authkit_core::model::{Committed, RotationOutcome, SessionWithUser};
use authkit_core::ports::Conflict;
use sqlx::{Error, SqliteConnection};

use crate::aggregate::session;
use crate::mutant::Mutation;
use crate::row::{DecodeError, Fields};
use crate::sqlite::error::{Severity, severity, store_error};
use crate::sqlite::execute;
use crate::sqlite::job::{Done, Undone, Work};
use crate::statement::{Guard, Query, Statement, Yields};

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match severity(&error) {
            Severity::Refused => Self::Refused(store_error(error)),
            // SQLite may have rolled the whole transaction back (<https://www.sqlite.org/lang_transaction.html>): going on
            // would write what follows outside of it.
            Severity::Unavailable | Severity::Broken => Self::Lost(store_error(error)),
            Severity::Busy => Self::Busy(store_error(error)),
        }
    }
}

impl From<DecodeError> for Undone {
    /// The write behind the row has happened, and only the end of the transaction undoes it for sure.
    fn from(error: DecodeError) -> Self {
        Self::Lost(error.into())
    }
}

/// Does the work, statement by statement, inside the transaction that is open.
pub(super) async fn apply(connection: &mut SqliteConnection, mutation: Mutation, work: &Work) -> Result<Done, Undone> {
    match work {
        Work::Apply(statements) => {
            let mut committed = Committed::default();
            for statement in statements {
                if let Some(conflict) = run(connection, mutation, statement, &mut committed).await? {
                    return Err(Undone::Guard(conflict));
                }
            }
            Ok(Done::Applied(committed))
        }
        Work::Rotate { attempt, state } => {
            let outcome = match rotate(connection, mutation, attempt).await? {
                Some(rotated) => rotated,
                None => RotationOutcome::Refused(read_session(connection, mutation, state).await?),
            };
            Ok(Done::Rotated(outcome))
        }
        Work::Ping => {
            execute::rows(connection, "SELECT version FROM authkit_migrations LIMIT 1", &[]).await?;
            Ok(Done::Alive)
        }
    }
}

/// Tries the rotation alone: the session after it, or nothing when a guard did not hold.
pub(super) async fn rotate(
    connection: &mut SqliteConnection,
    mutation: Mutation,
    attempt: &Query,
) -> Result<Option<RotationOutcome>, Undone> {
    Ok(read_session(connection, mutation, attempt).await?.map(RotationOutcome::Rotated))
}

async fn read_session(
    connection: &mut SqliteConnection,
    mutation: Mutation,
    query: &Query,
) -> Result<Option<Box<SessionWithUser>>, Undone> {
    let rows = execute::rows(connection, mutation.rewrite(query.sql), &query.args).await?;
    let session = rows.first().map(|row| session::decode_with_user(&mut Fields::of(row))).transpose()?;
    Ok(session.map(Box::new))
}

/// Runs one statement; returns the guard that did not hold.
async fn run(
    connection: &mut SqliteConnection,
    mutation: Mutation,
    statement: &Statement,
    committed: &mut Committed,
) -> Result<Option<Conflict>, Undone> {
    let (sql, args) = (mutation.rewrite(statement.query.sql), &statement.query.args);
    let touched = match statement.yields {
        Yields::Count => execute::affect(connection, sql, args).await?,
        Yields::Revocations => {
            let rows = execute::rows(connection, sql, args).await?;
            for row in &rows {
                committed.revoked.push(session::decode_revocation(&mut Fields::of(row))?);
            }
            rows.len() as u64
        }
    };
    match &statement.guard {
        Guard::OneRow(conflict) if touched != 1 => Ok(Some(*conflict)),
        Guard::OneRowOr { probe, found, absent } if touched != 1 => {
            let any = execute::rows(connection, mutation.rewrite(probe.sql), &probe.args).await?;
            Ok(Some(if any.is_empty() { *absent } else { *found }))
        }
        Guard::None | Guard::OneRow(_) | Guard::OneRowOr { .. } => Ok(None),
    }
}
