//! Promises about what administrators do: changes of an account that were read before, suspension, acting as somebody else.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::Assignment;
use crate::model::{
    ChangeSet, CredentialChange, Impersonator, Patch, RevocationReason, Session, SessionChange, User, UserChange, UserStatus,
};
use crate::ports::store::Conflict;
use crate::primitives::{FullName, Locale};

use super::super::fixtures::email;
use super::Stores;
use super::trial::{Trial, attempt, begin, race, rounds};
use super::view::{limit, live_sessions, spelled_user};

pub async fn an_update_changes_the_named_fields_of_the_version_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for status in [UserStatus::Active, UserStatus::Suspended] {
        let mut user = trial.keep_user(User { version: 7, status, ..trial.fixtures.user() }).await;
        let (name, locale) = (FullName::from_stored("X Æ A-12".to_owned()), Locale::from_stored("de-CH".to_owned()));
        let updates = [
            (Patch::Set(name.clone()), Patch::Keep, Some(name.clone()), user.locale.clone()),
            (Patch::Keep, Patch::Set(locale.clone()), Some(name), Some(locale)),
            (Patch::Clear, Patch::Clear, None, None),
            (Patch::Keep, Patch::Keep, None, None),
        ];
        for (minute, (full_name, locale, name_after, locale_after)) in (1..).zip(updates) {
            let at = trial.now() + Duration::from_mins(minute);
            let update = |from| UserChange::Update {
                id: user.id,
                from,
                email: None,
                full_name: full_name.clone(),
                locale: locale.clone(),
                at,
            };
            for stale in [user.version - 1, user.version + 1, 0] {
                trial.refuse_one(update(stale), Conflict::UserChanged).await;
            }
            trial.apply(update(user.version)).await;
            user = User { full_name: name_after, locale: locale_after, version: user.version + 1, updated_at: at, ..user };
            let spelled = Some((user.clone(), user.email.spelling().to_owned()));
            assert_eq!(spelled_user(trial.store.user_by_id(user.id).await.expect("reads")), spelled);
        }
    }
    for gone in [trial.fixtures.user(), trial.closed_user().await] {
        for from in [gone.version, gone.version + 1] {
            let update = UserChange::Update {
                id: gone.id,
                from,
                email: Some(email("mallory@example.com")),
                full_name: Patch::Clear,
                locale: Patch::Keep,
                at: trial.now(),
            };
            trial.refuse_one(update, Conflict::UserChanged).await;
        }
    }
}

/// A change of the address alone.
fn move_to(user: &User, address: &str) -> UserChange {
    UserChange::Update {
        id: user.id,
        from: user.version,
        email: Some(email(address)),
        full_name: Patch::Keep,
        locale: Patch::Keep,
        at: user.updated_at + Duration::from_secs(1),
    }
}

pub async fn a_new_address_is_not_verified_and_raises_the_epoch(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { auth_epoch: 4, ..trial.fixtures.user() }).await;
    assert!(user.email_verified_at.is_some());
    let hash = trial.fixtures.password_hash();
    trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash: hash.clone(), at: trial.now() }).await;
    trial.apply(move_to(&user, "Moved@Example.com")).await;
    let read = trial.store.credentials_by_email(&email("moved@example.com")).await.expect("reads").expect("she moved");
    let moved = User {
        email: email("Moved@Example.com"),
        email_verified_at: None,
        auth_epoch: 5,
        version: 1,
        updated_at: user.updated_at + Duration::from_secs(1),
        ..user.clone()
    };
    assert_eq!((read.user.email.spelling(), &read.user, read.password), ("Moved@example.com", &moved, Some(hash)));
    assert_eq!(trial.store.credentials_by_email(&user.email).await.expect("reads"), None);
    // A login that was checked before comes too late.
    trial.refuse_one(begin(&user, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    // The address that she left is anybody's.
    trial.keep_user(User { email: user.email, ..trial.fixtures.user() }).await;
}

pub async fn a_new_address_that_is_taken_is_refused_in_every_spelling(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, other) =
        (trial.user().await, trial.keep_user(User { email: email("zoë@example.com"), ..trial.fixtures.user() }).await);
    for spelling in ["zoë@example.com", "ZOË@EXAMPLE.COM", "zoe\u{308}@example.com"] {
        trial.refuse_one(move_to(&user, spelling), Conflict::EmailTaken).await;
    }
    // Her own address in another spelling is hers.
    trial.apply(move_to(&other, "ZOË@Example.com")).await;
    let read = trial.store.user_by_id(other.id).await.expect("reads").expect("she is there");
    assert_eq!((read.email.spelling(), read.version), ("ZOË@example.com", 1));
}

