//! What is sent to a database: a text, its arguments, and the guard that decides whether it held.

use authkit_core::model::{Change, ChangeSet};
use authkit_core::ports::{Conflict, StoreError};

use crate::aggregate::factor;
use crate::aggregate::guess;
use crate::aggregate::passkey;
use crate::aggregate::{audit, credential, role, server_key, session, user};
use crate::aggregate::{one_time_token, outbox};
use crate::dialect::Dialect;
use crate::value::Value;

/// A text with `$1` binds, valid on every dialect unless it came from a [`Dialect`], and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) sql: &'static str,
    pub(crate) args: Vec<Value>,
}

impl Query {
    pub(crate) const fn new(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args }
    }
}

/// What must be true after a statement ran.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Guard {
    /// Nothing: it may touch any number of rows.
    None,
    /// It touched one row; otherwise this guard of the change did not hold.
    OneRow(Conflict),
    /// It touched one row; otherwise the probe tells which of two guards did not hold.
    OneRowOr {
        /// Runs in the same transaction.
        probe: Query,
        /// The guard that failed when the probe finds a row.
        found: Conflict,
        /// The guard that failed when it finds none.
        absent: Conflict,
    },
}

/// What a statement returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yields {
    /// Only how many rows it touched.
    Count,
    /// One row for each session that it revoked: its id and the instant.
    Revocations,
    /// How many rows it removed, for the caller to know.
    Purged,
    /// The rows that it found: it writes nothing.
    Found,
    /// The messages that it took.
    Claimed,
}

/// What rides along with a statement: see `postgres::fuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Riders {
    /// An audit event is appended.
    pub(crate) event: bool,
    /// A message is enqueued.
    pub(crate) message: bool,
}

impl Riders {
    pub(crate) const NONE: Self = Self { event: false, message: false };
}

/// One guarded write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) query: Query,
    pub(crate) guard: Guard,
    pub(crate) yields: Yields,
    /// What it does beside its own.
    pub(crate) riders: Riders,
}

impl Statement {
    /// A write without a guard.
    pub(crate) const fn free(sql: &'static str, args: Vec<Value>) -> Self {
        Self { query: Query::new(sql, args), guard: Guard::None, yields: Yields::Count, riders: Riders::NONE }
    }

    /// A write that touches one row, or its guard did not hold.
    pub(crate) const fn guarded(sql: &'static str, args: Vec<Value>, conflict: Conflict) -> Self {
        Self { query: Query::new(sql, args), guard: Guard::OneRow(conflict), yields: Yields::Count, riders: Riders::NONE }
    }

    /// A write that touches one row, or `probe` tells which guard did not hold.
    pub(crate) const fn probed(sql: &'static str, args: Vec<Value>, probe: Query, (found, absent): (Conflict, Conflict)) -> Self {
        Self {
            query: Query::new(sql, args),
            guard: Guard::OneRowOr { probe, found, absent },
            yields: Yields::Count,
            riders: Riders::NONE,
        }
    }

    /// The same write, whose count the caller wants to know.
    pub(crate) const fn purging(mut self) -> Self {
        self.yields = Yields::Purged;
        self
    }

    /// A statement that only looks.
    pub(crate) const fn looking(mut self) -> Self {
        self.yields = Yields::Found;
        self
    }

    /// The same write, which returns the messages that it took.
    pub(crate) const fn claiming(mut self) -> Self {
        self.yields = Yields::Claimed;
        self
    }

    /// The same write, which returns the sessions that it revoked.
    pub(crate) const fn revoking(mut self) -> Self {
        self.yields = Yields::Revocations;
        self
    }
}

/// A change that this version of the crate does not know.
#[derive(Debug, thiserror::Error)]
#[error("the change set holds a change that this store does not know: authkit-sqlx is older than authkit-core")]
struct UnknownChange;

/// Refuses a change of a newer `authkit-core`, before anything is written.
pub(crate) fn unknown_change() -> StoreError {
    StoreError::failed(UnknownChange)
}

/// The statements of a change set, in order.
pub(crate) fn compile(dialect: &Dialect, changes: &ChangeSet) -> Result<Vec<Statement>, StoreError> {
    let mut statements = Vec::with_capacity(changes.changes().len());
    for change in changes.changes() {
        match change {
            Change::User(change) => user::statements(dialect, change, &mut statements)?,
            Change::Credential(change) => statements.push(credential::statement(dialect, change)?),
            Change::Session(change) => statements.push(session::statement(dialect, change)?),
            Change::Key(change) => statements.push(server_key::statement(change)?),
            Change::Audit(change) => audit::statements(dialect, change, &mut statements)?,
            Change::Role(change) => role::statements(dialect, change, &mut statements)?,
            Change::Guess(change) => statements.push(guess::statement(dialect, change)?),
            Change::Factor(change) => statements.push(factor::statement(dialect, change)?),
            Change::Passkey(change) => passkey::statements(dialect, change, &mut statements)?,
            Change::OneTimeToken(change) => statements.push(one_time_token::statement(dialect, change)?),
            Change::Outbox(change) => statements.push(outbox::statement(dialect, change)?),
            _ => return Err(unknown_change()),
        }
    }
    Ok(statements)
}

#[cfg(feature = "testkit")]
pub(crate) mod every;
#[cfg(test)]
mod tests;
