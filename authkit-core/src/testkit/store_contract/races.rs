//! Promises that hold when everybody comes at once. Each race is run many times, with all rivals released together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::{
    AuditChange, AuditSeal, ChangeSet, CredentialChange, KeyChange, KeyPurpose, Patch, RevocationReason, Rotation,
    RotationOutcome, Session, SessionChange, User, UserChange,
};
use crate::model::{OneTimePurpose, OneTimeTokenChange, OutboxChange};
use crate::ports::store::Conflict;
use crate::primitives::{FullName, PageRequest, UserId};

use super::super::fixtures::email;
use super::Stores;
use super::one_time_tokens::consume;
use super::trial::{Trial, attempt, begin, race, revoke, rounds};
use super::view::{events, limit, live_sessions, revocations, seals};

pub async fn one_address_is_registered_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for round in 0..rounds() {
        let spellings =
            [format!("zoë{round}@example.com"), format!("ZOË{round}@Example.COM"), format!("Zoe\u{308}{round}@EXAMPLE.com")];
        let results = race(64, |rival| {
            let user = User { email: email(&spellings[rival % spellings.len()]), ..trial.fixtures.user() };
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            // The event comes first, so that a loser has written something before its guard fails.
            async move { attempt(store, ChangeSet::new().and(event).and(UserChange::Insert(user.clone()))).await.map(|_| user.id) }
        })
        .await;
        let winner = the_one(results, Conflict::EmailTaken);
        let read = trial.store.credentials_by_email(&email(&spellings[0])).await.expect("reads");
        assert_eq!(read.map(|read| read.user.id), Some(winner));
        assert_eq!(events(&*trial.store, Some(winner), limit(9)).await.len(), 1);
    }
    let all = events(&*trial.store, None, limit(200)).await;
    assert_eq!(all.len(), rounds() as usize, "the losers left no event");
}

pub async fn one_generation_is_rotated_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let mut held = trial.session(&user).await;
    for _ in 0..rounds() {
        let outcomes = race(64, |_| {
            let (store, rotation) = (trial.store.share(), trial.fixtures.rotation(&held));
            async move { store.rotate(&rotation).await.map(|outcome| (outcome, rotation)) }
        })
        .await;
        let mut winners = Vec::new();
        for outcome in outcomes {
            match outcome.expect("a refusal is an answer") {
                (RotationOutcome::Rotated(moved), rotation) => winners.push((moved.session, rotation.successor)),
                (RotationOutcome::Refused(Some(stands)), _) => {
                    assert_eq!(stands.session.generation, held.generation + 1, "a refusal shows why");
                }
                (RotationOutcome::Refused(None), _) => panic!("the session is there"),
            }
        }
        assert_eq!(winners.len(), 1, "rotations of one generation");
        let (moved, successor) = winners.swap_remove(0);
        assert_eq!((moved.generation, moved.secret), (held.generation + 1, successor));
        assert_eq!(trial.read_session(&held).await.map(|read| read.session), Some(moved.clone()));
        held = moved;
    }
}

pub async fn a_rotation_never_revives_a_revoked_session(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for round in 0..rounds() {
        let session = trial.session(&user).await;
        let all = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::Logout, at: trial.now() };
        let end = if round % 2 == 0 { revoke(&session, trial.now()) } else { all };
        let ended = race(17, |rival| {
            let (store, fixtures, session, end) = (trial.store.share(), trial.fixtures.clone(), session.clone(), end.clone());
            async move {
                if rival == 0 {
                    return attempt(store, ChangeSet::new().and(end)).await.is_ok();
                }
                // A client that goes on from whatever the session stands at.
                let mut rotation = fixtures.rotation(&session);
                for _ in 0..8 {
                    let stands = match store.rotate(&rotation).await.expect("a refusal is an answer") {
                        RotationOutcome::Rotated(stands) => stands,
                        RotationOutcome::Refused(stands) => stands.expect("the session is there"),
                    };
                    rotation = fixtures.rotation(&stands.session);
                }
                true
            }
        })
        .await;
        assert!(ended[0], "the revocation is not lost to a rotation");
        let stands = trial.read_session(&session).await.expect("the session is read").session;
        assert_eq!(stands.revoked, Some((trial.now(), RevocationReason::Logout)));
        trial.refuse_rotation(&trial.fixtures.rotation(&stands)).await;
    }
}

