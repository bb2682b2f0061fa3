//! The faults.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use authkit_core::model::{Rotation, RotationOutcome, SessionWithUser};
use authkit_core::ports::{SessionReads, StoreError};
use sqlx::SqliteConnection;

use crate::sqlite::{Job, SqliteStore, Work, affect};

/// One fault. Every one of them is a mistake that somebody has made in a store before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mutant {
    /// The rotation no longer asks for the presented generation and secret.
    RotationGuardDropped,
    /// The rotation is decided on a read, and written without its guard.
    RotationCheckThenWrite,
    /// Transactions start as readers and take the write lock late.
    PlainBegin,
    /// The first change of a set is written before its transaction begins.
    ChangeOutsideTheTransaction,
    /// A session begins whatever has become of its account.
    SessionGuardDropped,
    /// Two accounts can have one address.
    EmailIndexDropped,
    /// Accounts are looked up by the spelling of their address.
    EmailBySpelling,
    /// A refused change set leaves what it wrote before its guard failed.
    SavepointNotRolledBack,
    /// A session can be revoked twice.
    RevokeGuardDropped,
    /// A password is replaced whatever it was.
    PasswordGuardDropped,
}

impl Mutant {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::RotationGuardDropped,
        Self::RotationCheckThenWrite,
        Self::PlainBegin,
        Self::ChangeOutsideTheTransaction,
        Self::SessionGuardDropped,
        Self::EmailIndexDropped,
        Self::EmailBySpelling,
        Self::SavepointNotRolledBack,
        Self::RevokeGuardDropped,
        Self::PasswordGuardDropped,
    ];

    /// What is written instead of what. The arguments keep their numbers, and each is still named once.
    const fn replacement(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::RotationGuardDropped | Self::RotationCheckThenWrite => {
                Some(("AND generation = $2 AND secret = $3", "AND $2 IS NOT NULL AND $3 IS NOT NULL"))
            }
            Self::PlainBegin => Some(("BEGIN IMMEDIATE", "BEGIN")),
            Self::SessionGuardDropped => Some(("u.status = 'active' AND u.auth_epoch = $16", "$16 IS NOT NULL")),
            Self::EmailIndexDropped => Some(("CREATE UNIQUE INDEX authkit_users_email", "CREATE INDEX authkit_users_email")),
            Self::EmailBySpelling => Some(("u.email_normal = $1", "u.email = $1")),
            Self::SavepointNotRolledBack => Some(("ROLLBACK TO authkit_set", "SELECT 1")),
            Self::RevokeGuardDropped => Some(("WHERE id = $1 AND revoked_at IS NULL RETURNING", "WHERE id = $1 RETURNING")),
            Self::PasswordGuardDropped => Some(("AND hash = $2", "AND $2 IS NOT NULL")),
            Self::ChangeOutsideTheTransaction => None,
        }
    }
}

/// The fault of a store, if it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutation(Option<Mutant>);

/// The rewritten texts, which live as long as the test: a statement is prepared by its text, and has to stay the same one.
static REWRITTEN: LazyLock<Mutex<HashMap<(Mutant, &'static str), &'static str>>> = LazyLock::new(Mutex::default);

impl Mutation {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) const fn of(mutant: Mutant) -> Self {
        Self(Some(mutant))
    }

    pub(crate) fn rewrite(self, sql: &'static str) -> &'static str {
        let Some((mutant, (from, to))) = self.0.and_then(|mutant| Some((mutant, mutant.replacement()?))) else { return sql };
        if !sql.contains(from) {
            return sql;
        }
        let mut rewritten = REWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.entry((mutant, sql)).or_insert_with(|| Box::leak(sql.replace(from, to).into_boxed_str()))
    }

    /// Writes what belongs into the transaction before it.
    pub(crate) async fn write_outside(self, connection: &mut SqliteConnection, batch: &[Job]) {
        if self.0 != Some(Mutant::ChangeOutsideTheTransaction) {
            return;
        }
        for job in batch {
            if let Work::Apply(statements) = &job.work
                && let [first, _, ..] = statements.as_slice()
            {
                let _ = affect(connection, first.query.sql, &first.query.args).await;
            }
        }
    }

    pub(crate) fn checks_then_writes(self) -> bool {
        self.0 == Some(Mutant::RotationCheckThenWrite)
    }
}

impl SqliteStore {
    /// Refuses a rotation on what was read, and leaves the rest to a write that asks no more.
    pub(crate) async fn check_first(&self, rotation: &Rotation) -> Result<Option<RotationOutcome>, StoreError> {
        if !self.mutation().checks_then_writes() {
            return Ok(None);
        }
        let read = self.session_by_id(rotation.session_id).await?;
        let holds =
            |read: &SessionWithUser| read.session.generation == rotation.generation && read.session.secret == rotation.presented;
        Ok(if read.as_ref().is_some_and(holds) { None } else { Some(RotationOutcome::Refused(read.map(Box::new))) })
    }
}
