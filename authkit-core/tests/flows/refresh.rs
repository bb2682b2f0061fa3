//! Refresh: one lineage, whatever is lost, repeated or stolen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::config::ReusePolicy;
use authkit_core::flows::RefreshError;
use authkit_core::model::{AuditAction, KeyPurpose, Outcome, RevocationReason};
use authkit_core::{RefreshToken, Refreshed};

use crate::support::{World, is_authenticated, log_in, refresh, register, request};

fn copy(token: &RefreshToken) -> RefreshToken {
    RefreshToken::new(token.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_refreshes_with_one_token_give_one_lineage() {
    for _ in 0..20 {
        let world = World::new();
        let nodes = [world.node().await, world.node().await, world.node().await];
        let first = register(&nodes[0]).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(64));
        let racers: Vec<_> = (0..64)
            .map(|racer| {
                let (auth, token, barrier) = (nodes[racer % 3].clone(), copy(&first.tokens.refresh_token), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    refresh(&auth, &token).await.tokens.refresh_token
                })
            })
            .collect();
        let mut successors = BTreeSet::new();
        for racer in racers {
            successors.insert(racer.await.expect("a racer").expose().to_owned());
        }
        assert_eq!(successors.len(), 1, "every reply carries the same successor");
        let head = world.store.session_by_id(first.session_id).await.expect("reads").expect("is there").session;
        assert_eq!((head.generation, head.revoked), (1, None));
    }
}

#[tokio::test]
async fn an_older_token_revokes_the_session_and_its_access_token() {
    let world = World::new();
    let (auth, other_node) = (world.node().await, world.node().await);
    let first = register(&auth).await;
    let elsewhere = log_in(&auth).await;
    let second = refresh(&auth, &first.tokens.refresh_token).await;
    let third = refresh(&auth, &second.tokens.refresh_token).await;
    assert!(is_authenticated(&other_node, &third));

    world.tick();
    let outcome = auth.sessions().refresh(&first.tokens.refresh_token, &request()).await.expect("is an outcome");
    assert!(matches!(outcome, Refreshed::Reused { session_id, .. } if session_id == first.session_id));

    for node in [&auth, &other_node] {
        assert!(!is_authenticated(node, &third), "the newest access token of the session is refused everywhere");
        assert!(is_authenticated(node, &elsewhere), "the other session was not copied");
    }
    world.tick();
    let refused = auth.sessions().refresh(&third.tokens.refresh_token, &request()).await;
    assert!(matches!(refused, Err(RefreshError::InvalidToken)));
    let events = world.events().await;
    assert_eq!((events[0].action, events[0].subject), (AuditAction::RefreshRefused, Some(first.user.id)));
    assert_eq!((events[1].action, events[1].subject), (AuditAction::RefreshTokenReused, Some(first.user.id)));
    let session = world.store.session_by_id(first.session_id).await.expect("reads").expect("stays").session;
    assert_eq!(session.revoked.map(|(_, reason)| reason), Some(RevocationReason::RefreshTokenReused));
}

#[tokio::test]
async fn a_retry_within_the_grace_gets_the_same_successor_and_after_it_ends_the_session() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let second = refresh(&auth, &first.tokens.refresh_token).await;

    world.clock.advance(Duration::from_secs(10));
    let again = refresh(&auth, &first.tokens.refresh_token).await;
    assert_eq!(again.tokens.refresh_token.expose(), second.tokens.refresh_token.expose());
    assert!(is_authenticated(&auth, &again));

    world.clock.advance(Duration::from_micros(1));
    let late = auth.sessions().refresh(&first.tokens.refresh_token, &request()).await.expect("is an outcome");
    assert!(matches!(late, Refreshed::Reused { .. }), "the grace counts from the rotation, a retry does not extend it");
}

#[tokio::test]
async fn a_retry_gets_the_same_successor_across_a_rotation_of_the_key() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let second = refresh(&auth, &first.tokens.refresh_token).await;
    world.clock.advance(Duration::from_secs(5));
    auth.keys().rotate(KeyPurpose::RefreshToken, true).await.expect("rotates");
    let again = refresh(&auth, &first.tokens.refresh_token).await;
    assert_eq!(again.tokens.refresh_token.expose(), second.tokens.refresh_token.expose());
    let third = refresh(&auth, &second.tokens.refresh_token).await;
    assert_ne!(third.tokens.refresh_token.expose()[..18], second.tokens.refresh_token.expose()[..18], "the new key is in force");
}

