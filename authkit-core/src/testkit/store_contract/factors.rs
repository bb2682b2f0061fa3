//! Promises about second factors.

use std::time::Duration;

use crate::model::{ChangeSet, FactorChange, FactorKind, FactorSet, Factors, User, UserChange, UserStatus};
use crate::ports::store::Conflict;
use crate::primitives::UserId;

use super::Stores;
use super::trial::{Trial, attempt, begin, race, rounds};

async fn read(trial: &Trial, user_id: UserId) -> Option<Factors> {
    trial.store.factors(user_id).await.expect("factors are read")
}

fn put(factors: &Factors) -> FactorChange {
    FactorChange::Put(Box::new(factors.clone()))
}

pub async fn factors_are_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    assert_eq!(read(&trial, user.id).await, None);
    let full = trial.fixtures.factors(user.id);
    trial.apply(put(&full)).await;
    let full = Factors { version: 1, ..full };
    assert_eq!(read(&trial, user.id).await, Some(full.clone()));
    let mut unused = full.clone();
    unused.totp.iter_mut().for_each(|totp| totp.last_step = None);
    unused.recovery.iter_mut().for_each(|recovery| recovery.digests.clear());
    unused.sent_codes.truncate(1);
    unused.trusted_devices.clear();
    let bare = Factors { version: 2, ..Factors::none_of(user.id) };
    for (version, next) in [(1, &unused), (2, &bare), (3, &Factors { version: 3, ..full.clone() })] {
        trial.apply(put(next)).await;
        assert_eq!(read(&trial, user.id).await, Some(Factors { version: version + 1, ..next.clone() }));
    }
    let other = trial.user().await;
    assert_eq!(read(&trial, other.id).await, None, "of another account");
}

pub async fn factors_are_written_only_as_they_were_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let factors = trial.fixtures.factors(user.id);
    trial.refuse_one(put(&Factors { version: 1, ..factors.clone() }), Conflict::FactorsChanged).await;
    trial.apply(put(&factors)).await;
    for stale in [0, 2] {
        trial.refuse_one(put(&Factors { version: stale, ..factors.clone() }), Conflict::FactorsChanged).await;
    }
    // Twice in one set, and the second sees the first.
    let (second, third) = (Factors { version: 1, ..factors.clone() }, Factors { version: 2, ..factors });
    trial.commit(ChangeSet::new().and(put(&second)).and(put(&third))).await;
    assert_eq!(read(&trial, user.id).await, Some(Factors { version: 3, ..third }));
}

pub async fn factors_are_those_of_an_account_that_is_there(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    trial.apply(put(&trial.fixtures.factors(suspended.id))).await;
    for absent in [trial.closed_user().await, trial.fixtures.user()] {
        trial.refuse_one(put(&trial.fixtures.factors(absent.id)), Conflict::UserChanged).await;
    }
    // Nothing is left of them when the account is closed, and nothing comes back.
    trial.apply(UserChange::Close { id: suspended.id, at: trial.now() }).await;
    assert_eq!(read(&trial, suspended.id).await, None);
    trial.refuse_one(put(&trial.fixtures.factors(suspended.id)), Conflict::UserChanged).await;
    let stale = Factors { version: 1, ..trial.fixtures.factors(suspended.id) };
    trial.refuse_one(put(&stale), Conflict::FactorsChanged).await;
}

pub async fn factors_are_forgotten_if_there_are_any(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    trial.apply(FactorChange::Forget { user_id: user.id }).await;
    let (factors, others) = (trial.fixtures.factors(user.id), trial.fixtures.factors(other.id));
    trial.commit(ChangeSet::new().and(put(&factors)).and(put(&others))).await;
    trial.apply(FactorChange::Forget { user_id: user.id }).await;
    assert_eq!(read(&trial, user.id).await, None);
    assert_eq!(read(&trial, other.id).await, Some(Factors { version: 1, ..others }));
    trial.apply(put(&factors)).await;
    assert_eq!(read(&trial, user.id).await, Some(Factors { version: 1, ..factors }));
}

