//! Promises about the audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    Actor, AuditAction, AuditChange, AuditEvent, AuditFilter, AuditSeal, Client, Outcome, SessionChange, UserChange,
};
use crate::ports::store::Conflict;
use crate::primitives::{AuditEventId, Cursor, PageRequest, UserAgent};

use super::Stores;
use super::trial::{Trial, begin};
use super::view::{events, filtered, limit, seals};

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
    kept.extend(AuditAction::ALL.iter().map(|action| AuditEvent { action: *action, ..trial.fixtures.event(user.id) }));
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
        let page = trial.store.audit_events(&AuditFilter::new(), request).await.expect("reads");
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

pub async fn every_member_of_a_filter_chooses_its_events(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let mut kept = Vec::new();
    for index in 0..48_u64 {
        let base = trial.fixtures.event(user.id);
        let event = AuditEvent {
            id: id(index),
            actor: if index % 2 == 0 { Actor::User(user.id, None) } else { Actor::Anonymous },
            subject: [Some(user.id), Some(other.id), None][(index % 3) as usize],
            action: if index % 4 == 0 { AuditAction::Login } else { AuditAction::Logout },
            outcome: if index % 5 == 0 { Outcome::Failure } else { Outcome::Success },
            request_id: if index % 6 == 0 { "request-of-many".parse().ok() } else { base.request_id.clone() },
            ..base
        };
        trial.apply(event.clone()).await;
        kept.push(event);
    }
    let request = || "request-of-many".parse().expect("a request id");
    let all = AuditFilter::new;
    let filters = [
        all(),
        all().actor(user.id),
        all().subject(other.id),
        all().action(AuditAction::Login),
        all().outcome(Outcome::Failure),
        all().request_id(request()),
        all().between(id(7), id(31)),
        all().subject(user.id).actor(user.id).action(AuditAction::Login),
        all().subject(user.id).outcome(Outcome::Success).request_id(request()),
        all().action(AuditAction::Logout).outcome(Outcome::Failure).between(id(1), id(40)),
        all().actor(user.id).outcome(Outcome::Failure),
        all().actor(other.id),
        all().between(id(9), id(9)),
        all().between(id(9), id(3)),
    ];
    for filter in filters {
        let mut expected: Vec<AuditEvent> = kept.iter().filter(|event| filter.fits(event)).cloned().collect();
        for size in [1, 3, 200] {
            let read = filtered(&*trial.store, &filter.clone().oldest_first(), limit(size)).await;
            assert_eq!(read, expected, "the oldest first, pages of {size}: {filter:?}");
        }
        expected.reverse();
        for size in [1, 3, 200] {
            assert_eq!(filtered(&*trial.store, &filter, limit(size)).await, expected, "pages of {size}: {filter:?}");
        }
    }
    for (from, below, count) in [(0, 48, 48), (3, 4, 1), (5, 5, 0), (9, 3, 0), (40, 400, 8)] {
        assert_eq!(trial.store.audit_event_count(id(from), id(below)).await.expect("counts"), count, "{from} to {below}");
    }
}

pub async fn seals_are_one_chain(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let second_first = trial.fixtures.seal(Some(&seal_of(&trial.fixtures.seal(None, &[]))), &[]);
    trial.refuse_one(second_first, Conflict::AuditSealTaken).await;
    let first = trial.fixtures.seal(None, &[id(1), id(2), id(3)]);
    trial.apply(first.clone()).await;
    trial.refuse_one(first.clone(), Conflict::AuditSealTaken).await;
    trial.refuse_one(trial.fixtures.seal(None, &[id(1)]), Conflict::AuditSealTaken).await;
    // Behind a seal that is not the one that is there, or with a gap.
    let forked = AuditSeal { digest: trial.fixtures.digest(), ..seal_of(&first) };
    trial.refuse_one(trial.fixtures.seal(Some(&forked), &[id(4)]), Conflict::AuditSealTaken).await;
    let ahead = AuditSeal { number: 2, ..seal_of(&first) };
    trial.refuse_one(trial.fixtures.seal(Some(&ahead), &[id(4)]), Conflict::AuditSealTaken).await;
    let second = trial.fixtures.seal(Some(&seal_of(&first)), &[id(5), id(4)]);
    trial.apply(second.clone()).await;
    let empty = trial.fixtures.seal(Some(&seal_of(&second)), &[]);
    trial.apply(empty.clone()).await;

    let all = [&first, &second, &empty];
    assert_eq!(seals(&*trial.store).await, all.map(seal_of));
    assert_eq!(trial.store.audit_seals(1, limit(1)).await.expect("reads"), [seal_of(&second)]);
    for change in all {
        let AuditChange::Seal { seal, leaves } = change else { unreachable!("the fixture makes seals") };
        assert_eq!(trial.store.audit_leaves(seal.number).await.expect("reads").as_ref(), Some(leaves), "{}", seal.number);
    }
    assert_eq!(trial.store.audit_leaves(4).await.expect("reads"), None);
}

