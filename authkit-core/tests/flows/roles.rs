//! Roles: what reaches tokens that were issued before, and what nobody reaches by whatever path.

use std::time::{Duration, Instant};

use authkit_core::flows::{Administrator, ExpectedRole, NewRole, RoleError, RoleGrant, RoleUpdate, Run};
use authkit_core::model::{AuditAction, Outcome, Patch};
use authkit_core::{AuthKit, Email, LoggedIn, PageRequest, Permission, Registration, RoleName, Scope, Timestamp, UserId};

use crate::support::{World, password, principal, refresh, request};

const OPERATOR: Administrator<'static> = Administrator::Operator;

fn name(text: &str) -> RoleName {
    text.parse().expect("a name")
}

fn scope(text: &str) -> Scope {
    text.parse().expect("a scope")
}

fn new_role(of: &str, permissions: &[&str], inherits: &[&str]) -> NewRole {
    NewRole {
        name: name(of),
        description: None,
        permissions: permissions.iter().map(|text| text.parse().expect("a permission")).collect(),
        inherits: inherits.iter().map(|text| name(text)).collect(),
        mfa_required: false,
    }
}

fn permissions(texts: &[&str]) -> RoleUpdate {
    let permissions = texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect();
    RoleUpdate { permissions: Some(permissions), ..RoleUpdate::default() }
}

fn grant(user_id: UserId, role: &str) -> RoleGrant {
    RoleGrant { user_id, role: name(role), scope: None, expires_at: None }
}

async fn user(auth: &AuthKit, address: &str) -> LoggedIn {
    let registration = Registration::new(Email::parse(address).expect("an address"), password("SecurePass123"));
    auth.accounts().register(registration, &request()).await.expect("registers")
}

async fn make(auth: &AuthKit, role: NewRole) {
    auth.roles().create(OPERATOR, &role, Run::Real, &request()).await.expect("makes");
}

async fn assign(auth: &AuthKit, by: Administrator<'_>, grant: RoleGrant) -> Result<(), RoleError> {
    auth.roles().assign(by, &grant, Run::Real, &request()).await.map(|_| ())
}

async fn with_role(auth: &AuthKit, address: &str, role: &str) -> LoggedIn {
    let logged_in = user(auth, address).await;
    assign(auth, OPERATOR, grant(logged_in.user.id, role)).await.expect("assigns");
    logged_in
}

