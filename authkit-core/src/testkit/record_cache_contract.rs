//! The contract of [`RecordCache`]: what every implementation promises.
//!
//! ```
//! use std::sync::Arc;
//!
//! use authkit_core::SystemClock;
//! use authkit_core::embedded::LocalRecordCache;
//! use authkit_core::testkit::record_cache_contract::FreshCache;
//!
//! async fn fresh_cache() -> FreshCache {
//!     let cache = Arc::new(LocalRecordCache::new(Arc::new(SystemClock)));
//!     FreshCache::new([cache.clone(), cache])
//! }
//!
//! authkit_core::record_cache_contract!(fresh_cache);
//! # fn main() {}
//! ```
//!
//! A cache over a network also shows what it does when that fails: give it a way to fail with [`FreshCache::failing_with`] and
//! write `record_cache_contract!(fresh_cache, with outages)`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::ports::record_cache::{CacheHealth, Lease, LookUp, MAX_RECORD_BYTES, RecordCache, RecordKey};
use crate::primitives::UserId;
use crate::testkit::Outage;

/// How long something may take that takes a moment: a heartbeat, a reconnection, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a call without the service may cost at most: several times what is promised, on a busy machine.
const FAST: Duration = Duration::from_millis(500);

/// The caches of two nodes, which share what they keep, and it is nothing yet.
pub struct FreshCache {
    nodes: [Arc<dyn RecordCache>; 2],
    outage: Option<Box<dyn Outage>>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl FreshCache {
    /// The caches of two nodes; for nodes of one process they may be one cache.
    #[must_use]
    pub fn new(nodes: [Arc<dyn RecordCache>; 2]) -> Self {
        Self { nodes, outage: None, _guard: None }
    }

    /// Says how the service behind both fails.
    #[must_use]
    pub fn failing_with(mut self, outage: impl Outage + 'static) -> Self {
        self.outage = Some(Box::new(outage));
        self
    }

    /// Keeps something alive for as long as the caches.
    #[must_use]
    pub fn keeping(self, guard: impl Any + Send + Sync) -> Self {
        Self { _guard: Some(Box::new(guard)), ..self }
    }

    async fn look_up(&self, n: u128) -> LookUp {
        look_up(&*self.nodes[1], n).await
    }

    /// The lease on a record that nobody has looked for.
    async fn lease(&self, n: u128) -> Lease {
        match look_up(&*self.nodes[0], n).await {
            LookUp::Missing(Some(lease)) => lease,
            other => panic!("a lease was due, and not {other:?}"),
        }
    }

    async fn fill(&self, n: u128, lease: Lease, record: &[u8]) {
        self.nodes[0].fill(key(n), lease, record).await.expect("a cache that works");
    }

    async fn invalidate(&self, numbers: impl IntoIterator<Item = u128>) {
        let keys: Vec<_> = numbers.into_iter().map(key).collect();
        self.nodes[1].invalidate(&keys).await.expect("a cache that works");
    }
}

impl fmt::Debug for FreshCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshCache").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

fn key(n: u128) -> RecordKey {
    RecordKey::User(UserId::from_uuid(Uuid::from_u128(n)))
}

async fn look_up(cache: &dyn RecordCache, n: u128) -> LookUp {
    cache.look_up(key(n)).await.expect("a cache that works")
}

fn found(record: &[u8]) -> LookUp {
    LookUp::Found(record.to_vec())
}

#[doc(hidden)]
pub async fn what_was_filled_in_is_found_on_every_node(cache: FreshCache) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for (n, record) in [(1, &b"one"[..]), (2, &every_byte), (3, b""), (4, &vec![7; MAX_RECORD_BYTES])] {
        let lease = cache.lease(n).await;
        cache.fill(n, lease, record).await;
        for node in &cache.nodes {
            assert!(look_up(&**node, n).await == found(record), "record {n} is not what was filled in");
        }
    }
    assert_eq!(cache.nodes[0].health(), CacheHealth::Working);
}

#[doc(hidden)]
pub async fn one_reader_gets_the_lease_and_the_others_none(cache: FreshCache) {
    let lease = cache.lease(1).await;
    for _ in 0..3 {
        assert_eq!(cache.look_up(1).await, LookUp::Missing(None));
    }
    assert_ne!(cache.lease(2).await, lease, "each lease is its own");
}

#[doc(hidden)]
pub async fn what_was_invalidated_is_missing(cache: FreshCache) {
    for n in 0..100 {
        let lease = cache.lease(n).await;
        cache.fill(n, lease, b"old").await;
    }
    cache.invalidate(0..50).await;
    cache.invalidate([]).await;
    cache.invalidate([1_000]).await;
    for n in 0..50 {
        assert!(matches!(cache.look_up(n).await, LookUp::Missing(Some(_))), "record {n} is still there");
    }
    for n in 50..100 {
        assert_eq!(cache.look_up(n).await, found(b"old"), "record {n} was not invalidated");
    }
}

#[doc(hidden)]
pub async fn an_invalidation_beats_a_fill_that_was_under_way(cache: FreshCache) {
    let old = cache.lease(1).await;
    cache.invalidate([1]).await;
    cache.fill(1, old, b"old").await;
    let new = cache.lease(1).await;
    cache.fill(1, old, b"old").await;
    assert_eq!(cache.look_up(1).await, LookUp::Missing(None), "the old lease is not the new one's");
    cache.fill(1, new, b"new").await;
    cache.fill(1, old, b"old").await;
    assert_eq!(cache.look_up(1).await, found(b"new"));
}

