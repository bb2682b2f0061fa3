//! Guessing at a password: how many are evaluated, what the owner notices, and what is left of it in the store.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{ChangePasswordError, Lock, LoginError, ReauthenticateError};
use authkit_core::model::{AuditAction, AuditFilter, Client, GuessChange, GuessSubject, LimitScope, Outcome, RevocationReason};
use authkit_core::model::{ChangeSet, Quota, UserChange};
use authkit_core::ports::Store as _;
use authkit_core::testkit::{Fault, FaultyStore, FrozenClock, Gate, Method};
use authkit_core::{AuthKit, Config, DeviceToken, Email, Login, PageLimit, PageRequest, PasswordChange, RequestContext};

use crate::support::{EMAIL, PASSWORD, World, config, email, password, principal, register, request};

const WRONG: &str = "WrongPass123";
const STRANGER: &str = "nobody@example.com";

/// The defaults, which count; and quotas that are out of the way, because they have tests of their own.
fn guarded() -> Config {
    let mut config = config();
    config.limits.enabled = true;
    let wide = Quota::new(1_000_000, Duration::from_millis(1)).expect("a quota");
    config.limits.login_per_address = wide;
    config.limits.login_per_address_and_account = wide;
    config.limits.login_per_account = wide;
    config.limits.login_per_device = wide;
    config.limits.password_per_account = wide;
    config.limits.logins_per_node = wide;
    config
}

async fn guarded_world() -> (World, AuthKit) {
    let mut world = World::new();
    world.config = guarded();
    let auth = world.node().await;
    (world, auth)
}

fn from(n: u32) -> RequestContext {
    let ip = IpAddr::from(0xc612_0000_u32.wrapping_add(n).to_be_bytes());
    RequestContext { client: Client { ip: Some(ip), user_agent: None }, ..RequestContext::default() }
}

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    In,
    Wrong,
    Wait(Duration),
    Busy,
}

async fn try_as(auth: &AuthKit, address: &str, pass: &str, device: Option<&DeviceToken>, context: &RequestContext) -> Answer {
    let mut login = Login::new(Email::parse(address).expect("an address"), password(pass));
    login.device_token = device.cloned();
    match auth.sessions().log_in(login, context).await {
        Ok(_) => Answer::In,
        Err(LoginError::InvalidCredentials) => Answer::Wrong,
        Err(LoginError::Throttled { retry_after }) => Answer::Wait(retry_after),
        Err(LoginError::Overloaded { .. }) => Answer::Busy,
        Err(error) => panic!("{error:?}"),
    }
}

async fn try_login(auth: &AuthKit, address: &str, pass: &str, n: u32) -> Answer {
    try_as(auth, address, pass, None, &from(n)).await
}

/// How many wrong logins the audit log tells of.
async fn evaluated(world: &World) -> usize {
    let mut page = PageRequest { limit: PageLimit::new(200).expect("a limit"), cursor: None };
    let mut wrong = 0;
    loop {
        let read = world.store.audit_events(&AuditFilter::new(), page).await.expect("reads");
        let failed = |action, outcome| (action, outcome) == (AuditAction::Login, Outcome::Failure);
        wrong += read.items.iter().filter(|event| failed(event.action, event.outcome)).count();
        let Some(next) = read.next else { return wrong };
        page.cursor = Some(next);
    }
}

async fn failures(world: &World, address: &str) -> u32 {
    let subject = GuessSubject::strangers(&Email::parse(address).expect("an address"));
    world.store.guesses(subject).await.expect("reads").map_or(0, |guesses| guesses.failures)
}

#[tokio::test]
async fn five_wrong_passwords_are_answered_at_once_and_then_each_has_to_wait_twice_as_long() {
    let (world, auth) = guarded_world().await;
    register(&auth).await;
    for address in [EMAIL, STRANGER] {
        for n in 0..5 {
            assert_eq!(try_login(&auth, address, WRONG, n).await, Answer::Wrong);
        }
        for (n, seconds) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900].into_iter().enumerate() {
            let (wait, n) = (Duration::from_secs(seconds), u32::try_from(n).expect("small"));
            assert_eq!(try_login(&auth, address, PASSWORD, n).await, Answer::Wait(wait), "the right one has to wait, too");
            world.clock.advance(wait.saturating_sub(Duration::from_millis(1)));
            assert_eq!(try_login(&auth, address, WRONG, n).await, Answer::Wait(Duration::from_millis(1)));
            world.clock.advance(Duration::from_millis(1));
            assert_eq!(try_login(&auth, address, WRONG, n).await, Answer::Wrong);
        }
        assert_eq!(failures(&world, address).await, 17);
    }
    assert_eq!(evaluated(&world).await, 34, "what had to wait is in no log");
    let delays = world.actions().await.iter().filter(|(action, _)| *action == AuditAction::GuessingDelayed).count();
    assert!(delays > 0, "each step is told of");
}