/// Waits until a node knows something, for a second of the wall at most.
#[expect(clippy::disallowed_methods, reason = "how long news travel is time that passes")]
async fn within_a_second(known: impl Fn() -> bool) {
    let begun = Instant::now();
    while !known() {
        assert!(begun.elapsed() < Duration::from_secs(1), "a second was not enough");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_role_reaches_a_token_that_was_issued_before_and_so_does_its_loss() {
    let world = World::new();
    let (here, there, alone) = (world.node().await, world.node().await, world.lonely_node().await);
    make(&here, new_role("writer", &["invoice:write"], &[])).await;
    let jane = user(&here, "jane@example.com").await;
    assert!(principal(&here, &jane).require("invoice:write").is_err());
    world.tick();
    assign(&here, OPERATOR, grant(jane.user.id, "writer")).await.expect("assigns");
    assert!(principal(&here, &jane).can("invoice:write"), "at once where it was done");
    for node in [&there, &alone] {
        within_a_second(|| principal(node, &jane).can("invoice:write")).await;
    }
    // What a role gives, too.
    here.roles().update(OPERATOR, &name("writer"), &permissions(&["report:read"]), Run::Real, &request()).await.expect("updates");
    assert!(!principal(&here, &jane).can("invoice:write") && principal(&here, &jane).can("report:read"));
    for node in [&there, &alone] {
        within_a_second(|| !principal(node, &jane).can("invoice:write") && principal(node, &jane).can("report:read")).await;
    }
    // A token that says so itself, and a node that starts afterwards.
    let renewed = refresh(&here, &jane.tokens.refresh_token).await;
    assert_eq!(principal(&here, &renewed).claims().access.assignments[0].role, name("writer"));
    here.roles().unassign(OPERATOR, jane.user.id, &name("writer"), None, Run::Real, &request()).await.expect("takes");
    assert!(!principal(&here, &renewed).can("report:read"), "the newer version counts, not the token");
    for node in [&there, &alone, &world.node().await] {
        within_a_second(|| !principal(node, &renewed).can("report:read")).await;
    }
}

#[tokio::test]
async fn an_assignment_ends_by_itself_and_a_scope_is_no_other_scope() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("writer", &["invoice:*"], &[])).await;
    let jane = user(&auth, "jane@example.com").await;
    let end = Timestamp::from_unix_seconds(principal(&auth, &jane).claims().issued_at.unix_seconds() + 60);
    let acme = RoleGrant { scope: Some(scope("tenant:acme")), ..grant(jane.user.id, "writer") };
    assign(&auth, OPERATOR, acme).await.expect("assigns");
    assign(&auth, OPERATOR, RoleGrant { expires_at: Some(end), ..grant(jane.user.id, "writer") }).await.expect("assigns");
    let jane = refresh(&auth, &jane.tokens.refresh_token).await;
    let held = principal(&auth, &jane);
    assert!(held.can("invoice:write") && held.can_in("invoice:write", &scope("tenant:globex")));
    world.clock.advance(Duration::from_secs(61));
    for held in [held, principal(&auth, &jane)] {
        assert!(!held.can("invoice:write") && !held.can_in("invoice:write", &scope("tenant:globex")));
        assert!(held.can_in("invoice:write", &scope("tenant:acme")) && !held.can_in("invoice:write", &scope("tenant:acm")));
        let refused = held.require("invoice:write").expect_err("forbidden");
        assert_eq!((refused.code(), refused.permission()), ("auth.permission_required", "invoice:write"));
    }
}

#[tokio::test]
async fn nobody_reaches_what_she_does_not_hold_by_any_path() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("clerk", &["roles:read", "roles:write", "roles:assign", "invoice:read"], &[])).await;
    make(&auth, new_role("writer", &["invoice:write"], &[])).await;
    make(&auth, new_role("reader", &["invoice:read"], &[])).await;
    let clerk = with_role(&auth, "clerk@example.com", "clerk").await;
    let jane = user(&auth, "jane@example.com").await;
    let caller = principal(&auth, &clerk);
    let by = Administrator::User(&caller);
    let context = request();
    // Hand on what she does not hold, to herself and to others.
    for (id, role) in [(clerk.user.id, "admin"), (jane.user.id, "admin"), (clerk.user.id, "writer"), (jane.user.id, "writer")] {
        assert!(matches!(assign(&auth, by, grant(id, role)).await, Err(RoleError::NotHeld)), "{role}");
    }
    // Make a role of it, of one that inherits it, or of a wildcard around what she holds.
    for role in [
        new_role("mine", &["invoice:write"], &[]),
        new_role("mine", &[], &["writer"]),
        new_role("mine", &[], &["admin"]),
        new_role("mine", &["invoice:*"], &[]),
        new_role("mine", &["*"], &[]),
    ] {
        let made = auth.roles().create(by, &role, Run::Real, &context).await;
        assert!(matches!(made, Err(RoleError::NotHeld)), "{role:?}");
    }
    // Put it into her own role, or make that inherit it.
    let inherit = |role: &str| RoleUpdate { inherits: Some([name(role)].into()), ..RoleUpdate::default() };
    for update in [permissions(&["roles:write", "*"]), inherit("admin"), inherit("writer")] {
        let made = auth.roles().update(by, &name("clerk"), &update, Run::Real, &context).await;
        assert!(matches!(made, Err(RoleError::NotHeld)), "{update:?}");
    }
    // Take it out of somebody else's, or from somebody.
    let weaker = auth.roles().update(by, &name("writer"), &permissions(&[]), Run::Real, &context).await;
    assert!(matches!(weaker, Err(RoleError::NotHeld)));
    assert!(matches!(
        auth.roles().delete(by, &name("writer"), &ExpectedRole::Anything, Run::Real, &context).await,
        Err(RoleError::NotHeld)
    ));
    let built_in = auth.roles().update(by, &name("user"), &inherit("admin"), Run::Real, &context).await;
    assert!(matches!(built_in, Err(RoleError::BuiltIn)));
    // What she holds she may hand on.
    assign(&auth, by, grant(jane.user.id, "reader")).await.expect("assigns");
    auth.roles().create(by, &new_role("mine", &["invoice:read"], &["reader"]), Run::Real, &context).await.expect("makes");
    let refusals = world.events().await.into_iter().filter(|event| event.outcome == Outcome::Failure).count();
    assert!(refusals >= 13, "every attempt is in the log: {refusals}");
}

