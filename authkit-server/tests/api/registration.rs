//! Registration where nobody registers by herself, and where the answer may not say who has an account.

use hyper::Method;
use serde_json::{Value, json};

use crate::account::{LOGIN, PASSWORD, REGISTER, credentials, log_in, register};
use crate::administration::{USERS, administrator};
use crate::links::{link_of, mail_with};
use crate::own_account::request;
use crate::support::{Reply, Server};
use crate::{PUBLIC_URL, SETTINGS, settings_with};

const QUIET: (&str, &str) = ("AUTHKIT_REVEAL_EXISTING", "off");

/// What of a reply may not depend on who asks for what.
fn seen(reply: &Reply) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let differs = ["x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"];
    let headers = reply.headers.iter().filter(|(name, _)| !differs.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    (reply.status, headers.collect(), reply.body.to_vec())
}

/// A server over the data of one on which an account was made, with other settings.
async fn with_an_account(more: &[(&'static str, &'static str)]) -> Server {
    let mut server = Server::start(&settings_with(&[PUBLIC_URL])).await;
    administrator(&server, "root@example.com", &["users:write"]).await;
    register(&server, "ada@example.com").await;
    let mut read = Vec::new();
    mail_with(&server, "To: ada@example.com", &mut read).await;
    mail_with(&server, "To: root@example.com", &mut read).await;
    for (name, value) in more {
        server.set(name, value);
    }
    server.kill();
    server.start_again().await;
    std::fs::remove_dir_all(server.data_dir().join("outbox")).expect("the mails that were read go");
    server
}

#[tokio::test]
async fn a_registration_that_is_closed_is_refused_and_administrators_go_on() {
    let server = with_an_account(&[("AUTHKIT_REGISTRATION", "closed")]).await;
    for email in ["ada@example.com", "new@example.com"] {
        server.post(REGISTER, &credentials(email)).await.problem(403, "account.registration_closed");
    }
    let admin = log_in(&server, "root@example.com").await;
    let body = json!({ "email": "made@example.com" });
    server.send(request(Method::POST, USERS, &admin.access, &body)).await.expect(201);
    server.post(LOGIN, &credentials("new@example.com")).await.problem(401, "auth.invalid_credentials");
}

#[tokio::test]
async fn a_registration_is_answered_with_the_same_bytes_and_the_mail_says_the_rest() {
    let server = with_an_account(&[QUIET]).await;
    let mut read = Vec::new();
    let known = server.post(REGISTER, &credentials("Ada@Example.com")).await.expect(202);
    let told = mail_with(&server, "You already have an account", &mut read).await;
    let new = server.post(REGISTER, &credentials("new@example.com")).await.expect(202);
    let confirm = mail_with(&server, "Confirm your email", &mut read).await;
    assert_eq!(seen(&known), seen(&new));
    let body: Value = new.json();
    assert_eq!(body.as_object().expect("an object").keys().collect::<Vec<_>>(), ["message"], "no token");
    assert!(told.contains("To: ada@example.com") && confirm.contains("To: new@example.com"));
    assert!(link_of(&told).is_none() && told.replace("=\r\n", "").contains("/account/forgot-password"), "{told}");

    // Neither the password nor another registration tells which of them is new.
    let mut answers = Vec::new();
    for email in ["ada@example.com", "new@example.com", "nobody@example.com"] {
        let wrong = json!({ "email": email, "password": "plumage-orbit-4417-other" });
        answers.push(seen(&server.post(LOGIN, &wrong).await.expect(401)).2.len());
    }
    server.post(LOGIN, &credentials("new@example.com")).await.problem(401, "auth.invalid_credentials");
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let weak = |email: &str| json!({ "email": email, "password": "password1" });
    for email in ["ada@example.com", "third@example.com"] {
        server.post(REGISTER, &weak(email)).await.problem(422, "password.too_weak");
    }

    let (token, _) = link_of(&confirm).expect("a link");
    server.post("/api/v1/auth/email/verify", &json!({ "token": token })).await.expect(200);
    log_in(&server, "new@example.com").await;
    log_in(&server, "ada@example.com").await;
}

#[tokio::test]
async fn the_page_behind_that_mail_asks_for_an_address_and_tells_nothing() {
    let server = with_an_account(&[QUIET]).await;
    let page = server.get("/account/forgot-password").await.expect(200);
    assert!(String::from_utf8_lossy(&page.body).contains("type=\"email\""));
    let form = |email: &str| {
        let mut request = crate::support::get("/account/forgot-password", None);
        *request.method_mut() = Method::POST;
        let value = "application/x-www-form-urlencoded".parse().expect("a value");
        request.headers_mut().insert("content-type", value);
        *request.body_mut() = http_body_util::Full::new(format!("email={email}").into());
        request
    };
    let known = server.send(form("ada%40example.com")).await.expect(200);
    let unknown = server.send(form("nobody%40example.com")).await.expect(200);
    assert_eq!(known.body, unknown.body);
    let hostile = server.send(form("%22%3E%3Cscript%3E")).await.expect(422);
    assert!(!String::from_utf8_lossy(&hostile.body).contains("<script"));
    let mail = mail_with(&server, "Set a new password", &mut Vec::new()).await;
    let (token, _) = link_of(&mail).expect("a link");
    let reset = json!({ "token": token, "new_password": "plumage-orbit-4417-other" });
    server.post("/api/v1/auth/password/reset", &reset).await.expect(200);
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": PASSWORD })).await.expect(401);
}

#[tokio::test]
async fn settings_of_registration_are_words_and_what_cannot_work_is_warned_of() {
    let server = Server::start(SETTINGS).await;
    for (name, value) in [("AUTHKIT_REGISTRATION", "maybe"), ("AUTHKIT_REVEAL_EXISTING", "sometimes")] {
        let output = server.run(&["config"], &[(name, value)], "").await;
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(name), "{output:?}");
    }
    let quiet = Server::start(&settings_with(&[QUIET])).await;
    assert!(quiet.log().contains("AUTHKIT_REVEAL_EXISTING is off while AUTHKIT_SMTP_URL is not set"), "{}", quiet.log());
}