pub async fn suspending_needs_an_active_account_of_the_same_version(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { version: 3, auth_epoch: 2, ..trial.fixtures.user() }).await;
    let session = trial.session(&user).await;
    let at = trial.now() + Duration::from_secs(1);
    let suspend = |from| UserChange::Suspend { id: user.id, from, at };
    let restore = |from| UserChange::Restore { id: user.id, from, at };
    for stale in [0, 2, 4] {
        trial.refuse_one(suspend(stale), Conflict::UserChanged).await;
    }
    trial.refuse_one(restore(3), Conflict::UserChanged).await;
    let committed = trial.apply(suspend(3)).await;
    assert!(committed.revoked.is_empty(), "suspending revokes nothing by itself");
    let suspended = User { status: UserStatus::Suspended, version: 4, auth_epoch: 3, updated_at: at, ..user.clone() };
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(suspended.clone()));
    trial.refuse_one(suspend(4), Conflict::UserChanged).await;
    trial.refuse_one(begin(&suspended, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    trial.refuse_rotation(&trial.fixtures.rotation(&session)).await;
    let again = SessionChange::Reauthenticate { id: session.id, auth_epoch: 3, methods: None, at };
    trial.refuse_one(again, Conflict::SessionEnded).await;

    for stale in [3, 5] {
        trial.refuse_one(restore(stale), Conflict::UserChanged).await;
    }
    trial.apply(restore(4)).await;
    let restored = User { status: UserStatus::Active, version: 5, ..suspended };
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(restored.clone()));
    trial.refuse_one(restore(5), Conflict::UserChanged).await;
    // What was begun with the epoch of before the suspension comes too late.
    trial.refuse_one(begin(&user, &trial.fixtures.session(user.id)), Conflict::UserChanged).await;
    trial.apply(begin(&restored, &trial.fixtures.session(user.id))).await;

    for gone in [trial.fixtures.user(), trial.closed_user().await] {
        for from in [gone.version, gone.version + 1] {
            trial.refuse_one(UserChange::Suspend { id: gone.id, from, at }, Conflict::UserChanged).await;
            trial.refuse_one(UserChange::Restore { id: gone.id, from, at }, Conflict::UserChanged).await;
        }
    }
}

pub async fn an_expectation_holds_what_is_behind_it_and_changes_nothing(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { version: 2, ..trial.fixtures.user() }).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for (user, right) in [(&user, 2), (&suspended, 0)] {
        for version in 0..4 {
            let expect = UserChange::Expect { id: user.id, version };
            if version == right {
                trial.apply(expect).await;
            } else {
                trial.refuse(ChangeSet::new().and(expect).and(trial.fixtures.event(user.id)), Conflict::UserChanged).await;
            }
        }
        assert_eq!(trial.store.user_by_id(user.id).await.expect("reads").as_ref(), Some(user));
    }
    let closed = trial.closed_user().await;
    for version in 0..2 {
        trial.refuse_one(UserChange::Expect { id: closed.id, version }, Conflict::UserChanged).await;
    }
}

pub async fn every_change_of_an_account_raises_its_version(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let (id, at) = (user.id, trial.now());
    let keep = || (Patch::Keep, Patch::Keep);
    let ((full_name, locale), (name, language)) = (keep(), keep());
    let changes = [
        UserChange::UpdateProfile { id, full_name, locale, at },
        UserChange::RaiseAuthEpoch { id, from: 0, at },
        UserChange::Update { id, from: 2, email: None, full_name: name, locale: language, at },
        UserChange::Suspend { id, from: 3, at },
        UserChange::Restore { id, from: 4, at },
    ];
    for (version, change) in (1..).zip(changes) {
        trial.apply(change.clone()).await;
        let read = trial.store.user_by_id(id).await.expect("reads").map(|user| user.version);
        assert_eq!(read, Some(version), "{change:?}");
    }
    let named = Patch::Set(FullName::from_stored("Zoë".to_owned()));
    trial.apply(UserChange::UpdateProfile { id, full_name: named, locale: Patch::Keep, at }).await;
    assert_eq!(trial.store.user_by_id(id).await.expect("reads").map(|user| user.version), Some(6));
}

fn acting(trial: &Trial, user: &User, as_by: &User, from: &Session) -> Session {
    let impersonator = Some(Impersonator { user_id: as_by.id, session_id: from.id });
    Session { impersonator, methods: Vec::new(), ..trial.fixtures.session(user.id) }
}

