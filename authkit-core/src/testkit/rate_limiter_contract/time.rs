//! What comes back, and when. The limiter may live in real time on a slow machine, so every bound counts what has passed.

use std::time::Duration;

use super::Limiters;
use super::trial::{Trial, charge};

/// How many units have come back at most in a time.
fn came_back(passed: Duration, interval: Duration) -> u32 {
    u32::try_from(passed.as_micros() / interval.as_micros()).expect("a check takes seconds")
}

pub async fn one_more_is_allowed_after_the_time_that_was_told(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 2, Duration::from_millis(200));
    for round in 0..4 {
        let (_, refused) = trial.use_up(request).await;
        trial.under_test.pass(refused.retry_after.expect("a refusal says for how long")).await;
        let reading = trial.charge_one(request).await;
        assert!(reading.is_allowed(), "round {round}: {reading:?} after a wait as told by {refused:?}");
    }
}

pub async fn no_more_is_allowed_than_burst_and_time_give(limiters: Limiters) {
    const INTERVAL: Duration = Duration::from_millis(100);
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 5, INTERVAL);
    let start = trial.under_test.now();
    let mut allowed = 0;
    for _ in 0..60 {
        allowed += u32::from(trial.charge_one(request).await.is_allowed());
        allowed += u32::from(trial.charge_one(request).await.is_allowed());
        trial.under_test.pass(Duration::from_millis(20)).await;
    }
    let passed = trial.under_test.now() - start;
    let most = 5 + came_back(passed, INTERVAL);
    assert!(allowed <= most, "{allowed} instead of {most} in {passed:?}");
    assert!(allowed >= 5 + 10, "{allowed} in {passed:?}: time gives it back one by one");
}

pub async fn an_idle_bucket_holds_its_burst_and_no_more(limiters: Limiters) {
    const INTERVAL: Duration = Duration::from_millis(50);
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 3, INTERVAL);
    for _ in 0..3 {
        let start = trial.under_test.now();
        let (allowed, _) = trial.use_up(request).await;
        let most = 3 + came_back(trial.under_test.now() - start, INTERVAL);
        assert!((3..=most).contains(&allowed), "{allowed} instead of 3 to {most}");
        trial.under_test.pass(INTERVAL * 10).await;
    }
}

pub async fn no_window_gives_a_second_burst(limiters: Limiters) {
    const INTERVAL: Duration = Duration::from_millis(60);
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 5, INTERVAL);
    // Used up at every point of a window that there might be, and looked at again a little later.
    for phase in 0..7 {
        let start = trial.under_test.now();
        let mut allowed = trial.use_up(request).await.0;
        for _ in 0..2 {
            trial.under_test.pass(INTERVAL).await;
            allowed += trial.use_up(request).await.0;
        }
        let most = 5 + came_back(trial.under_test.now() - start, INTERVAL);
        assert!(allowed <= most, "phase {phase}: {allowed} instead of {most}");
        trial.under_test.pass(INTERVAL * 5 + Duration::from_millis(20) * phase).await;
    }
}

pub async fn hammering_keeps_no_bucket_shut(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let request = charge("account", 1, Duration::from_secs(2));
    let (_, first) = trial.use_up(request).await;
    for _ in 0..20 {
        trial.charge_one(request).await;
    }
    // Not the wait that the last one was told: that one would be longer where refusals are charged.
    trial.under_test.pass(first.retry_after.expect("a refusal says for how long")).await;
    let reading = trial.charge_one(request).await;
    assert!(reading.is_allowed(), "{reading:?}");
}

pub async fn what_is_full_again_is_forgotten(limiters: Limiters) {
    const INTERVAL: Duration = Duration::from_millis(500);
    let trial = Trial::begin(&limiters).await;
    for number in 0..100 {
        let request = charge(&format!("account {number}"), 2, INTERVAL);
        trial.charge_one(request).await;
        if number % 2 == 0 {
            // Used up and refused: that is no reason to remember it any longer.
            trial.use_up(request).await;
        }
    }
    assert!(trial.under_test.buckets().await > 0, "what owes is remembered");
    trial.under_test.pass(2 * INTERVAL).await;
    // Who sweeps in the background may take a while to have done so.
    for _ in 0..100 {
        if trial.under_test.buckets().await == 0 {
            return;
        }
        trial.under_test.pass(Duration::from_millis(50)).await;
    }
    panic!("{} buckets are still there", trial.under_test.buckets().await);
}
