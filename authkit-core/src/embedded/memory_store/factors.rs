//! Second factors.

use crate::model::{FactorChange, Factors};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::UserId;

use super::table::Table;
use super::{Tables, next};

/// What the second factors are checked against, by account.
#[derive(Default)]
pub(super) struct FactorTable {
    rows: Table<UserId, Factors>,
}

impl FactorTable {
    /// The row of an account.
    pub(super) fn of(&self, user_id: UserId) -> Option<&Factors> {
        self.rows.rows().get(&user_id)
    }

    /// Forgets the row of an account.
    pub(super) fn forget(&mut self, user_id: UserId) {
        self.rows.remove(&user_id);
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
    }
}

pub(super) fn apply(tables: &mut Tables, change: &FactorChange) -> Result<(), CommitError> {
    match change {
        FactorChange::Put(factors) => {
            let found = tables.factors.of(factors.user_id).map(|found| found.version);
            if found.unwrap_or(0) != factors.version {
                return Err(Conflict::FactorsChanged.into());
            }
            if tables.users.open(factors.user_id).is_none() {
                return Err(Conflict::UserChanged.into());
            }
            let version = next(factors.version)?;
            tables.factors.rows.put(factors.user_id, Factors { version, ..Factors::clone(factors) });
        }
        FactorChange::Forget { user_id } => tables.factors.forget(*user_id),
    }
    Ok(())
}
