//! An audit event rides along with the change that it tells of, and a message with its cause: one statement, and so one round trip.
//!
//! Every change is audited, so that without this the smallest use case would be four round trips: BEGIN, the change, the event,
//! COMMIT. A statement with a common table expression is atomic by itself, and the event is written where the change's guard held.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use sqlx::error::DatabaseError;

use crate::aggregate::outbox;
use crate::aggregate::{audit, user};
use crate::statement::Riders;
use crate::statement::{Guard, Statement, Yields};

/// The fused texts by the text that something rides on. There are as many as there are statements, and they live as long as the
/// process: a statement stays prepared by its text.
static FUSED: Mutex<Option<HashMap<(&'static str, bool, Rider), &'static str>>> = Mutex::new(None);

/// The end of every fused text: what the change returns, the statement returns.
const END: &str = " SELECT * FROM change";

/// What rides along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rider {
    Event,
    Message,
}

impl Rider {
    fn of(statement: &Statement) -> Option<Self> {
        if audit::is_append(statement) { Some(Self::Event) } else { outbox::is_enqueue(statement).then_some(Self::Message) }
    }

    const fn is_on(self, change: &Statement) -> bool {
        match self {
            Self::Event => change.riders.event,
            Self::Message => change.riders.message,
        }
    }

    const fn get_on(self, change: &mut Statement) {
        match self {
            Self::Event => change.riders.event = true,
            Self::Message => change.riders.message = true,
        }
    }

    /// The name of the expression, and its beginning, what is bound, and what is constant.
    const fn parts(self) -> (&'static str, &'static str, usize, &'static str) {
        match self {
            Self::Event => ("event", audit::INSERT_INTO, audit::APPENDED, ""),
            Self::Message => ("message", outbox::INSERT_INTO, outbox::ENQUEUED, outbox::CONSTANTS),
        }
    }
}

/// Fuses each event and each message with the change in front of it, one of a kind.
///
/// An identifier that is taken already is a unique violation here, and not a guard that fails: the statements as they were then
/// say which it was.
pub(super) fn riders(statements: Vec<Statement>) -> Vec<Statement> {
    let mut fused: Vec<Statement> = Vec::with_capacity(statements.len());
    for statement in statements {
        match (fused.last_mut(), Rider::of(&statement)) {
            (Some(change), Some(rider)) if carries(change) && !rider.is_on(change) => {
                change.query.sql = text(change, rider);
                change.query.args.extend(statement.query.args);
                rider.get_on(change);
            }
            _ => fused.push(statement),
        }
    }
    fused
}

/// Whether something can ride along with a statement.
fn carries(change: &Statement) -> bool {
    // What is fused already is no rider any more: its text is another one.
    Rider::of(change).is_none() && !matches!(change.yields, Yields::Purged | Yields::Claimed | Yields::Found)
}

fn text(change: &Statement, rider: Rider) -> &'static str {
    let (sql, binds, is_guarded) = (change.query.sql, change.query.args.len(), change.guard != Guard::None);
    let mut fused = FUSED.lock().unwrap_or_else(PoisonError::into_inner);
    fused.get_or_insert_default().entry((sql, is_guarded, rider)).or_insert_with(|| {
        let (name, insert, bound, constants) = rider.parts();
        let condition = if is_guarded { " WHERE EXISTS (SELECT 1 FROM change)" } else { "" };
        let mut values = String::new();
        for bind in binds + 1..=binds + bound {
            let comma = if values.is_empty() { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(values, "{comma}${bind}");
        }
        let (before, condition, end) = if let Some(with) = sql.strip_suffix(user::WITH_ACCOUNT) {
            // What writes more than one table already is a WITH itself, and one cannot stand inside another.
            (with.to_owned(), " WHERE EXISTS (SELECT 1 FROM account)", user::WITH_ACCOUNT)
        } else if change.riders == Riders::NONE {
            let returning = if change.yields == Yields::Count { " RETURNING 1" } else { "" };
            (format!("WITH change AS ({sql}{returning})"), condition, END)
        } else {
            (sql.strip_suffix(END).unwrap_or(sql).to_owned(), condition, END)
        };
        Box::leak(format!("{before}, {name} AS ({insert} SELECT {values}{constants}{condition}){end}").into_boxed_str())
    })
}

/// Whether a commit failed because an identifier is taken, which a fused statement cannot tell from anything else.
pub(super) fn is_taken(error: &authkit_core::ports::StoreError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    cause.and_then(sqlx::Error::as_database_error).is_some_and(DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use authkit_core::model::OutboxChange;
    use authkit_core::model::{ChangeSet, RevocationReason, SessionChange};
    use authkit_core::testkit::Fixtures;

    use super::*;
    use crate::dialect;
    use crate::statement::compile;

    #[test]
    fn an_event_rides_along_with_the_change_before_it() {
        let fixtures = Fixtures::new(1);
        let (user, now) = (fixtures.user(), fixtures.now());
        let revoke = SessionChange::Revoke { id: fixtures.session(user.id).id, reason: RevocationReason::Logout, at: now };
        let all = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::Logout, at: now };
        let event = || fixtures.event(user.id);
        let changes = ChangeSet::new().and(event()).and(revoke).and(event()).and(event()).and(all).and(event());
        let fused = riders(compile(&dialect::POSTGRES, &changes).expect("known"));
        let args: Vec<usize> = fused.iter().map(|statement| statement.query.args.len()).collect();
        // An event in front has no change to ride with; of two behind a change only the first has a place.
        assert_eq!(args, [12, 3 + 12, 12, 4 + 12]);
        assert!(
            fused[1].query.sql.contains("$4, $5") && fused[1].query.sql.contains("$15 WHERE EXISTS"),
            "{}",
            fused[1].query.sql
        );
        // Whoever ends all sessions is told of, whether there were any or not.
        assert!(!fused[3].query.sql.contains("WHERE EXISTS (SELECT 1 FROM change)"), "{}", fused[3].query.sql);
    }

    #[test]
    fn a_message_and_an_event_ride_along_with_one_change() {
        let fixtures = Fixtures::new(1);
        let user = fixtures.user();
        let revoke =
            SessionChange::Revoke { id: fixtures.session(user.id).id, reason: RevocationReason::Logout, at: fixtures.now() };
        let enqueue = || OutboxChange::Enqueue(Box::new(fixtures.message(user.id)));
        let changes = ChangeSet::new().and(revoke).and(enqueue()).and(fixtures.event(user.id)).and(enqueue()).and(enqueue());
        let fused = riders(compile(&dialect::POSTGRES, &changes).expect("known"));
        let args: Vec<usize> = fused.iter().map(|statement| statement.query.args.len()).collect();
        assert_eq!(args, [3 + 8 + 12, 8, 8], "of one kind there is one, and a message alone carries no other");
        let sql = fused[0].query.sql;
        assert!(sql.contains("$11, 'pending', 0 WHERE EXISTS") && sql.contains("$23 WHERE EXISTS"), "{sql}");
        assert_eq!(sql.matches(END).count(), 1, "{sql}");
    }
}