#[tokio::test]
async fn the_grandparent_is_reuse_even_within_the_grace() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let second = refresh(&auth, &first.tokens.refresh_token).await;
    refresh(&auth, &second.tokens.refresh_token).await;
    let outcome = auth.sessions().refresh(&first.tokens.refresh_token, &request()).await.expect("is an outcome");
    assert!(matches!(outcome, Refreshed::Reused { .. }));
}

#[tokio::test]
async fn a_strict_service_takes_every_repetition_for_theft() {
    let mut world = World::new();
    world.config.sessions.reuse = ReusePolicy::Strict;
    let auth = world.node().await;
    let first = register(&auth).await;
    refresh(&auth, &first.tokens.refresh_token).await;
    let outcome = auth.sessions().refresh(&first.tokens.refresh_token, &request()).await.expect("is an outcome");
    assert!(matches!(outcome, Refreshed::Reused { .. }));
}

#[tokio::test]
async fn reuse_that_is_seen_by_many_at_once_is_one_event() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let second = refresh(&auth, &first.tokens.refresh_token).await;
    refresh(&auth, &second.tokens.refresh_token).await;
    let thieves: Vec<_> = (0..16)
        .map(|_| {
            let (auth, token) = (auth.clone(), copy(&first.tokens.refresh_token));
            tokio::spawn(async move { auth.sessions().refresh(&token, &request()).await.is_ok() })
        })
        .collect();
    for thief in thieves {
        thief.await.expect("a thief");
    }
    let reuses = world.actions().await.into_iter().filter(|(action, _)| *action == AuditAction::RefreshTokenReused).count();
    assert_eq!(reuses, 1);
}

#[tokio::test]
async fn a_session_ends_when_idle_and_at_the_latest_after_its_lifetime() {
    let world = World::new();
    let auth = world.node().await;
    register(&auth).await;

    let idle = log_in(&auth).await;
    world.clock.advance(Duration::from_hours(24 * 7) - Duration::from_secs(1));
    let kept = refresh(&auth, &idle.tokens.refresh_token).await;
    world.clock.advance(Duration::from_hours(24 * 7));
    let refused = auth.sessions().refresh(&kept.tokens.refresh_token, &request()).await;
    assert!(matches!(refused, Err(RefreshError::InvalidToken)), "a week without a refresh ends it");

    let mut busy = log_in(&auth).await;
    for _ in 0..29 {
        world.clock.advance(Duration::from_hours(24));
        busy = refresh(&auth, &busy.tokens.refresh_token).await;
    }
    world.clock.advance(Duration::from_hours(24) - Duration::from_mins(1));
    busy = refresh(&auth, &busy.tokens.refresh_token).await;
    assert!(busy.tokens.expires_in <= Duration::from_mins(1), "no access token outlives its session");
    world.clock.advance(Duration::from_mins(1));
    let refused = auth.sessions().refresh(&busy.tokens.refresh_token, &request()).await;
    assert!(matches!(refused, Err(RefreshError::InvalidToken)), "thirty days end it however busy it was");
}

#[tokio::test]
async fn made_up_tokens_touch_nothing() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let before = world.events().await.len();
    let genuine = first.tokens.refresh_token.expose();
    let mut forged: Vec<String> =
        vec![String::new(), "ak_rt_".into(), "x".repeat(1_000_000), genuine.to_uppercase(), format!("{genuine}=")];
    forged.extend((0..genuine.len()).map(|at| {
        let mut bytes = genuine.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    }));
    for token in forged {
        let refused = auth.sessions().refresh(&RefreshToken::new(token.clone()), &request()).await;
        assert!(matches!(refused, Err(RefreshError::InvalidToken)), "{token:.80}");
    }
    // But for the first few, which are told of and concern nobody.
    let events = world.events().await;
    assert_eq!(events.len(), before + 5);
    assert!(events.iter().all(|event| event.action != AuditAction::RefreshRefused || event.subject.is_none()));
    refresh(&auth, &first.tokens.refresh_token).await;
    assert!(world.actions().await.contains(&(AuditAction::AccountRegistered, Outcome::Success)));
}
