//! Reading accounts that nothing is decided on, through the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::{Change, ChangeSet, User, UserChange};
use crate::ports::record_cache::{CacheError, CacheHealth, LookUp, MAX_RECORD_AGE, RecordCache, RecordKey};
use crate::ports::{Store, StoreError};
use crate::primitives::{Clock, UserId};

/// How long a flow waits for the cache. A cache gives up sooner by itself; this is for one that does not.
const PATIENCE: Duration = Duration::from_millis(150);

/// Reads accounts through the cache, where there is one, and tells it what changes.
#[derive(Debug, Clone)]
pub(crate) struct AccountCache(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    cache: Arc<dyn RecordCache>,
    clock: Arc<dyn Clock>,
    /// Until when nothing is read from the cache, in microseconds: an invalidation of this node was lost.
    distrusted_until: AtomicI64,
}

impl AccountCache {
    pub(crate) fn new(cache: Option<Arc<dyn RecordCache>>, clock: Arc<dyn Clock>) -> Self {
        Self(cache.map(|cache| Arc::new(Shared { cache, clock, distrusted_until: AtomicI64::new(i64::MIN) })))
    }

    /// The account with this id, up to [`MAX_RECORD_AGE`] old where an invalidation was lost. Nothing may be decided on it but
    /// what its owner is shown.
    pub(crate) async fn account(&self, store: &dyn Store, id: UserId) -> Result<Option<User>, StoreError> {
        let Some(shared) = self.0.as_ref().filter(|shared| !shared.is_distrusted()) else { return store.user_by_id(id).await };
        let key = RecordKey::User(id);
        let lease = match within_patience(shared.cache.look_up(key)).await {
            Ok(LookUp::Found(record)) => match User::from_record(&record).filter(|user| user.id == id) {
                Some(user) => return Ok(Some(user)),
                None => None,
            },
            Ok(LookUp::Missing(lease)) => lease,
            Err(error) => {
                tracing::debug!(%error, "an account is read from the store");
                None
            }
        };
        let user = store.user_by_id(id).await?;
        if let (Some(lease), Some(user)) = (lease, &user)
            && let Err(error) = within_patience(shared.cache.fill(key, lease, &user.to_record())).await
        {
            tracing::debug!(%error, "an account was not cached");
        }
        Ok(user)
    }

    /// What has to be forgotten once these changes are committed.
    pub(crate) fn forgetting(&self, changes: &ChangeSet) -> Forgetting {
        let touched = |change: &Change| match change {
            Change::User(
                UserChange::UpdateProfile { id, .. }
                | UserChange::RaiseAuthEpoch { id, .. }
                | UserChange::SetSecondFactors { id, .. }
                | UserChange::Update { id, .. }
                | UserChange::Suspend { id, .. }
                | UserChange::Restore { id, .. }
                | UserChange::VerifyEmail { id, .. }
                | UserChange::ChangeEmail { id, .. }
                | UserChange::Close { id, .. }
                | UserChange::ReplaceAssignments { id, .. },
            ) => Some(RecordKey::User(*id)),
            // An account that is new was in no cache: absence is not cached. The others are no part of an account.
            Change::User(UserChange::Insert(_) | UserChange::Expect { .. } | UserChange::HoldAccess { .. })
            | Change::Credential(_)
            | Change::Session(_)
            | Change::Key(_)
            | Change::OneTimeToken(_)
            | Change::Outbox(_)
            | Change::Audit(_)
            | Change::Guess(_)
            | Change::Factor(_)
            | Change::Passkey(_)
            | Change::Role(_) => None,
        };
        let Some(shared) = &self.0 else { return Forgetting(None) };
        let keys: Vec<_> = changes.changes().iter().filter_map(touched).collect();
        Forgetting((!keys.is_empty()).then(|| (Arc::clone(shared), keys)))
    }

    /// How well the cache works; where there is none, nothing is amiss.
    pub(crate) fn health(&self) -> CacheHealth {
        self.0.as_ref().map_or(CacheHealth::Working, |shared| shared.cache.health())
    }
}

impl Shared {
    fn is_distrusted(&self) -> bool {
        self.clock.now().unix_micros() < self.distrusted_until.load(Ordering::Acquire)
    }

    async fn forget(&self, keys: &[RecordKey]) {
        if let Err(error) = within_patience(self.cache.invalidate(keys)).await {
            tracing::warn!(%error, records = keys.len(), "records could not be invalidated: other nodes may show them for a while");
            let until = (self.clock.now() + MAX_RECORD_AGE).unix_micros();
            self.distrusted_until.fetch_max(until, Ordering::AcqRel);
        }
    }
}

/// Records that have to be forgotten. Dropped before that is done, because whoever waited for it is gone, it is done all the
/// same: the change may have been committed.
#[must_use]
pub(crate) struct Forgetting(Option<(Arc<Shared>, Vec<RecordKey>)>);

impl Forgetting {
    pub(crate) async fn done(mut self) {
        if let Some((shared, keys)) = &self.0 {
            shared.forget(keys).await;
            self.0 = None;
        }
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        if let (Some((shared, keys)), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { shared.forget(&keys).await });
        }
    }
}

async fn within_patience<T>(call: impl Future<Output = Result<T, CacheError>>) -> Result<T, CacheError> {
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|late| Err(CacheError(Box::new(late))))
}
