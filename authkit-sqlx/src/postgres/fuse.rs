//! An audit event rides along with the change that it tells of: one statement, and so one round trip, for both.
//!
//! Every change is audited, so that without this the smallest use case would be four round trips: BEGIN, the change, the event,
//! COMMIT. A statement with a common table expression is atomic by itself, and the event is written where the change's guard held.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use sqlx::error::DatabaseError;

use crate::aggregate::{audit, user};
use crate::statement::{Guard, Statement, Yields};

/// The fused texts by the text of the change. There are as many as there are statements, and they live as long as the process:
/// a statement stays prepared by its text.
static FUSED: Mutex<Option<HashMap<(&'static str, bool), &'static str>>> = Mutex::new(None);

/// Fuses each event with the change in front of it.
///
/// An identifier of an event that is taken already is a unique violation here, and not a guard that fails: the statements as they
/// were then say which it was.
pub(super) fn events(statements: Vec<Statement>) -> Vec<Statement> {
    let mut fused: Vec<Statement> = Vec::with_capacity(statements.len());
    for statement in statements {
        match fused.last_mut() {
            Some(change) if audit::is_append(&statement) && takes_an_event(change) => {
                let is_guarded = change.guard != Guard::None;
                change.query.sql = text(change.query.sql, change.query.args.len(), is_guarded, change.yields);
                change.query.args.extend(statement.query.args);
                change.is_fused = true;
            }
            _ => fused.push(statement),
        }
    }
    fused
}

fn takes_an_event(change: &Statement) -> bool {
    !change.is_fused && !audit::is_append(change) && change.yields != Yields::Purged
}

fn text(change: &'static str, binds: usize, is_guarded: bool, yields: Yields) -> &'static str {
    let mut fused = FUSED.lock().unwrap_or_else(PoisonError::into_inner);
    fused.get_or_insert_default().entry((change, is_guarded)).or_insert_with(|| {
        let returning = if yields == Yields::Count { " RETURNING 1" } else { "" };
        let condition = if is_guarded { " WHERE EXISTS (SELECT 1 FROM change)" } else { "" };
        let mut values = String::new();
        for bind in binds + 1..=binds + audit::APPENDED {
            let comma = if values.is_empty() { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(values, "{comma}${bind}");
        }
        let insert = audit::INSERT_INTO;
        // What writes more than one table already is a WITH itself, and one cannot stand inside another.
        if let Some(with) = change.strip_suffix(user::WITH_ACCOUNT) {
            let end = user::WITH_ACCOUNT;
            let text = format!("{with}, event AS ({insert} SELECT {values} WHERE EXISTS (SELECT 1 FROM account)){end}");
            return Box::leak(text.into_boxed_str());
        }
        let text =
            format!("WITH change AS ({change}{returning}), event AS ({insert} SELECT {values}{condition}) SELECT * FROM change");
        Box::leak(text.into_boxed_str())
    })
}

/// Whether a commit failed because an identifier is taken, which a fused statement cannot tell from anything else.
pub(super) fn is_taken(error: &authkit_core::ports::StoreError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    cause.and_then(sqlx::Error::as_database_error).is_some_and(DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
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
        let fused = events(compile(&dialect::POSTGRES, &changes).expect("known"));
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
}
