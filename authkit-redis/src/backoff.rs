//! How long to wait before Redis is asked again.

use std::time::Duration;

use authkit_core::Entropy;

/// The longest wait before the second attempt.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait at all: how much later than Redis itself a node is back at most, beside one connect timeout.
const LAST: Duration = Duration::from_secs(2);

/// Waits that double up to a bound, each drawn from its upper half, so that the nodes of a cluster do not come back as one.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait is a short one again.
    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Draws the next wait.
    pub(crate) fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let mut byte = [0];
        entropy.fill(&mut byte);
        let half = self.next / 2;
        self.next = (self.next * 2).min(LAST);
        half + half * u32::from(byte[0]) / 255
    }
}

#[cfg(test)]
mod tests {
    use authkit_core::OsEntropy;

    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::new();
        for ceiling in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let wait = backoff.next(&OsEntropy);
            let ceiling = Duration::from_millis(ceiling);
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
        }
        backoff.reset();
        assert!(backoff.next(&OsEntropy) <= FIRST);
    }
}
