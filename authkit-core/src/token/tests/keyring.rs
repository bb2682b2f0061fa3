//! The life of keys: next, current, retired, gone.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{SessionConfig, SigningAlgorithm};
use crate::model::{KeyAlgorithm, KeyPurpose};
use crate::token::tests::support::{MINUTE, NOW, access_key, config, config_of, hmac_secret, issue, refresh_key};
use crate::token::{AccessKey, AccessTokenError, DueKey, KeyState, Keyring, access};

const DAY: Duration = Duration::from_hours(24);
const ES256: KeyAlgorithm = KeyAlgorithm::Es256;

fn kids(jwks: &str) -> Vec<String> {
    let set: serde_json::Value = serde_json::from_str(jwks).expect("JSON");
    set["keys"].as_array().expect("an array").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

#[test]
fn the_current_key_is_the_one_with_the_greatest_serial_among_the_active() {
    let keyring = Keyring::new(
        vec![access_key(ES256, 3, NOW + DAY), access_key(ES256, 1, NOW - DAY), access_key(ES256, 2, NOW)],
        vec![refresh_key(2, NOW), refresh_key(1, NOW - DAY)],
    );
    let serial_at = |at| keyring.current_access(at).expect("a key").serial();
    assert_eq!((serial_at(NOW - MINUTE), serial_at(NOW), serial_at(NOW + DAY)), (1, 2, 3));
    assert_eq!(keyring.refresh_at(NOW - MINUTE).expect("a key").serial(), 1);
    assert_eq!(keyring.refresh_at(NOW).expect("a key").serial(), 2);

    let states: Vec<_> = keyring.access_keys().iter().map(|key| keyring.state(key.id(), NOW).expect("a state")).collect();
    assert_eq!(states, [KeyState::Retired, KeyState::Current, KeyState::Next]);
    assert_eq!(keyring.state(access_key(ES256, 9, NOW).id(), NOW), None);
}

#[test]
fn a_node_whose_clock_is_behind_signs_with_the_very_first_key() {
    let keyring = Keyring::new(vec![access_key(ES256, 1, NOW + MINUTE)], vec![refresh_key(1, NOW + MINUTE)]);
    assert_eq!(keyring.current_access(NOW).expect("a key").serial(), 1);
    assert_eq!(keyring.refresh_at(NOW).expect("a key").serial(), 1);
    assert!(!keyring.needs_rotation(NOW, KeyPurpose::AccessToken, &config()), "it makes no second first key");
    assert!(Keyring::default().current_access(NOW).is_none());
}

#[test]
fn rotation_loses_no_valid_token() {
    let config = config();
    let (old, young) = (access_key(ES256, 1, NOW - DAY), access_key(ES256, 2, NOW));
    let both = Keyring::new(vec![Arc::clone(&old), Arc::clone(&young)], Vec::new());

    let before = issue(&both, &config, NOW - Duration::from_secs(1));
    let after = issue(&both, &config, NOW);
    assert_ne!(before.split('.').next(), after.split('.').next(), "another key signs");
    for token in [&before, &after] {
        assert!(access::verify(&both, &config, token, NOW + MINUTE).is_ok());
    }
    // To its last second, the old key is neither deletable nor unpublished.
    let last = NOW - Duration::from_secs(1) + config.lifetime + config.leeway - Duration::from_micros(1);
    assert!(access::verify(&both, &config, &before, last).is_ok());
    assert!(both.useless(last, &config, &SessionConfig::default()).is_empty());
    assert_eq!(kids(&both.jwks(last, &config)), [old.id().as_str(), young.id().as_str()]);

    // After it, it is both, and a keyring without it refuses its tokens.
    let gone = NOW + config.lifetime + config.leeway * 2;
    assert_eq!(both.useless(gone, &config, &SessionConfig::default()), [old.id().clone()]);
    assert_eq!(kids(&both.jwks(gone, &config)), [young.id().as_str()]);
    let without = Keyring::new(vec![young], Vec::new());
    assert_eq!(access::verify(&without, &config, &before, NOW), Err(AccessTokenError::UnknownKey));
}

#[test]
fn a_token_of_the_next_key_is_accepted_before_this_node_signs_with_it() {
    let config = config();
    let (current, next) = (access_key(ES256, 1, NOW - DAY), access_key(ES256, 2, NOW + MINUTE));
    let here = Keyring::new(vec![Arc::clone(&current), Arc::clone(&next)], Vec::new());
    assert_eq!(kids(&here.jwks(NOW, &config)), [current.id().as_str(), next.id().as_str()], "published ahead");
    let elsewhere = Keyring::new(vec![next], Vec::new());
    assert!(access::verify(&here, &config, &issue(&elsewhere, &config, NOW), NOW).is_ok());
}

#[test]
fn a_refresh_key_stays_for_the_longest_session_and_device_after_its_successor_began() {
    let (config, sessions) = (config(), SessionConfig::default());
    let keyring = Keyring::new(Vec::new(), vec![refresh_key(1, NOW - DAY), refresh_key(2, NOW)]);
    assert!(keyring.useless(NOW + sessions.device_lifetime, &config, &sessions).is_empty());
    let gone = NOW + sessions.device_lifetime + config.leeway;
    assert_eq!(keyring.useless(gone, &config, &sessions), [keyring.refresh_keys()[0].id().clone()]);
}

#[test]
fn the_only_key_is_never_useless() {
    let keyring = Keyring::new(vec![access_key(ES256, 1, NOW)], vec![refresh_key(1, NOW)]);
    assert!(keyring.useless(NOW + DAY * 10_000, &config(), &SessionConfig::default()).is_empty());
}

#[test]
fn a_successor_is_due_its_lead_before_the_key_ends() {
    let config = config();
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::RefreshToken] {
        let algorithm = if purpose == KeyPurpose::AccessToken { ES256 } else { KeyAlgorithm::Hs256 };
        let first = Keyring::default().due_key(NOW, purpose, &config);
        assert_eq!(first, Some(DueKey { serial: 1, algorithm, activates_at: NOW }), "nothing can be issued without one");

        let keyring = Keyring::new(vec![access_key(ES256, 1, NOW)], vec![refresh_key(1, NOW)]);
        let end = NOW + config.key_lifetime;
        let due_at = end - config.key_lead;
        assert_eq!(keyring.due_key(due_at - Duration::from_micros(1), purpose, &config), None);
        assert_eq!(keyring.due_key(due_at, purpose, &config), Some(DueKey { serial: 2, algorithm, activates_at: end }));
        // A server that slept through it still publishes a key before it signs.
        let late = end + DAY;
        assert_eq!(keyring.due_key(late, purpose, &config).map(|due| due.activates_at), Some(late + config.key_lead));
        assert!(keyring.needs_rotation(late, purpose, &config));

        let prepared = Keyring::new(
            vec![access_key(ES256, 1, NOW), access_key(ES256, 2, end)],
            vec![refresh_key(1, NOW), refresh_key(2, end)],
        );
        assert!(!prepared.needs_rotation(due_at, purpose, &config));
    }
}

