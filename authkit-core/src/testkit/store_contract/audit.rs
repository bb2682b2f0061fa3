//! Promises about the audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Actor, AuditAction, AuditChange, AuditEvent, Client, Outcome, SessionChange, UserChange};
use crate::ports::store::Conflict;
use crate::primitives::{AuditEventId, Cursor, PageRequest, UserAgent};

use super::Stores;
use super::trial::{Trial, begin};
use super::view::{events, limit};

pub async fn an_event_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.session(&user).await;
    let strange: BTreeMap<String, String> =
        [("", ""), ("reason", "größer als 1 €"), ("\u{1F511}", "\"quoted\" \\ back\nslash"), ("null", "null"), ("n", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let mut kept = vec![
        trial.fixtures.event(user.id),
        AuditEvent {
            actor: Actor::Anonymous,
            outcome: Outcome::Failure,
            subject: None,
            client: Client::default(),
            request_id: None,
            details: BTreeMap::new(),
            ..trial.fixtures.event(user.id)
        },
        AuditEvent {
            at: trial.now() + Duration::from_micros(1),
            actor: Actor::User(user.id, None),
            client: Client { ip: "192.0.2.1".parse().ok(), user_agent: UserAgent::from_header(&"\u{6f22}".repeat(256)) },
            request_id: "0123456789.-_abc".parse().ok(),
            details: strange,
            ..trial.fixtures.event(user.id)
        },
        AuditEvent { actor: Actor::User(user.id, Some(session.id)), ..trial.fixtures.event(user.id) },
        AuditEvent { actor: Actor::System, ..trial.fixtures.event(user.id) },
    ];
    let actions = [
        AuditAction::AccountRegistered,
        AuditAction::Login,
        AuditAction::Reauthentication,
        AuditAction::Logout,
        AuditAction::LogoutAll,
        AuditAction::SessionRevoked,
        AuditAction::RefreshTokenReused,
        AuditAction::ProfileChanged,
        AuditAction::PasswordChanged,
        AuditAction::AccountClosed,
        AuditAction::KeyCreated,
    ];
    kept.extend(actions.map(|action| AuditEvent { action, ..trial.fixtures.event(user.id) }));
    for event in &kept {
        trial.apply(event.clone()).await;
    }
    kept.sort_by_key(|event| std::cmp::Reverse(event.id));
    assert_eq!(events(&*trial.store, None, limit(200)).await, kept);
}

pub async fn an_event_id_is_taken_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let event = trial.fixtures.event(user.id);
    trial.apply(event.clone()).await;
    trial.refuse_one(event.clone(), Conflict::DuplicateId).await;
    let rival = AuditEvent { id: event.id, action: AuditAction::Logout, ..trial.fixtures.event(trial.user().await.id) };
    trial.refuse_one(rival, Conflict::DuplicateId).await;
}

pub async fn events_come_in_pages_the_greatest_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    assert_eq!(events(&*trial.store, None, limit(200)).await, []);
    let user = trial.user().await;
    let mut kept = Vec::new();
    // Neither inserted nor dated in the order of their ids.
    for index in [3, 0, 5, 2, 4, 1] {
        let at = trial.now() - Duration::from_secs(index);
        let event = AuditEvent { id: id(index * 10), at, ..trial.fixtures.event(user.id) };
        trial.apply(event.clone()).await;
        kept.push(event);
    }
    kept.sort_by_key(|event| std::cmp::Reverse(event.id));
    for size in [1, 2, 3, 5, 6, 7, 200] {
        assert_eq!(events(&*trial.store, None, limit(size)).await, kept, "pages of {size}");
    }
    for (cursor, rest) in [(id(99), 0), (id(50), 1), (id(35), 2), (id(0), 6)] {
        let request = PageRequest { limit: limit(200), cursor: Some(Cursor::after(cursor.as_uuid())) };
        let page = trial.store.audit_events(None, request).await.expect("reads");
        assert_eq!((page.items.as_slice(), page.next), (&kept[rest..], None), "below {cursor}");
    }
}

pub async fn events_of_one_account_come_in_pages_of_their_own(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let mut kept = Vec::new();
    for index in 0..7 {
        let event = AuditEvent { id: id(index * 10), ..trial.fixtures.event(user.id) };
        trial.apply(event.clone()).await;
        kept.push(event);
        trial
            .apply(AuditEvent { id: id(index * 10 + 1), actor: Actor::User(user.id, None), ..trial.fixtures.event(other.id) })
            .await;
        trial.apply(AuditEvent { id: id(index * 10 + 2), subject: None, ..trial.fixtures.event(user.id) }).await;
    }
    kept.reverse();
    for size in [1, 2, 3, 7, 200] {
        assert_eq!(events(&*trial.store, Some(user.id), limit(size)).await, kept, "pages of {size}");
    }
    assert_eq!(events(&*trial.store, Some(trial.fixtures.user().id), limit(200)).await, []);
    assert_eq!(events(&*trial.store, None, limit(200)).await.len(), 21);
}

pub async fn events_outlive_their_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.fixtures.session(user.id);
    trial.apply(begin(&user, &session)).await;
    let event = trial.fixtures.event(user.id).by(Actor::User(user.id, Some(session.id)));
    trial.apply(event.clone()).await;
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    let all = crate::model::RevocationReason::AccountClosed;
    trial.apply(SessionChange::RevokeAll { user_id: user.id, except: None, reason: all, at: trial.now() }).await;
    assert_eq!(events(&*trial.store, Some(user.id), limit(200)).await, [event]);

    // And an event may name what never was: the login of nobody is news too.
    let stranger = trial.fixtures.event(trial.fixtures.user().id);
    trial.apply(stranger.clone()).await;
    assert_eq!(events(&*trial.store, stranger.subject, limit(200)).await, [stranger]);
}

/// Ids in a known order.
fn id(index: u64) -> AuditEventId {
    AuditEventId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(index)))
}

pub async fn old_events_are_purged_the_oldest_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let id = |index: u128| AuditEventId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index));
    for index in [3, 1, 4, 5, 2] {
        let subject = (index % 2 == 0).then_some(user.id);
        trial.apply(AuditEvent { id: id(index), subject, ..trial.fixtures.event(user.id) }).await;
    }
    let left = async |purged| {
        let committed = trial.apply(AuditChange::Purge { below: id(4), limit: 2 }).await;
        assert_eq!(committed.purged, purged);
        let ids = async |subject| {
            events(&*trial.store, subject, limit(200)).await.into_iter().map(|event| event.id).collect::<Vec<_>>()
        };
        (ids(None).await, ids(Some(user.id)).await)
    };
    assert_eq!(left(2).await, (vec![id(5), id(4), id(3)], vec![id(4)]));
    assert_eq!(left(1).await, (vec![id(5), id(4)], vec![id(4)]));
    assert_eq!(left(0).await, (vec![id(5), id(4)], vec![id(4)]));
    // What is gone leaves its place.
    trial.apply(AuditEvent { id: id(1), ..trial.fixtures.event(user.id) }).await;
}