pub async fn a_session_of_somebody_else_is_read_back(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, admin) = (trial.user().await, trial.user().await);
    let own = trial.session(&admin).await;
    let acted = trial.keep_session(&user, acting(&trial, &user, &admin, &own)).await;
    assert_eq!(trial.read_session(&acted).await.map(|read| read.session), Some(acted.clone()));
    assert_eq!(live_sessions(&*trial.store, user.id, trial.now(), limit(9)).await, std::slice::from_ref(&acted));
    // It is a session: it ends like any other.
    trial.apply(super::trial::revoke(&acted, trial.now())).await;
    assert_eq!(live_sessions(&*trial.store, user.id, trial.now(), limit(9)).await, []);
}

pub async fn impersonations_are_ended_by_who_acts(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (jane, john) = (trial.user().await, trial.user().await);
    let (admin, other) = (trial.user().await, trial.user().await);
    let (own, others) = (trial.session(&admin).await, trial.session(&other).await);
    let spared = [trial.session(&jane).await, trial.keep_session(&jane, acting(&trial, &jane, &other, &others)).await];
    let ended = [
        trial.keep_session(&jane, acting(&trial, &jane, &admin, &own)).await,
        trial.keep_session(&john, acting(&trial, &john, &admin, &own)).await,
    ];
    let at = trial.now() + Duration::from_secs(1);
    let end = SessionChange::EndImpersonations { by: admin.id, at };
    let committed = trial.apply(end.clone()).await;
    let reported: BTreeSet<_> = committed.revoked.iter().map(|revocation| (revocation.session_id, revocation.at)).collect();
    assert_eq!(reported, ended.iter().map(|session| (session.id, at)).collect());
    for session in &ended {
        let revoked = trial.read_session(session).await.and_then(|read| read.session.revoked);
        assert_eq!(revoked, Some((at, RevocationReason::ImpersonationEnded)));
    }
    for session in spared.iter().chain([&own, &others]) {
        assert_eq!(trial.read_session(session).await.map(|read| read.session.revoked), Some(None));
    }
    assert!(trial.apply(end).await.revoked.is_empty(), "there is none any more");
}

pub async fn impersonations_are_ended_by_as_whom(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (jane, john, admin) = (trial.user().await, trial.user().await, trial.user().await);
    let own = trial.session(&admin).await;
    let spared = [trial.session(&jane).await, trial.keep_session(&john, acting(&trial, &john, &admin, &own)).await];
    let ended = trial.keep_session(&jane, acting(&trial, &jane, &admin, &own)).await;
    let at = trial.now() + Duration::from_secs(1);
    let end = SessionChange::EndImpersonationsOf { user_id: jane.id, at };
    let committed = trial.apply(end.clone()).await;
    assert_eq!(committed.revoked.iter().map(|one| (one.session_id, one.at)).collect::<Vec<_>>(), [(ended.id, at)]);
    let revoked = trial.read_session(&ended).await.and_then(|read| read.session.revoked);
    assert_eq!(revoked, Some((at, RevocationReason::ImpersonationEnded)));
    for session in spared.iter().chain([&own]) {
        assert_eq!(trial.read_session(session).await.map(|read| read.session.revoked), Some(None));
    }
    assert!(trial.apply(end).await.revoked.is_empty(), "there is none any more");
}

pub async fn impersonations_are_ended_by_the_roles_of_either(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let with = async |role: &str, scope: Option<&str>| {
        let user = trial.user().await;
        let scope = scope.map(|text| text.parse().expect("a scope"));
        let to = vec![Assignment { scope, ..trial.fixtures.assignment(role) }];
        let (id, at) = (user.id, trial.now());
        trial.apply(UserChange::ReplaceAssignments { id, from: 0, to, roles_version: 0, at }).await;
        User { version: 1, ..user }
    };
    let (admin, scoped, plain) = (with("admin", None).await, with("user", Some("tenant:acme")).await, trial.user().await);
    let own = trial.session(&plain).await;
    let begin = async |user: &User, by: &User| trial.keep_session(user, acting(&trial, user, by, &own)).await;
    let by_admin = begin(&plain, &admin).await;
    let as_scoped = begin(&scoped, &plain).await;
    let untouched = begin(&plain, &plain).await;
    let at = trial.now() + Duration::from_secs(1);
    let end = |roles: &[&str]| SessionChange::EndImpersonationsByRole {
        roles: roles.iter().map(|role| role.parse().expect("a name")).collect(),
        at,
    };
    assert!(trial.apply(end(&[])).await.revoked.is_empty());
    assert!(trial.apply(end(&["nobody", "adm-n"])).await.revoked.is_empty());
    let ended: Vec<_> = trial.apply(end(&["admin", "nobody"])).await.revoked.iter().map(|one| one.session_id).collect();
    assert_eq!(ended, [by_admin.id], "by who acts");
    let ended: Vec<_> = trial.apply(end(&["admin", "user"])).await.revoked.iter().map(|one| one.session_id).collect();
    assert_eq!(ended, [as_scoped.id], "by as whom, in whatever scope, and once");
    let revoked = trial.read_session(&as_scoped).await.and_then(|read| read.session.revoked);
    assert_eq!(revoked, Some((at, RevocationReason::ImpersonationEnded)));
    for session in [&untouched, &own] {
        assert_eq!(trial.read_session(session).await.map(|read| read.session.revoked), Some(None));
    }
}

