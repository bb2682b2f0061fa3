//! Promises about roles, and about who has them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Access, Assignment, ChangeSet, Role, RoleChange, StoredRoles, User, UserChange, UserStatus};
use crate::model::{Impersonator, Session, SessionChange};
use crate::ports::store::{AccessMark, Conflict};
use crate::primitives::{RoleDescription, RoleName, Timestamp};

use super::Stores;
use super::trial::{Trial, attempt, race, rounds};
use super::view::{access_changes, limit, live_sessions, users_with_role};

pub async fn a_fresh_store_has_the_built_in_roles(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let read = all(&trial).await;
    assert_eq!(read.version, 0);
    let [admin, user] = Role::built_in();
    assert_eq!(read.roles, [admin, user]);
    assert_eq!(trial.store.roles(Some(0)).await.expect("reads"), None, "what is known is not read again");
    assert_eq!(trial.store.roles(Some(1)).await.expect("reads"), Some(read));
}

pub async fn a_role_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let full = trial.fixtures.role();
    let long = "a".repeat(64);
    let bare = Role {
        name: name(&long),
        description: None,
        permissions: BTreeSet::new(),
        inherits: [full.name.clone(), name("admin"), name("user")].into(),
        mfa_required: false,
        ..trial.fixtures.role()
    };
    let hostile = Role {
        description: Some(RoleDescription::from_stored("'; DROP TABLE roles; -- \u{1F469}\u{200D}\u{1F680}".to_owned())),
        permissions: (0..1_000).map(|n| format!("r{n}.x_y-z:do_{n}").parse().expect("a permission")).collect(),
        inherits: BTreeSet::new(),
        // Neither is the caller's to say.
        built_in: true,
        version: 7,
        ..trial.fixtures.role()
    };
    for (from, role) in (0..).zip([&full, &bare, &hostile]) {
        trial.apply(RoleChange::Insert { role: Box::new(role.clone()), from }).await;
    }
    let read = all(&trial).await;
    assert_eq!(read.version, 3);
    let names: Vec<&RoleName> = read.roles.iter().map(|role| &role.name).collect();
    assert!(names.is_sorted() && names.len() == 5, "in the order of their names: {names:?}");
    for role in [&full, &bare, &Role { built_in: false, version: 0, ..hostile }] {
        assert_eq!(read.roles.iter().find(|read| read.name == role.name), Some(role));
    }
}

pub async fn a_role_name_is_taken_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    for taken in [role.name, name("admin"), name("user")] {
        let rival = Role { name: taken, ..trial.fixtures.role() };
        trial.refuse_one(RoleChange::Insert { role: Box::new(rival), from: 1 }, Conflict::RoleTaken).await;
    }
}

pub async fn a_role_is_changed_only_on_the_version_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut role = kept(&trial, trial.fixtures.role()).await;
    let bystander = kept(&trial, trial.fixtures.role()).await;
    for from in [0, 1, 3, u32::MAX] {
        let insert = RoleChange::Insert { role: Box::new(trial.fixtures.role()), from };
        trial.refuse_one(insert, Conflict::RolesChanged).await;
        trial.refuse_one(RoleChange::Update { role: Box::new(role.clone()), from }, Conflict::RolesChanged).await;
        trial.refuse_one(RoleChange::Delete { name: role.name.clone(), from }, Conflict::RolesChanged).await;
    }
    let at = trial.now() + Duration::from_secs(5);
    role = Role {
        description: None,
        permissions: ["x:y".parse().expect("a permission")].into(),
        inherits: [bystander.name.clone()].into(),
        mfa_required: !role.mfa_required,
        version: 1,
        updated_at: at,
        ..role
    };
    // When it was made, whether it is built in and how often it changed is not the caller's to say.
    let given = Role { version: 9, built_in: true, created_at: at, ..role.clone() };
    trial.apply(RoleChange::Update { role: Box::new(given), from: 2 }).await;
    let read = all(&trial).await;
    assert_eq!(read.version, 3);
    assert!(read.roles.contains(&role) && read.roles.contains(&bystander), "{read:?}");
    trial.apply(RoleChange::Delete { name: role.name.clone(), from: 3 }).await;
    let read = all(&trial).await;
    assert_eq!((read.version, read.roles.len()), (4, 3));
    trial.refuse_one(RoleChange::Delete { name: role.name.clone(), from: 4 }, Conflict::RolesChanged).await;
    trial.refuse_one(RoleChange::Update { role: Box::new(role.clone()), from: 4 }, Conflict::RolesChanged).await;
    // The name is free again.
    trial.apply(RoleChange::Insert { role: Box::new(role), from: 4 }).await;
}

