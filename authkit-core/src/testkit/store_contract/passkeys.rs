//! Promises about passkeys and their challenges.

use std::time::Duration;

use crate::model::{
    ChangeSet, CredentialChange, CredentialId, Passkey, PasskeyChallenge, PasskeyChange, PasskeyWithUser, User, UserChange,
    UserStatus,
};
use crate::ports::store::Conflict;
use crate::primitives::PasskeyName;

use super::Stores;
use super::trial::{Trial, attempt, race, rounds};

const ROOM: u32 = 10;

fn insert(user: &User, passkey: &Passkey, at_most: u32) -> PasskeyChange {
    PasskeyChange::Insert { passkey: Box::new(passkey.clone()), auth_epoch: user.auth_epoch, at_most }
}

async fn keep(trial: &Trial, user: &User) -> Passkey {
    let passkey = trial.fixtures.passkey(user.id);
    trial.apply(insert(user, &passkey, ROOM)).await;
    passkey
}

async fn of(trial: &Trial, user: &User) -> Vec<Passkey> {
    trial.store.passkeys(user.id).await.expect("passkeys are read")
}

async fn read(trial: &Trial, passkey: &Passkey) -> Option<PasskeyWithUser> {
    trial.store.passkey_by_credential(&passkey.credential_id).await.expect("a passkey is read")
}

async fn give_password(trial: &Trial, user: &User) {
    let hash = trial.fixtures.password_hash();
    trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash, at: trial.now() }).await;
}

pub async fn a_passkey_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let full = keep(&trial, &user).await;
    let bare = Passkey {
        credential_id: CredentialId::from_stored(vec![0; CredentialId::MAX_BYTES]),
        sign_count: u32::MAX,
        backup_eligible: false,
        backed_up: false,
        transports: [].into(),
        last_used_at: None,
        ..trial.fixtures.passkey(user.id)
    };
    trial.apply(insert(&user, &bare, ROOM)).await;
    for passkey in [&full, &bare] {
        let expected = PasskeyWithUser { passkey: passkey.clone(), user: user.clone() };
        assert_eq!(read(&trial, passkey).await, Some(expected));
    }
    let mut both = vec![full.clone(), bare];
    both.sort_by_key(|passkey| passkey.id);
    assert_eq!(of(&trial, &user).await, both, "the least id first");
    assert_eq!(of(&trial, &other).await, [], "of another account");
    assert_eq!(read(&trial, &trial.fixtures.passkey(user.id)).await, None, "one that nobody has");
    let longer = [full.credential_id.as_bytes(), &[0]].concat();
    let longer = Passkey { credential_id: CredentialId::from_stored(longer), ..full };
    assert_eq!(read(&trial, &longer).await, None, "every byte counts");
}

pub async fn a_passkey_needs_an_active_account_of_the_same_epoch(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { auth_epoch: 4, ..trial.fixtures.user() }).await;
    for stale in [3, 5] {
        let stale = User { auth_epoch: stale, ..user.clone() };
        trial.refuse_one(insert(&stale, &trial.fixtures.passkey(user.id), ROOM), Conflict::UserChanged).await;
    }
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for absent in [suspended, trial.closed_user().await, trial.fixtures.user()] {
        trial.refuse_one(insert(&absent, &trial.fixtures.passkey(absent.id), ROOM), Conflict::UserChanged).await;
    }
    keep(&trial, &user).await;
}

