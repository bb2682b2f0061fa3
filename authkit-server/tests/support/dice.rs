//! Random moments that can be repeated.

use std::ops::Range;

use authkit_core::primitives::{Entropy as _, OsEntropy};

/// A seed that nobody chose.
pub(crate) fn random_seed() -> u64 {
    let mut seed = [0; 8];
    OsEntropy.fill(&mut seed);
    u64::from_be_bytes(seed)
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to pick moments, and the same on every machine.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of the range.
    pub(crate) fn between(&mut self, range: Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }

    /// An index of something with `len` elements.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.between(0..len as u64)).expect("less than a usize")
    }
}