pub async fn built_in_roles_stay(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for role in Role::built_in() {
        trial.refuse_one(RoleChange::Delete { name: role.name.clone(), from: 0 }, Conflict::RolesChanged).await;
        let weaker = Role { permissions: BTreeSet::new(), built_in: false, ..role };
        trial.refuse_one(RoleChange::Update { role: Box::new(weaker), from: 0 }, Conflict::RolesChanged).await;
    }
}

pub async fn a_role_that_somebody_has_is_not_deleted(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    let user = trial.user().await;
    let long_ago = Assignment {
        expires_at: Some(Timestamp::from_unix_micros(1)),
        scope: Some("a:b".parse().expect("a scope")),
        ..given(&trial, &role.name)
    };
    let user = assign(&trial, &user, vec![long_ago]).await;
    trial.refuse_one(RoleChange::Delete { name: role.name.clone(), from: 1 }, Conflict::RoleInUse).await;
    assign(&trial, &user, Vec::new()).await;
    trial.apply(RoleChange::Delete { name: role.name.clone(), from: 1 }).await;
}

pub async fn an_account_begins_without_roles(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let access = Access { version: 3, assignments: vec![given(&trial, &name("admin"))] };
    let user = trial.keep_user(User { access, ..trial.fixtures.user() }).await;
    let read = trial.store.user_by_id(user.id).await.expect("reads").expect("is there");
    assert_eq!(read.access, Access::default(), "roles are assigned, never brought along");
    assert_eq!(users_with_role(&*trial.store, &name("admin"), limit(2)).await, []);
}

pub async fn assignments_are_read_back_with_the_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    let (user, other) = (trial.user().await, trial.user().await);
    let session = trial.session(&user).await;
    let scope = |text: &str| Some(text.parse().expect("a scope"));
    let to = vec![
        given(&trial, &name("admin")),
        Assignment { expires_at: Some(Timestamp::from_unix_micros(1_735_689_600_123_457)), ..given(&trial, &role.name) },
        Assignment { scope: scope("tenant:acme"), assigned_by: Some(other.id), ..given(&trial, &role.name) },
        Assignment { scope: scope(&"z".repeat(128)), assigned_at: Timestamp::UNIX_EPOCH, ..given(&trial, &role.name) },
    ];
    let user = assign(&trial, &user, to).await;
    let read = trial.store.credentials_by_id(user.id).await.expect("reads").expect("is there");
    assert_eq!(read.user, user);
    let read = trial.store.credentials_by_email(&user.email).await.expect("reads").expect("is there");
    assert_eq!(read.user, user);
    assert_eq!(trial.read_session(&session).await.expect("is there").user, user);
    assert_eq!(trial.rotate(&trial.fixtures.rotation(&session)).await.user, user);
    let none = assign(&trial, &user, Vec::new()).await;
    assert_eq!(none.access.version, 2);
    assert_eq!(trial.store.user_by_id(other.id).await.expect("reads"), Some(other), "another account is as it was");
}

