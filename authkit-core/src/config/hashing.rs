//! Settings of the pool that hashes passwords.

use std::time::Duration;

/// Settings of the hashing pool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HashingConfig {
    /// How many threads hash; each holds its own block of memory. By default as many as there are cores: they run at low
    /// priority, so that they take only what the rest of the process leaves.
    pub threads: usize,
    /// How long a request may wait for its turn. What would wait longer is refused at once. Default 1 s.
    pub max_wait: Duration,
    /// The most memory that one hash may ask for, in KiB; a stored hash that asks for more is refused. Default 262,144 (256 MiB).
    pub max_memory_kib: u32,
}

impl Default for HashingConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            max_wait: Duration::from_secs(1),
            max_memory_kib: 262_144,
        }
    }
}
