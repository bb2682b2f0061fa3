//! A role that demands a second factor, over HTTP: what it says at the next login, and how whoever has none comes in.

use authkit_core::testkit::totp_secret;
use hyper::Method;
use serde_json::json;

use crate::SETTINGS;
use crate::account::{LOGIN, ME, Tokens, credentials, register};
use crate::administration::administrator;
use crate::mfa::{MFA, TOTP, VERIFY, code};
use crate::own_account::request;
use crate::support::Server;

const AUDITOR: &str = "/api/v1/admin/roles/auditor";
const TICKET_TOTP: &str = "/api/v1/auth/mfa/enrolment/totp";
const FINISH: &str = "/api/v1/auth/mfa/enrolment/confirm";

#[tokio::test]
async fn a_role_demands_a_factor_and_whoever_has_none_enrols_one_to_log_in() {
    let server = Server::start(SETTINGS).await;
    let root = administrator(&server, "root@example.com", &["*"]).await;
    let admin = async |method: Method, path: &str, body| server.send(request(method, path, &root.access, &body)).await;
    let made = admin(Method::POST, "/api/v1/admin/roles", json!({ "name": "auditor", "mfa_required": true })).await;
    assert_eq!(made.expect(201).json()["mfa_required"], true);
    admin(Method::PATCH, AUDITOR, json!({ "mfa_required": "yes" })).await.problem_of(422, "request.invalid_type", "mfa_required");

    let owner = register(&server, "ada@example.com").await;
    let id = server.get_as(ME, &owner.access).await.expect(200).text("id");
    admin(Method::PUT, &format!("/api/v1/admin/users/{id}/roles/auditor"), json!({})).await.expect(200);
    // The session that has begun goes on, and is told.
    assert_eq!(server.get_as(MFA, &owner.access).await.expect(200).json()["required"], true);

    let demanded = server.post(LOGIN, &credentials("ada@example.com")).await.problem(403, "auth.mfa_enrolment_required");
    assert!(demanded.get("access_token").is_none(), "{demanded}");
    let ticket = demanded["mfa_token"].as_str().expect("a token").to_owned();
    server.get_as(ME, &ticket).await.problem(401, "auth.invalid_token");
    let proof = json!({ "mfa_token": ticket, "factor": "totp", "code": "000000" });
    server.post(VERIFY, &proof).await.problem(401, "auth.invalid_mfa_token");

    let told = server.post(TICKET_TOTP, &json!({ "mfa_token": ticket })).await.expect(201).json();
    let secret = totp_secret(told["secret"].as_str().expect("a text"));
    let finish = |code: String| json!({ "mfa_token": ticket, "factor": "totp", "code": code });
    server.post(FINISH, &finish("12345".to_owned())).await.problem(422, "mfa.invalid_code");
    let begun = server.post(FINISH, &finish(code(&secret, 0))).await.expect(200);
    assert_eq!(begun.header("cache-control"), "no-store");
    let begun = begun.json();
    assert_eq!(begun["recovery_codes"].as_array().map(Vec::len), Some(10));
    let access = begun["tokens"]["access_token"].as_str().expect("a token").to_owned();
    server.get_as(ME, &access).await.expect(200);
    server.post(FINISH, &finish(code(&secret, 30))).await.problem(401, "auth.invalid_mfa_token");

    // It stays for as long as it is demanded, and goes when it is not.
    let remove = async || server.send(request(Method::DELETE, TOTP, &access, &json!({}))).await;
    remove().await.problem(409, "mfa.demanded");
    admin(Method::PATCH, AUDITOR, json!({ "mfa_required": false })).await.expect(200);
    remove().await.expect(204);
    Tokens::of(&server.post(LOGIN, &credentials("ada@example.com")).await.expect(200));
}

#[tokio::test]
async fn an_operator_says_of_a_role_that_it_demands_a_factor() {
    let server = Server::start(SETTINGS).await;
    for (arguments, said) in [
        (&["roles", "create", "auditor", "--mfa-required"][..], "auditor\tv0 mfa-required\t"),
        (&["roles", "update", "auditor", "--no-mfa-required"], "auditor\tv1\t"),
        (&["roles", "update", "auditor", "--mfa-required"], "auditor\tv2 mfa-required\t"),
    ] {
        let output = server.run(arguments, &[], "").await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.starts_with(said), "{told}{}", String::from_utf8_lossy(&output.stderr));
    }
}
