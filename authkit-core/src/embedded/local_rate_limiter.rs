//! The rate limiter of a single process.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::Reading;
use crate::ports::rate_limiter::{BucketKey, Charge, LimiterHealth, RateLimiter, RateLimiterError};
use crate::primitives::{Clock, Timestamp};

/// How many parts the buckets are kept in, each behind its own lock.
const SHARDS: usize = 16;
/// How many buckets are kept by default.
const DEFAULT_CAPACITY: usize = 65_536;
/// Below this a shard is not worth sweeping.
const LEAST_SWEEP: usize = 64;

/// Counts in the memory of one process, with a bound on it.
///
/// A bucket is kept while it owes something, in 25 bytes and their share of the table. A shard that has doubled since it was
/// last swept is swept of what is full again. At the cap the buckets that come next to being full make room: whoever has
/// just begun is forgotten before whoever is used up, and the new one is always counted. So a flood of made-up subjects
/// takes bounded memory, and it never turns into "no limit": to free one bucket that is used up, a flood has to use up tens
/// of thousands of others.
///
/// Time comes from the [`Clock`] and only ever grows: when the clock jumps back it stands still for that one reading and
/// goes on from there, so that no bucket stays shut for as long as the jump was; when the clock jumps ahead, each bucket
/// is at most full.
pub struct LocalRateLimiter {
    clock: Arc<dyn Clock>,
    /// SECURITY: keyed with a secret of this process, so that nobody can aim subjects at one shard.
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

impl LocalRateLimiter {
    /// A limiter of 65,536 buckets: about 4 MiB when it is full.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, DEFAULT_CAPACITY)
    }

    /// A limiter of at most about so many buckets, and at least a thousand.
    #[must_use]
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let (start, capacity) = (clock.now(), (capacity / SHARDS).max(LEAST_SWEEP));
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(start, capacity))).collect();
        Self { clock, hasher: RandomState::new(), shards }
    }

    /// How many buckets are kept. Some of them may be full again and wait to be swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).full_at.len()).sum()
    }

    /// Whether no bucket is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every bucket that is full again, which happens by itself where new ones come in.
    pub fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let now = shard.time.advance(self.clock.now());
            shard.sweep(now);
        }
    }

    /// Charges one request to one bucket.
    #[must_use]
    pub fn charge_one(&self, charge: &Charge) -> Reading {
        let index = usize::try_from(self.hasher.hash_one(charge.key) % SHARDS as u64).unwrap_or_default();
        let mut shard = lock(&self.shards[index]);
        // INVARIANT: the clock is read behind the lock, so that readings come in the order of the clock. An older one behind
        // a newer one would look like a jump back, and what passes next would be counted twice.
        let now = shard.time.advance(self.clock.now());
        shard.charge(charge, now)
    }

    /// Charges one request to its buckets, as [`RateLimiter::charge`] does.
    #[must_use]
    pub fn charge_all(&self, charges: &[Charge]) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(charges.len());
        for charge in charges {
            let reading = self.charge_one(charge);
            readings.push(reading);
            if !reading.is_allowed() {
                break;
            }
        }
        readings
    }
}

#[async_trait]
impl RateLimiter for LocalRateLimiter {
    async fn charge(&self, charges: &[Charge]) -> Result<Vec<Reading>, RateLimiterError> {
        Ok(self.charge_all(charges))
    }

    fn health(&self) -> LimiterHealth {
        LimiterHealth::Working
    }
}

impl fmt::Debug for LocalRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRateLimiter").field("buckets", &self.len()).finish_non_exhaustive()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Shard {
    time: SteadyTime,
    /// When each bucket is full again.
    full_at: HashMap<BucketKey, Duration>,
    capacity: usize,
    /// How many buckets call for a sweep.
    sweep_at: usize,
}

impl Shard {
    fn new(start: Timestamp, capacity: usize) -> Self {
        let time = SteadyTime { read: start, passed: Duration::ZERO };
        Self { time, full_at: HashMap::new(), capacity, sweep_at: LEAST_SWEEP }
    }

    fn charge(&mut self, charge: &Charge, now: Duration) -> Reading {
        let known = self.full_at.get_mut(&charge.key);
        let debt = known.as_deref().map_or(Duration::ZERO, |full_at| full_at.saturating_sub(now));
        let reading = charge.quota.charge(debt);
        if reading.is_allowed() {
            let full_at = now + reading.reset_after;
            if let Some(stands) = known {
                *stands = full_at;
            } else {
                self.make_room(now);
                self.full_at.insert(charge.key, full_at);
            }
        }
        reading
    }

    fn make_room(&mut self, now: Duration) {
        if self.full_at.len() < self.sweep_at {
            return;
        }
        self.sweep(now);
        if self.full_at.len() >= self.capacity {
            // An eighth at once, so that a flood pays for the look at all of them with many insertions.
            let mut instants: Vec<Duration> = self.full_at.values().copied().collect();
            let (_, &mut last, _) = instants.select_nth_unstable(self.capacity / 8);
            self.full_at.retain(|_, full_at| *full_at > last);
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.full_at.retain(|_, full_at| *full_at > now);
        self.sweep_at = (self.full_at.len() * 2).clamp(LEAST_SWEEP, self.capacity);
    }
}

/// Time that only ever grows, from a clock that may jump.
#[derive(Debug)]
struct SteadyTime {
    read: Timestamp,
    passed: Duration,
}

impl SteadyTime {
    fn advance(&mut self, now: Timestamp) -> Duration {
        // `since` is zero where the clock was set back, and a `Duration` holds millions of the longest jumps ahead.
        self.passed += now.since(self.read);
        self.read = now;
        self.passed
    }
}

#[cfg(test)]
#[path = "local_rate_limiter/tests.rs"]
mod tests;
