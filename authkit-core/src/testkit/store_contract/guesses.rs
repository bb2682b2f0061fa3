//! Promises about the counts of wrong guesses.

use std::time::Duration;

use crate::model::{ChangeSet, GuessChange, GuessSubject, Guesses, LoginState};
use crate::ports::store::Conflict;

use super::Stores;
use super::trial::{Trial, attempt, race, rounds};

async fn read(trial: &Trial, subject: GuessSubject) -> Option<Guesses> {
    trial.store.guesses(subject).await.expect("guesses are read")
}

pub async fn guesses_are_counted_one_by_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (one, other) = (trial.fixtures.guess_subject(), trial.fixtures.guess_subject());
    assert_eq!(read(&trial, one).await, None);
    for failures in 1..=3 {
        // Also backwards: the instant is the last guess's, whatever the clocks of two nodes say.
        let at = trial.now() - Duration::from_secs(failures.into());
        trial.apply(GuessChange::Count { subject: one, at }).await;
        assert_eq!(read(&trial, one).await, Some(Guesses { failures, last_at: at }));
    }
    assert_eq!(read(&trial, other).await, None, "another subject is counted apart");
    // Twice in one set, and the second sees the first.
    let twice = GuessChange::Count { subject: other, at: trial.now() };
    trial.commit(ChangeSet::new().and(twice.clone()).and(twice)).await;
    assert_eq!(read(&trial, other).await, Some(Guesses { failures: 2, last_at: trial.now() }));
}

pub async fn guesses_are_read_beside_the_account_or_nobody(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, closed, nobody) = (trial.user().await, trial.closed_user().await, trial.fixtures.user());
    let (subject, device) = (trial.fixtures.guess_subject(), trial.fixtures.guess_subject());
    trial.apply(GuessChange::Count { subject, at: trial.now() }).await;
    trial.commit((0..2).map(|_| GuessChange::Count { subject: device, at: trial.now() }.into()).collect()).await;
    let count = |failures| Some(Guesses { failures, last_at: trial.now() });
    for someone in [&user, &closed, &nobody] {
        let credentials = trial.store.credentials_by_email(&someone.email).await.expect("reads");
        assert_eq!(credentials.is_some(), someone.id == user.id);
        let by_email = |device| trial.store.login_by_email(&someone.email, subject, device);
        let expected = LoginState { credentials, guesses: count(1), device_guesses: None };
        assert_eq!(by_email(None).await.expect("reads"), expected);
        let expected = LoginState { device_guesses: count(2), ..expected };
        assert_eq!(by_email(Some(device)).await.expect("reads"), expected);
        let by_id = trial.store.login_by_id(someone.id, subject).await.expect("reads");
        assert_eq!(by_id, LoginState { device_guesses: None, ..expected });
        let unguessed = trial.fixtures.guess_subject();
        let fresh = trial.store.login_by_email(&someone.email, unguessed, Some(unguessed)).await.expect("reads");
        assert_eq!(fresh, LoginState { guesses: None, device_guesses: None, ..by_id });
    }
}

pub async fn a_guess_is_reserved_only_from_the_count_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (subject, at) = (trial.fixtures.guess_subject(), trial.now());
    let later = at + Duration::from_secs(1);
    let reserve = |failures, last_at| GuessChange::Reserve { subject, from: Guesses { failures, last_at }, at: later };
    trial.refuse_one(reserve(0, at), Conflict::GuessesChanged).await;
    trial.apply(GuessChange::Count { subject, at }).await;
    for stale in [reserve(0, at), reserve(2, at), reserve(1, later), reserve(1, at - Duration::from_micros(1))] {
        trial.refuse_one(stale, Conflict::GuessesChanged).await;
    }
    trial.apply(reserve(1, at)).await;
    assert_eq!(read(&trial, subject).await, Some(Guesses { failures: 2, last_at: later }));
    trial.refuse_one(reserve(1, at), Conflict::GuessesChanged).await;
}

pub async fn a_count_is_forgotten_if_there_is_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (subject, other, at) = (trial.fixtures.guess_subject(), trial.fixtures.guess_subject(), trial.now());
    trial.apply(GuessChange::Forget { subject }).await;
    trial.commit(ChangeSet::new().and(GuessChange::Count { subject, at }).and(GuessChange::Count { subject: other, at })).await;
    trial.apply(GuessChange::Forget { subject }).await;
    assert_eq!(read(&trial, subject).await, None);
    assert_eq!(read(&trial, other).await, Some(Guesses { failures: 1, last_at: at }));
    trial.apply(GuessChange::Count { subject, at }).await;
    assert_eq!(read(&trial, subject).await, Some(Guesses { failures: 1, last_at: at }), "the next one is the first again");
}

pub async fn old_counts_are_purged_and_high_ones_stay(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (at, tick) = (trial.now(), Duration::from_micros(1));
    let counted = async |failures: u32, last_at| {
        let subject = trial.fixtures.guess_subject();
        trial.commit((0..failures).map(|_| GuessChange::Count { subject, at: last_at }.into()).collect()).await;
        subject
    };
    let (old, older) = (counted(1, at - tick).await, counted(2, at - tick - tick).await);
    let kept = [counted(3, at - tick).await, counted(1, at).await, counted(4, at + tick).await];
    let purge = |limit| GuessChange::Purge { last_before: at, below: 3, limit };
    assert_eq!(trial.apply(purge(1)).await.purged, 1, "no more than the limit");
    assert_eq!(trial.apply(purge(10)).await.purged, 1);
    assert_eq!(trial.apply(purge(10)).await.purged, 0);
    for (subject, stays) in [(old, false), (older, false), (kept[0], true), (kept[1], true), (kept[2], true)] {
        assert_eq!(read(&trial, subject).await.is_some(), stays);
    }
}

pub async fn no_guess_among_rivals_is_lost(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (subject, at) = (trial.fixtures.guess_subject(), trial.now());
        race(32, |_| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(trial.fixtures.user().id));
            // With the event of the failure behind it, as a flow commits it.
            let changes = ChangeSet::new().and(GuessChange::Count { subject, at }).and(event);
            async move { attempt(store, changes).await.expect("it has no guard") }
        })
        .await;
        assert_eq!(read(&trial, subject).await, Some(Guesses { failures: 32, last_at: at }));
    }
}

pub async fn one_of_many_reserves_the_guess(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (subject, at) = (trial.fixtures.guess_subject(), trial.now());
        trial.apply(GuessChange::Count { subject, at }).await;
        let from = Guesses { failures: 1, last_at: at };
        let results = race(32, |_| {
            let store = trial.store.share();
            async move { attempt(store, ChangeSet::new().and(GuessChange::Reserve { subject, from, at })).await }
        })
        .await;
        let let_through = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(let_through, 1, "of all who have read the same count one is let through");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|conflict| *conflict == Conflict::GuessesChanged));
        assert_eq!(read(&trial, subject).await, Some(Guesses { failures: 2, last_at: at }));
    }
}
