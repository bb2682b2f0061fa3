//! Promises about sessions.

use std::time::Duration;

use crate::model::AuthMethod;
use crate::model::{
    ChangeSet, Client, Revocation, RevocationReason, Session, SessionChange, SessionWithUser, User, UserChange, UserStatus,
};
use crate::ports::store::{Conflict, RevocationMark};
use crate::primitives::{Cursor, DeviceName, Digest, PageRequest, SessionId, Timestamp, UserAgent};

use super::Stores;
use super::trial::{Trial, begin, revocations_of, revoke, sorted};
use super::view::{limit, live_sessions, revocations, spelled_session};

const HOUR: Duration = Duration::from_hours(1);
const TICK: Duration = Duration::from_micros(1);

pub async fn a_session_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let client =
        |ip: &str, agent: Option<&str>| Client { ip: ip.parse().ok(), user_agent: agent.and_then(UserAgent::from_header) };
    let sessions = [
        trial.fixtures.session(user.id),
        Session {
            methods: Vec::new(),
            device_name: None,
            created_by: Client::default(),
            last_used_by: Client::default(),
            ..trial.fixtures.session(user.id)
        },
        Session {
            generation: u32::MAX,
            secret: Digest::from_bytes([0; 32]),
            device_name: Some(DeviceName::from_stored("\u{6f22}".repeat(100))),
            created_by: client("192.0.2.255", Some(&"\u{1F600}".repeat(256))),
            last_used_by: client("::1", None),
            ..trial.fixtures.session(user.id)
        },
        Session {
            secret: Digest::from_bytes([0xff; 32]),
            // An IPv4 address inside IPv6 stays the address that was seen.
            created_by: client("::ffff:192.0.2.1", Some("'; DROP TABLE sessions; -- \\ \" %")),
            last_used_by: client("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some("a")),
            authenticated_at: trial.now() + TICK,
            created_at: trial.now() + TICK * 2,
            refreshed_at: trial.now() + TICK * 3,
            idle_expires_at: trial.now() + TICK * 4,
            expires_at: Timestamp::from_unix_micros(253_402_300_799_999_999),
            ..trial.fixtures.session(user.id)
        },
    ];
    for session in sessions {
        let session = trial.keep_session(&user, session).await;
        let spelled = (SessionWithUser { session: session.clone(), user: user.clone() }, user.email.spelling().to_owned());
        assert_eq!(spelled_session(trial.read_session(&session).await), Some(spelled));
        let live = live_sessions(&*trial.store, user.id, trial.now(), limit(200)).await;
        assert!(live.contains(&session), "{session:?} among {live:?}");
    }
}

pub async fn an_unknown_session_is_absent(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    assert_eq!(trial.read_session(&trial.fixtures.session(user.id)).await, None);
    for id in [user.id, trial.fixtures.user().id] {
        assert_eq!(live_sessions(&*trial.store, id, trial.now(), limit(200)).await, []);
    }
    assert_eq!(revocations(&*trial.store, limit(200)).await, []);
}

