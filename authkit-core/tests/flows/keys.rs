//! The server's keys: made once, rotated without a false refusal, opened only with the right master key.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::config::{HmacSecret, SigningAlgorithm};
use authkit_core::embedded::LocalKeyCustody;
use authkit_core::flows::AuthenticateError;
use authkit_core::model::{AuditAction, AuditFilter, KeyPurpose};
use authkit_core::token::KeyState;
use authkit_core::{AuthKit, OsEntropy, PageRequest};

use crate::support::{World, is_authenticated, log_in, principal, refresh, register};

fn states(keys: &[authkit_core::flows::KeyStatus], purpose: KeyPurpose) -> Vec<KeyState> {
    keys.iter().filter(|key| key.purpose == purpose).map(|key| key.state).collect()
}

#[tokio::test]
async fn nodes_that_start_at_once_share_one_key_of_each_purpose() {
    let world = World::new();
    let nodes = tokio::join!(world.node(), world.node(), world.node(), world.node());
    assert_eq!(nodes.0.keys().list().await.expect("lists").len(), 3);
    let registered = register(&nodes.0).await;
    assert!(is_authenticated(&nodes.1, &registered) && is_authenticated(&nodes.3, &registered));
    let page = world.store.audit_events(&AuditFilter::new(), PageRequest::default()).await.expect("reads");
    assert_eq!(page.items.iter().filter(|event| event.action == AuditAction::KeyCreated).count(), 3);
}

#[tokio::test]
async fn a_rotation_refuses_no_valid_token_and_forgets_the_old_key_in_the_end() {
    let world = World::new();
    let auth = world.node().await;
    let old = register(&auth).await;
    auth.keys().rotate(KeyPurpose::AccessToken, false).await.expect("rotates");
    assert_eq!(states(&auth.keys().list().await.expect("lists"), KeyPurpose::AccessToken), [KeyState::Current, KeyState::Next]);
    assert_eq!(auth.keys().jwks().matches("\"kid\"").count(), 2, "published before it signs");
    world.clock.advance(Duration::from_hours(1));
    let new = refresh(&auth, &old.tokens.refresh_token).await;
    assert_eq!(
        states(&auth.keys().list().await.expect("lists"), KeyPurpose::AccessToken),
        [KeyState::Retired, KeyState::Current]
    );
    assert!(is_authenticated(&auth, &new));
    assert!(!auth.keys().jwks().contains("\"d\""), "no private member is published");
}

#[tokio::test]
async fn an_immediate_rotation_keeps_the_tokens_of_the_old_key_valid() {
    let world = World::new();
    let auth = world.node().await;
    let old = register(&auth).await;
    auth.keys().rotate(KeyPurpose::AccessToken, true).await.expect("rotates");
    let new = log_in(&auth).await;
    assert!(is_authenticated(&auth, &old) && is_authenticated(&auth, &new));
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(header(old.tokens.access_token.expose()), header(new.tokens.access_token.expose()));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_due_are_made_and_useless_ones_forgotten_in_the_background() {
    let world = World::new();
    let auth = world.node().await;
    world.clock.advance(Duration::from_hours(24 * 90));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(states(&auth.keys().list().await.expect("lists"), KeyPurpose::AccessToken), [KeyState::Current, KeyState::Next]);
    world.clock.advance(Duration::from_hours(2));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(states(&auth.keys().list().await.expect("lists"), KeyPurpose::AccessToken), [KeyState::Current]);
    assert_eq!(
        states(&auth.keys().list().await.expect("lists"), KeyPurpose::RefreshToken),
        [KeyState::Retired, KeyState::Current]
    );
    let deleted = world.store.audit_events(&AuditFilter::new(), PageRequest::default()).await.expect("reads").items;
    assert_eq!(deleted.iter().filter(|event| event.action == AuditAction::KeyDeleted).count(), 1);
}

#[tokio::test]
async fn another_master_key_opens_nothing_and_makes_nothing() {
    let world = World::new();
    world.node().await;
    let stranger = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    let refused = AuthKit::builder(world.config.clone()).store(world.store.clone()).custody(stranger).build().await;
    refused.expect_err("the keys are sealed under another one");
    assert_eq!(world.store.server_keys().await.expect("reads").len(), 3);
}

#[tokio::test]
async fn every_algorithm_signs_what_it_verifies() {
    let secret = HmacSecret::new((0..64).collect()).expect("long enough");
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Hs256(secret), SigningAlgorithm::Rs256]
    {
        if cfg!(feature = "rust-crypto") && matches!(algorithm, SigningAlgorithm::Rs256) {
            continue;
        }
        let mut world = World::new();
        world.config.tokens.algorithm = algorithm;
        let auth = world.node().await;
        let registered = register(&auth).await;
        assert_eq!(principal(&auth, &registered).user_id(), registered.user.id);
        assert!(!auth.keys().jwks().contains("\"k\""), "a shared secret is not published");
    }
}

#[tokio::test]
async fn a_token_of_another_service_is_refused() {
    let world = World::new();
    let registered = register(&world.node().await).await;
    let mut other = world.config.clone();
    other.tokens.audience = "https://other.example".into();
    let auth = world.node_with(other).await;
    assert!(matches!(auth.authenticate(registered.tokens.access_token.expose()), Err(AuthenticateError::Invalid(_))));
}