pub async fn assignments_are_replaced_only_from_the_version_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let admin = given(&trial, &name("admin"));
    let user = trial.user().await;
    let user = assign(&trial, &user, vec![admin.clone()]).await;
    for from in [0, 2] {
        trial.refuse_one(replace(&user, from, Vec::new(), 0, trial.now()), Conflict::AccessChanged).await;
    }
    trial.refuse_one(replace(&user, 1, Vec::new(), 1, trial.now()), Conflict::RolesChanged).await;
    for gone in [trial.fixtures.user(), trial.closed_user().await] {
        trial.refuse_one(replace(&gone, 0, vec![admin.clone()], 0, trial.now()), Conflict::AccessChanged).await;
    }
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    assign(&trial, &suspended, vec![admin]).await;
}

pub async fn assignments_need_roles_that_exist(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let to = vec![given(&trial, &name("admin")), given(&trial, &name("nobody"))];
    trial.refuse_one(replace(&user, 0, to, 0, trial.now()), Conflict::RolesChanged).await;
}

pub async fn a_closed_account_has_no_roles(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    let user = trial.user().await;
    let user = assign(&trial, &user, vec![given(&trial, &role.name)]).await;
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    assert_eq!(users_with_role(&*trial.store, &role.name, limit(2)).await, []);
    assert_eq!(access_changes(&*trial.store, limit(2)).await, []);
    trial.apply(RoleChange::Delete { name: role.name, from: 1 }).await;
}

pub async fn changed_access_comes_after_the_mark_in_order(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = given(&trial, &name("user"));
    let mut expected = Vec::new();
    for micros in [3, 1, 2, 2, 2, 1] {
        let user = trial.user().await;
        let at = trial.now() + Duration::from_micros(micros);
        trial.apply(replace(&user, 0, vec![role.clone()], 0, at)).await;
        expected.push((at, user.id));
    }
    // The last change of an account alone.
    let (at, id) = expected[1];
    let user = trial.store.user_by_id(id).await.expect("reads").expect("is there");
    trial.apply(replace(&user, 1, Vec::new(), 0, at + Duration::from_micros(1))).await;
    expected[1].0 = at + Duration::from_micros(1);
    trial.user().await;
    expected.sort_unstable();
    for page in [1, 2, 200] {
        let read = access_changes(&*trial.store, limit(page)).await;
        assert_eq!(read.iter().map(|change| (change.at, change.user_id)).collect::<Vec<_>>(), expected);
        for change in read {
            let user = trial.store.user_by_id(change.user_id).await.expect("reads").expect("is there");
            assert_eq!(change.access, user.access);
        }
    }
    let mark = AccessMark { at: expected[5].0, user_id: Some(expected[5].1) };
    let news = trial.store.access_after(mark, limit(9)).await.expect("reads");
    assert_eq!((news.roles_version, news.changes.len()), (0, 0));
    kept(&trial, trial.fixtures.role()).await;
    assert_eq!(trial.store.access_after(mark, limit(9)).await.expect("reads").roles_version, 1);
}

pub async fn accounts_with_a_role_come_in_pages_the_greatest_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (role, other) = (kept(&trial, trial.fixtures.role()).await, kept(&trial, trial.fixtures.role()).await);
    let scoped = |n: u32| Assignment { scope: Some(format!("t:{n}").parse().expect("a scope")), ..given(&trial, &role.name) };
    let mut expected = Vec::new();
    for n in 0..5 {
        let (user, stranger) = (trial.user().await, trial.user().await);
        assign(&trial, &stranger, vec![given(&trial, &other.name)]).await;
        // In however many scopes, she is one.
        expected.push(assign(&trial, &user, (0..=n).map(scoped).collect()).await);
    }
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    expected.push(assign(&trial, &suspended, vec![given(&trial, &role.name)]).await);
    expected.sort_by_key(|user| std::cmp::Reverse(user.id));
    for page in [1, 2, 6, 200] {
        assert_eq!(users_with_role(&*trial.store, &role.name, limit(page)).await, expected, "in pages of {page}");
    }
    assert_eq!(users_with_role(&*trial.store, &name("nobody"), limit(2)).await, []);
}