#[tokio::test]
async fn a_success_forgets_what_was_wrong_before_it_and_says_how_much_that_was() {
    let (world, auth) = guarded_world().await;
    register(&auth).await;
    for n in 0..6 {
        try_login(&auth, EMAIL, WRONG, n).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(failures(&world, EMAIL).await, 6);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 0).await, Answer::In);
    assert_eq!(failures(&world, EMAIL).await, 0);
    let success =
        world.events().await.into_iter().find(|event| event.outcome == Outcome::Success && event.action == AuditAction::Login);
    assert_eq!(success.expect("is told of").details["failures_before"], "6");
    for n in 0..5 {
        assert_eq!(try_login(&auth, EMAIL, WRONG, n).await, Answer::Wrong, "five again");
    }
}

#[tokio::test]
async fn after_a_hundred_no_stranger_is_let_in_and_a_known_device_opens_the_way_again() {
    let (world, auth) = guarded_world().await;
    let device = register(&auth).await.device_token.expect("a device token");
    for n in 0..100 {
        assert_eq!(try_login(&auth, EMAIL, WRONG, n).await, Answer::Wrong, "{n}");
        world.clock.advance(Duration::from_mins(15));
    }
    let closed = Answer::Wait(Duration::from_mins(15));
    for days in [0, 1, 29, 60] {
        world.clock.advance(Duration::from_hours(24 * days));
        assert_eq!(try_login(&auth, EMAIL, PASSWORD, 7).await, closed, "after {days} days");
        auth.maintain(true).await.expect("forgets what is over");
    }
    assert_eq!(evaluated(&world).await, 100, "SP 800-63B-4 §3.2.2");
    assert_eq!(auth.accounts().lock_status(&email()).await.expect("reads").lock, Lock::Closed);
    let stopped = world.actions().await.iter().filter(|(action, _)| *action == AuditAction::GuessingStopped).count();
    assert_eq!(stopped, 1);
    assert_eq!(try_as(&auth, EMAIL, PASSWORD, Some(&device), &from(7)).await, Answer::In);
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 7).await, Answer::In, "and then everywhere");
}

#[tokio::test]
async fn an_operator_unlocks_an_account_that_is_closed() {
    let (world, auth) = guarded_world().await;
    register(&auth).await;
    let subject = GuessSubject::strangers(&email());
    let hundred = (0..100).map(|_| GuessChange::Count { subject, at: FrozenClock::START }.into()).collect();
    world.store.commit(&hundred).await.expect("commits");
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 1).await, Answer::Wait(Duration::from_mins(15)));
    let before = auth.accounts().unlock(&email(), &request()).await.expect("unlocks");
    assert_eq!((before.lock, before.guesses.map(|guesses| guesses.failures)), (Lock::Closed, Some(100)));
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 1).await, Answer::In);
    let unlocked: Vec<_> =
        world.actions().await.into_iter().filter(|(action, _)| *action == AuditAction::AccountUnlocked).collect();
    assert_eq!(unlocked.len(), 1);
    auth.accounts().unlock(&email(), &request()).await.expect("nothing to do");
    let again = world.actions().await.into_iter().filter(|(action, _)| *action == AuditAction::AccountUnlocked).count();
    assert_eq!(again, 1, "nothing was done, and nothing is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_guesses_at_once_over_three_nodes_a_handful_is_evaluated() {
    let mut world = World::new();
    world.config = guarded();
    let nodes = [world.node().await, world.node().await, world.node().await];
    register(&nodes[0]).await;
    for address in [EMAIL, STRANGER] {
        let before = evaluated(&world).await;
        let guesses: Vec<_> = (0..1_000_u32)
            .map(|n| {
                let node = nodes[n as usize % 3].clone();
                tokio::spawn(async move { try_login(&node, address, WRONG, n).await })
            })
            .collect();
        let mut answers = Vec::new();
        for guess in guesses {
            answers.push(guess.await.expect("no panic"));
        }
        assert!(!answers.contains(&Answer::In));
        let judged = evaluated(&world).await - before;
        // Four that need not wait, and two in flight on each node that have read a count that knows of none of the others.
        assert!((1..=4 + 2 * 3).contains(&judged), "{judged} of {address}");
        assert_eq!(answers.iter().filter(|answer| **answer == Answer::Wrong).count(), judged);
        assert_eq!(failures(&world, address).await as usize, judged, "none is lost");
        while try_login(&nodes[0], address, WRONG, 1).await == Answer::Wrong {}
        // From then on it is one for each delay, whoever comes and however many.
        for step in 0..6 {
            world.clock.advance(Duration::from_hours(1));
            let before = evaluated(&world).await;
            let guesses: Vec<_> = (0..60_u32)
                .map(|n| {
                    let node = nodes[n as usize % 3].clone();
                    tokio::spawn(async move { try_login(&node, address, WRONG, n).await })
                })
                .collect();
            for guess in guesses {
                guess.await.expect("no panic");
            }
            assert_eq!(evaluated(&world).await - before, 1, "step {step} of {address}");
        }
    }
}

