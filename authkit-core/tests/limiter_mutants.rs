//! The limiter contract can fail: limiters that are wrong on purpose, each the way a real one goes wrong, and the promise that
//! notices.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::{Quota, Reading};
use authkit_core::ports::{BucketKey, Charge, LimiterHealth, RateLimiter, RateLimiterError};
use authkit_core::testkit::FrozenClock;
use authkit_core::testkit::rate_limiter_contract::{LimiterUnderTest, Limiters, promises, run};
use authkit_core::{Clock, Timestamp};

/// What a limiter does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    Nothing,
    AllowsEverything,
    ChecksThenCharges,
    AllowsOneTooMany,
    CountsWindows,
    ChargesRefusals,
    ChargesBehindARefusal,
    ChargesNothingOfARefusal,
    AnswersForEveryBucket,
    SharesOneBucketAmongScopes,
    CutsSubjects,
    RoundsTheWaitDown,
    SaysTheWaitOfAFullBucket,
    MayOweLessThanNothing,
    ForgetsWhenTheFirstIsPaidOff,
    ForgetsTheDebtWithTheQuota,
    NeverForgets,
    RemembersRefusals,
    SaysThatItIsDegraded,
    RefusesAnEmptyRequest,
}

/// What one bucket owes, the plain way: an instant, signed so that a bug can put it into the past.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    charged_at: i64,
    full_at: i64,
    forget_at: i64,
    quota: Quota,
}

/// The smallest limiter that keeps the contract, with one bug in it.
struct Mutant {
    bug: Bug,
    clock: FrozenClock,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutant").field(&self.bug).finish()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("a check takes hours at most")
}

impl Mutant {
    fn now(&self) -> i64 {
        self.clock.now().unix_micros()
    }

    fn name(&self, key: &BucketKey) -> String {
        let name = key.to_string();
        match self.bug {
            Bug::SharesOneBucketAmongScopes => String::new(),
            Bug::CutsSubjects => name.split(':').next().expect("a scope").to_owned(),
            _ => name,
        }
    }

    /// What a bucket owes now.
    fn debt(&self, charge: &Charge) -> i64 {
        let now = self.now();
        let mut buckets = self.buckets.lock().expect("not poisoned");
        let name = self.name(&charge.key);
        let forgets = !matches!(self.bug, Bug::NeverForgets | Bug::MayOweLessThanNothing);
        if forgets && buckets.get(&name).is_some_and(|bucket| bucket.forget_at <= now) {
            buckets.remove(&name);
        }
        let Some(bucket) = buckets.get(&name) else { return 0 };
        match self.bug {
            Bug::ForgetsTheDebtWithTheQuota if bucket.quota != charge.quota => 0,
            Bug::MayOweLessThanNothing => bucket.full_at - now,
            // Nothing comes back within a window, and the whole of it at its end.
            Bug::CountsWindows => bucket.full_at - bucket.charged_at,
            _ => (bucket.full_at - now).max(0),
        }
    }

    fn read(&self, charge: &Charge, debt: i64) -> Reading {
        let quota = match self.bug {
            Bug::AllowsOneTooMany => Quota::new(charge.quota.burst() + 1, charge.quota.interval()).expect("a quota"),
            _ => charge.quota,
        };
        let mut reading = quota.charge(Duration::from_micros(u64::try_from(debt).unwrap_or(0)));
        reading.limit = charge.quota.burst();
        match self.bug {
            Bug::AllowsEverything => reading.retry_after = None,
            Bug::RoundsTheWaitDown => reading.retry_after = reading.retry_after.map(|wait| wait.mul_f64(0.95)),
            Bug::SaysTheWaitOfAFullBucket => reading.retry_after = reading.retry_after.map(|_| reading.reset_after),
            _ => {}
        }
        reading
    }

    fn keep(&self, charge: &Charge, debt_before: i64, reading: &Reading) {
        let now = self.now();
        let interval = micros(charge.quota.interval());
        let full_at = now + debt_before + interval;
        let mut buckets = self.buckets.lock().expect("not poisoned");
        let name = self.name(&charge.key);
        if !reading.is_allowed() {
            if self.bug == Bug::ChargesRefusals {
                buckets.entry(name).and_modify(|bucket| {
                    bucket.full_at = full_at;
                    bucket.forget_at = full_at;
                });
            } else if self.bug == Bug::RemembersRefusals {
                buckets.entry(name).and_modify(|bucket| bucket.forget_at = i64::MAX);
            }
            return;
        }
        let forget_at = match buckets.get(&name) {
            Some(bucket) if self.bug == Bug::ForgetsWhenTheFirstIsPaidOff => bucket.forget_at,
            _ if self.bug == Bug::CountsWindows => {
                let window = interval * i64::from(charge.quota.burst());
                (now / window + 1) * window
            }
            Some(bucket) if self.bug == Bug::RemembersRefusals => bucket.forget_at.max(full_at),
            _ => full_at,
        };
        buckets.insert(name, Bucket { charged_at: now, full_at, forget_at, quota: charge.quota });
    }

    async fn charge_one(&self, charge: &Charge) -> Reading {
        let debt = self.debt(charge);
        if self.bug == Bug::ChecksThenCharges {
            tokio::task::yield_now().await;
        }
        let reading = self.read(charge, debt);
        self.keep(charge, debt, &reading);
        reading
    }
}

