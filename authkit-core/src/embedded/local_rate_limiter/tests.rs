//! What the contract cannot see: memory under a flood, and clocks that jump.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::model::{LimitScope, Quota};

/// A clock that shows what it is told to.
#[derive(Debug, Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    fn set(&self, at: Timestamp) {
        self.0.store(at.unix_micros(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }
}

const HOUR: Duration = Duration::from_hours(1);

fn charge(subject: &str, burst: u32, interval: Duration) -> Charge {
    Charge { key: BucketKey::new(LimitScope::LoginAccount, subject.as_bytes()), quota: Quota::of(burst, interval) }
}

fn limiter(capacity: usize) -> (LocalRateLimiter, Hands) {
    let clock = Hands::default();
    clock.set(Timestamp::from_unix_seconds(1_700_000_000));
    (LocalRateLimiter::with_capacity(Arc::new(clock.clone()), capacity), clock)
}

#[test]
fn a_flood_of_subjects_takes_bounded_memory_and_frees_nobody() {
    let (limiter, clock) = limiter(4_096);
    let victim = charge("victim", 3, HOUR);
    assert!((0..3).all(|_| limiter.charge_one(&victim).is_allowed()));
    for number in 0..200_000 {
        assert!(limiter.charge_one(&charge(&number.to_string(), 3, HOUR)).is_allowed());
        clock.advance(Duration::from_micros(10));
        if number % 1_000 == 0 {
            assert!(!limiter.charge_one(&victim).is_allowed(), "what is used up stays so, after {number} others");
            assert!(limiter.len() <= 4_096, "{}", limiter.len());
        }
    }
    // The newest of the flood are counted as well.
    assert_eq!(limiter.charge_one(&charge("199999", 3, HOUR)).remaining, 1);
    // Every one of these has used up its quota, and the next one is counted all the same.
    for number in 0..20_000 {
        let subject = charge(&format!("used-up-{number}"), 1, HOUR);
        assert!(limiter.charge_one(&subject).is_allowed() && !limiter.charge_one(&subject).is_allowed(), "{number}");
    }
    assert!(limiter.len() <= 4_096, "{}", limiter.len());
}

#[test]
fn what_is_full_again_makes_room_first() {
    let (limiter, clock) = limiter(1_024);
    let held = charge("held", 2, HOUR);
    assert!(limiter.charge_one(&held).is_allowed());
    for round in 0..50 {
        for number in 0..500 {
            assert!(limiter.charge_one(&charge(&format!("{round}-{number}"), 1, Duration::from_secs(1))).is_allowed());
        }
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(limiter.charge_one(&held).remaining, 0, "it is remembered while others that are full again are not");
    limiter.sweep();
    assert_eq!(limiter.len(), 1);
}

#[test]
fn a_clock_that_jumps_back_neither_locks_out_nor_lets_in() {
    let (limiter, clock) = limiter(1_024);
    let account = charge("account", 2, Duration::from_secs(10));
    assert!(limiter.charge_one(&account).is_allowed() && limiter.charge_one(&account).is_allowed());
    clock.set(clock.now() - 24 * HOUR);
    let refused = limiter.charge_one(&account);
    assert_eq!(refused.retry_after, Some(Duration::from_secs(10)), "neither a day more nor nothing");
    clock.advance(Duration::from_secs(10));
    assert!(limiter.charge_one(&account).is_allowed() && !limiter.charge_one(&account).is_allowed());
}

#[test]
fn a_clock_that_jumps_ahead_gives_a_burst_and_no_more() {
    let (limiter, clock) = limiter(1_024);
    let account = charge("account", 2, Duration::from_secs(10));
    for jump in [Duration::from_hours(24 * 3_653), Duration::MAX, Duration::MAX] {
        while limiter.charge_one(&account).is_allowed() {}
        clock.advance(jump);
        assert!(limiter.charge_one(&account).is_allowed() && limiter.charge_one(&account).is_allowed(), "{jump:?}");
        assert!(!limiter.charge_one(&account).is_allowed(), "{jump:?}");
        clock.set(Timestamp::from_unix_seconds(0));
        assert!(!limiter.charge_one(&account).is_allowed(), "nor does the way back give anything");
    }
}

#[test]
fn readings_of_many_threads_let_no_time_pass_twice() {
    let limiter = LocalRateLimiter::new(Arc::new(crate::primitives::SystemClock));
    let before = limiter.clock.now();
    // All of them are of one shard.
    let account = charge("account", 1, HOUR);
    assert!(limiter.charge_one(&account).is_allowed());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50_000).for_each(|_| assert!(!limiter.charge_one(&account).is_allowed())));
        }
    });
    let waits = limiter.charge_one(&account).retry_after.expect("an hour has not passed");
    let passed = limiter.clock.now() - before;
    assert!(waits + passed >= HOUR, "{waits:?} are left of an hour, and {passed:?} have passed");
}