pub async fn a_session_begins_only_for_an_active_account_of_the_same_epoch(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for user in [suspended, trial.closed_user().await, trial.fixtures.user()] {
        trial.refuse_one(begin(&user, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    }
    let user = trial.keep_user(User { auth_epoch: 3, ..trial.fixtures.user() }).await;
    for auth_epoch in [0, 2, 4] {
        let stale = User { auth_epoch, ..user.clone() };
        trial.refuse_one(begin(&stale, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    }
    trial.session(&user).await;
    trial.apply(UserChange::RaiseAuthEpoch { id: user.id, from: 3, at: trial.now() }).await;
    trial.refuse_one(begin(&user, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
}

pub async fn a_session_id_is_taken_for_ever(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other, closing) = (trial.user().await, trial.user().await, trial.user().await);
    let live = trial.session(&user).await;
    let revoked = trial.session(&user).await;
    trial.apply(revoke(&revoked, trial.now())).await;
    let left = trial.session(&closing).await;
    trial.apply(UserChange::Close { id: closing.id, at: trial.now() }).await;
    for taken in [live, revoked, left] {
        for owner in [&user, &other] {
            let rival = Session { id: taken.id, ..trial.fixtures.session(owner.id) };
            trial.refuse_one(begin(owner, &rival), Conflict::DuplicateId).await;
            // The account is asked first: a stale login learns that it is stale.
            let stale = User { auth_epoch: owner.auth_epoch + 1, ..owner.clone() };
            trial.refuse_one(begin(&stale, &rival), Conflict::UserChanged).await;
        }
    }
}

pub async fn a_session_begins_live(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let revoked = Some((trial.now(), RevocationReason::Logout));
    let session = Session { revoked, ..trial.fixtures.session(user.id) };
    let committed = trial.apply(begin(&user, &session)).await;
    assert_eq!(committed.revoked, []);
    assert_eq!(trial.read_session(&session).await.map(|read| read.session), Some(Session { revoked: None, ..session }));
    assert_eq!(revocations(&*trial.store, limit(200)).await, []);
}

pub async fn a_session_is_revoked_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let spared = trial.session(&user).await;
    let reasons = [
        RevocationReason::Logout,
        RevocationReason::LogoutAll,
        RevocationReason::RevokedByUser,
        RevocationReason::PasswordChanged,
        RevocationReason::RefreshTokenReused,
        RevocationReason::SessionCap,
        RevocationReason::AccountClosed,
    ];
    for reason in reasons {
        let session = trial.session(&user).await;
        let at = trial.now() + TICK;
        let committed = trial.apply(SessionChange::Revoke { id: session.id, reason, at }).await;
        assert_eq!(committed.revoked, [Revocation { session_id: session.id, at }]);
        let read = trial.read_session(&session).await.expect("a revoked session is read");
        assert_eq!(read.session, Session { revoked: Some((at, reason)), ..session.clone() });
        trial.refuse_one(revoke(&session, at + TICK), Conflict::SessionEnded).await;
    }
    let expired = trial.session(&user).await;
    let late = expired.expires_at + HOUR;
    assert_eq!(trial.apply(revoke(&expired, late)).await.revoked, revocations_of([&expired], late));
    trial.refuse_one(revoke(&trial.fixtures.session(user.id), trial.now()), Conflict::SessionEnded).await;
    assert_eq!(trial.read_session(&spared).await.map(|read| read.session), Some(spared.clone()));

    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    assert_eq!(trial.apply(revoke(&spared, late)).await.revoked, revocations_of([&spared], late));
    trial.refuse_one(revoke(&spared, late), Conflict::SessionEnded).await;
}

pub async fn revoking_all_ends_what_was_not_revoked_and_spares_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let (current, live) = (trial.session(&user).await, trial.session(&user).await);
    let expired = Session { idle_expires_at: trial.now() - HOUR, ..trial.fixtures.session(user.id) };
    let expired = trial.keep_session(&user, expired).await;
    let revoked = trial.session(&user).await;
    trial.apply(revoke(&revoked, trial.now())).await;
    let others = trial.session(&bystander).await;

    let at = trial.now() + HOUR;
    let reason = RevocationReason::PasswordChanged;
    let all = |user: &User, except| SessionChange::RevokeAll { user_id: user.id, except, reason, at };
    let committed = trial.apply(all(&user, Some(current.id))).await;
    assert_eq!(sorted(committed.revoked), revocations_of([&live, &expired], at));
    for (session, ended) in [
        (&current, None),
        (&live, Some((at, reason))),
        (&expired, Some((at, reason))),
        (&revoked, Some((trial.now(), RevocationReason::Logout))),
        (&others, None),
    ] {
        assert_eq!(trial.read_session(session).await.map(|read| read.session.revoked), Some(ended));
    }
    // Somebody else's session as the exception spares nothing.
    let committed = trial.apply(all(&user, Some(others.id))).await;
    assert_eq!(committed.revoked, revocations_of([&current], at));
    for nobody in [&user, &trial.fixtures.user()] {
        assert_eq!(trial.apply(all(nobody, None)).await.revoked, []);
    }
    trial.apply(UserChange::Close { id: bystander.id, at }).await;
    assert_eq!(trial.apply(all(&bystander, None)).await.revoked, revocations_of([&others], at));
}

pub async fn the_cap_ends_the_longest_unused(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let others = trial.session(&bystander).await;
    // Used in the reverse order of their ids, but for three that were used at one instant.
    let mut sessions = Vec::new();
    for used in [60, 50, 40, 30, 30, 30, 20] {
        let refreshed_at = trial.now() - Duration::from_secs(1000) + Duration::from_secs(used);
        let session = Session { id: id(sessions.len()), refreshed_at, ..trial.fixtures.session(user.id) };
        sessions.push(trial.keep_session(&user, session).await);
    }
    let cap = |keep| SessionChange::EnforceCap { user_id: user.id, keep, at: trial.now() };
    for keep in [u32::MAX, 8, 7] {
        assert_eq!(trial.apply(cap(keep)).await.revoked, [], "{keep}");
    }
    let committed = trial.apply(cap(5)).await;
    assert_eq!(
        sorted(committed.revoked),
        revocations_of([&sessions[6], &sessions[3]], trial.now()),
        "of a tie the higher id stays"
    );
    let ended = trial.read_session(&sessions[3]).await.and_then(|read| read.session.revoked);
    assert_eq!(ended, Some((trial.now(), RevocationReason::SessionCap)));
    let committed = trial.apply(cap(1)).await;
    assert_eq!(sorted(committed.revoked), revocations_of([&sessions[1], &sessions[2], &sessions[4], &sessions[5]], trial.now()));
    assert_eq!(trial.apply(cap(0)).await.revoked, revocations_of([&sessions[0]], trial.now()));
    assert_eq!(trial.apply(cap(0)).await.revoked, []);
    assert_eq!(live_sessions(&*trial.store, bystander.id, trial.now(), limit(9)).await, [others]);
}

pub async fn the_cap_counts_live_sessions_alone(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let now = trial.now();
    let young = now + TICK;
    let idle = Session { idle_expires_at: now, refreshed_at: young, ..trial.fixtures.session(user.id) };
    let over = Session { expires_at: now, refreshed_at: young, ..trial.fixtures.session(user.id) };
    let revoked = Session { refreshed_at: young, ..trial.fixtures.session(user.id) };
    for session in [&idle, &over, &revoked] {
        trial.apply(begin(&user, session)).await;
    }
    trial.apply(revoke(&revoked, now)).await;
    let (first, second) = (trial.session(&user).await, trial.session(&user).await);
    let cap = |keep| SessionChange::EnforceCap { user_id: user.id, keep, at: now };
    assert_eq!(trial.apply(cap(2)).await.revoked, [], "neither what expired nor what was revoked counts");
    let older = if first.id < second.id { &first } else { &second };
    assert_eq!(trial.apply(cap(1)).await.revoked, revocations_of([older], now));
    for session in [&idle, &over] {
        assert_eq!(trial.read_session(session).await.map(|read| read.session.revoked), Some(None), "what expired is not revoked");
    }
}

pub async fn reauthentication_needs_a_live_session_of_the_same_epoch(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { auth_epoch: 1, ..trial.fixtures.user() }).await;
    let (session, bystander) = (trial.session(&user).await, trial.session(&user).await);
    let again =
        |session: &Session, auth_epoch, at| SessionChange::Reauthenticate { id: session.id, auth_epoch, methods: None, at };
    let last = session.idle_expires_at - TICK;
    assert_eq!(trial.apply(again(&session, 1, last)).await.revoked, []);
    let read = trial.read_session(&session).await.map(|read| read.session);
    assert_eq!(read, Some(Session { authenticated_at: last, ..session.clone() }), "and nothing but that");
    assert_eq!(trial.read_session(&bystander).await.map(|read| read.session), Some(bystander));
    let methods = vec![AuthMethod::Password, AuthMethod::Totp];
    let stepped_up =
        SessionChange::Reauthenticate { id: session.id, auth_epoch: 1, methods: Some(methods.clone()), at: trial.now() };
    trial.apply(stepped_up).await;
    let read = trial.read_session(&session).await.map(|read| read.session);
    assert_eq!(read, Some(Session { authenticated_at: trial.now(), methods, ..session.clone() }));

    for (auth_epoch, at) in [(0, trial.now()), (2, trial.now()), (1, session.idle_expires_at), (1, session.expires_at)] {
        trial.refuse_one(again(&session, auth_epoch, at), Conflict::SessionEnded).await;
    }
    let over = Session { expires_at: trial.now(), ..trial.fixtures.session(user.id) };
    let over = trial.keep_session(&user, over).await;
    trial.refuse_one(again(&over, 1, trial.now()), Conflict::SessionEnded).await;
    trial.refuse_one(again(&trial.fixtures.session(user.id), 1, trial.now()), Conflict::SessionEnded).await;
    let revoked = trial.session(&user).await;
    trial.apply(revoke(&revoked, trial.now())).await;
    trial.refuse_one(again(&revoked, 1, trial.now()), Conflict::SessionEnded).await;
    trial.apply(UserChange::RaiseAuthEpoch { id: user.id, from: 1, at: trial.now() }).await;
    trial.refuse_one(again(&session, 1, trial.now()), Conflict::SessionEnded).await;
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    trial.refuse_one(again(&session, 2, trial.now()), Conflict::SessionEnded).await;
}

pub async fn live_sessions_are_live_at_the_instant(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let now = trial.now();
    trial.session(&bystander).await;
    let idle = Session { idle_expires_at: now, ..trial.fixtures.session(user.id) };
    let over = Session { expires_at: now, idle_expires_at: now + HOUR, ..trial.fixtures.session(user.id) };
    let last_tick = Session { idle_expires_at: now + TICK, expires_at: now + TICK, ..trial.fixtures.session(user.id) };
    let revoked = trial.fixtures.session(user.id);
    for session in [&idle, &over, &last_tick, &revoked] {
        trial.apply(begin(&user, session)).await;
    }
    trial.apply(revoke(&revoked, now)).await;
    assert_eq!(live_sessions(&*trial.store, user.id, now, limit(9)).await, [last_tick]);
    assert_eq!(live_sessions(&*trial.store, user.id, now - TICK, limit(9)).await.len(), 3, "an earlier instant is as good");
    assert_eq!(live_sessions(&*trial.store, user.id, now + TICK, limit(9)).await, []);
}

pub async fn live_sessions_come_in_pages_the_greatest_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let mut expected = Vec::new();
    // Inserted neither upwards nor downwards, with a stranger's and an ended session between each two.
    for index in [4, 0, 5, 2, 1, 3] {
        let session = Session { id: id(index * 10), ..trial.fixtures.session(user.id) };
        expected.push(trial.keep_session(&user, session).await);
        let stranger = Session { id: id(index * 10 + 1), ..trial.fixtures.session(bystander.id) };
        trial.keep_session(&bystander, stranger).await;
        let ended = Session { id: id(index * 10 + 2), ..trial.fixtures.session(user.id) };
        let begin = begin(&user, &ended);
        trial.commit(ChangeSet::new().and(begin).and(revoke(&ended, trial.now()))).await;
    }
    expected.sort_by_key(|session| std::cmp::Reverse(session.id));
    for size in [1, 2, 3, 4, 6, 7, 200] {
        assert_eq!(live_sessions(&*trial.store, user.id, trial.now(), limit(size)).await, expected, "pages of {size}");
    }
    for (cursor, rest) in [(id(59), 0), (id(50), 1), (id(42), 1), (id(35), 2), (id(0), 6)] {
        let request = PageRequest { limit: limit(200), cursor: Some(Cursor::after(cursor.as_uuid())) };
        let page = trial.store.live_sessions(user.id, trial.now(), request).await.expect("reads");
        assert_eq!((page.items.as_slice(), page.next), (&expected[rest..], None), "below {cursor}");
    }
}

pub async fn revocations_come_after_the_mark_in_order(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let now = trial.now();
    let mut expected = Vec::new();
    // Five at one instant, in no order; one a tick before and one a tick after them, with ids that pull the other way.
    for (index, at) in [(3, now), (9, now - TICK), (1, now), (5, now), (0, now + TICK), (2, now), (4, now)] {
        let session = Session { id: id(index), ..trial.fixtures.session(user.id) };
        trial.commit(ChangeSet::new().and(begin(&user, &session)).and(revoke(&session, at))).await;
        expected.push(Revocation { session_id: session.id, at });
    }
    trial.session(&user).await;
    expected.sort_by_key(|revocation| (revocation.at, revocation.session_id));
    for size in [1, 2, 3, 5, 7, 200] {
        assert_eq!(revocations(&*trial.store, limit(size)).await, expected, "pages of {size}");
    }
    for (at, session_id, rest) in [
        (now - TICK, None, 0),
        (now - TICK, Some(id(9)), 1),
        (now, None, 1),
        (now, Some(id(0)), 1),
        (now, Some(id(3)), 4),
        (now, Some(id(9)), 6),
        (now + TICK, None, 6),
        (now + TICK, Some(id(0)), 7),
        (now + HOUR, None, 7),
    ] {
        let mark = RevocationMark { at, session_id };
        let read = trial.store.revocations_after(mark, limit(200)).await.expect("reads");
        assert_eq!(read, expected[rest..], "after {mark:?}");
    }
}

pub async fn revocations_of_closed_accounts_are_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, at) = (trial.user().await, trial.now());
    let (before, after) = (trial.session(&user).await, trial.session(&user).await);
    trial.apply(revoke(&before, at)).await;
    let all = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::AccountClosed, at };
    let committed = trial.commit(ChangeSet::new().and(UserChange::Close { id: user.id, at }).and(all)).await;
    assert_eq!(committed.revoked, revocations_of([&after], at));
    assert_eq!(sorted(revocations(&*trial.store, limit(200)).await), revocations_of([&before, &after], at));
}

