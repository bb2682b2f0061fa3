//! One piece of work on a connection, inside or outside of a transaction: the same for every database.

use std::future::Future;

use authkit_core::model::{Committed, RotationOutcome, SessionWithUser};
use authkit_core::ports::Conflict;

use crate::aggregate::outbox;
use crate::aggregate::session;
use crate::row::{Fields, Row};
use crate::statement::{Guard, Query, Statement, Yields};
use crate::value::Value;
use crate::work::{Done, Undone, Work};

/// Something that can be read and written without a trace: whether the schema is there.
pub(crate) const PROBE: &str = "SELECT version FROM authkit_migrations LIMIT 1";

/// A connection that runs statements. What fails is sorted by what it means for the transaction.
pub(crate) trait Executor: Send {
    type Row: Row + Send;

    /// Runs a statement to its end and returns its rows.
    fn rows(&mut self, sql: &'static str, args: &[Value]) -> impl Future<Output = Result<Vec<Self::Row>, Undone>> + Send;

    /// Runs a statement to its end and returns how many rows it touched.
    fn affect(&mut self, sql: &'static str, args: &[Value]) -> impl Future<Output = Result<u64, Undone>> + Send;
}

/// Does the work, statement by statement, inside the transaction that is open.
pub(crate) async fn apply<E: Executor>(executor: &mut E, work: &Work) -> Result<Done, Undone> {
    match work {
        Work::Apply(statements) => {
            let mut committed = Committed::default();
            for statement in statements {
                if let Some(conflict) = run(executor, statement, &mut committed).await? {
                    return Err(Undone::Guard(conflict));
                }
            }
            Ok(Done::Applied(committed))
        }
        Work::Rotate { attempt, state } => {
            let outcome = match rotate(executor, attempt).await? {
                Some(rotated) => rotated,
                None => RotationOutcome::Refused(read_session(executor, state).await?),
            };
            Ok(Done::Rotated(outcome))
        }
        Work::Ping => {
            executor.rows(PROBE, &[]).await?;
            Ok(Done::Alive)
        }
    }
}

/// Tries the rotation alone: the session after it, or nothing when a guard did not hold.
pub(crate) async fn rotate<E: Executor>(executor: &mut E, attempt: &Query) -> Result<Option<RotationOutcome>, Undone> {
    Ok(read_session(executor, attempt).await?.map(RotationOutcome::Rotated))
}

async fn read_session<E: Executor>(executor: &mut E, query: &Query) -> Result<Option<Box<SessionWithUser>>, Undone> {
    let rows = executor.rows(query.sql, &query.args).await?;
    let session = rows.first().map(|row| session::decode_with_user(&mut Fields::of(row))).transpose()?;
    Ok(session.map(Box::new))
}

/// Runs one statement; returns the guard that did not hold.
async fn run<E: Executor>(
    executor: &mut E,
    statement: &Statement,
    committed: &mut Committed,
) -> Result<Option<Conflict>, Undone> {
    let (sql, args) = (statement.query.sql, &statement.query.args);
    let touched = match statement.yields {
        Yields::Count => executor.affect(sql, args).await?,
        Yields::Found => executor.rows(sql, args).await?.len() as u64,
        Yields::Purged => {
            let purged = executor.affect(sql, args).await?;
            committed.purged += purged;
            purged
        }
        Yields::Claimed => {
            let rows = executor.rows(sql, args).await?;
            for row in &rows {
                committed.claimed.push(outbox::decode(&mut Fields::of(row))?);
            }
            rows.len() as u64
        }
        Yields::Revocations => {
            let rows = executor.rows(sql, args).await?;
            for row in &rows {
                committed.revoked.push(session::decode_revocation(&mut Fields::of(row))?);
            }
            rows.len() as u64
        }
    };
    match &statement.guard {
        Guard::OneRow(conflict) if touched != 1 => Ok(Some(*conflict)),
        Guard::OneRowOr { probe, found, absent } if touched != 1 => {
            let any = executor.rows(probe.sql, &probe.args).await?;
            Ok(Some(if any.is_empty() { *absent } else { *found }))
        }
        Guard::None | Guard::OneRow(_) | Guard::OneRowOr { .. } => Ok(None),
    }
}
