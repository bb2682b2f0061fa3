//! The record cache of a single process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::record_cache::{
    CacheError, CacheHealth, Lease, LookUp, MAX_RECORD_AGE, MAX_RECORD_BYTES, RecordCache, RecordKey,
};
use crate::primitives::{Clock, Timestamp};

/// How many records are kept by default: 20 MiB of accounts with everything filled in, and usually a tenth of that.
const DEFAULT_CAPACITY: usize = 10_000;
/// How long a reader may take to read the store.
const LEASE_TIME: Duration = Duration::from_secs(5);

/// Keeps records in the memory of one process, with a bound on it.
///
/// It is for a single node: others would not hear of its invalidations. Whether it is worth having is a matter of the store:
/// one in the same process answers nearly as fast.
pub struct LocalRecordCache {
    clock: Arc<dyn Clock>,
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<RecordKey, Entry>,
    last_lease: u128,
}

struct Entry {
    /// When it was put here, and until when it is good.
    since: Timestamp,
    until: Timestamp,
    held: Held,
}

enum Held {
    Record(Vec<u8>),
    Lease(Lease),
}

impl LocalRecordCache {
    /// A cache of 10,000 records.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, DEFAULT_CAPACITY)
    }

    /// A cache of at most so many records, and at least one.
    #[must_use]
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self { clock, capacity: capacity.max(1), kept: Mutex::default() }
    }

    /// How many records and leases are kept. Some of them may be too old and wait to make room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn good(&self, key: RecordKey, now: Timestamp) -> Option<&Held> {
        self.entries.get(&key).filter(|entry| entry.is_good(now)).map(|entry| &entry.held)
    }

    fn put(&mut self, key: RecordKey, held: Held, now: Timestamp, time: Duration, capacity: usize) {
        if self.entries.len() >= capacity && !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| entry.is_good(now));
            if self.entries.len() >= capacity {
                // Whichever: the order of the table is as good as random, and a record that is wanted comes back.
                let victims: Vec<_> = self.entries.keys().take(capacity.div_ceil(8)).copied().collect();
                for victim in victims {
                    self.entries.remove(&victim);
                }
            }
        }
        self.entries.insert(key, Entry { since: now, until: now + time, held });
    }
}

impl Entry {
    /// A clock that jumped back must not keep what is too old: then it is not known how old it is.
    fn is_good(&self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }
}

#[async_trait]
impl RecordCache for LocalRecordCache {
    async fn look_up(&self, key: RecordKey) -> Result<LookUp, CacheError> {
        let now = self.clock.now();
        let mut kept = self.lock();
        Ok(match kept.good(key, now) {
            Some(Held::Record(record)) => LookUp::Found(record.clone()),
            Some(Held::Lease(_)) => LookUp::Missing(None),
            None => {
                kept.last_lease += 1;
                let lease = Lease(kept.last_lease);
                kept.put(key, Held::Lease(lease), now, LEASE_TIME, self.capacity);
                LookUp::Missing(Some(lease))
            }
        })
    }

    async fn fill(&self, key: RecordKey, lease: Lease, record: &[u8]) -> Result<(), CacheError> {
        let now = self.clock.now();
        let mut kept = self.lock();
        let is_leased = matches!(kept.good(key, now), Some(Held::Lease(held)) if *held == lease);
        if is_leased && record.len() <= MAX_RECORD_BYTES {
            kept.put(key, Held::Record(record.to_vec()), now, MAX_RECORD_AGE, self.capacity);
        }
        Ok(())
    }

    async fn invalidate(&self, keys: &[RecordKey]) -> Result<(), CacheError> {
        let mut kept = self.lock();
        for key in keys {
            kept.entries.remove(key);
        }
        Ok(())
    }

    fn health(&self) -> CacheHealth {
        CacheHealth::Working
    }
}

impl fmt::Debug for LocalRecordCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SECURITY: records hold personal data, so only their number is shown.
        f.debug_struct("LocalRecordCache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::UserId;

    #[derive(Debug, Default)]
    struct Hand(Mutex<i64>);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(*self.0.lock().unwrap())
        }
    }

    fn key(n: u128) -> RecordKey {
        RecordKey::User(UserId::from_uuid(uuid::Uuid::from_u128(n)))
    }

    async fn fill(cache: &LocalRecordCache, n: u128) {
        let LookUp::Missing(Some(lease)) = cache.look_up(key(n)).await.unwrap() else { panic!("it is there already") };
        cache.fill(key(n), lease, b"record").await.unwrap();
        assert_eq!(cache.look_up(key(n)).await.unwrap(), LookUp::Found(b"record".to_vec()));
    }

    #[tokio::test]
    async fn records_and_leases_get_too_old() {
        let clock = Arc::new(Hand::default());
        let cache = LocalRecordCache::new(clock.clone());
        *clock.0.lock().unwrap() = 1_000;
        fill(&cache, 1).await;
        *clock.0.lock().unwrap() = 1_030;
        let LookUp::Missing(Some(lease)) = cache.look_up(key(1)).await.unwrap() else { panic!("it is too old") };
        *clock.0.lock().unwrap() = 1_035;
        cache.fill(key(1), lease, b"late").await.unwrap();
        fill(&cache, 1).await;
        *clock.0.lock().unwrap() = 1_034;
        assert!(matches!(cache.look_up(key(1)).await.unwrap(), LookUp::Missing(Some(_))), "nobody knows how old it is");
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let cache = LocalRecordCache::with_capacity(Arc::new(Hand::default()), 100);
        for n in 0..10_000 {
            fill(&cache, n).await;
            assert!(cache.len() <= 100);
        }
        assert!(cache.len() > 50, "and what fits is kept");
    }
}