pub async fn factors_in_force_are_set_from_the_epoch_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let both = FactorSet::NONE.with(FactorKind::Totp).with(FactorKind::Email);
    for status in [UserStatus::Active, UserStatus::Suspended] {
        let user = trial.keep_user(User { auth_epoch: 4, status, ..trial.fixtures.user() }).await;
        let at = trial.now() + Duration::from_secs(1);
        for stale in [3, 5] {
            let set = UserChange::SetSecondFactors { id: user.id, from: stale, to: both, at };
            trial.refuse_one(set, Conflict::UserChanged).await;
        }
        trial.apply(UserChange::SetSecondFactors { id: user.id, from: 4, to: both, at }).await;
        let changed = User { auth_epoch: 5, second_factors: both, version: user.version + 1, updated_at: at, ..user };
        assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(changed.clone()));
        trial.apply(UserChange::SetSecondFactors { id: user.id, from: 5, to: FactorSet::NONE, at }).await;
        let cleared = User { auth_epoch: 6, second_factors: FactorSet::NONE, version: changed.version + 1, ..changed };
        assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(cleared));
    }
    let kept = trial.keep_user(User { second_factors: both, ..trial.fixtures.user() }).await;
    assert_eq!(trial.store.user_by_id(kept.id).await.expect("reads"), Some(kept.clone()), "as it was inserted");
    let session = trial.session(&kept).await;
    let read = trial.read_session(&session).await.expect("a session");
    assert_eq!(read.user.second_factors, both, "wherever an account is read");
    assert_eq!(trial.rotate(&trial.fixtures.rotation(&session)).await.user.second_factors, both);
    for absent in [trial.closed_user().await, trial.fixtures.user()] {
        let set = UserChange::SetSecondFactors { id: absent.id, from: absent.auth_epoch, to: both, at: trial.now() };
        trial.refuse_one(set, Conflict::UserChanged).await;
    }
}

pub async fn one_of_many_writes_the_factors(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for round in 0..rounds() {
        let user = trial.user().await;
        // Half of the rounds race for the first row, and half for the next version of one.
        let version = round % 2;
        if version == 1 {
            trial.apply(put(&trial.fixtures.factors(user.id))).await;
        }
        let results = race(64, |_| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            let factors = Factors { version, ..trial.fixtures.factors(user.id) };
            async move { attempt(store, ChangeSet::new().and(FactorChange::Put(Box::new(factors))).and(event)).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "of all who have read the same version one writes");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|conflict| *conflict == Conflict::FactorsChanged));
        assert_eq!(read(&trial, user.id).await.map(|factors| factors.version), Some(version + 1));
    }
}

pub async fn one_of_many_changes_of_the_factors_in_force_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let results = race(16, |rival| {
            let store = trial.store.share();
            let kind = if rival % 2 == 0 { FactorKind::Totp } else { FactorKind::Email };
            let to = FactorSet::NONE.with(kind);
            let set = UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to, at };
            async move { attempt(store, ChangeSet::new().and(set)).await.map(|_| to) }
        })
        .await;
        let won: Vec<_> = results.iter().flatten().copied().collect();
        assert_eq!(won.len(), 1);
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|conflict| *conflict == Conflict::UserChanged));
        let read = trial.store.user_by_id(user.id).await.expect("reads").expect("the account");
        assert_eq!((read.auth_epoch, read.second_factors), (user.auth_epoch + 1, won[0]));
    }
}

pub async fn no_session_begins_on_the_factors_of_before(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let to = FactorSet::NONE.with(FactorKind::Totp);
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let results = race(9, |rival| {
            let (store, session) = (trial.store.share(), trial.fixtures.session(user.id));
            let change = ChangeSet::new();
            let change = if rival == 0 {
                change.and(UserChange::SetSecondFactors { id: user.id, from: user.auth_epoch, to, at })
            } else {
                change.and(begin(&user, &session))
            };
            let id = session.id;
            async move { (rival, id, attempt(store, change).await.map(drop)) }
        })
        .await;
        for (rival, id, result) in results {
            let begun = trial.store.session_by_id(id).await.expect("reads");
            assert_eq!(begun.is_some(), rival != 0 && result.is_ok());
            assert!(result.is_ok() || result == Err(Conflict::UserChanged), "{result:?}");
        }
        // Whatever came before, nothing comes after.
        trial.refuse_one(begin(&user, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    }
}
