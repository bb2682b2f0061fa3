//! Passkeys over HTTP, with an authenticator in software.

use authkit_core::testkit::SoftAuthenticator;
use hyper::Method;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{LOGIN, ME, PASSWORD, REAUTHENTICATE, Tokens, credentials, register};
use crate::own_account::request;
use crate::settings_with;
use crate::support::Server;

const LOGIN_START: &str = "/api/v1/auth/passkey/login/start";
const LOGIN_FINISH: &str = "/api/v1/auth/passkey/login/finish";
const MFA_START: &str = "/api/v1/auth/mfa/passkey/start";
const MFA_FINISH: &str = "/api/v1/auth/mfa/passkey/finish";
const AGAIN_START: &str = "/api/v1/auth/reauthenticate/passkey/start";
const AGAIN_FINISH: &str = "/api/v1/auth/reauthenticate/passkey/finish";
const PASSKEYS: &str = "/api/v1/users/me/passkeys";
const ADD_START: &str = "/api/v1/users/me/passkeys/register/start";
const ADD_FINISH: &str = "/api/v1/users/me/passkeys/register/finish";

/// A browser at the server's own origin.
fn browser(server: &Server) -> SoftAuthenticator {
    SoftAuthenticator::at(&format!("http://localhost:{}", server.address().port()))
}

/// Adds a passkey: the reply.
async fn add(server: &Server, access: &str, device: &mut SoftAuthenticator, name: &str) -> Value {
    let asked = server.post_as(ADD_START, access, &json!({})).await.expect(200).json();
    let credential = device.create(&asked["public_key"]).expect("it has none of them");
    let added = server.post_as(ADD_FINISH, access, &json!({ "credential": credential, "name": name })).await.expect(201);
    assert_eq!(added.header("cache-control"), "no-store", "there are recovery codes in it");
    added.json()
}

async fn signed(server: &Server, device: &mut SoftAuthenticator) -> Value {
    let asked = server.post(LOGIN_START, &json!({})).await.expect(200).json();
    assert_eq!(asked["public_key"]["rpId"], "localhost");
    device.get(&asked["public_key"]).expect("it has a passkey")
}

async fn log_in(server: &Server, device: &mut SoftAuthenticator) -> Tokens {
    let credential = signed(server, device).await;
    Tokens::of(&server.post(LOGIN_FINISH, &json!({ "credential": credential, "device_name": "Laptop" })).await.expect(200))
}

#[tokio::test]
async fn a_passkey_is_added_used_renamed_and_removed() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let mut device = browser(&server);
    assert_eq!(server.get_as(PASSKEYS, &tokens.access).await.expect(200).json(), json!({ "items": [] }));
    let added = add(&server, &tokens.access, &mut device, "Laptop").await;
    assert_eq!(added["recovery_codes"].as_array().map(Vec::len), Some(10));
    assert_eq!((&added["passkey"]["name"], &added["passkey"]["last_used_at"]), (&json!("Laptop"), &Value::Null));

    // Alone: nobody says who she is.
    let logged_in = log_in(&server, &mut device).await;
    server.get_as(ME, &logged_in.access).await.expect(200);
    let listed = server.get_as(PASSKEYS, &logged_in.access).await.expect(200).json();
    assert_ne!(listed["items"][0]["last_used_at"], Value::Null);

    // Behind a password.
    let demanded = server.post(LOGIN, &credentials("ada@example.com")).await.problem(403, "auth.mfa_required");
    assert_eq!(demanded["factors"], json!(["passkey"]));
    let token = &demanded["mfa_token"];
    let asked = server.post(MFA_START, &json!({ "mfa_token": token })).await.expect(200).json();
    let credential = device.get(&asked["public_key"]).expect("it has one");
    let proof = json!({ "mfa_token": token, "credential": credential });
    server.post(MFA_FINISH, &proof).await.expect(200);
    server.post(MFA_FINISH, &proof).await.problem(401, "auth.invalid_mfa_token");
    server.post(MFA_START, &json!({ "mfa_token": token })).await.problem(401, "auth.invalid_mfa_token");

    // Instead of a password, for what cannot be undone.
    let password = json!({ "password": PASSWORD });
    server.post_as(REAUTHENTICATE, &logged_in.access, &password).await.problem(403, "mfa.factor_required");
    let asked = server.post_as(AGAIN_START, &logged_in.access, &json!({})).await.expect(200).json();
    let credential = device.get(&asked["public_key"]).expect("it has one");
    let fresh = server.post_as(AGAIN_FINISH, &logged_in.access, &json!({ "credential": credential })).await.expect(200);
    let fresh = fresh.text("access_token");

    let path = format!("{PASSKEYS}/{}", added["passkey"]["id"].as_str().expect("an id"));
    let rename = |name: &str| server.send(request(Method::PATCH, &path, &fresh, &json!({ "name": name })));
    assert_eq!(rename("Das „Büro“").await.expect(200).json()["name"], "Das „Büro“");
    rename("").await.problem_of(422, "request.invalid_value", "name");
    rename("a\u{202e}b").await.problem_of(422, "request.invalid_value", "name");
    rename(&"a".repeat(101)).await.problem_of(422, "request.invalid_value", "name");
    let elsewhere = format!("{PASSKEYS}/01890a5d-ac96-774b-bcce-b302099a8057");
    for unknown in [elsewhere.as_str(), "/api/v1/users/me/passkeys/x", "/api/v1/users/me/passkeys/%00"] {
        let delete = request(Method::DELETE, unknown, &fresh, &json!({}));
        server.send(delete).await.problem(404, "passkey.not_found");
    }
    let delete = |token: &str| server.send(request(Method::DELETE, &path, token, &json!({})));
    let refused = delete(&tokens.access).await;
    assert!(refused.header("www-authenticate").contains("insufficient_user_authentication"));
    refused.problem(403, "auth.reauthentication_required");
    delete(&fresh).await.expect(204);
    delete(&fresh).await.problem(404, "passkey.not_found");
    let gone = signed(&server, &mut device).await;
    server.post(LOGIN_FINISH, &json!({ "credential": gone })).await.problem(401, "auth.invalid_passkey");
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
}

