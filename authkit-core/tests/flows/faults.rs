//! Storage that goes away, replies that are lost: nothing is half-made, nothing comes back to life.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{Internal, LoginError, RefreshError, RegisterError};
use authkit_core::model::Revocation;
use authkit_core::ports::{BusError, BusHealth, RevocationBus, RevocationSink};
use authkit_core::testkit::{Fault, FaultyStore, FrozenClock, Gate, Method};
use authkit_core::{AuthKit, Clock as _, Login, Registration};

use crate::support::{PASSWORD, World, email, is_authenticated, log_in, password, refresh, register, request};

async fn world() -> (World, Arc<FaultyStore<MemoryStore>>, AuthKit) {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(faulty.clone());
    let auth = world.node().await;
    (world, faulty, auth)
}

#[tokio::test]
async fn tokens_are_verified_while_the_store_is_away_and_all_else_says_so() {
    let (_, faulty, auth) = world().await;
    let registered = register(&auth).await;
    faulty.set_down(true);
    assert!(is_authenticated(&auth, &registered));
    let login = auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect_err("is away");
    assert_eq!(login.code(), "service.unavailable");
    let renewed = auth.sessions().refresh(&registered.tokens.refresh_token, &request()).await.expect_err("is away");
    assert_eq!(renewed.code(), "service.unavailable");
    let logout = auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect_err("no false success");
    assert_eq!(logout.code(), "service.unavailable");
    assert!(!auth.health().await.is_ready());

    faulty.set_down(false);
    assert!(auth.health().await.is_ready(), "no restart is needed");
    refresh(&auth, &registered.tokens.refresh_token).await;
}

#[tokio::test]
async fn a_failed_login_that_cannot_be_audited_is_not_answered_as_one() {
    let (_, faulty, auth) = world().await;
    register(&auth).await;
    faulty.inject(Method::Commit, 1, Fault::Unavailable);
    let refused = auth.sessions().log_in(Login::new(email(), password("WrongPass123")), &request()).await;
    assert!(matches!(refused, Err(LoginError::Internal(Internal::Store(_)))));
}

#[tokio::test]
async fn a_lost_reply_to_a_registration_leaves_a_whole_account() {
    let (world, faulty, auth) = world().await;
    faulty.inject(Method::Commit, 1, Fault::LostReply);
    auth.accounts().register(Registration::new(email(), password(PASSWORD)), &request()).await.expect_err("the reply is lost");
    let again = auth.accounts().register(Registration::new(email(), password(PASSWORD)), &request()).await;
    assert!(matches!(again, Err(RegisterError::EmailTaken)));
    log_in(&auth).await;
    assert_eq!(world.events().await.len(), 2, "one registration, one login");
}

