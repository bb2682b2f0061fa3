//! What every check begins with: a fresh limiter, buckets to charge, and the word "charge".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::model::{LimitScope, Quota, Reading};
use crate::ports::rate_limiter::{BucketKey, Charge, RateLimiter};

use super::{LimiterUnderTest, Limiters};

/// Longer than any check runs, so that no time comes back while something is counted.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A fresh limiter under test.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) under_test: Arc<dyn LimiterUnderTest>,
    nodes: Arc<[Arc<dyn RateLimiter>]>,
    turn: Arc<AtomicUsize>,
}

impl Trial {
    pub(super) async fn begin(limiters: &Limiters) -> Self {
        let under_test = limiters.fresh().await;
        let nodes: Arc<[_]> = under_test.nodes().into();
        assert!(!nodes.is_empty(), "a limiter has at least one handle");
        Self { under_test, nodes, turn: Arc::default() }
    }

    /// The next node in turn: whatever is counted is counted by all of them together.
    pub(super) fn node(&self) -> Arc<dyn RateLimiter> {
        Arc::clone(&self.nodes[self.turn.fetch_add(1, Ordering::Relaxed) % self.nodes.len()])
    }

    /// Charges a request, and insists on an answer of the right form.
    pub(super) async fn charge(&self, charges: &[Charge]) -> Vec<Reading> {
        let readings = match self.node().charge(charges).await {
            Ok(readings) => readings,
            Err(error) => panic!("{error:?} for {charges:?}"),
        };
        let refused = readings.iter().position(|reading| !reading.is_allowed());
        let expected = refused.map_or(charges.len(), |index| index + 1);
        assert_eq!(readings.len(), expected, "a reading for each bucket up to the first that refuses, and not {readings:?}");
        for (reading, charge) in readings.iter().zip(charges) {
            assert_eq!(reading.limit, charge.quota.burst(), "{readings:?}");
        }
        readings
    }

    /// Charges a request to one bucket.
    pub(super) async fn charge_one(&self, charge: Charge) -> Reading {
        self.charge(&[charge]).await[0]
    }

    /// Charges requests to one bucket until it refuses; returns how many it allowed, and the refusal.
    pub(super) async fn use_up(&self, charge: Charge) -> (u32, Reading) {
        let mut allowed = 0;
        loop {
            let reading = self.charge_one(charge).await;
            if !reading.is_allowed() {
                return (allowed, reading);
            }
            allowed += 1;
            assert!(allowed <= 2 * charge.quota.burst() + 100, "{allowed} were allowed, and there is no end to it");
        }
    }
}

/// One request of a subject: an account in every check but those about scopes.
pub(super) fn charge(subject: &str, burst: u32, interval: Duration) -> Charge {
    charge_in(LimitScope::LoginAccount, subject, burst, interval)
}

pub(super) fn charge_in(scope: LimitScope, subject: &str, burst: u32, interval: Duration) -> Charge {
    Charge { key: BucketKey::new(scope, subject.as_bytes()), quota: Quota::of(burst, interval) }
}
