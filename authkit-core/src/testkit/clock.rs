//! A clock that stands still until it is told to move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::primitives::{Clock, Timestamp};

/// A clock that stands still until it is told to move. Clones show the same time.
///
/// ```
/// use authkit_core::Clock;
/// use authkit_core::testkit::FrozenClock;
/// use std::time::Duration;
///
/// let clock = FrozenClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now() - start, Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct FrozenClock(Arc<AtomicI64>);

impl FrozenClock {
    /// Where every frozen clock starts: 2025-01-01T00:00:00.000001Z, so that a lost microsecond shows.
    pub const START: Timestamp = Timestamp::from_unix_micros(1_735_689_600_000_001);

    /// A clock at [`FrozenClock::START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(Self::START)
    }

    /// A clock at another instant.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(at.unix_micros())))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Moves to an instant, an earlier one included: clocks of machines do that too.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.unix_micros(), Ordering::SeqCst);
    }
}

impl Default for FrozenClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }
}
