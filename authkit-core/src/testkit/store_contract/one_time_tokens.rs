//! Promises about one-time tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser, User, UserChange, UserStatus};
use crate::ports::store::Conflict;

use super::Stores;
use super::trial::Trial;

async fn keep(trial: &Trial, user: &User, purpose: OneTimePurpose) -> OneTimeToken {
    let token = trial.fixtures.one_time_token(user, purpose);
    trial.apply(OneTimeTokenChange::Insert(Box::new(token.clone()))).await;
    token
}

/// The change that uses a token up as it stands.
pub(super) fn consume(token: &OneTimeToken) -> OneTimeTokenChange {
    OneTimeTokenChange::Consume { id: token.id, purpose: token.purpose, secret: token.secret, at: token.created_at }
}

async fn read(trial: &Trial, token: &OneTimeToken) -> Option<OneTimeTokenWithUser> {
    trial.store.one_time_token(token.id, token.purpose).await.expect("a token is read")
}

pub async fn a_token_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for &purpose in OneTimePurpose::ALL {
        let full = trial.fixtures.one_time_token(&user, purpose);
        let bare = OneTimeToken { address: None, data: BTreeMap::new(), auth_epoch: u32::MAX, attempts_left: 0, ..full.clone() };
        let bare = OneTimeToken { id: trial.fixtures.one_time_token(&user, purpose).id, ..bare };
        for token in [full, bare] {
            trial.apply(OneTimeTokenChange::Insert(Box::new(token.clone()))).await;
            let found = read(&trial, &token).await.expect("it is there");
            let spelling = |token: &OneTimeToken| token.address.as_ref().map(|address| address.spelling().to_owned());
            assert_eq!(spelling(&found.token), spelling(&token));
            assert_eq!(found, OneTimeTokenWithUser { token, user: user.clone() });
        }
    }
}

pub async fn a_token_is_read_for_its_own_purpose_alone(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for &purpose in OneTimePurpose::ALL {
        let token = keep(&trial, &user, purpose).await;
        for &asked in OneTimePurpose::ALL {
            let found = trial.store.one_time_token(token.id, asked).await.expect("reads");
            assert_eq!(found.is_some(), asked == purpose, "{purpose:?} read as {asked:?}");
        }
    }
}

pub async fn a_token_needs_an_account_that_is_open(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    keep(&trial, &suspended, OneTimePurpose::VerifyEmail).await;
    for user in [trial.fixtures.user(), trial.closed_user().await] {
        let token = trial.fixtures.one_time_token(&user, OneTimePurpose::VerifyEmail);
        trial.refuse_one(OneTimeTokenChange::Insert(Box::new(token)), Conflict::UserChanged).await;
    }
}

pub async fn a_token_id_is_taken_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let token = keep(&trial, &user, OneTimePurpose::MagicLink).await;
    let rival = OneTimeToken { id: token.id, ..trial.fixtures.one_time_token(&user, OneTimePurpose::VerifyEmail) };
    trial.refuse_one(OneTimeTokenChange::Insert(Box::new(rival)), Conflict::DuplicateId).await;
}

pub async fn a_token_is_used_up_by_what_it_is_and_for_what_it_is(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let token = keep(&trial, &user, OneTimePurpose::ResetPassword).await;
    let other = keep(&trial, &user, OneTimePurpose::ResetPassword).await;
    for &purpose in OneTimePurpose::ALL {
        if purpose != token.purpose {
            trial.refuse_one(consume(&OneTimeToken { purpose, ..token.clone() }), Conflict::TokenGone).await;
        }
    }
    trial.refuse_one(consume(&OneTimeToken { secret: other.secret, ..token.clone() }), Conflict::TokenGone).await;
    trial.refuse_one(consume(&OneTimeToken { id: other.id, ..token.clone() }), Conflict::TokenGone).await;
    trial.apply(consume(&token)).await;
    assert_eq!(read(&trial, &token).await, None);
    trial.refuse_one(consume(&token), Conflict::TokenGone).await;
    assert!(read(&trial, &other).await.is_some(), "and no other");
}

