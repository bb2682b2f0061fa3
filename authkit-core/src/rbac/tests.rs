//! The rules of roles.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::{Assignment, Role, StoredRoles};
use crate::primitives::{Permission, RoleName, Scope, Timestamp};

fn name(text: &str) -> RoleName {
    text.parse().expect("a name")
}

fn role(of: &str, permissions: &[&str], inherits: &[&str]) -> Role {
    Role {
        name: name(of),
        permissions: permissions.iter().map(|text| text.parse().expect("a permission")).collect(),
        inherits: inherits.iter().map(|text| name(text)).collect(),
        built_in: false,
        ..Role::built_in()[1].clone()
    }
}

fn graph(roles: Vec<Role>) -> RoleGraph {
    RoleGraph::of(&StoredRoles { version: 1, roles })
}

fn given(role: &str, scope: Option<&str>, expires_at: Option<i64>) -> Assignment {
    let scope = scope.map(|text| text.parse().expect("a scope"));
    let expires_at = expires_at.map(Timestamp::from_unix_seconds);
    Assignment { role: name(role), scope, expires_at, assigned_by: None, assigned_at: Timestamp::UNIX_EPOCH }
}

fn at(seconds: i64) -> impl Fn() -> Timestamp {
    move || Timestamp::from_unix_seconds(seconds)
}

fn office() -> RoleGraph {
    graph(vec![
        role("reader", &["invoice:read", "report:*"], &[]),
        role("writer", &["invoice:write"], &["reader"]),
        role("boss", &["*"], &[]),
        role("deputy", &[], &["boss", "writer"]),
    ])
}

#[test]
fn a_role_gives_what_it_inherits() {
    let office = office();
    let writer = office.gives(&name("writer")).expect("is there");
    assert!(writer.holds("invoice:read") && writer.holds("invoice:write") && writer.holds("report:print"));
    assert!(writer.holds("report:*") && !writer.holds("invoice:*") && !writer.holds("*") && !writer.holds("reports:x"));
    assert!(!office.gives(&name("reader")).expect("is there").holds("invoice:write"));
    assert!(office.gives(&name("deputy")).expect("is there").holds("anything:at-all"));
    let giving: Vec<&str> = office.giving("invoice:write").into_iter().map(RoleName::as_str).collect();
    assert_eq!(giving, ["boss", "deputy", "writer"]);
}

#[test]
fn a_cycle_is_refused_however_long() {
    let office = office();
    assert_eq!(office.with(role("boss", &[], &["boss"])).expect_err("a cycle"), GraphError::Cycle(name("boss")));
    assert_eq!(office.with(role("reader", &[], &["deputy"])).expect_err("a cycle"), GraphError::Cycle(name("reader")));
    assert_eq!(office.with(role("x", &[], &["nobody"])).expect_err("unknown"), GraphError::Unknown(name("nobody")));
    let long = (0..1_000).map(|n| {
        role(
            &format!("r{n}"),
            &[&format!("a:b{n}")],
            &if n > 0 { vec![format!("r{}", n - 1)] } else { vec![] }.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    });
    let long = graph(long.collect());
    assert!(long.gives(&name("r999")).expect("is there").holds("a:b0"));
    assert!(matches!(long.with(role("r0", &[], &["r999"])), Err(GraphError::Cycle(_))));
}

#[test]
fn a_stored_cycle_gives_no_more_than_its_parts() {
    let broken = graph(vec![role("a", &["a:a"], &["b"]), role("b", &["b:b"], &["a", "gone"])]);
    let gives = broken.gives(&name("a")).expect("is there");
    assert!(gives.holds("a:a") && !gives.holds("c:c") && !gives.holds("*"));
}

#[test]
fn a_scoped_role_counts_in_its_scope_alone_and_an_unscoped_one_in_every_scope() {
    let access = EffectiveAccess::of(&[given("writer", Some("tenant:acme"), None), given("reader", None, None)], &office());
    let (acme, other): (Scope, Scope) = ("tenant:acme".parse().expect("a scope"), "tenant:acme2".parse().expect("a scope"));
    assert!(access.holds_in("invoice:write", &acme, at(0)) && !access.holds_in("invoice:write", &other, at(0)));
    assert!(!access.holds("invoice:write", at(0)));
    assert!(access.holds("invoice:read", at(0)) && access.holds_in("invoice:read", &other, at(0)));
    assert_eq!(access.permissions(Timestamp::UNIX_EPOCH).len(), 2);
}

#[test]
fn what_is_held_until_an_instant_ends_there() {
    let access = EffectiveAccess::of(
        &[given("boss", None, Some(100)), given("writer", None, Some(50)), given("reader", None, None)],
        &office(),
    );
    assert!(access.holds("x:y", at(99)) && !access.holds("x:y", at(100)));
    assert!(
        access.holds("invoice:write", at(99)) && !access.holds("invoice:write", at(100)) && access.holds("invoice:read", at(100))
    );
    let end = |seconds| Some(Timestamp::from_unix_seconds(seconds));
    assert!(access.lasting(None, end(100)).holds_everything() && !access.lasting(None, end(101)).holds("invoice:write"));
    assert!(access.lasting(None, end(50)).holds("invoice:write"));
    assert!(!access.lasting(None, None).holds("invoice:write") && access.lasting(None, None).holds("invoice:read"));
}

#[test]
fn nobody_holds_all_of_somebody_who_has_more() {
    let office = office();
    let of = |given: &[Assignment]| EffectiveAccess::of(given, &office);
    let now = Timestamp::UNIX_EPOCH;
    let (boss, writer) = (of(&[given("boss", None, None)]), of(&[given("writer", None, None)]));
    let (acme, globex) = (of(&[given("writer", Some("t:acme"), None)]), of(&[given("reader", Some("t:globex"), None)]));
    assert!(boss.holds_all_of(&writer, now) && boss.holds_all_of(&boss, now) && !writer.holds_all_of(&boss, now));
    assert!(writer.holds_all_of(&acme, now) && !acme.holds_all_of(&writer, now));
    assert!(!acme.holds_all_of(&globex, now) && writer.holds_all_of(&globex, now));
    assert!(acme.holds_all_of(&of(&[given("reader", Some("t:acme"), None), given("boss", None, Some(-5))]), now));
    assert!(acme.holds_all_of(&EffectiveAccess::default(), now));
}

fn permissions() -> impl Strategy<Value = BTreeSet<Permission>> {
    let text = prop_oneof![Just("*"), Just("a:*"), Just("b:*"), Just("a:x"), Just("a:y"), Just("b:x"), Just("b:y"), Just("c:x")];
    proptest::collection::btree_set(text.prop_map(|text| text.parse().expect("a permission")), 0..5)
}

proptest! {
    /// The set says what its permissions say one by one.
    #[test]
    fn a_set_holds_what_one_of_its_permissions_covers(held in permissions(), needed in permissions()) {
        let set: PermissionSet = held.iter().collect();
        for one in &needed {
            prop_assert_eq!(set.holds(one.as_str()), held.iter().any(|held| held.covers(one)), "{} in {:?}", one, &held);
        }
        let all = needed.iter().all(|one| held.iter().any(|held| held.covers(one)));
        prop_assert_eq!(set.holds_all(&needed.iter().collect()), all);
        let shown = set.to_permissions();
        prop_assert!(shown.iter().collect::<PermissionSet>().holds_all(&set) && set.holds_all(&shown.iter().collect()));
    }
}
