//! Randomness, handed in, so that a test can replay what a use case drew.

use std::fmt;

/// A source of cryptographically secure random bytes.
///
/// # Security
/// Every identifier, secret and key of the library is drawn from here. A host that implements it must hand out
/// bytes of its operating system's generator (ASVS 11.5.1); the seeded one in `testkit` is for tests alone.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `buffer` with fresh random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The random generator of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        // SECURITY: without randomness nothing may be issued. Every caller would have to stop, so stop here.
        getrandom::fill(buffer).expect("the operating system has a random generator");
    }
}

/// Draws an array of `N` random bytes.
pub(crate) fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0_u8; N];
    entropy.fill(&mut bytes);
    bytes
}