#[tokio::test]
async fn somebody_elses_passkeys_are_not_there() {
    let server = Server::start(SETTINGS).await;
    let (ada, eve) = (register(&server, "ada@example.com").await, register(&server, "eve@example.com").await);
    let added = add(&server, &ada.access, &mut browser(&server), "Laptop").await;
    let path = format!("{PASSKEYS}/{}", added["passkey"]["id"].as_str().expect("an id"));
    assert_eq!(server.get_as(PASSKEYS, &eve.access).await.expect(200).json(), json!({ "items": [] }));
    let renamed = request(Method::PATCH, &path, &eve.access, &json!({ "name": "mine" }));
    server.send(renamed).await.problem(404, "passkey.not_found");
    server.send(request(Method::DELETE, &path, &eve.access, &json!({}))).await.problem(404, "passkey.not_found");
    server.post_as(AGAIN_START, &eve.access, &json!({})).await.problem(404, "mfa.not_enrolled");
}

#[tokio::test]
async fn what_no_browser_sends_is_told_so() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let mut device = browser(&server);
    add(&server, &tokens.access, &mut device, "Laptop").await;
    let credential = signed(&server, &mut device).await;
    for odd in [json!(null), json!([]), json!("x"), json!({}), json!({ "id": 7 })] {
        server.post(LOGIN_FINISH, &json!({ "credential": odd })).await.problem_of(422, "passkey.invalid_reply", "credential");
    }
    server.post(LOGIN_FINISH, &json!({})).await.problem_of(422, "request.missing_member", "credential");
    let more = json!({ "credential": credential, "user_id": "x" });
    server.post(LOGIN_FINISH, &more).await.problem_of(422, "request.unknown_member", "user_id");
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let reply = server.post(LOGIN_FINISH, &json!({ "credential": deep })).await;
    assert!([400, 422].contains(&reply.status), "{}", reply.status);
    // Another origin, and the Host header of one: what counts is what is configured.
    let mut evil = SoftAuthenticator::at("https://evil.example");
    std::mem::swap(&mut evil.conduct, &mut device.conduct);
    let credential = signed(&server, &mut device).await;
    server.post(LOGIN_FINISH, &json!({ "credential": credential })).await.problem(401, "auth.invalid_passkey");
}

#[tokio::test]
async fn a_service_without_a_name_has_no_passkeys() {
    let server = Server::start(&settings_with(&[("AUTHKIT_PUBLIC_URL", "http://10.0.0.7:8000")])).await;
    let tokens = register(&server, "ada@example.com").await;
    server.post(LOGIN_START, &json!({})).await.problem(404, "passkey.not_configured");
    server.post_as(ADD_START, &tokens.access, &json!({})).await.problem(404, "passkey.not_configured");
    assert_eq!(server.get_as(PASSKEYS, &tokens.access).await.expect(200).json(), json!({ "items": [] }));
}

#[tokio::test]
async fn settings_that_no_passkey_fits_stop_the_start() {
    let refused = [
        ("AUTHKIT_RP_ID", "Example.com", "AUTHKIT_RP_ID"),
        ("AUTHKIT_RP_ID", "https://example.com", "AUTHKIT_RP_ID"),
        ("AUTHKIT_RP_ID", "other.example", "AUTHKIT_RP_ID"),
        ("AUTHKIT_WEBAUTHN_ORIGINS", "https://evil.example", "AUTHKIT_WEBAUTHN_ORIGINS"),
        ("AUTHKIT_WEBAUTHN_ORIGINS", "https://auth.example.com/login", "AUTHKIT_WEBAUTHN_ORIGINS"),
    ];
    let server = Server::place();
    for (name, value, named) in refused {
        let env = [("AUTHKIT_PUBLIC_URL", "https://auth.example.com"), (name, value)];
        let output = server.run(&["config"], &env, "").await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(named), "{name}={value}: {said}");
    }
    let right = [
        ("AUTHKIT_PUBLIC_URL", "https://auth.example.com"),
        ("AUTHKIT_RP_ID", "example.com"),
        ("AUTHKIT_WEBAUTHN_ORIGINS", "https://app.example.com, android:apk-key-hash:abc"),
    ];
    let output = server.run(&["config"], &right, "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
