//! How much is allowed, and what is said about it.

use std::time::Duration;

use crate::ports::rate_limiter::LimiterHealth;

use super::super::store_contract::{race, rounds};
use super::Limiters;
use super::trial::{HOUR, Trial, charge};

pub async fn exactly_the_burst_is_allowed_at_once(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    for round in 0..rounds().div_ceil(4) {
        let request = charge(&format!("account {round}"), 10, HOUR);
        let readings = race(1_000, |_| {
            let trial = trial.clone();
            async move { trial.charge_one(request).await }
        })
        .await;
        let mut left: Vec<u32> =
            readings.iter().filter(|reading| reading.is_allowed()).map(|reading| reading.remaining).collect();
        left.sort_unstable();
        assert_eq!(left, (0..10).collect::<Vec<u32>>(), "of 1000 at once, ten are allowed and each sees a different rest");
    }
}

pub async fn what_is_left_is_told(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 3, HOUR);
    let start = trial.under_test.now();
    for used in 1..=3 {
        let reading = trial.charge_one(request).await;
        let passed = trial.under_test.now() - start;
        assert!(reading.is_allowed(), "{reading:?}");
        assert_eq!(reading.remaining, 3 - used, "{reading:?}");
        let reset = HOUR * used;
        assert!(reading.reset_after <= reset && reading.reset_after + passed >= reset, "{reading:?} after {passed:?}");
    }
    let refused = trial.charge_one(request).await;
    let passed = trial.under_test.now() - start;
    assert_eq!(refused.remaining, 0, "{refused:?}");
    let wait = refused.retry_after.expect("a refusal says for how long");
    assert!(wait <= HOUR && wait + passed >= HOUR, "{refused:?} after {passed:?}");
    assert!(refused.reset_after <= 3 * HOUR && refused.reset_after + passed >= 3 * HOUR, "{refused:?} after {passed:?}");
}

pub async fn a_refusal_adds_no_debt(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 2, HOUR);
    trial.use_up(request).await;
    let mut before = Duration::MAX;
    for _ in 0..50 {
        let refused = trial.charge_one(request).await;
        let wait = refused.retry_after.expect("nothing comes back within an hour");
        assert!(wait <= before && refused.reset_after <= 2 * HOUR, "{refused:?} after a wait of {before:?}");
        before = wait;
    }
}

pub async fn no_charges_are_no_readings(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    assert!(trial.charge(&[]).await.is_empty());
}

pub async fn a_limiter_says_that_it_works(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    trial.charge_one(charge("account", 1, HOUR)).await;
    assert_eq!(trial.node().health(), LimiterHealth::Working);
}
