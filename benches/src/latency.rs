//! Latencies and their exact percentiles.

use std::time::Duration;

use crate::stopwatch;

/// Every latency of a run, in microseconds. Four bytes a request: a minute at 20,000 a second is 5 MB, so nothing is rounded
/// into buckets.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    micros: Vec<u32>,
    sorted: bool,
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.micros.push(stopwatch::micros(latency));
        self.sorted = false;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.micros.extend_from_slice(&other.micros);
        self.sorted = false;
    }

    /// How many were recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// Whether none was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }

    /// The latency, in microseconds, that `percent` of all do not exceed, by the nearest-rank method: always a latency that
    /// was measured. `None` when there is none.
    pub fn percentile(&mut self, percent: f64) -> Option<u32> {
        if !self.sorted {
            self.micros.sort_unstable();
            self.sorted = true;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank below 2^52, rounded up"
        )]
        let rank = (percent.clamp(0.0, 100.0) / 100.0 * self.micros.len() as f64).ceil() as usize;
        self.micros.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(n: u64) -> Latencies {
        let mut latencies = Latencies::default();
        (1..=n).rev().for_each(|micros| latencies.record(Duration::from_micros(micros)));
        latencies
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut hundred = one_to(100);
        assert_eq!(hundred.percentile(50.0), Some(50));
        assert_eq!(hundred.percentile(99.0), Some(99));
        assert_eq!(hundred.percentile(100.0), Some(100));
        assert_eq!(hundred.percentile(0.0), Some(1));
        assert_eq!(one_to(10).percentile(99.0), Some(10), "ten samples have no p99 below the greatest");
        assert_eq!(Latencies::default().percentile(50.0), None);
    }

    #[test]
    fn a_merge_after_a_percentile_is_sorted_again() {
        let mut latencies = one_to(3);
        assert_eq!(latencies.percentile(100.0), Some(3));
        let mut slow = Latencies::default();
        slow.record(Duration::from_micros(2));
        latencies.merge(&slow);
        assert_eq!(latencies.percentile(75.0), Some(2));
        assert_eq!(latencies.len(), 4);
    }
}