#[tokio::test]
async fn a_node_that_starts_anew_forgets_no_guess() {
    let (world, auth) = guarded_world().await;
    register(&auth).await;
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    drop(auth);
    let again = world.node().await;
    assert_eq!(try_login(&again, EMAIL, PASSWORD, 9).await, Answer::Wait(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_clock_that_jumps_lets_one_guess_through_and_locks_nobody_out() {
    let (world, auth) = guarded_world().await;
    register(&auth).await;
    for n in 0..12 {
        try_login(&auth, EMAIL, WRONG, n).await;
        world.clock.advance(Duration::from_mins(15));
    }
    // It ran a year ahead while somebody guessed, and is set right.
    world.clock.advance(Duration::from_hours(24 * 365));
    assert_eq!(try_login(&auth, EMAIL, WRONG, 1).await, Answer::Wrong);
    world.clock.set(authkit_core::Clock::now(&world.clock) - Duration::from_hours(24 * 365));
    assert_eq!(try_login(&auth, EMAIL, WRONG, 1).await, Answer::Wrong, "one");
    let Answer::Wait(wait) = try_login(&auth, EMAIL, WRONG, 1).await else { panic!("and no more than one") };
    assert!(wait <= Duration::from_mins(15), "{wait:?}");
    world.clock.advance(wait);
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 1).await, Answer::In);
}

#[tokio::test]
async fn a_device_that_is_known_is_not_held_up_by_strangers() {
    let mut world = World::new();
    world.config = config();
    world.config.limits.enabled = true;
    let auth = world.node().await;
    let device = register(&auth).await.device_token.expect("a device token");
    // Fifty addresses use up all that strangers have.
    for n in 0..200 {
        try_login(&auth, EMAIL, WRONG, n % 50).await;
    }
    let Answer::Wait(_) = try_login(&auth, EMAIL, PASSWORD, 77).await else { panic!("strangers are held up") };
    assert_eq!(try_as(&auth, EMAIL, PASSWORD, Some(&device), &from(77)).await, Answer::In);
    assert_eq!(failures(&world, EMAIL).await, 0, "the owner was here");
}

#[tokio::test]
async fn a_stolen_device_token_is_worth_ten_guesses() {
    let (world, auth) = guarded_world().await;
    let stolen = register(&auth).await.device_token.expect("a device token");
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    for n in 0..10 {
        assert_eq!(try_as(&auth, EMAIL, WRONG, Some(&stolen), &from(n)).await, Answer::Wrong, "{n}");
    }
    let strange = try_as(&auth, EMAIL, PASSWORD, Some(&stolen), &from(1)).await;
    assert_eq!(strange, Answer::Wait(Duration::from_secs(1)), "a stranger like any other, and they have to wait");
    assert_eq!(failures(&world, EMAIL).await, 5, "its guesses were counted apart");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(try_as(&auth, EMAIL, PASSWORD, Some(&stolen), &from(1)).await, Answer::In, "as a stranger");
    // What was used up stays so, however long it lies.
    for _ in 0..6 {
        world.clock.advance(Duration::from_hours(24 * 25));
        auth.maintain(true).await.expect("forgets what is over");
        for n in 0..5 {
            try_login(&auth, EMAIL, WRONG, n).await;
        }
        let Answer::Wait(_) = try_as(&auth, EMAIL, WRONG, Some(&stolen), &from(1)).await else { panic!("revived") };
        auth.accounts().unlock(&email(), &request()).await.expect("unlocks");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stolen_device_token_is_worth_no_more_over_three_nodes_at_once() {
    let mut world = World::new();
    world.config = guarded();
    world.config.limits.guessing.free = 1;
    let nodes = [world.node().await, world.node().await, world.node().await];
    let stolen = register(&nodes[0]).await.device_token.expect("a device token");
    try_login(&nodes[0], EMAIL, WRONG, 0).await;
    let guesses: Vec<_> = (0..600_u32)
        .map(|n| {
            let (node, stolen) = (nodes[n as usize % 3].clone(), stolen.clone());
            tokio::spawn(async move { try_as(&node, EMAIL, WRONG, Some(&stolen), &from(n)).await })
        })
        .collect();
    for guess in guesses {
        guess.await.expect("no panic");
    }
    let judged = evaluated(&world).await - 1;
    assert!(judged <= 9 + 2 * 3, "{judged}");
}

#[tokio::test]
async fn a_device_is_a_stranger_to_every_other_account_and_after_the_password_has_changed() {
    let (world, auth) = guarded_world().await;
    let jane = register(&auth).await;
    let device = jane.device_token.clone().expect("a device token");
    let other = authkit_core::Registration::new(Email::parse("mallory@example.com").expect("an address"), password(PASSWORD));
    let mallory = auth.accounts().register(other, &request()).await.expect("registers").device_token.expect("a device token");
    let lock = async |auth: &AuthKit| {
        for n in 0..5 {
            try_login(auth, EMAIL, WRONG, n).await;
        }
    };
    lock(&auth).await;
    let Answer::Wait(_) = try_as(&auth, EMAIL, PASSWORD, Some(&mallory), &from(1)).await else { panic!("another's") };
    let change = PasswordChange { current: password(PASSWORD), new: password("another-Secret-9") };
    let changed = auth.accounts().change_password(&principal(&auth, &jane), change, &request()).await.expect("changes");
    let Answer::Wait(_) = try_as(&auth, EMAIL, "another-Secret-9", Some(&device), &from(1)).await else { panic!("an old one") };
    let fresh = Some(&changed.device_token);
    assert_eq!(try_as(&auth, EMAIL, "another-Secret-9", fresh, &from(1)).await, Answer::In, "where it was changed");
    lock(&auth).await;
    world.clock.advance(Duration::from_hours(24 * 180));
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    let Answer::Wait(_) = try_as(&auth, EMAIL, "another-Secret-9", fresh, &from(1)).await else { panic!("too old") };
}

#[tokio::test]
async fn a_device_of_an_address_is_none_of_the_next_account_with_that_address() {
    let (world, auth) = guarded_world().await;
    let first = register(&auth).await;
    auth.accounts().close(&principal(&auth, &first), &request()).await.expect("closes");
    register(&auth).await;
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    let Answer::Wait(_) = try_as(&auth, EMAIL, PASSWORD, first.device_token.as_ref(), &from(1)).await else { panic!("known") };
    assert_eq!(failures(&world, EMAIL).await, 5);
}

#[tokio::test]
async fn a_session_within_which_the_password_is_guessed_at_ends_and_no_other_is_concerned() {
    let (world, auth) = guarded_world().await;
    let stolen = register(&auth).await;
    let own = crate::support::log_in(&auth).await;
    let (thief, owner) = (principal(&auth, &stolen), principal(&auth, &own));
    let change = || PasswordChange { current: password(WRONG), new: password("another-Secret-9") };
    for n in 0..9 {
        world.clock.advance(Duration::from_mins(1));
        if n % 2 == 0 {
            let wrong = auth.sessions().reauthenticate(&thief, password(WRONG), &request()).await;
            assert!(matches!(wrong, Err(ReauthenticateError::InvalidCredentials)), "{n}: {wrong:?}");
        } else {
            let wrong = auth.accounts().change_password(&thief, change(), &request()).await;
            assert!(matches!(wrong, Err(ChangePasswordError::WrongPassword)), "{n}: {wrong:?}");
        }
        if n >= 4 {
            let early = auth.sessions().reauthenticate(&thief, password(PASSWORD), &request()).await;
            assert!(matches!(early, Err(ReauthenticateError::Throttled { .. })), "{n}: {early:?}");
        }
    }
    auth.sessions().reauthenticate(&owner, password(PASSWORD), &request()).await.expect("counted apart");
    world.clock.advance(Duration::from_mins(1));
    let last = auth.sessions().reauthenticate(&thief, password(WRONG), &request()).await;
    assert!(matches!(last, Err(ReauthenticateError::SessionEnded)), "{last:?}");
    assert!(auth.authenticate(stolen.tokens.access_token.expose()).is_err(), "the token is worth nothing any more");
    let session = world.store.session_by_id(stolen.session_id).await.expect("reads").expect("is there").session;
    assert_eq!(session.revoked.map(|(_, reason)| reason), Some(RevocationReason::GuessedWithin));
    assert_eq!(failures(&world, EMAIL).await, 0, "logins are not concerned");
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 3).await, Answer::In);
}

#[tokio::test]
async fn ten_thousand_accounts_tried_from_ten_thousand_addresses_are_slowed_and_known_devices_go_on() {
    let mut world = World::new();
    world.config = config();
    world.config.limits.enabled = true;
    let auth = world.node().await;
    let device = register(&auth).await.device_token.expect("a device token");
    let (mut judged, mut refused) = (0, 0);
    for n in 0..10_000_u32 {
        match try_login(&auth, &format!("user-{n}@example.com"), WRONG, 1_000 + n).await {
            Answer::Wrong => judged += 1,
            Answer::Wait(wait) => {
                assert_eq!(wait, Duration::from_millis(20));
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((judged, refused), (500, 9_500));
    assert_eq!(auth.rate_limits().refused(LimitScope::LoginNode), 9_500);
    assert_eq!(try_as(&auth, EMAIL, PASSWORD, Some(&device), &from(1)).await, Answer::In);
    let Answer::Wait(_) = try_login(&auth, EMAIL, PASSWORD, 2).await else { panic!("strangers wait") };
    world.clock.advance(Duration::from_millis(20));
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 2).await, Answer::In);
}

#[tokio::test]
async fn a_thousand_accounts_tried_once_each_from_one_address_end_at_a_hundred() {
    let mut world = World::new();
    world.config = config();
    world.config.limits.enabled = true;
    let auth = world.node().await;
    let mut judged = 0;
    for n in 0..1_000 {
        judged += u32::from(try_login(&auth, &format!("user-{n}@example.com"), WRONG, 1).await == Answer::Wrong);
    }
    assert_eq!(judged, 100);
}

#[tokio::test]
async fn a_password_that_has_to_wait_costs_one_read_and_no_hash() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let mut world = World::over(faulty.clone());
    world.config = guarded();
    let auth = world.node().await;
    register(&auth).await;
    for address in [EMAIL, STRANGER] {
        for n in 0..5 {
            let (reads, commits) = (faulty.calls(Method::LoginByEmail), faulty.calls(Method::Commit));
            assert_eq!(try_login(&auth, address, WRONG, n).await, Answer::Wrong);
            assert_eq!((faulty.calls(Method::LoginByEmail), faulty.calls(Method::Commit)), (reads + 1, commits + 1));
        }
        let (calls, hashed) = (faulty.total_calls(), auth.hashing().hashed);
        for n in 0..100 {
            assert_eq!(try_login(&auth, address, PASSWORD, n).await, Answer::Wait(Duration::from_secs(1)));
        }
        // And for the first of a while one write, which tells of it.
        assert_eq!((faulty.total_calls() - calls, auth.hashing().hashed), (101, hashed));
    }
    assert_eq!(auth.rate_limits().delayed, 200);
}

#[tokio::test]
async fn a_store_that_does_not_count_answers_nothing() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let mut world = World::over(faulty.clone());
    world.config = guarded();
    let auth = world.node().await;
    register(&auth).await;
    for pass in [WRONG, PASSWORD] {
        faulty.inject(Method::Commit, 1, Fault::Unavailable);
        let answer = auth.sessions().log_in(Login::new(email(), password(pass)), &from(1)).await;
        assert!(matches!(answer, Err(LoginError::Internal(_))), "right and wrong alike: {answer:?}");
    }
    // A reservation whose reply was lost is counted, and not evaluated.
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    world.clock.advance(Duration::from_secs(1));
    let hashed = auth.hashing().hashed;
    faulty.inject(Method::Commit, 1, Fault::LostReply);
    let answer = auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &from(1)).await;
    assert!(matches!(answer, Err(LoginError::Internal(_))), "{answer:?}");
    assert_eq!((auth.hashing().hashed, failures(&world, EMAIL).await), (hashed, 6));
}