pub async fn no_two_passkeys_are_called_the_same(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let passkey = keep(&trial, &user).await;
    for owner in [&user, &other] {
        let called_alike = Passkey { credential_id: passkey.credential_id.clone(), ..trial.fixtures.passkey(owner.id) };
        let named_alike = Passkey { id: passkey.id, ..trial.fixtures.passkey(owner.id) };
        for rival in [called_alike, named_alike] {
            // Also where there would be no room for it.
            for at_most in [ROOM, 1] {
                trial.refuse_one(insert(owner, &rival, at_most), Conflict::PasskeyTaken).await;
            }
        }
    }
    for _ in 0..rounds() {
        let name = trial.fixtures.passkey(user.id).credential_id;
        let owners = [trial.user().await, trial.user().await];
        let results = race(16, |rival| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            let owner = &owners[rival % 2];
            let rival = Passkey { credential_id: name.clone(), ..trial.fixtures.passkey(owner.id) };
            let changes = ChangeSet::new().and(event).and(insert(owner, &rival, ROOM));
            attempt(store, changes)
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    }
}

pub async fn no_account_gets_more_passkeys_than_it_may_have(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    trial.refuse_one(insert(&user, &trial.fixtures.passkey(user.id), 0), Conflict::PasskeyLimit).await;
    for at_most in 1..=2 {
        trial.apply(insert(&user, &trial.fixtures.passkey(user.id), at_most)).await;
        trial.refuse_one(insert(&user, &trial.fixtures.passkey(user.id), at_most), Conflict::PasskeyLimit).await;
    }
    let other = trial.user().await;
    trial.apply(insert(&other, &trial.fixtures.passkey(other.id), 1)).await;
    for _ in 0..rounds() {
        let user = trial.user().await;
        let results = race(16, |_| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            let changes = ChangeSet::new().and(event).and(insert(&user, &trial.fixtures.passkey(user.id), 3));
            attempt(store, changes)
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3, "{results:?}");
        assert_eq!(of(&trial, &user).await.len(), 3);
    }
}

pub async fn a_use_is_recorded_from_the_counter_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let (passkey, other) = (keep(&trial, &user).await, keep(&trial, &user).await);
    let at = trial.now() + Duration::from_secs(1);
    let record = |from, sign_count, backed_up| PasskeyChange::Use { id: passkey.id, from, sign_count, backed_up, at };
    for stale in [0, passkey.sign_count - 1, passkey.sign_count + 1] {
        trial.refuse_one(record(stale, 9, true), Conflict::PasskeyUsed).await;
    }
    let id = trial.fixtures.passkey(user.id).id;
    trial.refuse_one(PasskeyChange::Use { id, from: 0, sign_count: 1, backed_up: true, at }, Conflict::PasskeyUsed).await;
    trial.apply(record(passkey.sign_count, u32::MAX, false)).await;
    let expected = Passkey { sign_count: u32::MAX, backed_up: false, last_used_at: Some(at), ..passkey.clone() };
    assert_eq!(read(&trial, &passkey).await.map(|found| found.passkey), Some(expected));
    assert_eq!(read(&trial, &other).await.map(|found| found.passkey), Some(other), "and no other");
}

pub async fn one_of_many_uses_of_a_counter_is_recorded(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let user = trial.user().await;
        let passkey = keep(&trial, &user).await;
        let (id, from, at) = (passkey.id, passkey.sign_count, trial.now());
        let results = race(16, |_| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            let record = PasskeyChange::Use { id, from, sign_count: from + 1, backed_up: true, at };
            attempt(store, ChangeSet::new().and(event).and(record))
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    }
}

pub async fn a_passkey_is_renamed_by_its_owner(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let (passkey, foreign) = (keep(&trial, &user).await, keep(&trial, &other).await);
    let name = PasskeyName::from_stored("Das „Büro“".to_owned());
    for id in [foreign.id, trial.fixtures.passkey(user.id).id] {
        let rename = PasskeyChange::Rename { id, user_id: user.id, name: name.clone() };
        trial.refuse_one(rename, Conflict::PasskeyGone).await;
    }
    trial.apply(PasskeyChange::Rename { id: passkey.id, user_id: user.id, name: name.clone() }).await;
    assert_eq!(of(&trial, &user).await, [Passkey { name, ..passkey }]);
}

pub async fn the_last_way_in_stays(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let (first, second) = (keep(&trial, &user).await, keep(&trial, &user).await);
    let foreign = keep(&trial, &other).await;
    let delete = |id| PasskeyChange::Delete { id, user_id: user.id };
    for id in [foreign.id, trial.fixtures.passkey(user.id).id] {
        trial.refuse_one(delete(id), Conflict::PasskeyGone).await;
    }
    trial.apply(delete(first.id)).await;
    trial.refuse_one(delete(first.id), Conflict::PasskeyGone).await;
    // The passkey and the password of somebody else are no way in.
    give_password(&trial, &other).await;
    trial.refuse_one(delete(second.id), Conflict::LastWayIn).await;
    give_password(&trial, &user).await;
    trial.apply(delete(second.id)).await;
    assert_eq!(of(&trial, &user).await, []);
    assert_eq!(of(&trial, &other).await, [foreign]);
    for absent in [trial.closed_user().await, trial.fixtures.user()] {
        let delete = PasskeyChange::Delete { id: first.id, user_id: absent.id };
        trial.refuse_one(delete, Conflict::PasskeyGone).await;
    }
}

