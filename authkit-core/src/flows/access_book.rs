//! What this node knows of roles beside what tokens say: all roles, and whose assignments have changed since her tokens were issued.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::flows::engine::{Engine, Internal};
use crate::model::{Access, AccessChange, Change, UserChange};
use crate::ports::AccessMark;
use crate::primitives::{PageLimit, Timestamp, UserId};
use crate::rbac::{EffectiveAccess, RoleGraph};
use crate::token::{AccessClaims, Verified};

const SHARDS: usize = 16;
/// How many changed accounts are remembered at most: some 30 MB of one role each.
const MAX_CHANGED: usize = 100_000;

/// What the roles of a token give, worked out once for all requests that bring it.
#[derive(Debug)]
pub(crate) struct WorkedOut {
    graph_version: Option<u32>,
    access_version: u32,
    pub(crate) access: EffectiveAccess,
}

/// A token that was verified, with what its roles give.
pub(crate) type VerifiedToken = Verified<WorkedOut>;

#[derive(Debug)]
struct Changed {
    access: Access,
    at: Timestamp,
}

/// The roles, and the accounts whose assignments have changed of late. It needs no network and, while nobody's changed, no lock.
///
/// Of what a token says and what is known here the higher version of an account's access is the truth, so nothing depends on the
/// order in which changes arrive.
#[derive(Debug)]
pub(crate) struct AccessBook {
    graph: ArcSwap<RoleGraph>,
    changed: [RwLock<HashMap<UserId, Arc<Changed>>>; SHARDS],
    // INVARIANT: the number of entries in all shards, changed only under the lock of the shard that changes.
    count: AtomicUsize,
    /// Tokens that were issued up to this second are refused as expired: a change behind it did not fit in. In seconds.
    floor: AtomicI64,
    most: usize,
}

impl Default for AccessBook {
    fn default() -> Self {
        Self::with_room_for(MAX_CHANGED)
    }
}

impl AccessBook {
    fn with_room_for(most: usize) -> Self {
        Self {
            graph: ArcSwap::default(),
            changed: std::array::from_fn(|_| RwLock::default()),
            count: AtomicUsize::new(0),
            floor: AtomicI64::new(i64::MIN),
            most,
        }
    }

    /// The roles as they were last read.
    pub(crate) fn graph(&self) -> Arc<RoleGraph> {
        self.graph.load_full()
    }

    /// Takes in the roles that were read, unless newer ones were.
    fn take_in_graph(&self, read: &Arc<RoleGraph>) {
        self.graph.rcu(|held| if held.version() < read.version() { Arc::clone(read) } else { Arc::clone(held) });
    }

    /// Takes in whose assignments changed. When this returns, every thread knows.
    pub(crate) fn take_in(&self, changes: impl IntoIterator<Item = AccessChange>) {
        for AccessChange { user_id, access, at } in changes {
            let mut shard = self.shard(user_id).write().unwrap_or_else(PoisonError::into_inner);
            let held = shard.get(&user_id);
            if held.is_some_and(|held| held.access.version > access.version) {
                continue;
            }
            if held.is_none() {
                // SECURITY: what does not fit in is not forgotten: every token from before it has to be refreshed, and the refresh
                // reads what has changed. The memory is bounded, and nobody keeps what was taken from her.
                if self.count.load(Ordering::Acquire) >= self.most {
                    self.floor.fetch_max(at.unix_seconds(), Ordering::AcqRel);
                    continue;
                }
                self.count.fetch_add(1, Ordering::Release);
            }
            shard.insert(user_id, Arc::new(Changed { access, at }));
        }
    }

    /// Forgets the changes from before every token that can be valid.
    pub(crate) fn purge(&self, now: Timestamp, retention: Duration) {
        for shard in &self.changed {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, changed| now < changed.at + retention);
            self.count.fetch_sub(before - shard.len(), Ordering::Release);
        }
    }

    /// What the roles of a token give now; `None` when the token is too old to know.
    pub(crate) fn work_out(&self, token: &VerifiedToken) -> Option<Arc<WorkedOut>> {
        let claims = token.claims();
        let graph = self.graph.load();
        let changed = self.changed(claims);
        if changed.is_none() && claims.issued_at.unix_seconds() <= self.floor.load(Ordering::Acquire) {
            return None;
        }
        let access = changed.as_ref().map_or(&claims.access, |changed| &changed.access);
        let held = token.attached();
        if let Some(held) = held
            && held.graph_version == graph.version()
            && held.access_version == access.version
        {
            return Some(held);
        }
        let worked_out = Arc::new(WorkedOut {
            graph_version: graph.version(),
            access_version: access.version,
            access: EffectiveAccess::of(&access.assignments, &graph),
        });
        token.attach(Arc::clone(&worked_out));
        Some(worked_out)
    }

    /// What is known of an account beyond what was read of it.
    pub(crate) fn newer(&self, user_id: UserId, read: &Access) -> Option<Access> {
        self.changed_since(user_id, read.version).map(|changed| changed.access.clone())
    }

    /// What is known of the account beyond what its token says.
    fn changed(&self, claims: &AccessClaims) -> Option<Arc<Changed>> {
        self.changed_since(claims.user_id, claims.access.version)
    }

    fn changed_since(&self, user_id: UserId, version: u32) -> Option<Arc<Changed>> {
        // Acquire pairs with the Release of `take_in`.
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let shard = self.shard(user_id).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&user_id).filter(|changed| changed.access.version > version).cloned()
    }

    fn shard(&self, id: UserId) -> &RwLock<HashMap<UserId, Arc<Changed>>> {
        // The last byte of a UUIDv7 is random (RFC 9562 §5.7).
        &self.changed[usize::from(id.as_uuid().as_bytes()[15]) % SHARDS]
    }
}