pub async fn acting_needs_the_access_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let hold = |user: &User, version| UserChange::HoldAccess { id: user.id, version };
    trial.apply(hold(&user, 0)).await;
    let user = assign(&trial, &user, vec![given(&trial, &name("admin"))]).await;
    trial.apply(hold(&user, 1)).await;
    for version in [0, 2] {
        trial.refuse_one(hold(&user, version), Conflict::AuthorityChanged).await;
    }
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for gone in [trial.fixtures.user(), trial.closed_user().await, suspended] {
        trial.refuse_one(hold(&gone, 0), Conflict::AuthorityChanged).await;
    }
}

pub async fn the_last_who_holds_everything_is_spared(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (one, two, nobody) = (trial.user().await, trial.user().await, trial.user().await);
    let spare = |user: &User| RoleChange::SpareLastHolder { user_id: user.id };
    // Where nobody holds everything, there is nobody to spare.
    trial.apply(spare(&one)).await;
    trial.refuse_one(RoleChange::KeepAHolder, Conflict::LastSuperuser).await;
    let admin = given(&trial, &name("admin"));
    let one = assign(&trial, &one, vec![admin.clone()]).await;
    trial.apply(spare(&nobody)).await;
    trial.apply(RoleChange::KeepAHolder).await;
    let take = |user: &User| replace(user, user.access.version, Vec::new(), 0, trial.now());
    let close = |user: &User| UserChange::Close { id: user.id, at: trial.now() };
    trial.refuse(ChangeSet::new().and(spare(&one)).and(take(&one)), Conflict::LastSuperuser).await;
    trial.refuse(ChangeSet::new().and(spare(&one)).and(close(&one)), Conflict::LastSuperuser).await;
    // It stands in front and sees what the changes before it did.
    trial.refuse(ChangeSet::new().and(take(&one)).and(RoleChange::KeepAHolder), Conflict::LastSuperuser).await;
    let two = assign(&trial, &two, vec![admin]).await;
    trial.commit(ChangeSet::new().and(spare(&one)).and(take(&one)).and(RoleChange::KeepAHolder)).await;
    trial.refuse_one(spare(&two), Conflict::LastSuperuser).await;
}

pub async fn everything_is_held_by_the_active_for_good_and_everywhere(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    // An underscore is a letter of a name, and no pattern.
    let chain = ["a_b", "axb", "c"];
    let base = Role { permissions: BTreeSet::new(), inherits: BTreeSet::new(), ..trial.fixtures.role() };
    let mut parent = name("admin");
    for (of, inherits) in [("a_b", true), ("axb", false), ("c", true)] {
        let inherits = if inherits { [parent.clone()].into() } else { BTreeSet::new() };
        let role = kept(&trial, Role { name: name(of), inherits, ..base.clone() }).await;
        if of == "a_b" {
            parent = role.name;
        }
    }
    let everything =
        Role { permissions: ["*", "x:y"].map(|text| text.parse().expect("a permission")).into(), name: name("z"), ..base };
    kept(&trial, everything).await;
    let holder = trial.user().await;
    let holder = assign(&trial, &holder, vec![given(&trial, &name("admin"))]).await;
    let lesser = [
        (UserStatus::Active, Assignment { scope: Some("a:b".parse().expect("a scope")), ..given(&trial, &name("admin")) }),
        (
            UserStatus::Active,
            Assignment { expires_at: Some(trial.now() + Duration::from_hours(1)), ..given(&trial, &name("admin")) },
        ),
        (UserStatus::Active, given(&trial, &name("axb"))),
        (UserStatus::Active, given(&trial, &name("user"))),
        (UserStatus::Suspended, given(&trial, &name("admin"))),
    ];
    for (status, assignment) in lesser {
        let user = trial.keep_user(User { status, ..trial.fixtures.user() }).await;
        assign(&trial, &user, vec![assignment]).await;
        trial.refuse_one(RoleChange::SpareLastHolder { user_id: holder.id }, Conflict::LastSuperuser).await;
    }
    for role in [chain[0], chain[2], "z"] {
        let user = trial.user().await;
        let user = assign(&trial, &user, vec![given(&trial, &name(role))]).await;
        trial.apply(RoleChange::SpareLastHolder { user_id: holder.id }).await;
        assign(&trial, &user, Vec::new()).await;
        trial.refuse_one(RoleChange::SpareLastHolder { user_id: holder.id }, Conflict::LastSuperuser).await;
    }
}

