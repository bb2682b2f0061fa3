//! The faults.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use authkit_core::model::{Rotation, RotationOutcome, SessionWithUser};
use authkit_core::ports::{SessionReads, StoreError};
use sqlx::SqliteConnection;

use crate::apply::Executor;
use crate::sqlite::{Job, affect};
use crate::work::Work;

/// One fault. Every one of them is a mistake that somebody has made in a store before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mutant {
    /// The rotation no longer asks for the presented generation and secret.
    RotationGuardDropped,
    /// The rotation is decided on a read, and written without its guard.
    RotationCheckThenWrite,
    /// Transactions start as readers and take the write lock late. (SQLite)
    PlainBegin,
    /// The first change of a set is written before its transaction begins.
    ChangeOutsideTheTransaction,
    /// A session begins whatever has become of its account.
    SessionGuardDropped,
    /// The account of a session that begins is looked at, and not locked. (PostgreSQL)
    SessionLockDropped,
    /// The account of a first password is looked at, and not locked. (PostgreSQL)
    PasswordLockDropped,
    /// Two accounts can have one address.
    EmailIndexDropped,
    /// Accounts are looked up by the spelling of their address.
    EmailBySpelling,
    /// A refused change set leaves what it wrote before its guard failed.
    RefusedSetKept,
    /// A session can be revoked twice.
    RevokeGuardDropped,
    /// A password is replaced whatever it was.
    PasswordGuardDropped,
    /// A one-time token is used up for whatever purpose, with whatever secret.
    ConsumeGuardDropped,
    /// Messages that a worker takes are looked at, and not locked. (PostgreSQL)
    ClaimLockDropped,
    /// Rivals that undid each other are not begun anew. (PostgreSQL)
    DeadlockReported,
    /// Replicas do not wait for each other's migration. (PostgreSQL)
    MigrationLockDropped,
    /// A guess is counted on from what was read, not from what is there.
    GuessCountOverwritten,
    /// A guess is let through whatever was counted since the count was read.
    GuessGuardDropped,
    /// Counts of guesses are purged however high they are.
    GuessPurgeTooWide,
    /// Second factors are written whatever was written since they were read.
    FactorGuardDropped,
    /// The account of second factors is looked at, and not locked. (PostgreSQL)
    FactorLockDropped,
    /// A use of a passkey is recorded whatever was recorded since it was read.
    PasskeyUseGuardDropped,
    /// The account of a passkey is looked at, and not locked. (PostgreSQL)
    PasskeyLockDropped,
    /// A challenge is answered by whatever, whenever.
    PasskeyAnswerGuardDropped,
    /// The second factors in force are set whatever was read of the account.
    FactorEpochGuardDropped,
    /// A seal is added behind any seal of the number before it: the chain can fork.
    SealForks,
    /// A receiver of the log is taken over whoever serves it.
    StreamLeaseDropped,
}

impl Mutant {
    /// Every fault.
    pub const ALL: [Self; 27] = [
        Self::RotationGuardDropped,
        Self::RotationCheckThenWrite,
        Self::PlainBegin,
        Self::ChangeOutsideTheTransaction,
        Self::SessionGuardDropped,
        Self::SessionLockDropped,
        Self::PasswordLockDropped,
        Self::EmailIndexDropped,
        Self::EmailBySpelling,
        Self::RefusedSetKept,
        Self::RevokeGuardDropped,
        Self::PasswordGuardDropped,
        Self::ConsumeGuardDropped,
        Self::ClaimLockDropped,
        Self::DeadlockReported,
        Self::MigrationLockDropped,
        Self::GuessCountOverwritten,
        Self::GuessGuardDropped,
        Self::GuessPurgeTooWide,
        Self::FactorGuardDropped,
        Self::FactorLockDropped,
        Self::FactorEpochGuardDropped,
        Self::PasskeyUseGuardDropped,
        Self::PasskeyLockDropped,
        Self::PasskeyAnswerGuardDropped,
        Self::SealForks,
        Self::StreamLeaseDropped,
    ];

