//! The one place of this crate that reads a clock.

use std::time::{Duration, Instant};

/// The present instant of the monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures durations; nothing here decides by the time of day")]
pub fn now() -> Instant {
    Instant::now()
}

/// A duration in whole microseconds, as histograms keep it; it saturates after 71 minutes.
#[must_use]
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