pub async fn an_expired_token_is_good_for_nothing(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let token = keep(&trial, &user, OneTimePurpose::MagicLink).await;
    let (id, purpose, secret) = (token.id, token.purpose, token.secret);
    for late in [Duration::ZERO, Duration::from_micros(1)] {
        let at = token.expires_at + late;
        trial.refuse_one(OneTimeTokenChange::Consume { id, purpose, secret, at }, Conflict::TokenGone).await;
        trial.refuse_one(OneTimeTokenChange::SpendAttempt { id, purpose, at }, Conflict::TokenGone).await;
    }
    let at = token.expires_at - Duration::from_micros(1);
    trial.apply(OneTimeTokenChange::SpendAttempt { id, purpose, at }).await;
    trial.apply(OneTimeTokenChange::Consume { id, purpose, secret, at }).await;
}

pub async fn every_guess_is_paid_for_until_none_is_left(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let token = keep(&trial, &user, OneTimePurpose::MagicLink).await;
    let spend = |purpose| OneTimeTokenChange::SpendAttempt { id: token.id, purpose, at: trial.now() };
    trial.refuse_one(spend(OneTimePurpose::VerifyEmail), Conflict::TokenGone).await;
    for left in (0..5).rev() {
        trial.apply(spend(token.purpose)).await;
        assert_eq!(read(&trial, &token).await.map(|found| found.token.attempts_left), Some(left));
    }
    trial.refuse_one(spend(token.purpose), Conflict::TokenGone).await;
    // The last guess that was paid for may be right.
    trial.apply(consume(&token)).await;
}

pub async fn tokens_of_an_account_are_revoked_by_purpose_or_all(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let purposes = [OneTimePurpose::MagicLink, OneTimePurpose::ResetPassword, OneTimePurpose::MagicLink];
    let mut own = Vec::new();
    for purpose in purposes {
        own.push(keep(&trial, &user, purpose).await);
    }
    let spared = keep(&trial, &other, OneTimePurpose::MagicLink).await;
    for (purpose, left) in [(Some(OneTimePurpose::MagicLink), [false, true, false]), (None, [false; 3]), (None, [false; 3])] {
        trial.apply(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose }).await;
        for (token, left) in own.iter().zip(left) {
            assert_eq!(read(&trial, token).await.is_some(), left, "{token:?} after {purpose:?}");
        }
    }
    assert!(read(&trial, &spared).await.is_some(), "somebody else's stay");
}

pub async fn tokens_go_with_their_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let (token, spared) =
        (keep(&trial, &user, OneTimePurpose::MagicLink).await, keep(&trial, &other, OneTimePurpose::MagicLink).await);
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    assert_eq!(read(&trial, &token).await, None);
    trial.refuse_one(consume(&token), Conflict::TokenGone).await;
    assert!(read(&trial, &spared).await.is_some());
}

pub async fn expired_tokens_are_purged_and_no_others(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let mut kept = Vec::new();
    for hours in 0..5 {
        let end = trial.now() + Duration::from_hours(hours);
        let token = OneTimeToken { expires_at: end, ..trial.fixtures.one_time_token(&user, OneTimePurpose::MagicLink) };
        trial.apply(OneTimeTokenChange::Insert(Box::new(token.clone()))).await;
        kept.push(token);
    }
    let purge = OneTimeTokenChange::Purge { expired_before: trial.now() + Duration::from_hours(3), limit: 2 };
    for purged in [2, 1, 0] {
        assert_eq!(trial.apply(purge.clone()).await.purged, purged);
    }
    for (index, token) in kept.iter().enumerate() {
        assert_eq!(read(&trial, token).await.is_some(), index >= 3, "the one of hour {index}");
    }
}