pub async fn one_of_many_role_changes_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (a, b) = (kept(&trial, trial.fixtures.role()).await, kept(&trial, trial.fixtures.role()).await);
    for from in 2..2 + rounds() {
        // Each looks acyclic by itself.
        let results = race(16, |rival| {
            let (child, parent) = if rival % 2 == 0 { (&a, &b) } else { (&b, &a) };
            let role = Role { inherits: [parent.name.clone()].into(), ..child.clone() };
            let store = trial.store.share();
            async move { attempt(store, ChangeSet::new().and(RoleChange::Update { role: Box::new(role), from })).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Conflict::RolesChanged))), "{results:?}");
        assert_eq!(all(&trial).await.version, from + 1);
    }
}

pub async fn one_of_many_assignments_wins(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    for from in 0..rounds() {
        let results = race(16, |rival| {
            let to = vec![given(&trial, &name(if rival % 2 == 0 { "admin" } else { "user" }))];
            let (store, change) = (trial.store.share(), replace(&user, from, to.clone(), 0, trial.now()));
            async move { attempt(store, ChangeSet::new().and(change)).await.map(|_| to) }
        })
        .await;
        let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Conflict::AccessChanged))), "{results:?}");
        let read = trial.store.user_by_id(user.id).await.expect("reads").expect("is there");
        assert_eq!(read.access, Access { version: from + 1, assignments: won[0].clone() });
        for role in ["admin", "user"] {
            let has = users_with_role(&*trial.store, &name(role), limit(2)).await;
            assert_eq!(has.len(), usize::from(won[0][0].role == name(role)), "the other order of the same");
        }
    }
}