/// The roles as they stand in the store: one small read where nothing has changed.
pub(crate) async fn fresh_graph(engine: &Engine) -> Result<Arc<RoleGraph>, Internal> {
    let held = engine.access.graph();
    match engine.store.roles(held.version()).await? {
        None => Ok(held),
        Some(stored) => {
            let read = Arc::new(RoleGraph::of(&stored));
            engine.access.take_in_graph(&read);
            Ok(read)
        }
    }
}

/// Reads from the store whose assignments changed since an instant, and the roles if they did.
pub(crate) async fn read_news(engine: &Engine, since: Timestamp) -> Result<(), Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut mark = AccessMark { at: since, user_id: None };
    loop {
        let news = engine.store.access_after(mark, limit).await?;
        if engine.access.graph.load().version() != Some(news.roles_version) {
            fresh_graph(engine).await?;
        }
        let last = news.changes.last().map(|last| AccessMark { at: last.at, user_id: Some(last.user_id) });
        let is_full = news.changes.len() == usize::from(limit.value());
        engine.access.take_in(news.changes);
        match last {
            Some(last) if is_full => mark = last,
            _ => return Ok(()),
        }
    }
}

/// Takes in what this node has just committed itself, and tells whether it concerned roles.
pub(crate) async fn take_in_committed(engine: &Engine, changes: &[Change]) -> bool {
    let (mut roles, mut accounts) = (false, Vec::new());
    for change in changes {
        match change {
            Change::Role(_) => roles = true,
            Change::User(UserChange::ReplaceAssignments { id, from, to, at, .. }) => {
                let access = Access { version: from.saturating_add(1), assignments: to.clone() };
                accounts.push(AccessChange { user_id: *id, access, at: *at });
            }
            _ => {}
        }
    }
    let concerned = roles || !accounts.is_empty();
    engine.access.take_in(accounts);
    if roles && let Err(error) = fresh_graph(engine).await {
        // The poll reads them within the second.
        tracing::warn!(error = &error as &dyn std::error::Error, "roles were changed and could not be read again at once");
    }
    concerned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Assignment;

    fn change(n: u128, version: u32, seconds: i64) -> AccessChange {
        let role = "admin".parse().unwrap();
        let at = Timestamp::from_unix_seconds(seconds);
        let assignment = Assignment { role, scope: None, expires_at: None, assigned_by: None, assigned_at: at };
        let access = Access { version, assignments: vec![assignment] };
        AccessChange { user_id: UserId::from_uuid(uuid::Uuid::from_u128(n)), access, at }
    }

    fn version(book: &AccessBook, n: u128) -> Option<u32> {
        let id = UserId::from_uuid(uuid::Uuid::from_u128(n));
        book.shard(id).read().unwrap().get(&id).map(|changed| changed.access.version)
    }

    #[test]
    fn the_higher_version_is_kept_in_whatever_order_they_arrive() {
        let book = AccessBook::default();
        book.take_in([change(1, 3, 10), change(1, 2, 11), change(2, 1, 10)]);
        assert_eq!((version(&book, 1), version(&book, 2), version(&book, 3)), (Some(3), Some(1), None));
        book.take_in([change(1, 4, 9)]);
        assert_eq!((version(&book, 1), book.count.load(Ordering::SeqCst)), (Some(4), 2));
        book.purge(Timestamp::from_unix_seconds(20), Duration::from_secs(11));
        assert_eq!((version(&book, 1), version(&book, 2)), (None, Some(1)));
    }

    #[test]
    fn what_does_not_fit_in_raises_the_floor() {
        let book = AccessBook::with_room_for(2);
        book.take_in([change(1, 1, 10), change(2, 1, 11)]);
        assert_eq!(book.floor.load(Ordering::SeqCst), i64::MIN);
        book.take_in([change(3, 1, 12), change(1, 2, 13)]);
        assert_eq!((book.floor.load(Ordering::SeqCst), version(&book, 1), version(&book, 3)), (12, Some(2), None));
    }
}