pub async fn one_of_many_password_changes_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let mut from = trial.fixtures.password_hash();
    trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash: from.clone(), at: trial.now() }).await;
    for _ in 0..rounds() {
        let results = race(32, |_| {
            let (store, to) = (trial.store.share(), trial.fixtures.password_hash());
            let (from, at) = (from.clone(), trial.now());
            let change = CredentialChange::ReplacePassword { user_id: user.id, from, to: to.clone(), at };
            async move { attempt(store, ChangeSet::new().and(change)).await.map(|_| to) }
        })
        .await;
        from = the_one(results, Conflict::PasswordChanged);
        let kept = trial.store.credentials_by_id(user.id).await.expect("reads").and_then(|read| read.password);
        assert_eq!(kept, Some(from.clone()));
    }
}

pub async fn one_of_many_epoch_raises_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for from in 0..rounds() {
        let results = race(32, |rival| {
            let raise = UserChange::RaiseAuthEpoch { id: user.id, from, at: trial.now() };
            let store = trial.store.share();
            async move { attempt(store, ChangeSet::new().and(raise)).await.map(|_| rival) }
        })
        .await;
        the_one(results, Conflict::UserChanged);
        let read = trial.store.user_by_id(user.id).await.expect("reads");
        assert_eq!(read.map(|read| read.auth_epoch), Some(from + 1));
    }
}

pub async fn no_session_of_an_old_password_survives_its_change(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let (from, to) = (trial.fixtures.password_hash(), trial.fixtures.password_hash());
        trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash: from.clone(), at }).await;
        let change = ChangeSet::new()
            .and(UserChange::RaiseAuthEpoch { id: user.id, from: 0, at })
            .and(CredentialChange::ReplacePassword { user_id: user.id, from, to, at })
            .and(SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::PasswordChanged, at });
        let results = race(32, |rival| {
            let (store, change) = (trial.store.share(), change.clone());
            let login = ChangeSet::new().and(begin(&user, &trial.fixtures.session(user.id)));
            async move { attempt(store, if rival == 16 { change } else { login }).await }
        })
        .await;
        let refused =
            results.iter().filter(|result| result.as_ref().is_err_and(|conflict| *conflict == Conflict::UserChanged)).count();
        let revoked = results[16].as_ref().expect("the change of the password succeeds").revoked.len();
        assert_eq!(refused + revoked, 31, "every login of the old password came before and was ended, or came too late");
        assert_eq!(live_sessions(&*trial.store, user.id, at, limit(200)).await, []);
    }
}

pub async fn no_session_survives_the_closing_of_its_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut expected = 0;
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let reason = RevocationReason::AccountClosed;
        let close = ChangeSet::new().and(UserChange::Close { id: user.id, at }).and(SessionChange::RevokeAll {
            user_id: user.id,
            except: None,
            reason,
            at,
        });
        let results = race(32, |rival| {
            let (store, close) = (trial.store.share(), close.clone());
            let login = ChangeSet::new().and(begin(&user, &trial.fixtures.session(user.id)));
            async move { attempt(store, if rival == 16 { close } else { login }).await }
        })
        .await;
        let begun = results.iter().filter(|result| result.is_ok()).count() - 1;
        let revoked = results[16].as_ref().expect("the closing succeeds").revoked.len();
        assert_eq!(begun, revoked, "every session that was begun was ended");
        expected += begun;
    }
    assert_eq!(revocations(&*trial.store, limit(200)).await.len(), expected, "and every end can be read");
}

pub async fn the_cap_holds_among_rivals(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let results = race(16, |_| {
            let store = trial.store.share();
            let login = ChangeSet::new().and(begin(&user, &trial.fixtures.session(user.id))).and(SessionChange::EnforceCap {
                user_id: user.id,
                keep: 5,
                at,
            });
            async move { attempt(store, login).await }
        })
        .await;
        let revoked: usize = results.iter().map(|result| result.as_ref().expect("a login succeeds").revoked.len()).sum();
        assert_eq!((live_sessions(&*trial.store, user.id, at, limit(200)).await.len(), revoked), (5, 11));
    }
}

pub async fn a_session_is_revoked_by_one_of_many(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for _ in 0..rounds() {
        let session = trial.session(&user).await;
        let results = race(32, |rival| {
            let (store, end) = (trial.store.share(), revoke(&session, trial.now()));
            async move { attempt(store, ChangeSet::new().and(end)).await.map(|committed| (rival, committed.revoked.len())) }
        })
        .await;
        assert_eq!(the_one(results, Conflict::SessionEnded).1, 1);
    }
}

pub async fn one_of_many_keys_takes_the_serial(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for serial in 1..=rounds() {
        let results = race(32, |_| {
            let (store, key) = (trial.store.share(), trial.fixtures.key(KeyPurpose::AccessToken, serial));
            async move { attempt(store, ChangeSet::new().and(KeyChange::Insert(key.clone()))).await.map(|_| key) }
        })
        .await;
        let winner = the_one(results, Conflict::KeySerialTaken);
        assert_eq!(trial.store.server_keys().await.expect("reads").last(), Some(&winner));
    }
}