pub async fn the_cap_leaves_impersonations_alone(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, admin) = (trial.user().await, trial.user().await);
    let from = trial.session(&admin).await;
    let own = [trial.session(&user).await, trial.session(&user).await];
    for _ in 0..3 {
        trial.keep_session(&user, acting(&trial, &user, &admin, &from)).await;
    }
    let cap = |keep| SessionChange::EnforceCap { user_id: user.id, keep, at: trial.now() };
    assert!(trial.apply(cap(2)).await.revoked.is_empty(), "they take nobody's place");
    assert_eq!(trial.apply(cap(0)).await.revoked.len(), own.len(), "and are not ended in somebody's place");
    assert_eq!(live_sessions(&*trial.store, user.id, trial.now(), limit(9)).await.len(), 3);
}

pub async fn one_of_many_updates_of_a_version_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for from in 0..rounds() {
        let results = race(16, |rival| {
            let store = trial.store.share();
            let named = Patch::Set(FullName::from_stored(format!("Rival {rival}")));
            let (id, at) = (user.id, trial.now());
            let change = if rival % 2 == 0 {
                UserChange::Update { id, from, email: None, full_name: named, locale: Patch::Keep, at }
            } else {
                UserChange::Update {
                    id,
                    from,
                    email: Some(email(&format!("rival{rival}.{from}@example.com"))),
                    full_name: named,
                    locale: Patch::Keep,
                    at,
                }
            };
            async move { attempt(store, ChangeSet::new().and(change)).await.map(|_| rival) }
        })
        .await;
        let won: Vec<usize> = results.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
        let lost = results.iter().filter(|result| matches!(result, Err(Conflict::UserChanged))).count();
        assert_eq!((won.len(), lost), (1, 15), "{results:?}");
        let read = trial.store.user_by_id(user.id).await.expect("reads").expect("she is there");
        assert_eq!((read.version, read.full_name.map(|name| name.to_string())), (from + 1, Some(format!("Rival {}", won[0]))));
    }
}

pub async fn one_address_is_moved_to_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for round in 0..rounds() {
        let mut rivals = Vec::new();
        for _ in 0..8 {
            rivals.push(trial.user().await);
        }
        let address = format!("wanted{round}@example.com");
        let results = race(9, |rival| {
            let store = trial.store.share();
            let changes = match rivals.get(rival) {
                Some(user) => ChangeSet::new().and(move_to(user, &address)).and(trial.fixtures.event(user.id)),
                // One registers with it.
                None => ChangeSet::new().and(UserChange::Insert(User { email: email(&address), ..trial.fixtures.user() })),
            };
            async move { attempt(store, changes).await.map(|_| rival) }
        })
        .await;
        let lost = results.iter().filter(|result| matches!(result, Err(Conflict::EmailTaken))).count();
        assert_eq!((results.iter().filter(|result| result.is_ok()).count(), lost), (1, 8), "{results:?}");
        assert!(trial.store.credentials_by_email(&email(&address)).await.expect("reads").is_some());
    }
}

pub async fn no_session_survives_a_suspension(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let (user, at) = (trial.user().await, trial.now());
        let suspend = ChangeSet::new().and(UserChange::Suspend { id: user.id, from: 0, at }).and(SessionChange::RevokeAll {
            user_id: user.id,
            except: None,
            reason: RevocationReason::AccountSuspended,
            at,
        });
        let results = race(24, |rival| {
            let (store, suspend) = (trial.store.share(), suspend.clone());
            let login = ChangeSet::new().and(begin(&user, &trial.fixtures.session(user.id)));
            async move { attempt(store, if rival == 12 { suspend } else { login }).await }
        })
        .await;
        let refused = results.iter().filter(|result| matches!(result, Err(Conflict::UserChanged))).count();
        let revoked = results[12].as_ref().expect("the suspension succeeds").revoked.len();
        assert_eq!(refused + revoked, 23, "every login came before and was ended, or came too late");
        assert_eq!(live_sessions(&*trial.store, user.id, at, limit(200)).await, []);
    }
}
