//! Records of the store, kept closer for a moment.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::primitives::UserId;

/// The longest that a record is kept: how old an answer can be when an invalidation was lost, because a node died between its
/// commit and the invalidation, or could not reach the cache.
pub const MAX_RECORD_AGE: Duration = Duration::from_secs(30);
/// The longest record that is kept, in bytes. An account takes less than 2 KiB.
pub const MAX_RECORD_BYTES: usize = 16 * 1_024;

/// The cache could not answer.
#[derive(Debug, thiserror::Error)]
#[error("the record cache is unavailable")]
pub struct CacheError(#[source] pub Box<dyn Error + Send + Sync>);

/// How well a cache works right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheHealth {
    /// It answers.
    Working,
    /// It does not, and every read goes to the store.
    Degraded,
}

/// Names a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// An account, without its password.
    User(UserId),
}

/// `user:` and the id: a key for a store of texts.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{}", id.as_uuid()),
        }
    }
}

/// The right to fill in a record, given to one reader that missed it. An invalidation takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(pub u128);

/// What a cache says about a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookUp {
    /// Here it is, as it was filled in.
    Found(Vec<u8>),
    /// It is not here. With a lease, this reader may fill it in; without one, another reader is about to.
    Missing(Option<Lease>),
}

/// Keeps records of the store for a moment, so that reading one costs the store nothing. Whoever writes one runs
/// `authkit_core::record_cache_contract!` against it.
///
/// **An invalidation wins.** A reader that misses gets a lease, reads the store, and fills in what it read under that lease.
/// Whoever changes a record commits first and invalidates then, which takes the lease back as well: what was read before the
/// change cannot be filled in after the invalidation (the leases of memcache; Nishtala et al., *Scaling Memcache at Facebook*,
/// NSDI 2013). No record is kept longer than [`MAX_RECORD_AGE`], nor when it is longer than [`MAX_RECORD_BYTES`].
///
/// **When it is down** every read goes to the store, no use case fails, and the health endpoint says that the service is
/// degraded. A node whose invalidation failed reads nothing from the cache for [`MAX_RECORD_AGE`]; others may answer that long
/// with what was before. So nothing is decided on a record from here: logins, refreshes and guards read the store.
///
/// # Security
/// Records hold personal data, and no secrets: no password, no hash, no token. Whoever can write to the cache can make this
/// service show somebody other data about herself, and gets nobody in.
#[async_trait]
pub trait RecordCache: fmt::Debug + Send + Sync {
    /// Looks for a record; one round trip. It fails within 100 ms, or at once where it knows already.
    async fn look_up(&self, key: RecordKey) -> Result<LookUp, CacheError>;

    /// Fills in what the holder of a lease read from the store. When the lease is not good any more nothing happens.
    async fn fill(&self, key: RecordKey, lease: Lease, record: &[u8]) -> Result<(), CacheError>;

    /// Forgets records, and takes back the leases on them. When this returns, no look-up that begins afterwards, on any node,
    /// finds what was read from the store before.
    async fn invalidate(&self, keys: &[RecordKey]) -> Result<(), CacheError>;

    /// How well it works. It answers at once, from what the last calls have shown.
    fn health(&self) -> CacheHealth;
}