pub async fn one_of_many_seals_takes_the_number(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut last: Option<AuditSeal> = None;
    for number in 1..=u64::from(rounds()) {
        let results = race(16, |_| {
            let (store, change) = (trial.store.share(), trial.fixtures.seal(last.as_ref(), &[]));
            async move { attempt(store, ChangeSet::new().and(change.clone())).await.map(|_| change) }
        })
        .await;
        let AuditChange::Seal { seal, .. } = the_one(results, Conflict::AuditSealTaken) else { unreachable!("a seal") };
        assert_eq!(seals(&*trial.store).await.len() as u64, number);
        assert_eq!(trial.store.last_audit_seal().await.expect("reads"), Some((*seal).clone()));
        last = Some(*seal);
    }
}

pub async fn one_of_many_nodes_serves_a_receiver(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for round in 0..rounds() {
        let name = format!("receiver {}", round / 2);
        // Every other time the receiver is known already, and the lease on it is over.
        let at = trial.now() + Duration::from_secs(u64::from(round % 2) * 60);
        let results = race(16, |rival| {
            let (store, name) = (trial.store.share(), name.clone());
            let change = AuditChange::ClaimStream {
                name,
                holder: format!("node {rival} {round}"),
                at,
                until: at + Duration::from_secs(30),
            };
            async move { attempt(store, ChangeSet::new().and(change)).await.map(|_| format!("node {rival} {round}")) }
        })
        .await;
        let winner = the_one(results, Conflict::AuditStreamHeld);
        let stream = trial.store.audit_stream(&name).await.expect("reads").expect("it is known");
        assert_eq!((stream.holder, stream.position), (winner, 0));
    }
}

pub async fn rivals_in_opposite_order_all_succeed(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (one, two) = (trial.user().await, trial.user().await);
    for _ in 0..rounds() {
        let rename = |id: UserId, rival: usize| {
            let full_name = Patch::Set(FullName::from_stored(format!("rival {rival}")));
            UserChange::UpdateProfile { id, full_name, locale: Patch::Keep, at: trial.now() }
        };
        let results = race(16, |rival| {
            let (first, second) = if rival % 2 == 0 { (one.id, two.id) } else { (two.id, one.id) };
            let changes = ChangeSet::new().and(rename(first, rival)).and(rename(second, rival));
            let store = trial.store.share();
            async move { attempt(store, changes).await }
        })
        .await;
        assert!(results.iter().all(Result::is_ok), "a deadlock is the store's to resolve: {results:?}");
        let mut names = Vec::new();
        for id in [one.id, two.id] {
            names.push(trial.store.user_by_id(id).await.expect("reads").and_then(|user| user.full_name));
        }
        assert_eq!(names[0], names[1], "both rows are of one set");
    }
}

pub async fn no_read_sees_half_a_commit(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, at) = (trial.user().await, trial.now());
    trial.session(&user).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, done, id) = (trial.store.share(), Arc::clone(&done), user.id);
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let live = store.live_sessions(id, at, PageRequest::default()).await.expect("reads");
                    assert_eq!(live.items.len(), 1, "between the end of one session and the begin of the next");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..rounds() * 5 {
        let next = trial.fixtures.session(user.id);
        let all = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::LogoutAll, at };
        trial.commit(ChangeSet::new().and(all).and(begin(&user, &next))).await;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("no reader saw half of it");
    }
}

pub async fn what_is_acknowledged_is_read_by_everybody(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for _ in 0..rounds() {
        let sessions: Vec<Session> = (0..16).map(|_| trial.fixtures.session(user.id)).collect();
        race(16, |rival| {
            let (store, fixtures, session) = (trial.store.share(), trial.fixtures.clone(), sessions[rival].clone());
            let user = user.clone();
            async move {
                let read = |stage: &'static str| {
                    let (store, id) = (Arc::clone(&store), session.id);
                    // Another task, so that a store with a connection for each task has to answer from another one.
                    async move { tokio::spawn(async move { store.session_by_id(id).await }).await.expect(stage).expect(stage) }
                };
                attempt(Arc::clone(&store), ChangeSet::new().and(begin(&user, &session))).await.expect("a login succeeds");
                assert!(read("begun").await.is_some(), "a session that was begun is read");
                let rotation: Rotation = fixtures.rotation(&session);
                let outcome = store.rotate(&rotation).await.expect("a rotation is answered");
                assert!(matches!(outcome, RotationOutcome::Rotated(_)));
                assert_eq!(read("rotated").await.map(|read| read.session.generation), Some(1));
                let end = revoke(&session, fixtures.now());
                attempt(Arc::clone(&store), ChangeSet::new().and(end)).await.expect("a logout succeeds");
                assert!(read("revoked").await.is_some_and(|read| read.session.revoked.is_some()), "a logout is read");
            }
        })
        .await;
    }
}

