//! The three requests that users of the service know, word for word.

use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{LOGIN, LOGOUT, REGISTER, Tokens, assert_over, refresh_token};
use crate::support::Server;

#[tokio::test]
async fn register_login_and_logout_answer_as_they_always_did() {
    let server = Server::start(SETTINGS).await;

    let body = json!({ "email": "user@example.com", "password": "SecurePass123", "full_name": "John Doe" });
    let registered = server.post(REGISTER, &body).await.expect(201);
    assert_tokens(&registered.json());
    let user = &registered.json()["user"];
    assert_eq!((&user["email"], &user["full_name"]), (&json!("user@example.com"), &json!("John Doe")));
    assert_eq!(user["id"].as_str().map(str::len), Some(36), "a UUID");
    assert_eq!(registered.header("cache-control"), "no-store");

    let logged_in = server.post(LOGIN, &json!({ "email": "user@example.com", "password": "SecurePass123" })).await.expect(200);
    assert_tokens(&logged_in.json());
    assert_eq!(logged_in.json()["user"]["id"], user["id"]);
    let (first, second) = (Tokens::of(&registered), Tokens::of(&logged_in));
    assert!(first.refresh != second.refresh && first.access != second.access, "two logins are two sessions");

    // Twice: a client whose reply was lost must be able to ask again.
    for _ in 0..2 {
        let logged_out = server.post(LOGOUT, &refresh_token(&second)).await.expect(200);
        assert_eq!(logged_out.json(), json!({ "message": "User logged out successfully" }));
        assert_over(&server, &second).await;
    }
    server.get_as("/api/v1/users/me", &first.access).await.expect(200);
}

fn assert_tokens(reply: &Value) {
    assert_eq!(reply["token_type"], "Bearer");
    assert!(reply["expires_in"].as_u64().is_some_and(|seconds| (1..=900).contains(&seconds)), "{reply}");
    assert_eq!(reply["access_token"].as_str().expect("a JWT").split('.').count(), 3);
    assert!(!reply["refresh_token"].as_str().expect("a token").is_empty());
    assert!(reply["user"]["email_verified"] == false && reply["user"]["created_at"].as_str().expect("a time").ends_with('Z'));
}