pub async fn ended_sessions_are_purged_and_no_others(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, closed, now) = (trial.user().await, trial.user().await, trial.now());
    let ending =
        |owner: &User, expires_at| Session { idle_expires_at: expires_at, expires_at, ..trial.fixtures.session(owner.id) };
    let live = trial.session(&user).await;
    let idle = trial.keep_session(&user, Session { idle_expires_at: now - HOUR, ..trial.fixtures.session(user.id) }).await;
    let at_the_instant = trial.keep_session(&user, ending(&user, now)).await;
    let expired = trial.keep_session(&user, ending(&user, now - TICK)).await;
    let revoked_then = trial.session(&user).await;
    let revoked = trial.session(&user).await;
    let of_closed = trial.keep_session(&closed, ending(&closed, now - HOUR)).await;
    trial.apply(revoke(&revoked_then, now)).await;
    trial.apply(revoke(&revoked, now - TICK)).await;
    trial.apply(UserChange::Close { id: closed.id, at: now }).await;

    let committed = trial.apply(SessionChange::Purge { ended_before: now, limit: 100 }).await;
    assert_eq!((committed.purged, committed.revoked.len()), (3, 0));
    for gone in [&expired, &revoked] {
        assert_eq!(trial.read_session(gone).await, None);
    }
    for kept in [&live, &idle, &at_the_instant, &revoked_then] {
        assert!(trial.read_session(kept).await.is_some(), "{} is gone", kept.id);
    }
    assert_eq!(revocations(&*trial.store, limit(200)).await, revocations_of([&revoked_then], now));
    // What is gone is gone for every purpose: its place is free, and its user's other sessions are where they were.
    trial.keep_session(&user, Session { id: expired.id, ..trial.fixtures.session(user.id) }).await;
    assert_eq!(live_sessions(&*trial.store, user.id, now, limit(200)).await.len(), 2);
    drop(of_closed);
    assert_eq!(trial.apply(SessionChange::Purge { ended_before: now, limit: 100 }).await.purged, 0);
}

pub async fn a_purge_of_sessions_keeps_to_its_limit(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, now) = (trial.user().await, trial.now());
    for _ in 0..5 {
        trial.keep_session(&user, Session { expires_at: now - HOUR, ..trial.fixtures.session(user.id) }).await;
    }
    for purged in [2, 2, 1, 0] {
        assert_eq!(trial.apply(SessionChange::Purge { ended_before: now, limit: 2 }).await.purged, purged);
    }
}

/// Ids in a known order.
fn id(index: usize) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index as u128))
}
