//! `/api/v1/users/me`: what each route answers, with each of the problems that it documents.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{LOGIN, ME, MY_PASSWORD, PASSWORD, REGISTER, assert_over, credentials, log_in, register};
use crate::database;
use crate::support::{Reply, Server, post};

/// A request of any method with a bearer token.
pub(crate) fn request(method: Method, path: &str, token: &str, body: &Value) -> Request<Full<Bytes>> {
    let mut request = post(path, body);
    *request.method_mut() = method;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a printable token"));
    request
}

async fn patch(server: &Server, token: &str, body: &Value) -> Reply {
    server.send(request(Method::PATCH, ME, token, body)).await
}

#[tokio::test]
async fn a_profile_changes_by_what_its_owner_may_say_and_by_nothing_else() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let before = server.get_as(ME, &tokens.access).await.expect(200).json();
    assert_eq!((&before["email"], &before["full_name"]), (&json!("ada@example.com"), &Value::Null));

    let named =
        patch(&server, &tokens.access, &json!({ "full_name": " Ada Lovelace ", "locale": "en-gb" })).await.expect(200).json();
    assert_eq!((&named["full_name"], &named["locale"]), (&json!("Ada Lovelace"), &json!("en-GB")));
    let kept = patch(&server, &tokens.access, &json!({ "locale": null })).await.expect(200).json();
    assert_eq!((&kept["full_name"], &kept["locale"]), (&json!("Ada Lovelace"), &Value::Null), "null empties, absence keeps");
    assert_eq!(server.get_as(ME, &tokens.access).await.json(), kept);

    let rows = database::rows(&server).await;
    let forbidden =
        ["role", "roles", "is_admin", "email_verified", "id", "email", "status", "created_at", "tenant_id", "mfa_enabled"];
    for member in forbidden {
        let body = json!({ "full_name": "Mallory", member: true });
        patch(&server, &tokens.access, &body).await.problem_of(422, "request.unknown_member", member);
    }
    let wrong = patch(&server, &tokens.access, &json!({ "full_name": "a\u{202e}b", "locale": "not a tag" })).await;
    assert_eq!(wrong.problem(422, "request.invalid_value")["errors"].as_array().map(Vec::len), Some(2));
    patch(&server, &tokens.access, &json!({ "full_name": "x".repeat(201) })).await.problem_of(
        422,
        "request.invalid_value",
        "full_name",
    );
    patch(&server, &tokens.access, &json!({ "full_name": 1 })).await.problem_of(422, "request.invalid_type", "full_name");
    patch(&server, &tokens.access, &json!([])).await.problem(422, "request.invalid_type");
    patch(&server, "x", &json!({})).await.problem(401, "auth.invalid_token");
    server.get(ME).await.problem(401, "auth.unauthenticated");
    assert_eq!(database::rows(&server).await, rows, "what was refused changed nothing");
}

#[tokio::test]
async fn a_change_of_password_needs_the_current_one_and_ends_the_other_sessions() {
    let server = Server::start(SETTINGS).await;
    let mine = register(&server, "ada@example.com").await;
    let other = log_in(&server, "ada@example.com").await;
    let new = "correct horse battery staple";
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });

    server.post(MY_PASSWORD, &change(PASSWORD, new)).await.problem(401, "auth.unauthenticated");
    let attempt = async |body: Value| server.post_as(MY_PASSWORD, &mine.access, &body).await;
    attempt(change("SecurePass124", new)).await.problem(403, "password.wrong_current");
    let weak = attempt(change(PASSWORD, "password1")).await.problem(422, "password.too_weak");
    assert!(weak["errors"].as_array().expect("reasons").iter().all(|reason| reason["field"] == "new_password"), "{weak}");
    attempt(change(PASSWORD, "a\0b")).await.problem_of(422, "request.invalid_value", "new_password");
    attempt(json!({ "new_password": new })).await.problem_of(422, "request.missing_member", "current_password");
    server.get_as(ME, &other.access).await.expect(200);

    assert_eq!(attempt(change(PASSWORD, new)).await.expect(200).json()["revoked"], 1);
    assert_over(&server, &other).await;
    server.get_as(ME, &mine.access).await.expect(200);
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(401, "auth.invalid_credentials");
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": new })).await.expect(200);
}

#[tokio::test]
async fn a_closed_account_is_gone_and_its_address_is_free() {
    let server = Server::start(SETTINGS).await;
    let first = register(&server, "ada@example.com").await;
    let second = log_in(&server, "ada@example.com").await;
    server.send(request(Method::DELETE, ME, "x", &Value::Null)).await.problem(401, "auth.invalid_token");
    let closed = server.send(request(Method::DELETE, ME, &first.access, &Value::Null)).await.expect(204);
    assert!(closed.body.is_empty());
    assert_over(&server, &first).await;
    assert_over(&server, &second).await;
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(401, "auth.invalid_credentials");
    server.post(REGISTER, &credentials("ada@example.com")).await.expect(201);
}
