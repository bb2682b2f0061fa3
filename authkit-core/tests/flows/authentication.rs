//! Bearer tokens, logout, and how a node learns of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authkit_core::flows::{AuthenticateError, SessionError};
use authkit_core::model::{AuditAction, Outcome};
use authkit_core::testkit::FrozenClock;
use authkit_core::{Clock, Login, PageRequest, RefreshToken, Timestamp};

use crate::support::{World, email, is_authenticated, log_in, password, principal, refresh, register, request};

#[tokio::test]
async fn after_logout_both_tokens_of_the_session_are_refused() {
    let world = World::new();
    let (auth, other_node) = (world.node().await, world.node().await);
    let registered = register(&auth).await;
    assert!(is_authenticated(&auth, &registered) && is_authenticated(&other_node, &registered));

    world.tick();
    for _ in 0..2 {
        auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("succeeds, and again");
    }
    for node in [&auth, &other_node] {
        let refused = node.authenticate(registered.tokens.access_token.expose());
        assert_eq!(refused.err(), Some(AuthenticateError::Revoked));
    }
    world.tick();
    auth.sessions().refresh(&registered.tokens.refresh_token, &request()).await.expect_err("refused");
    let actions = world.actions().await;
    let refused = (AuditAction::RefreshRefused, Outcome::Failure);
    assert_eq!(actions, [refused, (AuditAction::Logout, Outcome::Success), (AuditAction::AccountRegistered, Outcome::Success)]);
    auth.sessions().log_out(&RefreshToken::new("ak_rt_made_up".into()), &request()).await.expect_err("never issued");
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_bus_learns_of_a_logout_from_the_store() {
    let world = World::new();
    let (auth, lonely) = (world.node().await, world.lonely_node().await);
    let registered = register(&auth).await;
    assert!(is_authenticated(&lonely, &registered));
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    // The poll runs on tokio's clock, which stands still but for this sleep.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!is_authenticated(&lonely, &registered), "within a second and a bit");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_ran_ahead_and_was_set_right_brings_no_session_back() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    world.clock.advance(Duration::from_mins(3));
    let right = world.clock.now();
    world.clock.advance(Duration::from_hours(1));
    // Long enough for the round in which revocations are forgotten.
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(auth.revoked_sessions(), 0, "as far as this node knew, every token had expired");
    world.clock.set(right);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!is_authenticated(&auth, &registered));
}

/// A part of the host that has a defect for a while.
#[derive(Debug)]
struct Defective {
    clock: FrozenClock,
    panics: AtomicBool,
}