#[tokio::test]
async fn whoever_may_changes_her_own_roles_too() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("clerk", &["roles:assign", "invoice:read"], &[])).await;
    make(&auth, new_role("reader", &["invoice:read"], &[])).await;
    let clerk = with_role(&auth, "clerk@example.com", "clerk").await;
    let by = principal(&auth, &clerk);
    assign(&auth, (&by).into(), grant(clerk.user.id, "reader")).await.expect("what she holds");
    let take = async |role: &str| {
        let context = request();
        auth.roles().unassign((&by).into(), clerk.user.id, &name(role), None, Run::Real, &context).await.map(|_| ())
    };
    take("reader").await.expect("what is hers");
    take("clerk").await.expect("and what lets her do this");
    assert_eq!(take("reader").await.expect_err("no more").code(), "auth.permission_required");
}

#[tokio::test]
async fn who_holds_for_a_while_or_in_a_scope_hands_on_no_more_than_that() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("boss", &["roles:assign", "invoice:*"], &[])).await;
    make(&auth, new_role("writer", &["invoice:write"], &[])).await;
    let (local, passing, jane) =
        (user(&auth, "a@example.com").await, user(&auth, "b@example.com").await, user(&auth, "c@example.com").await);
    let now = principal(&auth, &jane).claims().issued_at;
    let end = Some(Timestamp::from_unix_seconds(now.unix_seconds() + 3_600));
    let acme = Some(scope("tenant:acme"));
    assign(&auth, OPERATOR, RoleGrant { scope: acme.clone(), ..grant(local.user.id, "boss") }).await.expect("assigns");
    assign(&auth, OPERATOR, RoleGrant { expires_at: end, ..grant(passing.user.id, "boss") }).await.expect("assigns");
    let local = principal(&auth, &local);
    let outside = assign(&auth, (&local).into(), grant(jane.user.id, "writer")).await;
    assert_eq!(outside.expect_err("outside").code(), "auth.permission_required");
    let elsewhere = RoleGrant { scope: Some(scope("tenant:globex")), ..grant(jane.user.id, "writer") };
    assert_eq!(assign(&auth, (&local).into(), elsewhere).await.expect_err("outside").code(), "auth.permission_required");
    assign(&auth, (&local).into(), RoleGrant { scope: acme, ..grant(jane.user.id, "writer") }).await.expect("inside");
    let passing = principal(&auth, &passing);
    let for_good = assign(&auth, (&passing).into(), grant(passing.user_id(), "boss")).await;
    assert!(matches!(for_good, Err(RoleError::NotHeld)), "her own role, for longer");
    let longer = RoleGrant { expires_at: end.map(|end| end + Duration::from_secs(1)), ..grant(jane.user.id, "writer") };
    assert!(matches!(assign(&auth, (&passing).into(), longer).await, Err(RoleError::NotHeld)));
    assign(&auth, (&passing).into(), RoleGrant { expires_at: end, ..grant(jane.user.id, "writer") }).await.expect("as long");
}

