//! Everything that one use case changes, applied whole or not at all.

use crate::model::audit::{AuditChange, AuditEvent};
use crate::model::credential::CredentialChange;
use crate::model::factor::FactorChange;
use crate::model::guess::GuessChange;
use crate::model::one_time_token::OneTimeTokenChange;
use crate::model::outbox::{OutboxChange, OutboxMessage};
use crate::model::passkey::PasskeyChange;
use crate::model::role::RoleChange;
use crate::model::server_key::KeyChange;
use crate::model::session::{Revocation, SessionChange};
use crate::model::user::UserChange;

/// One row's worth of intent, with its guard inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Of an account.
    User(UserChange),
    /// Of a password.
    Credential(CredentialChange),
    /// Of sessions.
    Session(SessionChange),
    /// Of the server's keys.
    Key(KeyChange),
    /// Of the audit log.
    Audit(AuditChange),
    /// Of roles.
    Role(RoleChange),
    /// Of the count of wrong guesses.
    Guess(GuessChange),
    /// Of second factors.
    Factor(FactorChange),
    /// Of one-time tokens.
    OneTimeToken(OneTimeTokenChange),
    /// Of messages that wait to be sent.
    Outbox(OutboxChange),
    /// Of passkeys, and of the challenges that they sign.
    Passkey(PasskeyChange),
}

macro_rules! into_change {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Change {
            fn from(change: $from) -> Self {
                Self::$variant(change)
            }
        })*
    };
}

into_change!(RoleChange => Role);
into_change!(UserChange => User, CredentialChange => Credential, SessionChange => Session, KeyChange => Key, AuditChange => Audit);
into_change!(GuessChange => Guess);
into_change!(FactorChange => Factor);
into_change!(OneTimeTokenChange => OneTimeToken, OutboxChange => Outbox);
into_change!(PasskeyChange => Passkey);

impl From<AuditEvent> for Change {
    fn from(event: AuditEvent) -> Self {
        Self::Audit(AuditChange::Append(Box::new(event)))
    }
}

/// The changes of one use case, its audit events included, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a change set does nothing until it is committed"]
pub struct ChangeSet(Vec<Change>);

impl ChangeSet {
    /// No changes yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a change behind the others.
    pub fn and(mut self, change: impl Into<Change>) -> Self {
        self.0.push(change.into());
        self
    }

    /// Adds all the changes of another set behind these.
    pub fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }
}

impl FromIterator<Change> for ChangeSet {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        Self(changes.into_iter().collect())
    }
}

/// What a commit found out while it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Every session that this commit revoked, in no particular order: what the other nodes have to be told.
    pub revoked: Vec<Revocation>,
    /// How many rows its purges removed.
    pub purged: u64,
    /// The messages that its claims took, in no particular order.
    pub claimed: Vec<OutboxMessage>,
}
