//! Promises about the outbox.

use std::time::Duration;

use crate::model::{MessageKind, OutboxChange, OutboxMessage, OutboxState, UserChange};
use crate::ports::store::Conflict;
use crate::primitives::Sealed;

use super::Stores;
use super::trial::Trial;
use super::view::{limit, messages};

async fn keep(trial: &Trial, message: OutboxMessage) -> OutboxMessage {
    trial.apply(OutboxChange::Enqueue(Box::new(message.clone()))).await;
    message
}

async fn fresh(trial: &Trial) -> OutboxMessage {
    let message = trial.fixtures.message(trial.fixtures.user().id);
    keep(trial, message).await
}

async fn read(trial: &Trial, message: &OutboxMessage) -> Option<OutboxMessage> {
    trial.store.outbox_message(message.id).await.expect("a message is read")
}

/// Takes messages for a minute.
async fn claim(trial: &Trial, limit: u32) -> Vec<OutboxMessage> {
    let at = trial.now();
    let claim = OutboxChange::Claim { at, lease_until: at + Duration::from_mins(1), limit };
    let mut claimed = trial.apply(claim).await.claimed;
    claimed.sort_by_key(|message| message.id);
    claimed
}

pub async fn a_message_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for &kind in MessageKind::ALL {
        let about = OutboxMessage { kind, ..trial.fixtures.message(trial.user().await.id) };
        let payload = Some(Sealed::from_bytes((0..=255).cycle().take(70_000).collect()));
        let nobodys = OutboxMessage { user_id: None, payload, ..trial.fixtures.message(trial.fixtures.user().id) };
        for message in [about, nobodys] {
            keep(&trial, message.clone()).await;
            assert_eq!(read(&trial, &message).await, Some(message));
        }
    }
    assert_eq!(read(&trial, &trial.fixtures.message(trial.fixtures.user().id)).await, None);
}

pub async fn a_message_begins_as_one_that_waits(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = trial.fixtures.message(trial.fixtures.user().id);
    let (state, finished_at) = (OutboxState::Dead, Some(trial.now()));
    let posed = OutboxMessage { state, finished_at, attempts: 9, last_error: Some("old".into()), ..message.clone() };
    keep(&trial, posed).await;
    assert_eq!(read(&trial, &message).await, Some(message));
}

pub async fn a_message_id_is_taken_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = fresh(&trial).await;
    let rival = OutboxMessage { id: message.id, ..trial.fixtures.message(trial.fixtures.user().id) };
    trial.refuse_one(OutboxChange::Enqueue(Box::new(rival)), Conflict::DuplicateId).await;
}

pub async fn a_claim_takes_what_is_due_the_longest_due_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut kept = Vec::new();
    for minutes in [3, 1, 4, 2, 0] {
        let due_at = trial.now() + Duration::from_micros(1) - Duration::from_mins(minutes);
        kept.push(keep(&trial, OutboxMessage { due_at, ..trial.fixtures.message(trial.fixtures.user().id) }).await);
    }
    let lease_until = trial.now() + Duration::from_mins(1);
    let taken = |index: usize| OutboxMessage { attempts: 1, due_at: lease_until, ..kept[index].clone() };
    let sorted = |mut expected: Vec<OutboxMessage>| {
        expected.sort_by_key(|message| message.id);
        expected
    };
    assert_eq!(claim(&trial, 2).await, sorted(vec![taken(0), taken(2)]));
    assert_eq!(claim(&trial, 9).await, sorted(vec![taken(1), taken(3)]), "what is due a tick later is not taken");
    assert_eq!(claim(&trial, 9).await, []);
    assert_eq!(read(&trial, &kept[0]).await, Some(taken(0)));
    trial.fixtures.clock().advance(Duration::from_mins(1));
    let again = claim(&trial, 9).await;
    assert_eq!(again.iter().map(|message| message.attempts).collect::<Vec<_>>().iter().sum::<u32>(), 9, "the leases have ended");
}

pub async fn what_was_delivered_is_forgotten(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = fresh(&trial).await;
    let (id, at) = (message.id, trial.now());
    trial.refuse_one(OutboxChange::Deliver { id, attempt: 1, at }, Conflict::MessageMoved).await;
    let claimed = claim(&trial, 1).await.remove(0);
    trial.apply(OutboxChange::Deliver { id, attempt: 1, at }).await;
    let (state, finished_at) = (OutboxState::Delivered, Some(at));
    assert_eq!(read(&trial, &message).await, Some(OutboxMessage { state, finished_at, payload: None, ..claimed }));
    trial.fixtures.clock().advance(Duration::from_hours(1));
    assert_eq!(claim(&trial, 9).await, []);
}

pub async fn a_worker_whose_lease_ran_out_has_no_say(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = fresh(&trial).await;
    claim(&trial, 1).await;
    trial.fixtures.clock().advance(Duration::from_mins(1));
    claim(&trial, 1).await;
    let (id, at, error) = (message.id, trial.now(), "late".to_owned());
    let settled = |attempt| {
        [
            OutboxChange::Deliver { id, attempt, at },
            OutboxChange::Defer { id, attempt, due_at: at, error: error.clone() },
            OutboxChange::Bury { id, attempt, at, error: error.clone() },
            OutboxChange::Expire { id, attempt, at },
        ]
    };
    for change in settled(1).into_iter().chain(settled(3)) {
        trial.refuse_one(change, Conflict::MessageMoved).await;
    }
    trial.apply(OutboxChange::Expire { id, attempt: 2, at }).await;
    let read = read(&trial, &message).await.expect("it is there");
    assert_eq!((read.state, read.payload, read.finished_at), (OutboxState::Expired, None, Some(at)));
    for change in settled(2) {
        trial.refuse_one(change, Conflict::MessageMoved).await;
    }
}

