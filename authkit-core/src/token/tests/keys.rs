//! Keys: made, loaded, and refused when they are not what they say.

use crate::model::{KeyAlgorithm, KeyPurpose};
use crate::token::tests::support::{NOW, algorithms, hmac_secret, material, secret_bytes, stored};
use crate::token::{AccessKey, KeyError, RefreshKey};

fn asymmetric() -> impl Iterator<Item = KeyAlgorithm> {
    algorithms().into_iter().filter(|algorithm| *algorithm != KeyAlgorithm::Hs256)
}

#[test]
fn a_published_key_has_its_thumbprint_its_use_and_no_private_member() {
    for algorithm in asymmetric() {
        let material = material(algorithm, 1);
        let json: serde_json::Value = serde_json::from_str(material.public_jwk.as_deref().expect("a JWK")).expect("JSON");
        let members: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected = match algorithm {
            KeyAlgorithm::Es256 => vec!["alg", "crv", "kid", "kty", "use", "x", "y"],
            KeyAlgorithm::EdDsa => vec!["alg", "crv", "kid", "kty", "use", "x"],
            _ => vec!["alg", "e", "kid", "kty", "n", "use"],
        };
        let mut sorted = members.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{algorithm:?}");
        assert_eq!((&json["use"], &json["alg"]), (&"sig".into(), &algorithm.as_str().into()));
        assert_eq!(json["kid"], material.id.as_str());
        // RFC 7638 §3: a thumbprint is 256 bits in base64url.
        assert_eq!(material.id.as_str().len(), 43);
    }
}

#[test]
fn keys_come_from_the_entropy_that_is_handed_in() {
    for algorithm in [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa, KeyAlgorithm::Hs256] {
        assert_eq!(material(algorithm, 5).id, material(algorithm, 5).id, "{algorithm:?}");
        assert_ne!(material(algorithm, 5).id, material(algorithm, 6).id, "{algorithm:?}");
    }
}

#[test]
fn an_ed25519_key_is_pkcs_8_version_1() {
    assert_eq!(material(KeyAlgorithm::EdDsa, 1).private.expose().len(), 48);
}

#[test]
fn a_key_loads_only_under_its_own_id_purpose_and_algorithm() {
    for algorithm in asymmetric() {
        let (mine, other) = (material(algorithm, 1), material(algorithm, 2));
        let good = stored(&mine, KeyPurpose::AccessToken, 1, NOW);
        assert!(AccessKey::load(&good, &mine.private).is_ok());
        assert_eq!(AccessKey::load(&good, &other.private).map(|_| ()), Err(KeyError::WrongId), "{algorithm:?}: rows swapped");

        let wrong_purpose = stored(&mine, KeyPurpose::RefreshToken, 1, NOW);
        assert_eq!(AccessKey::load(&wrong_purpose, &mine.private).map(|_| ()), Err(KeyError::WrongPurpose));
        assert_eq!(RefreshKey::load(&wrong_purpose, &mine.private).map(|_| ()), Err(KeyError::WrongPurpose));

        for wrong in asymmetric().filter(|wrong| *wrong != algorithm) {
            let mut relabelled = good.clone();
            relabelled.algorithm = wrong;
            assert_eq!(
                AccessKey::load(&relabelled, &mine.private).map(|_| ()),
                Err(KeyError::Malformed),
                "{algorithm:?} as {wrong:?}"
            );
        }
    }
}

#[test]
fn a_broken_private_key_is_an_error_and_no_panic() {
    for algorithm in asymmetric() {
        let material = material(algorithm, 1);
        let key = stored(&material, KeyPurpose::AccessToken, 1, NOW);
        let good = material.private.expose();
        for broken in [&[][..], b"\x30", &good[..good.len() - 1], &[0_u8; 48], &good[1..]] {
            assert!(AccessKey::load(&key, &secret_bytes(broken)).is_err(), "{algorithm:?}");
        }
    }
}

#[test]
fn a_refresh_key_is_32_bytes_under_their_own_id() {
    let (mine, other) = (material(KeyAlgorithm::Hs256, 1), material(KeyAlgorithm::Hs256, 2));
    let key = stored(&mine, KeyPurpose::RefreshToken, 1, NOW);
    assert!(RefreshKey::load(&key, &mine.private).is_ok());
    assert_eq!(RefreshKey::load(&key, &other.private).map(|_| ()), Err(KeyError::WrongId));
    assert_eq!(RefreshKey::load(&key, &secret_bytes(&[0; 31])).map(|_| ()), Err(KeyError::Malformed));
    let as_access = stored(&mine, KeyPurpose::AccessToken, 1, NOW);
    assert_eq!(AccessKey::load(&as_access, &mine.private).map(|_| ()), Err(KeyError::WrongPurpose));
}

#[test]
fn a_shared_secret_is_told_apart_by_its_id_and_never_published() {
    let key = AccessKey::shared(&hmac_secret()).expect("a key");
    let other = crate::config::HmacSecret::new((0..64).collect()).expect("a secret");
    assert_ne!(key.id(), AccessKey::shared(&other).expect("a key").id());
    assert_eq!(key.id(), AccessKey::shared(&hmac_secret()).expect("a key").id());
    assert_eq!(key.public_jwk(), None);
}

#[test]
fn no_key_shows_its_secret() {
    let material = material(KeyAlgorithm::Hs256, 1);
    let refresh = RefreshKey::load(&stored(&material, KeyPurpose::RefreshToken, 1, NOW), &material.private).expect("a key");
    let shared = AccessKey::shared(&hmac_secret()).expect("a key");
    let shown = format!("{material:?} {refresh:?} {shared:?}");
    for secret in [material.private.expose(), hmac_secret().expose()] {
        assert!(!shown.contains(&format!("{secret:?}")[1..20]), "{shown}");
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn rs256_is_not_signed_where_it_would_leak() {
    let made = crate::token::KeyMaterial::generate(KeyAlgorithm::Rs256, &crate::primitives::OsEntropy);
    assert_eq!(made.map(|_| ()), Err(KeyError::Unsupported(KeyAlgorithm::Rs256)));
}