/// What the single winner brought home; all others failed for this reason.
fn the_one<T: std::fmt::Debug>(results: Vec<Result<T, Conflict>>, reason: Conflict) -> T {
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!(lost.iter().all(|result| matches!(result, Err(conflict) if *conflict == reason)), "{lost:?} instead of {reason:?}");
    assert_eq!(won.len(), 1, "one wins: {won:?}");
    won.into_iter().flatten().next().expect("there is one")
}

pub async fn one_of_many_uses_up_a_token(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for round in 0..rounds() {
        let purpose = OneTimePurpose::ALL[round as usize % OneTimePurpose::ALL.len()];
        let token = trial.fixtures.one_time_token(&user, purpose);
        trial.apply(OneTimeTokenChange::Insert(Box::new(token.clone()))).await;
        let results = race(64, |rival| {
            let (store, event) = (trial.store.share(), trial.fixtures.event(user.id));
            // The event comes first, so that a loser has written something before its guard fails.
            let changes = ChangeSet::new().and(event).and(consume(&token));
            async move { attempt(store, changes).await.map(|_| rival) }
        })
        .await;
        the_one(results, Conflict::TokenGone);
    }
    assert_eq!(events(&*trial.store, Some(user.id), limit(200)).await.len(), rounds() as usize, "the losers left no event");
}

pub async fn no_more_guesses_are_paid_for_than_there_are(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for _ in 0..rounds() {
        let token = trial.fixtures.one_time_token(&user, OneTimePurpose::MagicLink);
        trial.apply(OneTimeTokenChange::Insert(Box::new(token.clone()))).await;
        let results = race(32, |_| {
            let spend = OneTimeTokenChange::SpendAttempt { id: token.id, purpose: token.purpose, at: trial.now() };
            let store = trial.store.share();
            async move { attempt(store, ChangeSet::new().and(spend)).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5, "guesses");
    }
}

pub async fn one_address_is_changed_to_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for round in 0..rounds() {
        let to = email(&format!("wanted{round}@example.com"));
        let mut users = Vec::new();
        for _ in 0..8 {
            users.push(trial.user().await);
        }
        let newcomer = User { email: to.clone(), ..trial.fixtures.user() };
        let results = race(9, |rival| {
            let (store, to, at) = (trial.store.share(), to.clone(), trial.now());
            let user = users.get(rival).unwrap_or(&newcomer).clone();
            let change = match users.get(rival) {
                Some(user) => UserChange::ChangeEmail { id: user.id, from: user.email.clone(), to, at },
                None => UserChange::Insert(newcomer.clone()),
            };
            let event = trial.fixtures.event(user.id);
            async move { attempt(store, ChangeSet::new().and(change).and(event)).await.map(|_| user.id) }
        })
        .await;
        let winner = the_one(results, Conflict::EmailTaken);
        let read = trial.store.credentials_by_email(&to).await.expect("reads");
        assert_eq!(read.map(|read| read.user.id), Some(winner));
    }
}

pub async fn no_message_is_claimed_by_two(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let mut kept = Vec::new();
        let mut changes = ChangeSet::new();
        for _ in 0..20 {
            let message = trial.fixtures.message(trial.fixtures.user().id);
            kept.push(message.id);
            changes = changes.and(OutboxChange::Enqueue(Box::new(message)));
        }
        trial.commit(changes).await;
        let (at, lease_until) = (trial.now(), trial.now() + std::time::Duration::from_mins(1));
        let mut claimed = Vec::new();
        // What a rival is just taking may be left to it, so that one turn need not take everything.
        while claimed.len() < kept.len() {
            let results = race(8, |_| {
                let (store, claim) = (trial.store.share(), OutboxChange::Claim { at, lease_until, limit: 3 });
                async move { attempt(store, ChangeSet::new().and(claim)).await.expect("a claim has no guard").claimed }
            })
            .await;
            let taken: Vec<_> = results.into_iter().flatten().map(|message| (message.id, message.attempts)).collect();
            assert!(!taken.is_empty(), "nobody takes what is left");
            claimed.extend(taken);
        }
        claimed.sort();
        kept.sort();
        assert_eq!(claimed, kept.into_iter().map(|id| (id, 1)).collect::<Vec<_>>(), "each by one");
    }
}
