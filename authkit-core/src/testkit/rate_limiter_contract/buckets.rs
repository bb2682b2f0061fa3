//! Which buckets a request is charged to.

use crate::model::{LimitScope, Reading};

use super::super::store_contract::{race, rounds};
use super::Limiters;
use super::trial::{HOUR, Trial, charge, charge_in};

pub async fn subjects_and_scopes_count_apart(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    for scope in LimitScope::ALL {
        for subject in ["jane@example.com", "Jane@example.com", "", "{tag}a", "{tag}b", "a\0b", "a:b", &"x".repeat(100_000)] {
            let (allowed, _) = trial.use_up(charge_in(scope, subject, 2, HOUR)).await;
            assert_eq!(allowed, 2, "{scope:?} {:?}", subject.chars().take(20).collect::<String>());
        }
    }
}

pub async fn a_refusal_spares_the_buckets_behind_it(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let address = charge_in(LimitScope::LoginAddress, "192.0.2.1", 1, HOUR);
    let account = charge("account", 5, HOUR);
    assert_eq!(trial.charge(&[address, account]).await.len(), 2);
    for _ in 0..10 {
        let refused = trial.charge(&[address, account]).await;
        assert!(refused.len() == 1 && !refused[0].is_allowed(), "{refused:?}");
    }
    let reading = trial.charge_one(account).await;
    assert_eq!(reading.remaining, 3, "an address that is used up cannot use up an account: {reading:?}");
}

pub async fn a_refusal_is_paid_for_by_the_buckets_in_front_of_it(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let address = charge_in(LimitScope::LoginAddress, "192.0.2.1", 4, HOUR);
    let account = charge("account", 1, HOUR);
    for left in (1..=3).rev() {
        let readings = trial.charge(&[address, account]).await;
        assert_eq!(readings[0].remaining, left, "the address pays, whatever the account says: {readings:?}");
        assert_eq!(readings[1].is_allowed(), left == 3, "{readings:?}");
    }
}

pub async fn rivals_from_a_used_up_address_spare_the_account(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    for round in 0..rounds().div_ceil(4) {
        let address = charge_in(LimitScope::LoginAddress, &format!("192.0.2.{round}"), 5, HOUR);
        let account = charge(&format!("account {round}"), 100, HOUR);
        let passed = race(200, |_| {
            let trial = trial.clone();
            async move { trial.charge(&[address, account]).await.iter().all(Reading::is_allowed) }
        })
        .await;
        assert_eq!(passed.into_iter().filter(|passed| *passed).count(), 5);
        let reading = trial.charge_one(account).await;
        assert_eq!(reading.remaining, 100 - 5 - 1, "the account was charged for the five: {reading:?}");
    }
}

pub async fn a_bucket_keeps_its_debt_when_its_quota_changes(limiters: Limiters) {
    let trial = Trial::begin(&limiters).await;
    let (large, small) = (charge("account", 10, HOUR), charge("account", 5, HOUR));
    for _ in 0..5 {
        assert!(trial.charge_one(large).await.is_allowed());
    }
    let refused = trial.charge_one(small).await;
    assert!(refused.retry_after.is_some_and(|wait| wait <= HOUR), "{refused:?}");
    assert_eq!(trial.charge_one(large).await.remaining, 4);
    assert_eq!(trial.use_up(large).await.0, 4);
    let refused = trial.charge_one(small).await;
    assert!(refused.retry_after.is_some_and(|wait| wait > 5 * HOUR && wait <= 6 * HOUR), "{refused:?}");
}