#[tokio::test]
async fn a_lost_reply_to_a_refresh_logs_nobody_out() {
    let (_, faulty, auth) = world().await;
    let registered = register(&auth).await;
    faulty.inject(Method::Rotate, 1, Fault::LostReply);
    let lost = auth.sessions().refresh(&registered.tokens.refresh_token, &request()).await;
    assert!(matches!(lost, Err(RefreshError::Internal(_))));
    let renewed = refresh(&auth, &registered.tokens.refresh_token).await;
    refresh(&auth, &renewed.tokens.refresh_token).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_logout_still_ends_the_session() {
    let (_, faulty, auth) = world().await;
    let registered = register(&auth).await;
    faulty.inject(Method::Commit, 1, Fault::LostReply);
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect_err("the reply is lost");
    // Nobody told this node that the commit happened; it reads so from the store.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert!(!is_authenticated(&auth, &registered));
}

#[tokio::test]
async fn a_token_that_was_issued_while_a_logout_was_under_way_does_not_outlive_it() {
    let (world, faulty, _) = world().await;
    // As far apart as clocks may be: the node that ends the session is behind, the one that refreshes it is ahead.
    let (behind, ahead) = (FrozenClock::at(world.clock.now() - Duration::from_secs(30)), world.clock.clone());
    let ending = world.unjoined(world.config.clone()).clock(Arc::new(behind)).build().await.expect("builds");
    let refreshing = world.unjoined(world.config.clone()).clock(Arc::new(ahead.clone())).build().await.expect("builds");
    let registered = register(&refreshing).await;

    let gate = Gate::new();
    faulty.inject(Method::Commit, 1, Fault::Wait(gate.clone()));
    let token = registered.tokens.refresh_token.clone();
    let logout = tokio::spawn(async move { ending.sessions().log_out(&token, &request()).await });
    gate.reached().await;
    ahead.advance(Duration::from_secs(4));
    let renewed = refresh(&refreshing, &registered.tokens.refresh_token).await;
    gate.open();
    logout.await.expect("no panic").expect("logs out");

    // A second before the token ends.
    ahead.set(ahead.now() + world.config.tokens.lifetime + world.config.tokens.leeway - Duration::from_secs(1));
    let started = world.unjoined(world.config.clone()).clock(Arc::new(ahead)).build().await.expect("builds");
    assert!(!is_authenticated(&started, &renewed), "the logout is dated four seconds before the token");
}

#[tokio::test]
async fn a_clock_that_is_set_back_after_a_slow_round_brings_no_session_back() {
    let (world, faulty, _) = world().await;
    let auth = world.unjoined(world.config.clone()).build_unattended().await.expect("builds");
    let registered = register(&auth).await;
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    world.clock.advance(Duration::from_mins(1));
    let right = world.clock.now() + Duration::from_secs(1);

    let gate = Gate::new();
    faulty.inject(Method::RevocationsAfter, 1, Fault::Wait(gate.clone()));
    let round = tokio::spawn({
        let auth = auth.clone();
        async move { auth.maintain(true).await }
    });
    gate.reached().await;
    world.clock.advance(Duration::from_hours(1));
    gate.open();
    round.await.expect("no panic").expect("reads");

    world.clock.set(right);
    auth.maintain(false).await.expect("reads");
    assert!(!is_authenticated(&auth, &registered));
}

#[tokio::test]
async fn a_store_that_is_away_builds_nothing() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    faulty.set_down(true);
    let world = World::over(faulty);
    let refused = AuthKit::builder(world.config.clone()).store(world.store.clone()).custody(world.custody.clone()).build().await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_login_is_two_calls_a_refresh_one_and_authentication_none() {
    let (_, faulty, auth) = world().await;
    let registered = register(&auth).await;
    let counted = |from: u64| faulty.total_calls() - from;
    let before = faulty.total_calls();
    log_in(&auth).await;
    assert_eq!(counted(before), 2, "one read, one commit");
    let before = faulty.total_calls();
    refresh(&auth, &registered.tokens.refresh_token).await;
    assert_eq!(counted(before), 1, "one rotation");
    let before = faulty.total_calls();
    assert!(is_authenticated(&auth, &registered));
    assert_eq!(counted(before), 0, "no I/O");
}

/// A bus that is connected and takes nothing, as over a network that swallows packets.
#[derive(Debug)]
struct StalledBus;

#[async_trait::async_trait]
impl RevocationBus for StalledBus {
    async fn publish(&self, _: &[Revocation]) -> Result<(), BusError> {
        std::future::pending().await
    }

    fn subscribe(&self, _: Arc<dyn RevocationSink>) {}

    fn health(&self) -> BusHealth {
        BusHealth::Connected
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_stalls_holds_no_logout_up() {
    let world = World::new();
    let auth = world.unjoined(world.config.clone()).revocation_bus(Arc::new(StalledBus)).build().await.expect("builds");
    let registered = register(&auth).await;
    let logout = async { auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await };
    tokio::time::timeout(Duration::from_secs(2), logout).await.expect("answers").expect("logs out");
    assert!(!is_authenticated(&auth, &registered));
}

#[tokio::test]
async fn a_look_for_revocations_that_failed_is_repeated_soon() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(faulty.clone());
    let (here, there) = (world.lonely_node().await, world.lonely_node().await);
    let registered = register(&here).await;
    tokio::time::pause();
    // The next look of each node.
    faulty.inject(Method::RevocationsAfter, 1, Fault::Unavailable);
    faulty.inject(Method::RevocationsAfter, 2, Fault::Unavailable);
    here.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");

    let start = tokio::time::Instant::now();
    while is_authenticated(&there, &registered) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
}
