//! Randomness that can be replayed.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::primitives::Entropy;

/// The same bytes for the same seed, in every run. Clones draw from one stream.
///
/// # Security
/// Anybody who knows the seed knows every secret that was drawn: for tests alone.
#[derive(Debug, Clone)]
pub struct SeededEntropy(Arc<Mutex<Stream>>);

/// SHA-256 in counter mode.
#[derive(Debug)]
struct Stream {
    seed: u64,
    block: u64,
    unread: Vec<u8>,
}

impl SeededEntropy {
    /// The stream of a seed, from its start.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Stream { seed, block: 0, unread: Vec::new() })))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while stream.unread.len() < buffer.len() {
            let block = Sha256::new().chain_update(stream.seed.to_be_bytes()).chain_update(stream.block.to_be_bytes()).finalize();
            stream.unread.extend_from_slice(&block);
            stream.block += 1;
        }
        let drawn: Vec<u8> = stream.unread.drain(..buffer.len()).collect();
        buffer.copy_from_slice(&drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::entropy::random_bytes;

    #[test]
    fn a_seed_gives_one_stream_however_it_is_read() {
        let (whole, parts, other) = (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
        let expected: [u8; 100] = random_bytes(&whole);
        let mut read = Vec::new();
        for _ in 0..10 {
            read.extend_from_slice(&random_bytes::<10>(&parts.clone()));
        }
        assert_eq!(read, expected);
        assert_ne!(random_bytes::<100>(&other), expected);
    }
}
