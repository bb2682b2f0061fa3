//! What the hash alone gives: the number that login throughput is held against.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use authkit_core::config::Argon2Params;

use crate::stopwatch::now;

/// How many cores there are; as many threads hash.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// One thread's way to hash a password.
pub trait Hasher: Send {
    /// Hashes one password.
    fn hash(&mut self);
}

/// The `argon2` crate and nothing else, in one block of memory that is used again: the fastest that the crate goes.
#[derive(Debug)]
pub struct BareArgon2 {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl BareArgon2 {
    /// A hasher at the cost that the server has.
    pub fn new(params: Argon2Params) -> Result<Self, argon2::Error> {
        let params = Params::new(params.memory_kib, params.iterations, params.parallelism, Some(Params::DEFAULT_OUTPUT_LEN))?;
        let memory = vec![Block::new(); params.block_count()];
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), memory })
    }
}

impl Hasher for BareArgon2 {
    fn hash(&mut self) {
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        self.argon2
            .hash_password_into_with_memory(crate::account::PASSWORD.as_bytes(), b"a salt of 16 by.", &mut out, &mut self.memory)
            .expect("the lengths are constants that argon2 takes");
        std::hint::black_box(out);
    }
}

/// Hashes per second over all `hashers`, each on a thread of its own. Blocks for `window` and two hashes.
#[must_use]
pub fn per_second<H: Hasher>(hashers: Vec<H>, window: Duration) -> f64 {
    thread::scope(|scope| {
        let threads: Vec<_> = hashers.into_iter().map(|hasher| scope.spawn(move || one(hasher, window))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
    })
}

/// The rate of one thread: whole hashes over exactly the time that they took, so that a short window does not round.
fn one(mut hasher: impl Hasher, window: Duration) -> f64 {
    // The first hash touches the memory for the first time.
    hasher.hash();
    let start = now();
    let mut done = 0_u32;
    loop {
        hasher.hash();
        done += 1;
        let elapsed = start.elapsed();
        if elapsed >= window {
            return f64::from(done) / elapsed.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nap;

    impl Hasher for Nap {
        fn hash(&mut self) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_rates_of_the_threads_add_up() {
        let rate = per_second(vec![Nap, Nap, Nap], Duration::from_millis(100));
        assert!(rate > 3.0 && rate <= 300.0, "three threads at 10 ms give at most 300 a second: {rate}");
    }

    #[test]
    fn the_bare_hasher_takes_every_cost_that_the_settings_offer() {
        for params in [Argon2Params::OWASP, Argon2Params::SMALL_HOST, Argon2Params::RFC_9106_SECOND] {
            assert_eq!(BareArgon2::new(params).expect("a valid cost").memory.len(), params.memory_kib as usize);
        }
    }
}