#[tokio::test]
async fn a_login_that_starts_over_does_not_wait_for_itself() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let mut world = World::over(faulty.clone());
    world.config = guarded();
    let auth = world.node().await;
    let user = register(&auth).await.user;
    for n in 0..5 {
        try_login(&auth, EMAIL, WRONG, n).await;
    }
    world.clock.advance(Duration::from_secs(1));
    // The first commit reserves the guess, and the second begins the session: there somebody is faster.
    let gate = Gate::new();
    faulty.inject(Method::Commit, 2, Fault::Wait(gate.clone()));
    let login = tokio::spawn({
        let auth = auth.clone();
        async move { try_login(&auth, EMAIL, PASSWORD, 1).await }
    });
    gate.reached().await;
    let raise = UserChange::RaiseAuthEpoch { id: user.id, from: user.auth_epoch, at: user.created_at };
    faulty.inner().commit(&ChangeSet::new().and(raise)).await.expect("commits");
    gate.open();
    assert_eq!(login.await.expect("no panic"), Answer::In);
    assert_eq!(failures(&world, EMAIL).await, 0);
}

#[tokio::test]
async fn whoever_sets_a_new_password_by_a_link_is_let_in_again() {
    let (mut world, mailbox) = (World::new(), authkit_core::testkit::Mailbox::new());
    world.config = guarded();
    let builder = world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone()));
    let auth = builder.build_unattended().await.expect("builds");
    register(&auth).await;
    let subject = GuessSubject::strangers(&email());
    let hundred = (0..100).map(|_| GuessChange::Count { subject, at: FrozenClock::START }.into()).collect();
    world.store.commit(&hundred).await.expect("commits");
    assert_eq!(try_login(&auth, EMAIL, PASSWORD, 1).await, Answer::Wait(Duration::from_mins(15)));
    auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    auth.outbox().deliver_due().await.expect("works");
    let link = mailbox.only_token("reset_password");
    auth.links().reset_password(&link, password("plumage-orbit-4417"), &request()).await.expect("is good");
    assert_eq!(try_login(&auth, EMAIL, "plumage-orbit-4417", 1).await, Answer::In);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_guesses_at_once_at_a_thousand_accounts_each_is_answered_and_counted_once() {
    let mut world = World::new();
    world.config = guarded();
    let nodes = [world.node().await, world.node().await, world.node().await];
    register(&nodes[0]).await;
    let guesses: Vec<_> = (0..1_000_u32)
        .map(|n| {
            let node = nodes[n as usize % 3].clone();
            tokio::spawn(async move { (n, try_login(&node, &format!("user-{n}@example.com"), WRONG, n).await) })
        })
        .collect();
    let (mut wrong, mut busy) = (0, 0);
    for guess in guesses {
        let (n, answer) = guess.await.expect("no panic");
        let counted = failures(&world, &format!("user-{n}@example.com")).await;
        match answer {
            Answer::Wrong => {
                wrong += 1;
                assert_eq!(counted, 1, "{n}");
            }
            // Turned away by the pool before anything was looked at.
            Answer::Busy => {
                busy += 1;
                assert_eq!(counted, 0, "{n}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wrong + busy, evaluated(&world).await), (1_000, wrong));
    assert!(wrong > 0, "none was evaluated");
    assert_eq!(try_login(&nodes[1], EMAIL, PASSWORD, 1).await, Answer::In, "and whoever has an account logs in");
}
