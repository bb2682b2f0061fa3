//! No secret reaches the log, at the level that says most.

use hyper::Method;
use serde_json::{Value, json};

use crate::account::{
    LOGIN, LOGOUT, LOGOUT_ALL, ME, MY_PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, Tokens, log_in, refresh_token, register,
};
use crate::own_account::request;
use crate::settings_with;
use crate::support::Server;

const CANARY: &str = "canary in the coal mine 7391";
const NEW_CANARY: &str = "another canary, singing 2846";

#[tokio::test]
async fn no_password_and_no_token_is_ever_logged() {
    let mut server = Server::start(&settings_with(&[("AUTHKIT_LOG", "trace"), ("AUTHKIT_LOG_FORMAT", "json")])).await;
    let mut secrets: Vec<String> = Vec::new();
    let mut keep = |tokens: Tokens| {
        secrets.extend([tokens.access.clone(), tokens.refresh.clone()]);
        tokens
    };
    let canary = json!({ "email": "ada@example.com", "password": CANARY });
    let first = keep(Tokens::of(&server.post(REGISTER, &canary).await.expect(201)));
    let second = keep(Tokens::of(&server.post(LOGIN, &canary).await.expect(200)));
    keep(Tokens::of(&server.post(REFRESH, &refresh_token(&first)).await.expect(200)));
    server.post(REGISTER, &canary).await.problem(409, "account.email_taken");
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": format!("{CANARY}!") })).await.expect(401);
    // In the wrong place.
    server.post(LOGIN, &json!({ "email": CANARY, "password": [CANARY], CANARY: CANARY })).await.expect(422);
    server.post(LOGIN, &json!({ "email": "a@example.com", "password": { CANARY: CANARY } })).await.expect(422);
    server.get_as(&format!("{ME}/{}", first.access), &first.access).await.expect(404);
    server.get(&format!("{ME}?access_token={}", first.access)).await.expect(401);
    server.get_as(ME, &first.access[..first.access.len() - 2]).await.expect(401);
    server.get_as(ME, &first.access).await.expect(200);
    server.post_as(REAUTHENTICATE, &first.access, &json!({ "password": CANARY })).await.expect(200);
    let change = json!({ "current_password": CANARY, "new_password": NEW_CANARY });
    server.post_as(MY_PASSWORD, &second.access, &change).await.expect(200);
    server.post(REFRESH, &refresh_token(&first)).await.expect(401);
    server.post(LOGOUT, &refresh_token(&second)).await.expect(200);
    let other = keep(register(&server, "bob@example.com").await);
    let other = keep({
        server.post_as(LOGOUT_ALL, &other.access, &json!({})).await.expect(200);
        log_in(&server, "bob@example.com").await
    });
    server.send(request(Method::DELETE, ME, &other.access, &Value::Null)).await.expect(204);
    let key = std::fs::read_to_string(server.data_dir().join("master.key")).expect("the master key");
    assert!(server.stop().await.success());

    let log = server.log();
    assert!(log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""), "the log says much");
    assert!(log.contains("/api/v1/auth/login"), "and names the requests");
    for canary in [CANARY, NEW_CANARY, "$argon2id$", key.trim().split_once(':').expect("a key").1] {
        assert!(!log.contains(canary), "{canary:?} is in the log");
    }
    for secret in &secrets {
        // A whole token, its signature, or what is left of one that was cut.
        let tail = &secret[secret.len() - 40..secret.len() - 4];
        assert!(
            !log.contains(tail),
            "a token is in the log: {}",
            log.lines().find(|line| line.contains(tail)).unwrap_or_default()
        );
    }
}