impl Clock for Defective {
    fn now(&self) -> Timestamp {
        assert!(!self.panics.load(Ordering::SeqCst), "a defect");
        self.clock.now()
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_background_does_not_end_the_polling() {
    let world = World::new();
    let clock = Arc::new(Defective { clock: world.clock.clone(), panics: AtomicBool::new(false) });
    let lonely = world.unjoined(world.config.clone()).clock(clock.clone()).build().await.expect("builds");
    let auth = world.node().await;
    let registered = register(&auth).await;
    clock.panics.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    clock.panics.store(false, Ordering::SeqCst);
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!is_authenticated(&lonely, &registered));
}

#[tokio::test]
async fn a_shorter_lifetime_binds_the_tokens_that_were_issued_before_it() {
    let world = World::new();
    let mut longer = world.config.clone();
    longer.tokens.lifetime = Duration::from_hours(1);
    let before = world.node_with(longer).await;
    let registered = register(&before).await;
    before.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    // Revocations are remembered for as long as a token of today's settings can live.
    world.clock.advance(Duration::from_mins(20));
    assert!(!is_authenticated(&world.lonely_node().await, &registered));
}

#[tokio::test]
async fn a_logout_that_is_repeated_at_another_node_holds_there_at_once() {
    let world = World::new();
    let (auth, lonely) = (world.node().await, world.lonely_node().await);
    let registered = register(&auth).await;
    for node in [&auth, &lonely] {
        node.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("succeeds, and again");
        assert!(!is_authenticated(node, &registered), "whoever was told that she is logged out is");
    }
}

#[tokio::test]
async fn a_logout_of_a_session_whose_account_was_closed_at_another_node_holds_at_once() {
    let world = World::new();
    let (auth, lonely) = (world.node().await, world.lonely_node().await);
    let registered = register(&auth).await;
    auth.accounts().close(&principal(&auth, &registered), &request()).await.expect("closes");
    lonely.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("there is nothing left to end");
    assert!(!is_authenticated(&lonely, &registered), "whoever was told that she is logged out is");
}

#[tokio::test]
async fn a_node_that_starts_knows_what_was_revoked_before() {
    let mut world = World::new();
    world.config.sessions.max_per_user = 1_000;
    let auth = world.node().await;
    let registered = register(&auth).await;
    for _ in 0..205 {
        log_in(&auth).await;
    }
    auth.sessions().log_out_all(&principal(&auth, &registered), &request()).await.expect("logs out");
    assert!(!is_authenticated(&world.lonely_node().await, &registered), "more revocations than one page holds");
}

#[tokio::test]
async fn an_access_token_expires_and_a_revocation_is_forgotten_only_after_that() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    world.clock.advance(Duration::from_mins(15) + Duration::from_secs(29));
    assert!(is_authenticated(&auth, &registered), "within the leeway");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(auth.authenticate(registered.tokens.access_token.expose()).err(), Some(AuthenticateError::Expired));
    let renewed = refresh(&auth, &registered.tokens.refresh_token).await;
    assert!(is_authenticated(&auth, &renewed));
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session() {
    let world = World::new();
    let auth = world.node().await;
    let here = register(&auth).await;
    let there = log_in(&auth).await;
    let ended = auth.sessions().log_out_all(&principal(&auth, &here), &request()).await.expect("logs out");
    assert_eq!(ended, 2);
    assert!(!is_authenticated(&auth, &here) && !is_authenticated(&auth, &there));
    assert!(is_authenticated(&auth, &log_in(&auth).await), "and then in again");
}

#[tokio::test]
async fn a_session_can_be_ended_from_another_device_but_not_by_somebody_else() {
    let world = World::new();
    let auth = world.node().await;
    let here = register(&auth).await;
    let there = log_in(&auth).await;
    let stranger = authkit_core::Registration::new(
        authkit_core::Email::parse("eve@example.com").expect("an address"),
        password("SecurePass123"),
    );
    let stranger = auth.accounts().register(stranger, &request()).await.expect("registers");

    let eve = principal(&auth, &stranger);
    let refused = auth.sessions().revoke(&eve, there.session_id, &request()).await;
    assert!(matches!(refused, Err(SessionError::NotFound)));
    assert!(is_authenticated(&auth, &there));

    let caller = principal(&auth, &here);
    auth.sessions().revoke(&caller, there.session_id, &request()).await.expect("ends it");
    assert!(!is_authenticated(&auth, &there) && is_authenticated(&auth, &here));
    let again = auth.sessions().revoke(&caller, there.session_id, &request()).await;
    assert!(matches!(again, Err(SessionError::NotFound)));
    let left = auth.sessions().list(&caller, PageRequest::default()).await.expect("lists").items;
    assert_eq!(left.iter().map(|session| session.id).collect::<Vec<_>>(), [here.session_id]);
}

#[tokio::test]
async fn a_fresh_proof_of_identity_is_in_the_token() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    world.clock.advance(Duration::from_mins(10));
    let caller = principal(&auth, &registered);
    auth.sessions().reauthenticate(&caller, password("WrongPass123"), &request()).await.expect_err("wrong");
    world.tick();
    let (token, _) = auth.sessions().reauthenticate(&caller, password("SecurePass123"), &request()).await.expect("right");
    let fresh = auth.authenticate(token.expose()).expect("valid");
    assert_eq!(fresh.authenticated_at() - caller.authenticated_at(), Duration::from_mins(10));
    assert_eq!(fresh.session_id(), caller.session_id());
    let renewed = refresh(&auth, &registered.tokens.refresh_token).await;
    assert_eq!(principal(&auth, &renewed).authenticated_at(), fresh.authenticated_at(), "the session remembers");
    let outcomes: Vec<_> = world.actions().await.into_iter().take(2).collect();
    assert_eq!(outcomes, [(AuditAction::Reauthentication, Outcome::Success), (AuditAction::Reauthentication, Outcome::Failure)]);
}

#[tokio::test]
async fn a_login_that_fails_leaves_the_others_alone() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    auth.sessions().log_in(Login::new(email(), password("WrongPass123")), &request()).await.expect_err("wrong");
    assert!(is_authenticated(&auth, &registered));
}
