//! Settings of the pool that hashes passwords.

use std::time::Duration;

/// Settings of the hashing pool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HashingConfig {
    /// How many threads hash; each holds its own block of memory. By default as many as there are cores: they run at low
    /// priority, so that they take only what the rest of the process leaves.
    pub threads: usize,
    /// How long a request may wait for its turn. What would wait longer by the pool's prediction is refused at once.
    ///
    /// Default 2 s. At 15 ms a hash on two cores that is room for some 260 logins at once, so that a burst of a few
    /// hundred people is served late instead of refused, and an answer still comes before a person gives up.
    pub max_wait: Duration,
    /// The most requests inside at once, whatever the prediction says: those that look up their account, wait or hash.
    /// It bounds memory where hashing is fast. Default 4,096: at most 4 MiB of passwords.
    pub max_admitted: usize,
    /// The most memory that one hash may ask for, in KiB; a stored hash that asks for more is refused. Default 262,144 (256 MiB).
    ///
    /// Stored hashes that ask for more than a new hash does run one at a time, so that the pool holds at most
    /// `threads` times the memory of a new hash, and this much once.
    pub max_memory_kib: u32,
}

impl Default for HashingConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            max_wait: Duration::from_secs(2),
            max_admitted: 4_096,
            max_memory_kib: 262_144,
        }
    }
}
