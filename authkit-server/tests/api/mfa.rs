//! Second factors over HTTP, and what the token between two factors opens.

use std::time::Duration;

use authkit_core::mfa::totp;
use authkit_core::testkit::totp_secret;
use authkit_core::{Clock as _, SecretBytes, SystemClock};
use hyper::Method;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{LOGIN, LOGOUT, ME, PASSWORD, REAUTHENTICATE, REFRESH, SESSIONS, Tokens, credentials, register};
use crate::own_account::request;
use crate::support::Server;

pub(crate) const VERIFY: &str = "/api/v1/auth/mfa/verify";
pub(crate) const MFA: &str = "/api/v1/users/me/mfa";
pub(crate) const TOTP: &str = "/api/v1/users/me/mfa/totp";
const CONFIRM: &str = "/api/v1/users/me/mfa/totp/confirm";
const CODES: &str = "/api/v1/users/me/mfa/recovery-codes";

/// The code of a phone whose clock is `ahead`.
pub(crate) fn code(secret: &SecretBytes, ahead: u64) -> String {
    totp::code_at(secret, SystemClock.now() + Duration::from_secs(ahead)).expect("a code")
}

/// Turns the app on: its secret, and the recovery codes.
async fn enrol(server: &Server, tokens: &Tokens) -> (SecretBytes, Vec<Value>) {
    let told = server.post_as(TOTP, &tokens.access, &json!({})).await.expect(201).json();
    assert!(told["otpauth_uri"].as_str().expect("a text").starts_with("otpauth://totp/"));
    assert!(told["qr_svg"].as_str().expect("a text").contains("<svg"));
    let secret = totp_secret(told["secret"].as_str().expect("a text"));
    server.post_as(CONFIRM, &tokens.access, &json!({ "code": "12345" })).await.problem(422, "mfa.invalid_code");
    let confirmed = server.post_as(CONFIRM, &tokens.access, &json!({ "code": code(&secret, 0) })).await.expect(200);
    assert_eq!(confirmed.header("cache-control"), "no-store");
    let codes = confirmed.json()["recovery_codes"].as_array().expect("a list").clone();
    assert_eq!(codes.len(), 10);
    (secret, codes)
}