#[async_trait]
impl RateLimiter for Mutant {
    async fn charge(&self, charges: &[Charge]) -> Result<Vec<Reading>, RateLimiterError> {
        static ATOMIC: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _turn = if self.bug == Bug::ChecksThenCharges { None } else { Some(ATOMIC.lock().await) };
        if charges.is_empty() && self.bug == Bug::RefusesAnEmptyRequest {
            return Err(RateLimiterError::new("nothing to charge"));
        }
        if self.bug == Bug::ChargesNothingOfARefusal {
            let readings: Vec<_> = charges.iter().map(|charge| self.read(charge, self.debt(charge))).collect();
            if let Some(refused) = readings.iter().position(|reading| !reading.is_allowed()) {
                return Ok(readings[..=refused].to_vec());
            }
        }
        let mut readings: Vec<Reading> = Vec::new();
        for charge in charges {
            let refused = readings.iter().any(|reading| !reading.is_allowed());
            if refused && !matches!(self.bug, Bug::ChargesBehindARefusal | Bug::AnswersForEveryBucket) {
                break;
            }
            let reading = self.charge_one(charge).await;
            if !refused || self.bug == Bug::AnswersForEveryBucket {
                readings.push(reading);
            }
        }
        Ok(readings)
    }

    fn health(&self) -> LimiterHealth {
        if self.bug == Bug::SaysThatItIsDegraded { LimiterHealth::Degraded } else { LimiterHealth::Working }
    }
}

struct Fresh(Arc<Mutant>);

#[async_trait]
impl LimiterUnderTest for Fresh {
    fn nodes(&self) -> Vec<Arc<dyn RateLimiter>> {
        vec![self.0.clone()]
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.0.clock.advance(time);
    }

    async fn buckets(&self) -> usize {
        let now = self.0.now();
        let buckets = self.0.buckets.lock().expect("not poisoned");
        buckets.values().filter(|bucket| bucket.forget_at > now || self.0.bug == Bug::NeverForgets).count()
    }
}

fn limiters(bug: Bug) -> Limiters {
    Limiters::new(move || async move { Fresh(Arc::new(Mutant { bug, clock: FrozenClock::new(), buckets: Mutex::default() })) })
}

/// Insists that a bug breaks a promise.
async fn breaks(bug: Bug, promise: &str) {
    let promise = promises().into_iter().find(|listed| listed.name == promise).expect("a promise of the contract");
    let noticed = run(&promise, &limiters(bug)).await.expect_err(&format!("{bug:?} went unnoticed by {}", promise.name));
    // For the reader of a log: a mutant must die of its bug, and not of something else.
    println!("{bug:?}: {}", noticed.chars().take(300).collect::<String>());
}

macro_rules! mutants {
    ($($bug:ident breaks $promise:ident;)*) => {
        mod mutant {
            $(#[expect(non_snake_case, reason = "named for the bug")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $bug() {
                super::breaks(super::Bug::$bug, stringify!($promise)).await;
            })*
        }
    };
}

mutants! {
    AllowsEverything breaks no_more_is_allowed_than_burst_and_time_give;
    ChecksThenCharges breaks exactly_the_burst_is_allowed_at_once;
    AllowsOneTooMany breaks what_is_left_is_told;
    CountsWindows breaks no_window_gives_a_second_burst;
    ChargesRefusals breaks hammering_keeps_no_bucket_shut;
    ChargesBehindARefusal breaks a_refusal_spares_the_buckets_behind_it;
    ChargesNothingOfARefusal breaks a_refusal_is_paid_for_by_the_buckets_in_front_of_it;
    AnswersForEveryBucket breaks a_refusal_spares_the_buckets_behind_it;
    SharesOneBucketAmongScopes breaks subjects_and_scopes_count_apart;
    CutsSubjects breaks subjects_and_scopes_count_apart;
    RoundsTheWaitDown breaks one_more_is_allowed_after_the_time_that_was_told;
    SaysTheWaitOfAFullBucket breaks what_is_left_is_told;
    MayOweLessThanNothing breaks an_idle_bucket_holds_its_burst_and_no_more;
    ForgetsWhenTheFirstIsPaidOff breaks no_more_is_allowed_than_burst_and_time_give;
    ForgetsTheDebtWithTheQuota breaks a_bucket_keeps_its_debt_when_its_quota_changes;
    NeverForgets breaks what_is_full_again_is_forgotten;
    RemembersRefusals breaks what_is_full_again_is_forgotten;
    SaysThatItIsDegraded breaks a_limiter_says_that_it_works;
    RefusesAnEmptyRequest breaks no_charges_are_no_readings;
}

/// Refusals that are charged are seen by what they say as well, where time cannot pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rivals_find_what_single_requests_find() {
    breaks(Bug::ChargesRefusals, "a_refusal_adds_no_debt").await;
    breaks(Bug::ChargesBehindARefusal, "rivals_from_a_used_up_address_spare_the_account").await;
    breaks(Bug::ChecksThenCharges, "rivals_from_a_used_up_address_spare_the_account").await;
}

/// Without a bug the mutant keeps every promise: what turns the others red is the bug and not the wrapper.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_mutant_without_a_bug_breaks_nothing() {
    for promise in promises() {
        run(&promise, &limiters(Bug::Nothing)).await.unwrap_or_else(|message| panic!("{}: {message}", promise.name));
    }
}