pub async fn two_passkeys_cannot_take_each_other_away(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let user = trial.user().await;
        let both = [keep(&trial, &user).await, keep(&trial, &user).await];
        let results = race(2, |rival| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            let delete = PasskeyChange::Delete { id: both[rival].id, user_id: user.id };
            attempt(store, ChangeSet::new().and(event).and(delete))
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(of(&trial, &user).await.len(), 1, "somebody has to be able to log in");
    }
}

pub async fn passkeys_are_forgotten_with_their_account_or_by_name(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let (first, second, spared) = (keep(&trial, &user).await, keep(&trial, &user).await, keep(&trial, &other).await);
    for _ in 0..2 {
        trial.apply(PasskeyChange::ForgetAllOf { user_id: user.id }).await;
        assert_eq!(of(&trial, &user).await, []);
    }
    // What an authenticator calls it is free again, and goes with its account for good.
    trial.apply(insert(&user, &first, ROOM)).await;
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    assert_eq!((read(&trial, &first).await, read(&trial, &second).await), (None, None));
    assert_eq!(of(&trial, &user).await, []);
    let heir = Passkey { user_id: other.id, ..first };
    trial.apply(insert(&other, &heir, ROOM)).await;
    let mut expected = vec![spared, heir];
    expected.sort_by_key(|passkey| passkey.id);
    assert_eq!(of(&trial, &other).await, expected);
}

fn answer(challenge: &PasskeyChallenge) -> PasskeyChange {
    let at = challenge.expires_at - Duration::from_micros(1);
    PasskeyChange::Answer { id: challenge.id, secret: challenge.secret, at }
}

async fn challenge(trial: &Trial) -> PasskeyChallenge {
    let challenge = trial.fixtures.passkey_challenge();
    trial.apply(PasskeyChange::Challenge(challenge.clone())).await;
    challenge
}

pub async fn a_challenge_is_answered_once_by_what_it_is(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (first, other) = (challenge(&trial).await, challenge(&trial).await);
    let taken = PasskeyChallenge { id: first.id, ..trial.fixtures.passkey_challenge() };
    trial.refuse_one(PasskeyChange::Challenge(taken), Conflict::DuplicateId).await;
    trial.refuse_one(answer(&PasskeyChallenge { secret: other.secret, ..first.clone() }), Conflict::TokenGone).await;
    trial.refuse_one(answer(&PasskeyChallenge { id: other.id, ..first.clone() }), Conflict::TokenGone).await;
    trial.refuse_one(answer(&trial.fixtures.passkey_challenge()), Conflict::TokenGone).await;
    trial.apply(answer(&first)).await;
    trial.refuse_one(answer(&first), Conflict::TokenGone).await;
    trial.apply(answer(&other)).await;
}

pub async fn a_challenge_that_expired_is_answered_by_nothing(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let challenge = challenge(&trial).await;
    let (id, secret) = (challenge.id, challenge.secret);
    for late in [Duration::ZERO, Duration::from_micros(1)] {
        let at = challenge.expires_at + late;
        trial.refuse_one(PasskeyChange::Answer { id, secret, at }, Conflict::TokenGone).await;
    }
    trial.apply(answer(&challenge)).await;
}

pub async fn one_of_many_answers_a_challenge(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for _ in 0..rounds() {
        let challenge = challenge(&trial).await;
        let results = race(64, |_| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            // The event comes first, so that a loser has written something before its guard fails.
            attempt(store, ChangeSet::new().and(event).and(answer(&challenge)))
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    }
}

pub async fn expired_challenges_are_purged_and_no_others(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut kept = Vec::new();
    for hours in 0..5 {
        let expires_at = trial.now() + Duration::from_hours(hours);
        let challenge = PasskeyChallenge { expires_at, ..trial.fixtures.passkey_challenge() };
        trial.apply(PasskeyChange::Challenge(challenge.clone())).await;
        kept.push(challenge);
    }
    let purge = PasskeyChange::PurgeChallenges { expired_before: trial.now() + Duration::from_hours(3), limit: 2 };
    for purged in [2, 1, 0] {
        assert_eq!(trial.apply(purge.clone()).await.purged, purged);
    }
    for (index, challenge) in kept.iter().enumerate() {
        if index >= 3 {
            trial.apply(answer(challenge)).await;
        } else {
            trial.refuse_one(answer(challenge), Conflict::TokenGone).await;
        }
    }
}
