//! What an access token says, and when it is good.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{AuthMethod, KeyAlgorithm};
use crate::primitives::Timestamp;
use crate::token::tests::support::{NOW, Seeded, Service, algorithms, issue, session, user};
use crate::token::{AccessTokenError, Issuance, IssueError, Keyring, access, jws};

fn decoded(segment: &str) -> Value {
    serde_json::from_slice(&jws::decode(segment).expect("base64url")).expect("JSON")
}

#[test]
fn what_is_issued_is_verified_under_every_algorithm() {
    for algorithm in algorithms() {
        let service = Service::new(algorithm);
        let claims = service.verify(&service.issue()).expect("valid");
        assert_eq!((claims.user_id, claims.session_id), (user(), session()), "{algorithm:?}");
        assert_eq!((claims.issued_at, claims.authenticated_at, claims.not_before), (NOW, NOW, None));
        assert_eq!(claims.expires_at, NOW + service.config.lifetime);
        assert_eq!(claims.methods, [AuthMethod::Password]);
    }
}

#[test]
fn a_token_has_the_header_and_the_claims_of_rfc_9068() {
    let service = Service::new(KeyAlgorithm::Es256);
    let token = service.issue();
    let segments: Vec<_> = token.split('.').collect();
    assert_eq!(decoded(segments[0]), service.header());
    let claims = decoded(segments[1]);
    // §2.2: iss, exp, aud, sub, client_id, iat and jti are required; auth_time, acr and amr where they apply (§2.2.1).
    let mut members: Vec<_> = claims.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["acr", "amr", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "sid", "sub"]);
    assert_eq!(claims["exp"].as_i64(), Some(NOW.unix_seconds() + 900));
    assert_eq!((&claims["amr"], &claims["client_id"]), (&json!(["pwd"]), &json!("authkit")));
    assert!(token.len() < 1_000, "{} bytes", token.len());
}

#[test]
fn times_are_whole_seconds_and_never_later_than_the_truth() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let odd = Timestamp::from_unix_micros(NOW.unix_micros() + 999_999);
    let token = issue(&service.keyring, &service.config, odd);
    let claims = access::verify(&service.keyring, &service.config, &token, odd).expect("valid");
    assert_eq!((claims.issued_at, claims.authenticated_at), (NOW, NOW));
    assert_eq!(claims.expires_at, NOW + service.config.lifetime);
}

#[test]
fn every_token_has_a_name_of_its_own() {
    let service = Service::new(KeyAlgorithm::Hs256);
    let issuance = Issuance {
        user_id: user(),
        session_id: session(),
        methods: &[],
        authenticated_at: NOW,
        session_ends_at: NOW + Duration::from_hours(24),
        impersonator: None,
        access: &crate::model::Access::default(),
    };
    let entropy = Seeded::new(1);
    let mut names = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let issued = access::issue(&service.keyring, &service.config, issuance, NOW, &entropy).expect("a token");
        assert!(names.insert(issued.token_id));
    }
}

#[test]
fn without_a_key_nothing_is_issued() {
    let issuance = Issuance {
        user_id: user(),
        session_id: session(),
        methods: &[],
        authenticated_at: NOW,
        session_ends_at: NOW + Duration::from_hours(24),
        impersonator: None,
        access: &crate::model::Access::default(),
    };
    let service = Service::new(KeyAlgorithm::EdDsa);
    let refused = access::issue(&Keyring::default(), &service.config, issuance, NOW, &Seeded::new(1));
    assert_eq!(refused.map(|_| ()), Err(IssueError::NoKey));
}

#[test]
fn the_leeway_is_a_boundary_on_both_sides() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let (leeway, tick) = (service.config.leeway, Duration::from_micros(1));
    let token = service.issue();
    let at = |now| access::verify(&service.keyring, &service.config, &token, now).map(|_| ());
    let end = NOW + service.config.lifetime;

    assert_eq!(at(end + leeway - tick), Ok(()));
    assert_eq!(at(end + leeway), Err(AccessTokenError::Expired), "\"on or after\" (RFC 7519 §4.1.4)");
    assert_eq!(at(NOW - leeway), Ok(()));
    assert_eq!(at(NOW - leeway - tick), Err(AccessTokenError::NotYetValid), "iat in the future");

    let mut claims = service.claims();
    claims["nbf"] = json!(NOW.unix_seconds() + 100);
    let token = service.sign(&service.header().to_string(), &claims.to_string());
    let at = |now| access::verify(&service.keyring, &service.config, &token, now).map(|_| ());
    let begin = NOW + Duration::from_secs(100) - leeway;
    assert_eq!((at(begin - tick), at(begin)), (Err(AccessTokenError::NotYetValid), Ok(())));
}

#[test]
fn issuer_and_audience_are_exact() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let with = |member: &str, value: Value| {
        let mut claims = service.claims();
        claims[member] = value;
        service.verify(&service.sign(&service.header().to_string(), &claims.to_string())).map(|_| ())
    };
    let (issuer, audience) = (service.config.issuer.clone(), service.config.audience.clone());
    for iss in
        [format!("{issuer}/"), issuer.to_uppercase(), format!(" {issuer}"), "https://auth.example.evil".into(), String::new()]
    {
        assert_eq!(with("iss", json!(iss)), Err(AccessTokenError::WrongIssuer), "{iss}");
    }
    assert_eq!(with("aud", json!(["https://other.example", audience])), Ok(()));
    for aud in [json!("https://other.example"), json!(format!("{audience}/")), json!(["a", "b"]), json!("")] {
        assert_eq!(with("aud", aud.clone()), Err(AccessTokenError::WrongAudience), "{aud}");
    }
}

#[test]
fn claims_and_methods_of_a_younger_version_are_ignored() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let mut claims = service.claims();
    claims["permissions"] = json!({ "version": 7 });
    claims["amr"] = json!(["pwd", "retina"]);
    let read = service.verify(&service.sign(&service.header().to_string(), &claims.to_string())).expect("valid");
    assert_eq!(read.methods, [AuthMethod::Password]);
}

#[test]
fn escaped_json_means_the_same() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let header = service.header().to_string().replace("at+jwt", r"a\u0074+jwt");
    let payload = service.claims().to_string().replace("https", r"h\u0074tps").replace("01890a5d", r"0\u00318\u00390a5d");
    assert_eq!(
        service.verify(&service.sign(&header, &payload)),
        service.verify(&service.sign(&service.header().to_string(), &service.claims().to_string()))
    );
}

#[test]
fn each_error_has_a_reason_of_its_own() {
    use AccessTokenError as E;
    let all = [
        E::TooLong,
        E::Malformed,
        E::UnsupportedHeader,
        E::WrongType,
        E::UnknownKey,
        E::AlgorithmMismatch,
        E::BadSignature,
        E::BadClaims,
        E::WrongIssuer,
        E::WrongAudience,
        E::NotYetValid,
        E::Expired,
    ];
    let reasons: std::collections::HashSet<_> = all.iter().map(|error| error.reason()).collect();
    assert_eq!(reasons.len(), all.len());
}