    /// What is written instead of what, in any dialect. The arguments keep their numbers, and each is still named once.
    const fn replacements(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::RotationGuardDropped | Self::RotationCheckThenWrite => &[
                ("AND generation = $2 AND secret = $3", "AND $2 IS NOT NULL AND $3 IS NOT NULL"),
                ("AND s.generation = $2 AND s.secret = $3", "AND $2 IS NOT NULL AND $3 IS NOT NULL"),
            ],
            Self::PlainBegin => &[("BEGIN IMMEDIATE", "BEGIN")],
            Self::SessionGuardDropped => &[("u.status = 'active' AND u.auth_epoch = $16", "$16 IS NOT NULL")],
            Self::SessionLockDropped => &[("AND u.auth_epoch = $16 FOR NO KEY UPDATE OF u", "AND u.auth_epoch = $16")],
            Self::PasswordLockDropped => &[("AND u.status <> 'closed' FOR NO KEY UPDATE OF u", "AND u.status <> 'closed'")],
            Self::EmailIndexDropped => &[
                ("CREATE UNIQUE INDEX authkit_users_email", "CREATE INDEX authkit_users_email"),
                ("CREATE UNIQUE INDEX users_email", "CREATE INDEX users_email"),
            ],
            Self::EmailBySpelling => &[("u.email_normal = $1", "u.email = $1")],
            Self::RefusedSetKept => &[("ROLLBACK TO authkit_set", "SELECT 1"), ("ROLLBACK", "COMMIT")],
            Self::RevokeGuardDropped => &[("WHERE id = $1 AND revoked_at IS NULL RETURNING", "WHERE id = $1 RETURNING")],
            Self::PasswordGuardDropped => &[("AND hash = $2", "AND $2 IS NOT NULL")],
            Self::ConsumeGuardDropped => &[(
                "AND purpose = $2 AND secret = $3 AND expires_at > $4",
                "AND $2 IS NOT NULL AND $3 IS NOT NULL AND $4 IS NOT NULL",
            )],
            Self::ClaimLockDropped => &[("m.id LIMIT $3 FOR UPDATE SKIP LOCKED", "m.id LIMIT $3")],
            Self::MigrationLockDropped => &[("pg_advisory_xact_lock", "abs")],
            Self::GuessCountOverwritten => &[(
                "SET failures = f.failures + 1,",
                "SET failures = (SELECT s.failures FROM authkit_login_failures s WHERE s.subject = $1) + 1,",
            )],
            Self::GuessGuardDropped => &[("AND failures = $2 AND last_at = $3", "AND $2 IS NOT NULL AND $3 IS NOT NULL")],
            Self::GuessPurgeTooWide => &[("AND f.failures < $2", "AND $2 IS NOT NULL")],
            Self::FactorGuardDropped => &[("WHERE user_id = $1 AND version = $14", "WHERE user_id = $1 AND $14 IS NOT NULL")],
            Self::FactorLockDropped => &[(
                "$12, $13 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed' FOR NO KEY UPDATE OF u",
                "$12, $13 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'",
            )],
            Self::FactorEpochGuardDropped => {
                &[("AND status <> 'closed' AND auth_epoch = $2", "AND status <> 'closed' AND $2 IS NOT NULL")]
            }
            Self::PasskeyUseGuardDropped => &[("AND sign_count = $2", "AND $2 IS NOT NULL")],
            Self::PasskeyLockDropped => &[
                ("u.auth_epoch = $2 AND u.status = 'active' FOR NO KEY UPDATE OF u", "u.auth_epoch = $2 AND u.status = 'active'"),
                (
                    "SELECT 1 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed' FOR NO KEY UPDATE OF u",
                    "SELECT 1 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'",
                ),
            ],
            Self::PasskeyAnswerGuardDropped => {
                &[("WHERE id = $1 AND secret = $2 AND expires_at > $3", "WHERE id = $1 AND $2 IS NOT NULL AND $3 IS NOT NULL")]
            }
            Self::SealForks => &[("AND p.digest = $2", "AND $2 IS NOT NULL")],
            Self::StreamLeaseDropped => &[("WHERE s.holder = excluded.holder OR s.lease_until <= $4", "WHERE $4 IS NOT NULL")],
            Self::ChangeOutsideTheTransaction | Self::DeadlockReported => &[],
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
        let Some(mutant) = self.0 else { return sql };
        let Some((from, to)) = mutant.replacements().iter().find(|(from, _)| sql.contains(from)) else { return sql };
        let mut rewritten = REWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.entry((mutant, sql)).or_insert_with(|| Box::leak(sql.replace(from, to).into_boxed_str()))
    }

    /// How often work is begun anew that rivals undid, where it would be `attempts` times.
    pub(crate) fn attempts(self, attempts: u32) -> u32 {
        if self.0 == Some(Mutant::DeadlockReported) { 1 } else { attempts }
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

    /// Writes what belongs into the transaction before it.
    pub(crate) async fn write_outside_postgres(self, session: &mut impl Executor, work: &Work) {
        if self.0 == Some(Mutant::ChangeOutsideTheTransaction)
            && let Work::Apply(statements) = work
            && let [first, _, ..] = statements.as_slice()
        {
            let _ = session.affect(first.query.sql, &first.query.args).await;
        }
    }

    /// Refuses a rotation on what was read, and leaves the rest to a write that asks no more.
    pub(crate) async fn check_first(
        self,
        reads: &impl SessionReads,
        rotation: &Rotation,
    ) -> Result<Option<RotationOutcome>, StoreError> {
        if self.0 != Some(Mutant::RotationCheckThenWrite) {
            return Ok(None);
        }
        let read = reads.session_by_id(rotation.session_id).await?;
        let holds =
            |read: &SessionWithUser| read.session.generation == rotation.generation && read.session.secret == rotation.presented;
        Ok(if read.as_ref().is_some_and(holds) { None } else { Some(RotationOutcome::Refused(read.map(Box::new))) })
    }
}