async fn demanded(server: &Server, email: &str) -> String {
    let reply = server.post(LOGIN, &credentials(email)).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let problem = reply.problem(403, "auth.mfa_required");
    assert_eq!((&problem["factors"], &problem["expires_in"]), (&json!(["totp"]), &json!(600)));
    assert!(problem.get("access_token").is_none() && problem.get("refresh_token").is_none());
    problem["mfa_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_login_with_an_app_has_two_halves_and_a_code_is_good_once() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    server.post_as(CONFIRM, &tokens.access, &json!({ "code": "123456" })).await.problem(404, "mfa.not_enrolled");
    let status = async || server.get_as(MFA, &tokens.access).await.expect(200).json();
    let told = |factors: &[&str], left: usize| json!({ "factors": factors, "recovery_codes_left": left, "required": false, "phone_hint": null, "trusted_devices": [] });
    assert_eq!(status().await, told(&[], 0));
    let (secret, codes) = enrol(&server, &tokens).await;
    server.post_as(TOTP, &tokens.access, &json!({})).await.problem(409, "mfa.already_enrolled");
    assert_eq!(status().await, told(&["totp"], 10));

    // The code that confirmed is used up; the phone shows the next one, as one that is half a minute ahead does.
    let token = demanded(&server, "ada@example.com").await;
    let body = |factor: &str, code: &Value| json!({ "mfa_token": token, "factor": factor, "code": code });
    for wrong in [json!("000000"), json!(""), json!("abc"), json!("１２３４５６"), json!("9".repeat(3_000))] {
        server.post(VERIFY, &body("totp", &wrong)).await.problem(401, "mfa.invalid_code");
    }
    server.post(VERIFY, &body("sms", &json!("000000"))).await.problem(401, "mfa.invalid_code");
    server.post(VERIFY, &body("sign", &json!("000000"))).await.problem_of(422, "request.invalid_value", "factor");
    server.post(VERIFY, &json!({ "mfa_token": token })).await.expect(422);
    let shown = json!(code(&secret, 30));
    let logged_in = Tokens::of(&server.post(VERIFY, &body("totp", &shown)).await.expect(200));
    server.get_as(ME, &logged_in.access).await.expect(200);
    server.post(VERIFY, &body("totp", &shown)).await.problem(401, "auth.invalid_mfa_token");
    let token = demanded(&server, "ada@example.com").await;
    let body = |factor: &str, code: &Value| json!({ "mfa_token": token, "factor": factor, "code": code });
    server.post(VERIFY, &body("totp", &shown)).await.problem(401, "mfa.invalid_code");
    server.post(VERIFY, &body("recovery_code", &codes[0])).await.expect(200);
    let token = demanded(&server, "ada@example.com").await;
    let again = json!({ "mfa_token": token, "factor": "recovery_code", "code": codes[0] });
    server.post(VERIFY, &again).await.problem(401, "mfa.invalid_code");
    let status = server.get_as(MFA, &logged_in.access).await.expect(200).json();
    assert_eq!(status["recovery_codes_left"], 9);
}

#[tokio::test]
async fn the_token_between_the_factors_opens_nothing() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    enrol(&server, &tokens).await;
    let token = demanded(&server, "ada@example.com").await;
    for path in [ME, SESSIONS, MFA] {
        server.get_as(path, &token).await.problem(401, "auth.invalid_token");
    }
    for path in [TOTP, CONFIRM, CODES, REAUTHENTICATE, "/api/v1/auth/logout-all", "/api/v1/users/me/password"] {
        server.post_as(path, &token, &json!({ "code": "123456" })).await.problem(401, "auth.invalid_token");
    }
    for path in [REFRESH, LOGOUT] {
        server.post(path, &json!({ "refresh_token": token })).await.problem(401, "auth.invalid_refresh_token");
    }
    // And no other token opens what it opens.
    for other in [&tokens.access, &tokens.refresh] {
        let body = json!({ "mfa_token": other, "factor": "totp", "code": "123456" });
        server.post(VERIFY, &body).await.problem(401, "auth.invalid_mfa_token");
    }
}

#[tokio::test]
async fn a_factor_is_taken_off_by_who_shows_it() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let (secret, codes) = enrol(&server, &tokens).await;
    let delete = async |token: &str| server.send(request(Method::DELETE, TOTP, token, &json!({}))).await;
    let refused = delete(&tokens.access).await;
    assert!(refused.header("www-authenticate").contains("insufficient_user_authentication"));
    refused.problem(403, "auth.reauthentication_required");
    server.post_as(CODES, &tokens.access, &json!({})).await.problem(403, "auth.reauthentication_required");
    let password = json!({ "password": PASSWORD });
    server.post_as(REAUTHENTICATE, &tokens.access, &password).await.problem(403, "mfa.factor_required");
    for odd in [json!({}), json!({ "factor": "totp" }), json!({ "password": PASSWORD, "factor": "totp", "code": "1" })] {
        server.post_as(REAUTHENTICATE, &tokens.access, &odd).await.problem(422, "request.invalid_value");
    }
    let wrong = json!({ "factor": "totp", "code": "000000" });
    server.post_as(REAUTHENTICATE, &tokens.access, &wrong).await.problem(401, "mfa.invalid_code");
    let right = json!({ "factor": "totp", "code": code(&secret, 30) });
    let fresh = server.post_as(REAUTHENTICATE, &tokens.access, &right).await.expect(200).text("access_token");
    let renewed = server.post_as(CODES, &fresh, &json!({})).await.expect(200).json();
    assert_ne!(renewed["recovery_codes"], json!(codes));
    delete(&fresh).await.expect(204);
    delete(&fresh).await.problem(404, "mfa.not_enrolled");
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
}

#[tokio::test]
async fn an_operator_takes_every_factor_off() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    enrol(&server, &tokens).await;
    demanded(&server, "ada@example.com").await;
    for said in ["second factors are off\n", "no second factor was on\n"] {
        let output = server.run(&["users", "reset-mfa", "--email", "ADA@example.com"], &[], "").await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), said, "{}", String::from_utf8_lossy(&output.stderr));
    }
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
}
