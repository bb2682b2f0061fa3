//! Records that all nodes read and invalidate together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::Entropy;
use authkit_core::ports::record_cache::{
    CacheError, CacheHealth, Lease, LookUp, MAX_RECORD_AGE, MAX_RECORD_BYTES, RecordCache, RecordKey,
};
use redis::Value;

use crate::connections::{Call, RedisConnections};
use crate::error::CommandError;
use crate::script::Script;

/// How long a reader may take to read the store.
const LEASE_TIME: Duration = Duration::from_secs(5);

/// A key holds `V` and a record, or `L` and the lease of the reader that may fill it in.
const LOOK_UP: &str = "
local held = redis.call('GET', KEYS[1])
if not held then
  redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])
  return 'L'
end
if string.sub(held, 1, 1) == 'V' then
  return held
end
return ''
";
const FILL: &str = "
if redis.call('GET', KEYS[1]) == 'L' .. ARGV[1] then
  redis.call('SET', KEYS[1], 'V' .. ARGV[2], 'PX', ARGV[3])
end
return ''
";
const INVALIDATE: &str = "return redis.call('DEL', KEYS[1])";

/// Keeps records in Redis, for all nodes together.
///
/// A record is one key with one value, which is gone after 30 seconds at the latest; a lease is another value under the same key,
/// gone after five. Each step is one script on one key, so that a fill happens exactly while its lease is there. An invalidation
/// deletes the key, whichever of the two it holds.
///
/// **When Redis is away**, hangs, is full or refuses, a call fails: once after the operation limit, 75 ms, and from then on at
/// once, and the library reads the store. A Redis that has forgotten everything has forgotten the leases too: nothing is filled in
/// that was read before. A Redis that is set back, by a failover to a replica that lagged or a restore, may show for 30 seconds
/// what was invalidated; nothing is decided on that.
///
/// # Security
/// What is in Redis is personal data in plain text: the email address, the name and the language of whoever looked at her own
/// profile within the last 30 seconds. No password, no hash and no token is. Redis must not be public, and writes its memory to
/// disk unless it is told not to (`save ""`, `appendonly no`).
#[derive(Clone)]
pub struct RedisRecordCache {
    connections: RedisConnections,
    entropy: Arc<dyn Entropy>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    look_up: Script,
    fill: Script,
    invalidate: Script,
}

impl RedisRecordCache {
    /// Keeps records over these connections.
    #[must_use]
    pub fn new(connections: &RedisConnections) -> Self {
        let scripts = Scripts { look_up: Script::new(LOOK_UP), fill: Script::new(FILL), invalidate: Script::new(INVALIDATE) };
        Self { connections: connections.clone(), entropy: connections.entropy(), scripts: Arc::new(scripts) }
    }
}

#[async_trait]
impl RecordCache for RedisRecordCache {
    async fn look_up(&self, key: RecordKey) -> Result<LookUp, CacheError> {
        let mut lease = [0; 16];
        self.entropy.fill(&mut lease);
        let lease = Lease(u128::from_be_bytes(lease));
        match self.connections.call(&self.scripts.look_up, call(key, vec![shown(lease), millis(LEASE_TIME)])).await {
            Ok(Value::BulkString(held)) => match held.split_first() {
                None => Ok(LookUp::Missing(None)),
                Some((b'L', [])) => Ok(LookUp::Missing(Some(lease))),
                Some((b'V', record)) => Ok(LookUp::Found(record.to_vec())),
                Some(_) => Err(failed(CommandError::Unexpected)),
            },
            Ok(_) => Err(failed(CommandError::Unexpected)),
            Err(error) => Err(failed(error)),
        }
    }

    async fn fill(&self, key: RecordKey, lease: Lease, record: &[u8]) -> Result<(), CacheError> {
        if record.len() > MAX_RECORD_BYTES {
            return Ok(());
        }
        let args = vec![shown(lease), record.to_vec(), millis(MAX_RECORD_AGE)];
        self.connections.call(&self.scripts.fill, call(key, args)).await.map(drop).map_err(failed)
    }

    async fn invalidate(&self, keys: &[RecordKey]) -> Result<(), CacheError> {
        let calls = keys.iter().map(|key| call(*key, Vec::new())).collect();
        let answers = self.connections.call_each(&self.scripts.invalidate, calls).await;
        answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(failed))
    }

    fn health(&self) -> CacheHealth {
        if self.connections.is_usable() { CacheHealth::Working } else { CacheHealth::Degraded }
    }
}

impl fmt::Debug for RedisRecordCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRecordCache").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The braces are a hash tag: in a cluster the slot of the key is that of what is between them.
fn call(key: RecordKey, args: Vec<Vec<u8>>) -> Call {
    Call { keys: vec![format!("authkit:record:{{{key}}}")], args }
}

fn shown(lease: Lease) -> Vec<u8> {
    format!("{:032x}", lease.0).into_bytes()
}

fn millis(time: Duration) -> Vec<u8> {
    time.as_millis().to_string().into_bytes()
}

fn failed(error: CommandError) -> CacheError {
    CacheError(Box::new(error))
}