#[tokio::test]
async fn a_demoted_administrator_is_refused_by_a_node_that_has_not_heard_of_it() {
    let world = World::new();
    let (here, alone) = (world.node().await, world.lonely_node().await);
    let (one, two) = (with_role(&here, "one@example.com", "admin").await, with_role(&here, "two@example.com", "admin").await);
    let held = principal(&alone, &two);
    let by_one = principal(&here, &one);
    here.roles().unassign((&by_one).into(), two.user.id, &name("admin"), None, Run::Real, &request()).await.expect("takes");
    let refused = alone.roles().list((&held).into()).await.expect_err("demoted");
    assert_eq!(refused.code(), "auth.permission_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_holder_stays_whoever_comes_at_once() {
    for _ in 0..20 {
        let world = World::new();
        let (here, there) = (world.node().await, world.node().await);
        let (one, two) = (with_role(&here, "one@example.com", "admin").await, with_role(&here, "two@example.com", "admin").await);
        let (by_one, by_two) = (principal(&here, &one), principal(&there, &two));
        let take = |auth: AuthKit, by: authkit_core::Principal, from: UserId| async move {
            auth.roles().unassign((&by).into(), from, &name("admin"), None, Run::Real, &request()).await.map(|_| ())
        };
        let (first, second) =
            tokio::join!(tokio::spawn(take(here.clone(), by_one, two.user.id)), tokio::spawn(take(there, by_two, one.user.id)));
        let (first, second) = (first.expect("ends"), second.expect("ends"));
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "{first:?} {second:?}");
        let everything = Permission::everything();
        let holders = here.roles().who_can(OPERATOR, &everything, PageRequest::default()).await.expect("reads");
        assert_eq!(holders.items.len(), 1);
        // Neither by herself, nor by the end of her account, nor by a shorter assignment.
        let last = holders.items[0].user_id;
        let logged_in = if last == one.user.id { &one } else { &two };
        let held = principal(&here, logged_in);
        let taken = here.roles().unassign((&held).into(), last, &name("admin"), None, Run::Real, &request()).await;
        assert!(matches!(taken, Err(RoleError::LastSuperuser)), "{taken:?}");
        let closed = here.accounts().close(&held, &request()).await.expect_err("the last one");
        assert_eq!(closed.code(), "role.last_superuser");
        let end = Some(held.claims().issued_at + Duration::from_hours(1));
        let shorter = assign(&here, OPERATOR, RoleGrant { expires_at: end, ..grant(last, "admin") }).await;
        assert!(matches!(shorter, Err(RoleError::LastSuperuser)), "{shorter:?}");
    }
}

#[tokio::test]
async fn a_role_that_gives_everything_is_not_emptied_under_its_last_holder() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("root", &["*"], &[])).await;
    make(&auth, new_role("chief", &[], &["root"])).await;
    // Where nobody has it, it may be emptied.
    auth.roles().update(OPERATOR, &name("root"), &permissions(&["a:b"]), Run::Real, &request()).await.expect("updates");
    auth.roles().update(OPERATOR, &name("root"), &permissions(&["*"]), Run::Real, &request()).await.expect("updates");
    let chief = with_role(&auth, "chief@example.com", "chief").await;
    let by = principal(&auth, &chief);
    for run in [Run::Dry, Run::Real] {
        let emptied = auth.roles().update(OPERATOR, &name("root"), &permissions(&["a:b"]), run, &request()).await;
        assert!(matches!(emptied, Err(RoleError::LastSuperuser)), "{run:?} {emptied:?}");
    }
    let own = auth.roles().update((&by).into(), &name("root"), &permissions(&["a:b"]), Run::Real, &request()).await;
    assert!(matches!(own, Err(RoleError::LastSuperuser)), "{own:?}");
    with_role(&auth, "other@example.com", "admin").await;
    auth.roles().update((&by).into(), &name("root"), &permissions(&["a:b"]), Run::Real, &request()).await.expect("updates");
}

#[tokio::test]
async fn a_dry_run_tells_who_gains_and_loses_what_and_changes_nothing() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("base", &["invoice:read", "invoice:write"], &[])).await;
    make(&auth, new_role("heir", &[], &["base"])).await;
    let jane = with_role(&auth, "jane@example.com", "heir").await;
    with_role(&auth, "joe@example.com", "user").await;
    let before = world.events().await.len();
    let update = permissions(&["invoice:read", "report:read"]);
    let (_, impact) = auth.roles().update(OPERATOR, &name("base"), &update, Run::Dry, &request()).await.expect("decides");
    let roles: Vec<&str> = impact.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(roles, ["base", "heir"]);
    assert_eq!(impact.accounts.len(), 1);
    let hers = &impact.accounts[0];
    let texts = |permissions: &[Permission]| permissions.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (hers.user_id, texts(&hers.gained), texts(&hers.lost)),
        (jane.user.id, vec!["report:read".into()], vec!["invoice:write".into()])
    );
    assert_eq!(world.events().await.len(), before);
    assert!(principal(&auth, &jane).can("invoice:write"));
}