pub async fn no_role_is_deleted_while_it_is_assigned(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for _ in 0..rounds() {
        let role = kept(&trial, trial.fixtures.role()).await;
        let (user, version) = (trial.user().await, all(&trial).await.version);
        let results = race(2, |rival| {
            let change = if rival == 0 {
                ChangeSet::new().and(RoleChange::Delete { name: role.name.clone(), from: version })
            } else {
                ChangeSet::new().and(replace(&user, 0, vec![given(&trial, &role.name)], version, trial.now()))
            };
            let store = trial.store.share();
            async move { attempt(store, change).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "one of both: {results:?}");
        let is_there = all(&trial).await.roles.iter().any(|read| read.name == role.name);
        let has = users_with_role(&*trial.store, &role.name, limit(2)).await.len();
        assert_eq!(is_there, has == 1, "an assignment of no role");
    }
}

pub async fn what_was_decided_on_roles_needs_them_as_they_were(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let expect = |version| RoleChange::Expect { version };
    trial.apply(expect(0)).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    trial.apply(expect(1)).await;
    trial.apply(RoleChange::Delete { name: role.name, from: 1 }).await;
    trial.apply(expect(2)).await;
    for version in [0, 1, 3] {
        trial.refuse_one(expect(version), Conflict::RolesChanged).await;
    }
    // It changes nothing, and sees the changes before it.
    trial.apply(expect(2)).await;
    let insert = RoleChange::Insert { role: Box::new(trial.fixtures.role()), from: 2 };
    trial.commit(ChangeSet::new().and(insert).and(expect(3))).await;
}

pub async fn no_impersonation_outlives_the_change_of_a_role(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let role = kept(&trial, trial.fixtures.role()).await;
    let (admin, user) = (trial.user().await, trial.user().await);
    let admin = assign(&trial, &admin, vec![given(&trial, &role.name)]).await;
    let own = trial.session(&admin).await;
    for version in 1..=rounds() {
        let at = trial.now();
        let results = race(16, |rival| {
            let changes = if rival == 8 {
                let end = SessionChange::EndImpersonationsByRole { roles: [role.name.clone()].into(), at };
                ChangeSet::new().and(RoleChange::Update { role: Box::new(role.clone()), from: version }).and(end)
            } else {
                let impersonator = Some(Impersonator { user_id: admin.id, session_id: own.id });
                let session = Session { impersonator, ..trial.fixtures.session(user.id) };
                let insert = SessionChange::Insert { session: Box::new(session), auth_epoch: 0 };
                ChangeSet::new().and(RoleChange::Expect { version }).and(insert)
            };
            let store = trial.store.share();
            async move { attempt(store, changes).await }
        })
        .await;
        let ended = results[8].as_ref().expect("the change succeeds").revoked.len();
        let late = results.iter().filter(|result| matches!(result, Err(Conflict::RolesChanged))).count();
        assert_eq!(ended + late, 15, "each was begun before and is ended, or came too late: {results:?}");
    }
    assert_eq!(live_sessions(&*trial.store, user.id, trial.now(), limit(200)).await, []);
}

pub async fn those_who_hold_everything_cannot_take_it_from_each_other(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let [mut one, mut two] = [trial.user().await, trial.user().await];
    for round in 0..rounds() {
        let admin = vec![given(&trial, &name("admin"))];
        if one.access.assignments.is_empty() {
            one = assign(&trial, &one, admin.clone()).await;
        }
        if two.access.assignments.is_empty() {
            two = assign(&trial, &two, admin).await;
        }
        let results = race(2, |rival| {
            let (actor, victim) = if rival == 0 { (&one, &two) } else { (&two, &one) };
            let changes = ChangeSet::new()
                .and(RoleChange::SpareLastHolder { user_id: victim.id })
                .and(trial.fixtures.event(victim.id))
                .and(replace(victim, victim.access.version, Vec::new(), 0, trial.now()));
            // Without the guard of the actor it is the count alone that saves one of them.
            let hold = UserChange::HoldAccess { id: actor.id, version: actor.access.version };
            let changes = if round % 2 == 0 { changes } else { changes.and(hold) };
            let store = trial.store.share();
            async move { attempt(store, changes).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        [one, two] = [read(&trial, &one).await, read(&trial, &two).await];
        let left = users_with_role(&*trial.store, &name("admin"), limit(9)).await;
        assert_eq!(left.len(), 1, "one stays");
    }
}

fn name(text: &str) -> RoleName {
    text.parse().expect("a name that a test wrote down is one")
}

fn given(trial: &Trial, role: &RoleName) -> Assignment {
    trial.fixtures.assignment(role.as_str())
}

fn replace(user: &User, from: u32, to: Vec<Assignment>, roles_version: u32, at: Timestamp) -> UserChange {
    UserChange::ReplaceAssignments { id: user.id, from, to, roles_version, at }
}

async fn all(trial: &Trial) -> StoredRoles {
    trial.store.roles(None).await.expect("roles are read").expect("nothing is known yet")
}

async fn read(trial: &Trial, user: &User) -> User {
    trial.store.user_by_id(user.id).await.expect("reads").expect("is there")
}

/// Keeps a role.
async fn kept(trial: &Trial, role: Role) -> Role {
    let from = all(trial).await.version;
    trial.apply(RoleChange::Insert { role: Box::new(role.clone()), from }).await;
    role
}

/// Gives an account these roles, and returns it as it is then.
async fn assign(trial: &Trial, user: &User, to: Vec<Assignment>) -> User {
    let from = user.access.version;
    let version = all(trial).await.version;
    trial.apply(replace(user, from, to.clone(), version, trial.now())).await;
    let access = Access { version: from + 1, assignments: to };
    let user = User { access, version: user.version + 1, updated_at: trial.now(), ..user.clone() };
    assert_eq!(read(trial, &user).await, user);
    user
}
