//! A use case that was decided and is not committed yet: its changes can be applied together with somebody else's.

use std::fmt;

use crate::flows::engine::Engine;
use crate::model::{ChangeSet, Committed};
use crate::ports::CommitError;
use crate::primitives::UserId;

/// A use case that was decided, and whose changes wait to be applied: inside a transaction of the embedding application, so that
/// an account and the application's own rows are there together or not at all.
///
/// ```ignore
/// let planned = auth.accounts().plan_register(registration, &request).await?;
/// let mut transaction = pool.begin().await?;
/// sqlx::query("INSERT INTO customers …").bind(planned.user_id().as_uuid()).execute(&mut *transaction).await?;
/// let committed = store.apply(&mut transaction, planned.changes()).await?;
/// transaction.commit().await?;
/// let logged_in = planned.committed(committed).await;
/// ```
///
/// Decide, apply and commit without a pause, within five seconds: the guards are checked when the changes are applied, and what they
/// protect may have moved on by then, which is a conflict. And a revocation is dated by the plan, while the other nodes look back five
/// seconds for what landed late: without a bus, or when the process dies before [`committed`](Self::committed), they may overlook one
/// that took longer, until the tokens of its session expire.
///
/// # Security
/// Do not hand out what [`committed`](Self::committed) returns before the commit: an access token is verified by its signature alone.
/// The changes hold password hashes. They are for a store, and for nothing else.
#[must_use = "a plan changes nothing until its changes are applied"]
pub struct Planned<'a, T> {
    engine: &'a Engine,
    user_id: UserId,
    changes: ChangeSet,
    finish: Box<dyn FnOnce(&Committed) -> T + Send + 'a>,
}

impl<'a, T> Planned<'a, T> {
    pub(crate) fn new(
        engine: &'a Engine,
        user_id: UserId,
        changes: ChangeSet,
        finish: impl FnOnce(&Committed) -> T + Send + 'a,
    ) -> Self {
        Self { engine, user_id, changes, finish: Box::new(finish) }
    }

    /// Whose account it is about; for a registration, the id that the account is going to have.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// What has to be applied, whole or not at all, with its audit events.
    pub const fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// Takes in that the changes were committed: this node and the others learn which sessions ended, a cache forgets what
    /// changed, and the outcome is handed out. Call it after the transaction was committed, and never otherwise. A process that
    /// dies in between loses nothing: the nodes read the store twice a second, and no cache keeps an account for longer than 30.
    pub async fn committed(self, committed: Committed) -> T {
        self.engine.accounts.forgetting(&self.changes).done().await;
        self.engine.announce(&self.changes, &committed).await;
        (self.finish)(&committed)
    }

    /// Commits the changes by themselves.
    pub(crate) async fn commit(self) -> Result<T, CommitError> {
        let committed = self.engine.commit(&self.changes).await?;
        Ok((self.finish)(&committed))
    }
}

impl<T> fmt::Debug for Planned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}