pub async fn the_events_of_a_seal_are_purged_and_the_seal_stays(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for index in 1..=5 {
        let subject = (index % 2 == 0).then_some(user.id);
        trial.apply(AuditEvent { id: id(index), subject, ..trial.fixtures.event(user.id) }).await;
    }
    // One of its events is gone already; an event between its own is another seal's.
    let first = trial.fixtures.seal(None, &[id(1), id(2), id(4), id(99)]);
    trial.apply(first.clone()).await;
    let second = trial.fixtures.seal(Some(&seal_of(&first)), &[id(3)]);
    trial.apply(second.clone()).await;
    let ids =
        async |subject| events(&*trial.store, subject, limit(200)).await.into_iter().map(|event| event.id).collect::<Vec<_>>();
    for (seal, purged, left, of_user) in [
        (7, 0, vec![id(5), id(4), id(3), id(2), id(1)], vec![id(4), id(2)]),
        (1, 3, vec![id(5), id(3)], vec![]),
        (1, 0, vec![id(5), id(3)], vec![]),
        (2, 1, vec![id(5)], vec![]),
    ] {
        assert_eq!(trial.apply(AuditChange::PurgeSealed { seal }).await.purged, purged, "seal {seal}");
        assert_eq!((ids(None).await, ids(Some(user.id)).await), (left, of_user), "seal {seal}");
    }
    assert_eq!(seals(&*trial.store).await, [seal_of(&first), seal_of(&second)]);
    assert_eq!(trial.store.audit_leaves(1).await.expect("reads"), None);
}

pub async fn a_receiver_is_served_by_one_node_at_a_time(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let start = trial.now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let claim = |holder: &str, now, until| AuditChange::ClaimStream {
        name: "syslog".to_owned(),
        holder: holder.to_owned(),
        at: at(now),
        until: at(until),
    };
    let advance = |holder: &str, from, to, until| AuditChange::AdvanceStream {
        name: "syslog".to_owned(),
        holder: holder.to_owned(),
        from,
        to,
        until: at(until),
    };
    let stands = async || {
        let stream = trial.store.audit_stream("syslog").await.expect("reads");
        stream.map(|stream| (stream.holder, stream.lease_until, stream.position))
    };
    trial.refuse_one(advance("one", 0, 1, 10), Conflict::AuditStreamHeld).await;
    assert_eq!(stands().await, None);
    trial.apply(claim("one", 0, 10)).await;
    trial.apply(claim("one", 1, 11)).await;
    trial.refuse_one(claim("two", 10, 20), Conflict::AuditStreamHeld).await;
    trial.refuse_one(advance("two", 0, 5, 20), Conflict::AuditStreamHeld).await;
    trial.refuse_one(advance("one", 1, 5, 20), Conflict::AuditStreamHeld).await;
    trial.apply(advance("one", 0, 5, 12)).await;
    assert_eq!(stands().await, Some(("one".to_owned(), at(12), 5)));
    // The lease is over at its end, and whoever takes it goes on where the other one was.
    trial.refuse_one(claim("two", 11, 30), Conflict::AuditStreamHeld).await;
    trial.apply(claim("two", 12, 30)).await;
    trial.refuse_one(advance("one", 5, 6, 40), Conflict::AuditStreamHeld).await;
    trial.apply(advance("two", 5, 7, 31)).await;
    assert_eq!(stands().await, Some(("two".to_owned(), at(31), 7)));
    assert_eq!(trial.store.audit_stream("file").await.expect("reads"), None);
}

/// The seal that a fixture made.
fn seal_of(change: &AuditChange) -> AuditSeal {
    match change {
        AuditChange::Seal { seal, .. } => (**seal).clone(),
        other => panic!("{other:?} is no seal"),
    }
}
