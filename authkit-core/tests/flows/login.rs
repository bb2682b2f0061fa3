//! Registration and login.

use std::sync::Arc;

use authkit_core::config::Argon2Params;
use authkit_core::flows::{LoginError, RegisterError};
use authkit_core::model::{AuditAction, Outcome};
use authkit_core::{Config, Email, FullName, Login, PageRequest, Registration};

use crate::support::{PASSWORD, World, config, email, is_authenticated, log_in, password, principal, register, request};

#[tokio::test]
async fn registering_makes_an_account_that_is_logged_in() {
    let world = World::new();
    let auth = world.node().await;
    let mut registration = Registration::new(Email::parse("User@Example.com").expect("an address"), password(PASSWORD));
    registration.full_name = FullName::parse("John Doe").ok();
    let registered = auth.accounts().register(registration, &request()).await.expect("registers");
    assert_eq!(registered.user.email.to_string(), "User@example.com");
    assert_eq!(principal(&auth, &registered).user_id(), registered.user.id);
    assert_eq!(world.actions().await, [(AuditAction::AccountRegistered, Outcome::Success)]);
    assert_eq!(log_in(&auth).await.user.id, registered.user.id, "in whatever spelling");
}

#[tokio::test]
async fn one_address_has_one_account_however_it_is_spelled() {
    let world = World::new();
    let auth = world.node().await;
    let spellings = ["user@example.com", "USER@EXAMPLE.COM", " user@example.com ", "ｕser@example.com", "user@Example.com"];
    let racers: Vec<_> = (0..50)
        .map(|racer| {
            let auth = auth.clone();
            tokio::spawn(async move {
                let email = Email::parse(spellings[racer % spellings.len()]).expect("an address");
                loop {
                    match auth.accounts().register(Registration::new(email.clone(), password(PASSWORD)), &request()).await {
                        Ok(_) => return true,
                        Err(RegisterError::EmailTaken) => return false,
                        Err(RegisterError::Overloaded { .. }) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    let mut made = 0;
    for racer in racers {
        made += usize::from(racer.await.expect("a racer"));
    }
    assert_eq!(made, 1);
    let mut actions = world.actions().await;
    // That some were turned away by the queue is told of once.
    actions.retain(|(action, _)| *action != AuditAction::Overloaded);
    assert_eq!(actions, [(AuditAction::AccountRegistered, Outcome::Success)], "who lost changed nothing");
}

#[tokio::test]
async fn a_weak_password_is_refused_with_reasons() {
    let world = World::new();
    let auth = world.node().await;
    let refused = auth.accounts().register(Registration::new(email(), password("12345678")), &request()).await;
    let Err(RegisterError::WeakPassword(weakness)) = refused else { panic!("{refused:?}") };
    assert!(!weakness.reasons().is_empty() && !weakness.to_string().contains("12345678"));
    assert!(world.events().await.is_empty());
    register(&auth).await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_answer_the_same_and_are_audited() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    world.tick();
    let wrong = auth.sessions().log_in(Login::new(email(), password("WrongPass123")), &request()).await;
    world.tick();
    let unknown = Email::parse("nobody@example.com").expect("an address");
    let unknown = auth.sessions().log_in(Login::new(unknown, password(PASSWORD)), &request()).await;
    let (Err(wrong @ LoginError::InvalidCredentials), Err(unknown @ LoginError::InvalidCredentials)) = (wrong, unknown) else {
        panic!("one of them got in")
    };
    assert_eq!((wrong.code(), wrong.to_string()), (unknown.code(), unknown.to_string()));
    let events = world.events().await;
    let reasons: Vec<_> = events[..2].iter().map(|event| (event.details["reason"].as_str(), event.subject)).collect();
    assert_eq!(reasons, [("unknown_account", None), ("wrong_password", Some(registered.user.id))]);
    assert!(!format!("{events:?}").contains("WrongPass123"));
}

#[tokio::test]
async fn a_login_upgrades_an_outdated_hash() {
    let world = World::new();
    let old = world.node().await;
    register(&old).await;
    let stored = |world: &World| {
        let store = Arc::clone(&world.store);
        async move { store.credentials_by_email(&email()).await.expect("reads").expect("is there").password.expect("has one") }
    };
    let before = stored(&world).await;
    let mut stronger = config();
    stronger.passwords.params = Argon2Params { memory_kib: 16, iterations: 2, parallelism: 1 };
    let auth = world.node_with(stronger).await;
    log_in(&auth).await;
    let after = stored(&world).await;
    assert!(before.expose().contains("m=8,t=1") && after.expose().contains("m=16,t=2"));
    log_in(&auth).await;
    assert!(stored(&world).await == after, "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_that_upgrade_at_once_all_succeed() {
    let world = World::new();
    register(&world.node().await).await;
    let mut stronger = config();
    stronger.passwords.params = Argon2Params { memory_kib: 16, iterations: 2, parallelism: 1 };
    let auth = world.node_with(stronger).await;
    let racers: Vec<_> = (0..2)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { log_in(&auth).await })
        })
        .collect();
    for racer in racers {
        assert!(is_authenticated(&auth, &racer.await.expect("a racer")));
    }
}

#[tokio::test]
async fn the_longest_unused_session_makes_room_for_a_new_one() {
    let mut world = World::new();
    world.config.sessions.max_per_user = 2;
    let auth = world.node().await;
    let first = register(&auth).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let second = log_in(&auth).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let third = log_in(&auth).await;
    assert!(!is_authenticated(&auth, &first), "ended at once, its access token included");
    assert!(is_authenticated(&auth, &second) && is_authenticated(&auth, &third));
    let caller = principal(&auth, &third);
    let sessions = auth.sessions().list(&caller, PageRequest::default()).await.expect("lists").items;
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [third.session_id, second.session_id]);
}

#[tokio::test]
async fn settings_that_contradict_themselves_build_nothing() {
    let world = World::new();
    let mut config = Config::new("not a url");
    config.passwords.params = world.config.passwords.params;
    let refused = authkit_core::AuthKit::builder(config).in_memory().build().await.expect_err("refused");
    assert!(refused.to_string().contains("tokens.issuer"), "{refused}");
}