#[tokio::test]
async fn what_is_too_much_or_goes_in_a_circle_is_refused() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("a", &[], &[])).await;
    make(&auth, new_role("b", &[], &["a"])).await;
    let context = request();
    let inherit = |role: &str| RoleUpdate { inherits: Some([name(role)].into()), ..RoleUpdate::default() };
    let circle = auth.roles().update(OPERATOR, &name("a"), &inherit("b"), Run::Real, &context).await;
    assert!(matches!(circle, Err(RoleError::Cycle)));
    let unknown = auth.roles().update(OPERATOR, &name("a"), &inherit("nobody"), Run::Real, &context).await;
    assert!(matches!(unknown, Err(RoleError::UnknownInherited { .. })));
    let many: Vec<String> = (0..1_001).map(|n| format!("a:b{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let large = auth.roles().create(OPERATOR, &new_role("c", &many, &[]), Run::Real, &context).await;
    assert!(matches!(large, Err(RoleError::TooMany { .. })));
    let stale = RoleUpdate { expected: ExpectedRole::OneOf(Vec::new()), description: Patch::Clear, ..RoleUpdate::default() };
    assert!(matches!(auth.roles().update(OPERATOR, &name("a"), &stale, Run::Real, &context).await, Err(RoleError::Changed)));
    assert!(matches!(
        auth.roles().delete(OPERATOR, &name("a"), &ExpectedRole::Anything, Run::Real, &context).await,
        Err(RoleError::Inherited { .. })
    ));
    // As many and as long as can be: the token is still one that is looked at.
    let jane = user(&auth, "jane@example.com").await;
    let mut given = 0;
    for n in 0..70 {
        let scope = Some(scope(&format!("{n:02}{}", "s".repeat(126))));
        match assign(&auth, OPERATOR, RoleGrant { scope, ..grant(jane.user.id, "user") }).await {
            Ok(()) => given += 1,
            Err(RoleError::TooMany { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((20..=64).contains(&given), "{given}");
    let jane = refresh(&auth, &jane.tokens.refresh_token).await;
    assert!(jane.tokens.access_token.expose().len() <= 8 * 1_024);
    assert_eq!(principal(&auth, &jane).claims().access.assignments.len(), given);
}

#[tokio::test]
async fn every_change_is_in_the_log_with_what_it_changed() {
    let world = World::new();
    let auth = world.node().await;
    make(&auth, new_role("writer", &["invoice:write"], &[])).await;
    world.tick();
    auth.roles()
        .update(OPERATOR, &name("writer"), &permissions(&["invoice:read"]), Run::Real, &request())
        .await
        .expect("updates");
    let event = world.events().await.swap_remove(0);
    assert_eq!(event.action, AuditAction::RoleChanged);
    assert_eq!(event.details.get("permissions_added").map(String::as_str), Some("invoice:read"));
    assert_eq!(event.details.get("permissions_removed").map(String::as_str), Some("invoice:write"));
    let jane = user(&auth, "jane@example.com").await;
    world.tick();
    assign(&auth, OPERATOR, grant(jane.user.id, "writer")).await.expect("assigns");
    let event = world.events().await.swap_remove(0);
    assert_eq!((event.action, event.subject), (AuditAction::RoleAssigned, Some(jane.user.id)));
    world.tick();
    auth.roles().unassign(OPERATOR, jane.user.id, &name("writer"), None, Run::Real, &request()).await.expect("takes");
    auth.roles().delete(OPERATOR, &name("writer"), &ExpectedRole::Anything, Run::Real, &request()).await.expect("deletes");
}
