//! How long something took.

use std::time::{Duration, Instant};

/// A stopwatch that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "only durations are measured")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The median, the 99th percentile and the most of some durations.
pub(crate) fn spread(durations: &mut [Duration]) -> [Duration; 3] {
    durations.sort_unstable();
    let at = |percent: usize| durations[(durations.len() * percent / 100).min(durations.len() - 1)];
    [at(50), at(99), at(100)]
}
