//! Rate limits that all nodes count together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::{Quota, Reading};
use authkit_core::ports::{BucketKey, Charge, LimiterHealth, RateLimiter, RateLimiterError};
use redis::{FromRedisValue, Value};

use crate::connections::{Call, RedisConnections};
use crate::error::CommandError;
use crate::script::Script;

/// Counts requests in Redis, for all nodes together.
///
/// A bucket is one key with one number, what it owes, and the time of the Redis server that it was written at. A script reads
/// and writes it in one step, so that rivals on all nodes get exactly what there is, and every write says when the key is gone:
/// when it owes nothing any more. So no key stays for ever, and what is remembered are the buckets that are in use.
///
/// On one Redis all buckets of a request cost one round trip. In a cluster they are spread over the nodes, and charged one after
/// the other: a bucket may be charged only where those in front of it allow.
///
/// **When Redis is away**, hangs, is full or refuses, a call fails: once after the operation limit, 75 ms, and from then on at
/// once. The library goes on with a limiter of each node's own; nothing becomes unlimited, and [`health`](RateLimiter::health)
/// says `Degraded`. A Redis that has forgotten everything (`FLUSHALL`, a restart, eviction) gives every bucket its burst once more.
///
/// # Security
/// Keys are digests: no address and no email is in Redis. Whoever can write there can lift limits; it must not be public.
#[derive(Clone)]
pub struct RedisRateLimiter {
    connections: RedisConnections,
    script: Arc<Script>,
}

impl RedisRateLimiter {
    /// Counts over these connections.
    #[must_use]
    pub fn new(connections: &RedisConnections) -> Self {
        let script = Script::new(include_str!("rate_limiter.lua"));
        Self { connections: connections.clone(), script: Arc::new(script) }
    }

    /// Charges buckets that one script may touch.
    async fn charge_together(&self, charges: &[Charge]) -> Result<Vec<Reading>, CommandError> {
        let keys = charges.iter().map(|charge| key(&charge.key)).collect();
        let args = charges.iter().flat_map(|charge| [charge.quota.burst().to_string(), micros(charge.quota.interval())]);
        let call = Call { keys, args: args.map(String::into_bytes).collect() };
        let answer = self.connections.call(&self.script, call).await?;
        read(answer, charges).ok_or(CommandError::Unexpected)
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn charge(&self, charges: &[Charge]) -> Result<Vec<Reading>, RateLimiterError> {
        if charges.is_empty() {
            return Ok(Vec::new());
        }
        // A script of a cluster touches one slot.
        let together = if self.connections.is_cluster() { 1 } else { charges.len() };
        let mut readings = Vec::with_capacity(charges.len());
        for charges in charges.chunks(together) {
            readings.extend(self.charge_together(charges).await.map_err(RateLimiterError::new)?);
            if readings.last().is_some_and(|reading| !reading.is_allowed()) {
                break;
            }
        }
        Ok(readings)
    }

    fn health(&self) -> LimiterHealth {
        if self.connections.is_usable() { LimiterHealth::Working } else { LimiterHealth::Degraded }
    }
}

impl fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimiter").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The key of a bucket. The braces are a hash tag: in a cluster its slot is that of what is between them.
fn key(bucket: &BucketKey) -> String {
    format!("authkit:limit:{{{bucket}}}")
}

fn micros(time: Duration) -> String {
    time.as_micros().to_string()
}

/// What the buckets owed, as readings: the arithmetic is done once more by the model, and comes out as in the script.
fn read(answer: Value, charges: &[Charge]) -> Option<Vec<Reading>> {
    let owed = Vec::<u64>::from_redis_value(answer).ok()?;
    let debts = owed.iter().map(|owed| Duration::from_micros(*owed));
    let readings: Vec<Reading> =
        charges.iter().zip(debts).map(|(charge, debt)| whole_micros(charge.quota).charge(debt)).collect();
    let is_complete = readings.len() == charges.len() || readings.last().is_some_and(|reading| !reading.is_allowed());
    (owed.len() <= charges.len() && is_complete).then_some(readings)
}

/// The quota as the script counts it.
fn whole_micros(quota: Quota) -> Quota {
    let interval = Duration::from_micros(u64::try_from(quota.interval().as_micros()).unwrap_or(u64::MAX));
    Quota::new(quota.burst(), interval).unwrap_or(quota)
}