#[doc(hidden)]
pub async fn a_lease_is_good_for_one_record_and_once(cache: FreshCache) {
    let (one, _two) = (cache.lease(1).await, cache.lease(2).await);
    cache.fill(2, one, b"one").await;
    assert_eq!(cache.look_up(2).await, LookUp::Missing(None));
    cache.fill(1, one, b"first").await;
    cache.fill(1, one, b"second").await;
    assert_eq!(cache.look_up(1).await, found(b"first"));
    cache.fill(3, one, b"never asked for").await;
    assert!(matches!(cache.look_up(3).await, LookUp::Missing(Some(_))));
}

#[doc(hidden)]
pub async fn what_is_too_long_is_not_kept(cache: FreshCache) {
    let lease = cache.lease(1).await;
    cache.fill(1, lease, &vec![0; MAX_RECORD_BYTES + 1]).await;
    assert!(matches!(cache.look_up(1).await, LookUp::Missing(_)));
}

/// A record that writers count up, and readers read through the cache.
#[derive(Default)]
struct Counted {
    /// What the store says.
    stored: AtomicU64,
    /// What was stored when an invalidation last returned: nothing older may be found from then on.
    floor: AtomicU64,
}

#[doc(hidden)]
pub async fn rivals_never_find_what_was_before_an_invalidation(cache: FreshCache) {
    const KEY: u128 = 1;
    let counted = Arc::new(Counted::default());
    let mut rivals = JoinSet::new();
    for rival in 0..8 {
        let (node, counted) = (Arc::clone(&cache.nodes[rival % 2]), Arc::clone(&counted));
        rivals.spawn(async move {
            let mut hits = 0_u32;
            for round in 0..600 {
                let floor = counted.floor.load(Ordering::SeqCst);
                match look_up(&*node, KEY).await {
                    LookUp::Found(record) => {
                        let read = u64::from_be_bytes(record.try_into().expect("eight bytes"));
                        assert!(read >= floor, "found {read} after {floor} was committed and invalidated");
                        hits += 1;
                    }
                    LookUp::Missing(lease) => {
                        let read = counted.stored.load(Ordering::SeqCst);
                        // The longer this takes, the more is committed meanwhile.
                        for _ in 0..round % 5 {
                            yield_now().await;
                        }
                        if let Some(lease) = lease {
                            node.fill(key(KEY), lease, &read.to_be_bytes()).await.expect("a cache that works");
                        }
                    }
                }
                if round % 20 == rival {
                    let committed = counted.stored.fetch_add(1, Ordering::SeqCst) + 1;
                    yield_now().await;
                    node.invalidate(&[key(KEY)]).await.expect("a cache that works");
                    counted.floor.fetch_max(committed, Ordering::SeqCst);
                }
            }
            hits
        });
    }
    let hits: u32 = rivals.join_all().await.into_iter().sum();
    assert!(hits > 0, "nothing was ever found: then nothing was tried");
}

fn outage(cache: &mut FreshCache) -> Box<dyn Outage> {
    cache.outage.take().expect("a cache that can fail: FreshCache::failing_with")
}

#[doc(hidden)]
pub async fn an_outage_fails_calls_fast_and_health_tells(mut cache: FreshCache) {
    let lease = cache.lease(1).await;
    let mut outage = outage(&mut cache);
    outage.begin().await;
    let node = &cache.nodes[0];
    node.look_up(key(1)).await.expect_err("nobody answers");
    for _ in 0..20 {
        let start = Instant::now();
        node.look_up(key(1)).await.expect_err("nobody answers");
        node.fill(key(1), lease, b"record").await.expect_err("nobody takes it");
        node.invalidate(&[key(1)]).await.expect_err("nobody hears it");
        assert!(start.elapsed() < FAST, "calls without the service took {:?}", start.elapsed());
        assert_eq!(node.health(), CacheHealth::Degraded);
        sleep(Duration::from_millis(50)).await;
    }
}

#[doc(hidden)]
pub async fn an_outage_ends_by_itself(mut cache: FreshCache) {
    let mut outage = outage(&mut cache);
    outage.begin().await;
    for node in &cache.nodes {
        node.look_up(key(1)).await.expect_err("nobody answers");
    }
    outage.end().await;
    let start = Instant::now();
    for node in &cache.nodes {
        while node.health() != CacheHealth::Working {
            assert!(start.elapsed() < PATIENCE, "it did not come back within {PATIENCE:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
    let lease = cache.lease(2).await;
    cache.fill(2, lease, b"record").await;
    assert_eq!(cache.look_up(2).await, found(b"record"));
}

/// Makes one test of each promise; see [`record_cache_contract`](crate::testkit::record_cache_contract).
#[macro_export]
macro_rules! record_cache_contract {
    ($fresh_cache:expr) => {
        $crate::__record_cache_promises! { record_cache_contract $fresh_cache =>
            what_was_filled_in_is_found_on_every_node
            one_reader_gets_the_lease_and_the_others_none
            what_was_invalidated_is_missing
            an_invalidation_beats_a_fill_that_was_under_way
            a_lease_is_good_for_one_record_and_once
            what_is_too_long_is_not_kept
            rivals_never_find_what_was_before_an_invalidation
        }
    };
    ($fresh_cache:expr, with outages) => {
        $crate::record_cache_contract! { $fresh_cache }
        $crate::__record_cache_promises! { record_cache_outages $fresh_cache =>
            an_outage_fails_calls_fast_and_health_tells
            an_outage_ends_by_itself
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __record_cache_promises {
    ($group:ident $fresh_cache:expr => $($promise:ident)*) => {
        mod $group {
            use super::*;

            $(#[test]
            fn $promise() {
                use $crate::testkit::{outage, record_cache_contract};
                outage::block_on(async { record_cache_contract::$promise($fresh_cache().await).await });
            })*
        }
    };
}
