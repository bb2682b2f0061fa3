//! The memory of verified tokens: as strict as verification itself.

use std::sync::Arc;
use std::time::Duration;

use crate::model::KeyAlgorithm;
use crate::token::tests::support::{MINUTE, NOW, Service, access_key, config, issue};
use crate::token::{AccessTokenError, Keyring, VerifiedTokens};

#[test]
fn a_token_is_remembered_and_shared() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let memory = VerifiedTokens::<()>::new(100);
    let token = service.issue();
    let first = memory.verify(&service.keyring, &service.config, &token, NOW).expect("valid");
    let second = memory.verify(&service.keyring, &service.config, &token, NOW).expect("valid");
    assert!(Arc::ptr_eq(&first, &second), "the second time nothing is parsed");
    assert_eq!(*first.claims(), service.verify(&token).expect("valid"));
    assert_eq!(memory.len(), 1);
}

#[test]
fn a_remembered_token_expires_on_time() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let memory = VerifiedTokens::<()>::new(100);
    let token = service.issue();
    let at = |now| memory.verify(&service.keyring, &service.config, &token, now).map(|_| ());
    let end = NOW + service.config.lifetime + service.config.leeway;
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(end - Duration::from_micros(1)), Ok(()));
    assert_eq!(at(end), Err(AccessTokenError::Expired));
    assert_eq!(at(NOW - MINUTE), Err(AccessTokenError::NotYetValid));
}

#[test]
fn a_refused_token_is_not_remembered() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let memory = VerifiedTokens::<()>::new(100);
    let token = service.issue();
    let forged = token.replace('.', ".A");
    for text in [forged.as_str(), "", "a.b.c", &"x".repeat(10_000)] {
        for _ in 0..2 {
            assert!(memory.verify(&service.keyring, &service.config, text, NOW).is_err());
        }
    }
    let late = NOW + service.config.lifetime * 2;
    assert_eq!(memory.verify(&service.keyring, &service.config, &token, late).map(|_| ()), Err(AccessTokenError::Expired));
    assert!(memory.is_empty());
}

#[test]
fn a_token_that_differs_in_one_character_is_another_one() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let memory = VerifiedTokens::<()>::new(100);
    let token = service.issue();
    memory.verify(&service.keyring, &service.config, &token, NOW).expect("valid");
    for index in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        assert!(memory.verify(&service.keyring, &service.config, &altered, NOW).is_err(), "character {index}");
    }
}

#[test]
fn a_withdrawn_key_takes_its_tokens_along() {
    let config = config();
    let (old, young) = (access_key(KeyAlgorithm::Es256, 1, NOW - MINUTE), access_key(KeyAlgorithm::Es256, 2, NOW));
    let both = Keyring::new(vec![Arc::clone(&old), Arc::clone(&young)], Vec::new());
    let without = Keyring::new(vec![young], Vec::new());
    let memory = VerifiedTokens::<()>::new(100);
    let token = issue(&both, &config, NOW - Duration::from_secs(1));
    let kept = issue(&both, &config, NOW);
    for text in [&token, &kept] {
        memory.verify(&both, &config, text, NOW).expect("valid");
    }

    // At once, before anything was cleaned up …
    assert_eq!(memory.verify(&without, &config, &token, NOW).map(|_| ()), Err(AccessTokenError::UnknownKey));
    // … and the room is given back.
    memory.retain(&without, &config, NOW);
    assert_eq!(memory.len(), 1);
    assert!(memory.verify(&without, &config, &kept, NOW).is_ok());
    memory.retain(&without, &config, NOW + config.lifetime * 2);
    assert!(memory.is_empty(), "expired tokens are forgotten");
}

#[test]
fn the_memory_is_bounded_and_can_be_turned_off() {
    let service = Service::new(KeyAlgorithm::Hs256);
    for (capacity, most) in [(0, 0), (50, 50)] {
        let memory = VerifiedTokens::<()>::new(capacity);
        for second in 0..500_u64 {
            let now = NOW + Duration::from_secs(second);
            let token = issue(&service.keyring, &service.config, now);
            assert!(memory.verify(&service.keyring, &service.config, &token, now).is_ok());
        }
        assert!(memory.len() <= most, "{} of {most}", memory.len());
    }
}
