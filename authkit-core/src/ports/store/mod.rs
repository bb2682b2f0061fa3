//! Durable storage: plain reads per aggregate, and one atomic commit.

mod error;
mod reads;

use async_trait::async_trait;

pub use error::{CommitError, Conflict, StoreError};
pub use reads::FactorReads;
pub use reads::GuessReads;
pub use reads::PasskeyReads;
pub use reads::{AccessMark, AuditReads, KeyReads, RevocationMark, RoleReads, SessionReads, UserReads};
pub use reads::{OneTimeTokenReads, OutboxReads};

use crate::model::{ChangeSet, Committed, Rotation, RotationOutcome};
use crate::primitives::{PageLimit, Timestamp};

/// The durable store. Whoever writes one runs `authkit_core::store_contract!` against it.
///
/// **When it is down** everything that needs it answers 503 and nothing is half-done; the verification of access tokens
/// goes on, with the revocations that were known when it went away.
#[async_trait]
pub trait Store:
    UserReads
    + SessionReads
    + KeyReads
    + AuditReads
    + GuessReads
    + FactorReads
    + OneTimeTokenReads
    + OutboxReads
    + PasskeyReads
    + RoleReads
    + std::fmt::Debug
    + Send
    + Sync
{
    /// Applies every change, in order, in one transaction.
    ///
    /// A guard that does not hold fails the whole set, and the first such guard in order is named. What was acknowledged
    /// is durable: it outlives a crash right after the return. An empty set succeeds and does nothing.
    ///
    /// Sets that come at once end as if they had come one after the other, and no read sees a part of one. Rivals that lock
    /// the same rows in opposite order are the store's to sort out: a deadlock is tried again, never reported.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when a guard did not hold, and nothing was changed. [`CommitError::Store`] when the store
    /// could not tell; the change may or may not have happened if the connection was lost after the last statement.
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError>;

    /// Moves a session to its next refresh token, in one guarded write.
    ///
    /// The guards: the session has this generation and this secret, is live at `rotation.at`, and its account is active.
    /// The write: the next generation and secret, `refreshed_at`, `last_used_by`, and `idle_expires_at` cut at
    /// `expires_at`. When a guard fails nothing changes and the session is returned as it stands, closed accounts excepted:
    /// it is read after the guard failed, so that it shows why.
    /// It is the one method that reads and writes at once, so that a refresh is one round trip.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError>;

    /// Asks the store whether it can read and write right now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Prepares for the search of [`list_users`](UserReads::list_users) at most `limit` accounts that were written without what it
    /// needs: by an earlier version, or by a bulk load. Says how many there were; the maintenance of each node asks until there are none.
    /// A store that searches without any preparation has nothing to do.
    async fn index_users(&self, limit: PageLimit) -> Result<usize, StoreError> {
        let _ = limit;
        Ok(0)
    }

    /// What the store's own clock says, in one round trip; `None` where it has none, or shares ours. The nodes of a cluster
    /// compare theirs with it, because what one of them writes the others judge.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}