pub async fn a_message_that_failed_is_due_again(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = fresh(&trial).await;
    let claimed = claim(&trial, 1).await.remove(0);
    let due_at = trial.now() + Duration::from_secs(5);
    trial.apply(OutboxChange::Defer { id: message.id, attempt: 1, due_at, error: "greylisted €".into() }).await;
    let waits = OutboxMessage { due_at, last_error: Some("greylisted €".into()), ..claimed };
    assert_eq!(read(&trial, &message).await, Some(waits.clone()));
    assert_eq!(claim(&trial, 1).await, []);
    trial.fixtures.clock().advance(Duration::from_secs(5));
    let due_at = trial.now() + Duration::from_mins(1);
    assert_eq!(claim(&trial, 1).await, [OutboxMessage { attempts: 2, due_at, ..waits }]);
}

pub async fn a_message_that_was_given_up_can_be_tried_again_while_it_is_true(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let message = fresh(&trial).await;
    let (id, at) = (message.id, trial.now());
    trial.refuse_one(OutboxChange::Retry { id, at }, Conflict::MessageMoved).await;
    let claimed = claim(&trial, 1).await.remove(0);
    trial.refuse_one(OutboxChange::Retry { id, at }, Conflict::MessageMoved).await;
    trial.apply(OutboxChange::Bury { id, attempt: 1, at, error: "no such mailbox".into() }).await;
    let (state, finished_at, last_error) = (OutboxState::Dead, Some(at), Some("no such mailbox".to_owned()));
    assert_eq!(
        read(&trial, &message).await,
        Some(OutboxMessage { state, finished_at, last_error: last_error.clone(), ..claimed })
    );
    trial.refuse_one(OutboxChange::Retry { id, at: message.expires_at }, Conflict::MessageMoved).await;
    let at = at + Duration::from_mins(5);
    trial.apply(OutboxChange::Retry { id, at }).await;
    assert_eq!(read(&trial, &message).await, Some(OutboxMessage { due_at: at, last_error, ..message }));
}

pub async fn a_message_can_be_discarded_in_every_state(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (waiting, dead) = (fresh(&trial).await, fresh(&trial).await);
    claim(&trial, 2).await;
    trial.apply(OutboxChange::Bury { id: dead.id, attempt: 1, at: trial.now(), error: String::new() }).await;
    for message in [waiting, dead] {
        trial.apply(OutboxChange::Discard { id: message.id }).await;
        assert_eq!(read(&trial, &message).await, None);
        trial.refuse_one(OutboxChange::Discard { id: message.id }, Conflict::MessageMoved).await;
    }
}

pub async fn messages_of_a_state_come_in_pages_the_greatest_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut dead = Vec::new();
    for _ in 0..5 {
        dead.push(fresh(&trial).await.id);
    }
    claim(&trial, 9).await;
    for id in &dead {
        trial.apply(OutboxChange::Bury { id: *id, attempt: 1, at: trial.now(), error: String::new() }).await;
    }
    fresh(&trial).await;
    dead.sort();
    dead.reverse();
    for size in [1, 2, 4, 5, 200] {
        let read = messages(&*trial.store, OutboxState::Dead, limit(size)).await;
        assert_eq!(read.iter().map(|message| message.id).collect::<Vec<_>>(), dead, "pages of {size}");
    }
    assert_eq!(messages(&*trial.store, OutboxState::Pending, limit(9)).await.len(), 1);
    assert_eq!(messages(&*trial.store, OutboxState::Delivered, limit(9)).await, []);
}

pub async fn messages_go_with_the_account_and_the_farewell_stays(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let before = keep(&trial, trial.fixtures.message(user.id)).await;
    let (stranger, farewell) = (fresh(&trial).await, trial.fixtures.message(user.id));
    trial
        .commit(
            crate::model::ChangeSet::new()
                .and(UserChange::Close { id: user.id, at: trial.now() })
                .and(OutboxChange::Enqueue(Box::new(farewell.clone()))),
        )
        .await;
    assert_eq!(read(&trial, &before).await, None);
    assert!(read(&trial, &stranger).await.is_some() && read(&trial, &farewell).await.is_some());
}

pub async fn finished_messages_are_purged_and_no_others(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        kept.push(fresh(&trial).await);
    }
    claim(&trial, 9).await;
    for (hours, message) in (0..3).zip(&kept) {
        let at = trial.now() + Duration::from_hours(hours);
        trial.apply(OutboxChange::Deliver { id: message.id, attempt: 1, at }).await;
    }
    let purge = OutboxChange::Purge { finished_before: trial.now() + Duration::from_hours(2), limit: 1 };
    for purged in [1, 1, 0] {
        assert_eq!(trial.apply(purge.clone()).await.purged, purged);
    }
    for (index, message) in kept.iter().enumerate() {
        assert_eq!(read(&trial, message).await.is_some(), index >= 2, "message {index}");
    }
}
