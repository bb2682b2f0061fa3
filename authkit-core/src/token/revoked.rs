//! The sessions that were revoked so recently that access tokens of theirs have not expired yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::config::TokenConfig;
use crate::model::Revocation;
use crate::primitives::{SessionId, Timestamp};

const SHARDS: usize = 16;

type Shard = RwLock<HashMap<SessionId, Timestamp>>;

/// The set of revoked sessions that every node holds, asked on each request. It needs no network and, while nothing was
/// revoked of late, not even a lock.
///
/// Sixteen shards keep a burst of revocations from stopping the readers. A set of a million sessions takes about 50 MB; after
/// a lifetime of access tokens it is empty again.
#[derive(Debug)]
pub struct RevokedSessions {
    shards: [Shard; SHARDS],
    // INVARIANT: the number of entries in all shards, changed only under the lock of the shard that changes.
    count: AtomicUsize,
    retention: Duration,
}

impl RevokedSessions {
    /// How long after the instant that it names a revocation is in the store, at most: what a transaction is given. Until then
    /// its session is refreshed, and tokens are issued for it.
    pub const LANDING: Duration = Duration::from_secs(5);

    /// An empty set, for tokens of these settings.
    #[must_use]
    pub fn new(tokens: &TokenConfig) -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            count: AtomicUsize::new(0),
            // One leeway for the node that verifies, one for the node that issued: its clock may be ahead.
            retention: tokens.longest_lifetime().saturating_add(tokens.leeway.saturating_mul(2)).saturating_add(Self::LANDING),
        }
    }

    /// How long a revocation is remembered, and so how far back a node must read when it starts or catches up.
    #[must_use]
    pub const fn retention(&self) -> Duration {
        self.retention
    }

    /// Adds revocations. When this returns, [`contains`](Self::contains) knows them on every thread. Adding one again is harmless.
    pub fn insert(&self, revocations: &[Revocation]) {
        for revocation in revocations {
            let mut shard = self.shard(revocation.session_id).write().unwrap_or_else(PoisonError::into_inner);
            let mut is_new = false;
            let at = shard.entry(revocation.session_id).or_insert_with(|| {
                is_new = true;
                revocation.at
            });
            *at = (*at).max(revocation.at);
            if is_new {
                self.count.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Whether a session is in the set.
    #[must_use]
    pub fn contains(&self, session_id: SessionId) -> bool {
        // SECURITY: Acquire pairs with the Release of `insert`: whoever saw an insertion return also sees a count above zero.
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        self.shard(session_id).read().unwrap_or_else(PoisonError::into_inner).contains_key(&session_id)
    }

    /// Forgets the revocations whose sessions can have no valid access token at `now`, and tells how many they were.
    pub fn purge(&self, now: Timestamp) -> usize {
        let mut purged = 0;
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, at| now < *at + self.retention);
            let gone = before - shard.len();
            if shard.len() * 4 < shard.capacity() {
                shard.shrink_to_fit();
            }
            self.count.fetch_sub(gone, Ordering::Release);
            purged += gone;
        }
        purged
    }

    /// How many sessions are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, session_id: SessionId) -> &Shard {
        // The last byte of a UUIDv7 is random (RFC 9562 §5.7).
        let index = usize::from(session_id.as_uuid().as_bytes()[15]) % SHARDS;
        &self.shards[index]
    }
}