#[test]
fn another_algorithm_in_the_settings_makes_a_successor_due() {
    let keyring = Keyring::new(vec![access_key(ES256, 1, NOW)], Vec::new());
    let config = config_of(KeyAlgorithm::EdDsa);
    let due = DueKey { serial: 2, algorithm: KeyAlgorithm::EdDsa, activates_at: NOW + config.key_lead };
    assert_eq!(keyring.due_key(NOW, KeyPurpose::AccessToken, &config), Some(due));
}

#[test]
fn a_shared_secret_signs_while_the_tokens_of_stored_keys_stay_valid() {
    let mut config = config();
    let stored = access_key(ES256, 1, NOW - DAY);
    let before = issue(&Keyring::new(vec![Arc::clone(&stored)], Vec::new()), &config, NOW);

    config.algorithm = SigningAlgorithm::Hs256(hmac_secret());
    let shared = Arc::new(AccessKey::shared(&hmac_secret()).expect("a key"));
    let keyring = Keyring::new(vec![Arc::clone(&stored), shared], Vec::new());
    assert!(keyring.current_access(NOW).expect("a key").is_shared());
    assert!(access::verify(&keyring, &config, &before, NOW).is_ok());
    assert_eq!(kids(&keyring.jwks(NOW, &config)), [stored.id().as_str()], "the secret is not in the JWK set");
    assert!(keyring.useless(NOW, &config, &SessionConfig::default()).is_empty());
    assert!(!keyring.needs_rotation(NOW, KeyPurpose::AccessToken, &config));
    assert_eq!(Keyring::default().jwks(NOW, &config), r#"{"keys":[]}"#);
}
