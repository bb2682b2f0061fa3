//! `/api/v1/auth`: what each route answers, with each of the problems that it documents.

use serde_json::json;

use crate::SETTINGS;
use crate::account::{
    LOGIN, LOGOUT, LOGOUT_ALL, ME, PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, Tokens, assert_over, credentials, log_in,
    refresh_token, register,
};
use crate::database;
use crate::support::Server;

#[tokio::test]
async fn an_address_has_one_account_whatever_its_spelling() {
    let server = Server::start(SETTINGS).await;
    let body = json!({ "email": " Jane.Doe@Bücher.Example ", "password": PASSWORD, "full_name": "Jane", "locale": "pt-BR",
                       "device_name": "phone" });
    let registered = server.post(REGISTER, &body).await.expect(201).json();
    assert_eq!(registered["user"]["email"], "Jane.Doe@bücher.example", "as she typed it, in normal form");
    assert_eq!((&registered["user"]["locale"], &registered["user"]["status"]), (&json!("pt-BR"), &json!("active")));

    for spelling in ["jane.doe@bücher.example", "JANE.DOE@XN--BCHER-KVA.EXAMPLE", "ｊane.doe@bu\u{308}cher.example"] {
        server.post(REGISTER, &credentials(spelling)).await.problem(409, "account.email_taken");
        let user = server.post(LOGIN, &credentials(spelling)).await.expect(200).json()["user"].clone();
        assert_eq!(user["id"], registered["user"]["id"], "{spelling}");
    }
    // A look-alike is nobody's second spelling: it is refused, or it is somebody else.
    for look_alike in
        ["j\u{430}ne.doe@bücher.example", "jane.doe@b\u{fc}ch\u{435}r.example", "jane.doe@bücher.example,a@evil.example"]
    {
        server.post(REGISTER, &credentials(look_alike)).await.problem_of(422, "request.invalid_value", "email");
        server.post(LOGIN, &credentials(look_alike)).await.problem_of(422, "request.invalid_value", "email");
    }
}

#[tokio::test]
async fn a_registration_is_refused_with_every_reason_and_makes_nothing() {
    let server = Server::start(SETTINGS).await;
    let before = database::rows(&server).await;
    for weak in ["short", "password1", "example-mikhailov", "aaaaaaaaaaaa"] {
        let body = json!({ "email": "mikhailov@example.com", "password": weak });
        let problem = server.post(REGISTER, &body).await.problem(422, "password.too_weak");
        let reasons = problem["errors"].as_array().expect("reasons");
        assert!(!reasons.is_empty() && reasons.iter().all(|r| r["field"] == "password" && r["message"].is_string()), "{problem}");
        assert!(!problem.to_string().contains(&format!("\"{weak}\"")), "{problem}");
    }
    let body = json!({ "email": "nobody", "password": "", "full_name": " ", "locale": "??", "device_name": "a\u{7}" });
    let problem = server.post(REGISTER, &body).await.problem(422, "request.invalid_value");
    let fields: Vec<_> = problem["errors"].as_array().expect("errors").iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["email", "password", "full_name", "locale", "device_name"], "all of them at once");
    assert_eq!(database::rows(&server).await, before);
}

#[tokio::test]
async fn a_login_tells_nobody_whether_the_address_or_the_password_is_wrong() {
    let server = Server::start(SETTINGS).await;
    register(&server, "ada@example.com").await;
    let wrong_password = server.post(LOGIN, &json!({ "email": "ada@example.com", "password": "SecurePass124" })).await;
    let nobody = server.post(LOGIN, &credentials("nobody@example.com")).await;
    let mut documents =
        [wrong_password.problem(401, "auth.invalid_credentials"), nobody.problem(401, "auth.invalid_credentials")];
    for document in &mut documents {
        document["request_id"] = "".into();
    }
    assert_eq!(documents[0], documents[1]);
    let names = |reply: &crate::support::Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong_password), names(&nobody));
    assert_eq!(database::events(&server, "auth.login", "failure").await, 2, "both are audited");
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_its_reuse_ends_the_session() {
    let server = Server::start(SETTINGS).await;
    let first = register(&server, "ada@example.com").await;
    let second = Tokens::of(&server.post(REFRESH, &refresh_token(&first)).await.expect(200));
    assert_ne!(first.refresh, second.refresh);
    // The reply may have been lost: the same token gets the same successor.
    let again = Tokens::of(&server.post(REFRESH, &refresh_token(&first)).await.expect(200));
    assert_eq!(again.refresh, second.refresh);

    let third = Tokens::of(&server.post(REFRESH, &refresh_token(&second)).await.expect(200));
    let reused = server.post(REFRESH, &refresh_token(&first)).await;
    reused.problem(401, "auth.refresh_token_reused");
    for tokens in [&first, &second, &third] {
        assert_over(&server, tokens).await;
    }
    assert_eq!(database::events(&server, "auth.refresh_token_reused", "success").await, 1);
    for nonsense in ["", "x", "ak_rt_", &third.access, &third.refresh[1..], "\0", &"a".repeat(60_000)] {
        let body = json!({ "refresh_token": nonsense });
        server.post(REFRESH, &body).await.problem(401, "auth.invalid_refresh_token");
        server.post(LOGOUT, &body).await.problem(401, "auth.invalid_refresh_token");
    }
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session_of_the_caller_and_no_other() {
    let server = Server::start(SETTINGS).await;
    let first = register(&server, "ada@example.com").await;
    let second = log_in(&server, "ada@example.com").await;
    let other = register(&server, "bob@example.com").await;
    server.post(LOGOUT_ALL, &json!({})).await.problem(401, "auth.unauthenticated");
    let reply = server.post_as(LOGOUT_ALL, &first.access, &json!({})).await.expect(200).json();
    assert_eq!(reply["revoked"], 2);
    assert!(reply["message"].is_string());
    assert_over(&server, &first).await;
    assert_over(&server, &second).await;
    server.get_as(ME, &other.access).await.expect(200);
    server.post_as(LOGOUT_ALL, &first.access, &json!({})).await.problem(401, "auth.session_ended");
}

#[tokio::test]
async fn a_proof_of_identity_gives_a_fresh_access_token_of_the_same_session() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let body = json!({ "password": PASSWORD });
    server.post(REAUTHENTICATE, &body).await.problem(401, "auth.unauthenticated");
    let wrong = json!({ "password": "SecurePass124" });
    server.post_as(REAUTHENTICATE, &tokens.access, &wrong).await.problem(401, "auth.invalid_credentials");
    server.post_as(REAUTHENTICATE, &tokens.access, &json!({ "password": "" })).await.problem_of(
        422,
        "request.invalid_value",
        "password",
    );

    let reply = server.post_as(REAUTHENTICATE, &tokens.access, &body).await.expect(200).json();
    assert_eq!((&reply["token_type"], reply.get("refresh_token")), (&json!("Bearer"), None));
    let fresh = reply["access_token"].as_str().expect("a token");
    assert_ne!(fresh, tokens.access);
    server.get_as(ME, fresh).await.expect(200);
    server.post(LOGOUT, &refresh_token(&tokens)).await.expect(200);
    server.get_as(ME, fresh).await.problem(401, "auth.session_ended");
    server.post_as(REAUTHENTICATE, fresh, &body).await.problem(401, "auth.session_ended");
}
