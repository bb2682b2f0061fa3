//! What mail moves: a change of the address and its way back, invitations, resets by administrators, links bound to a browser, and the
//! outbox under the eyes of operators.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::account::{LOGIN, ME, PASSWORD, assert_over, credentials, log_in, register};
use crate::administration::{USERS, administrator};
use crate::links::{FORGOT, MAGIC, MAGIC_VERIFY, OTHER, RESET, VERIFY, link_of, mail_with};
use crate::own_account::request;
use crate::support::{Reply, Server, get, post};
use crate::{SETTINGS, settings_with};

const MY_EMAIL: &str = "/api/v1/users/me/email";
const UNDO: &str = "/api/v1/auth/email/undo";
const ACCEPT: &str = "/api/v1/auth/invitation/accept";
const OUTBOX: &str = "/api/v1/admin/outbox";

async fn link(server: &Server, what: &str, read: &mut Vec<String>) -> String {
    link_of(&mail_with(server, what, read).await).expect("a link").0
}

#[tokio::test]
async fn an_address_is_changed_and_taken_back() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    let ada = register(&server, "ada@example.com").await;
    let token = link(&server, "Confirm your email", &mut read).await;
    server.post(VERIFY, &json!({ "token": token })).await.expect(200);

    let to = |email: &str| json!({ "new_email": email });
    server.post_as(MY_EMAIL, &ada.access, &to("ADA@example.com")).await.problem(422, "account.same_email");
    server.post_as(MY_EMAIL, &ada.access, &to("no address")).await.problem(422, "request.invalid_value");
    server.post_as(MY_EMAIL, &ada.access, &to("new@example.com")).await.expect(202);
    mail_with(&server, "Your email address is to be changed", &mut read).await;
    let mail = mail_with(&server, "To: new@example.com", &mut read).await;
    let token = link_of(&mail).expect("a link").0;
    assert!(mail.contains("/account/change-email"));
    for path in [UNDO, RESET, MAGIC_VERIFY, ACCEPT] {
        let body = if path == RESET || path == ACCEPT {
            json!({ "token": token, "new_password": OTHER })
        } else {
            json!({ "token": token })
        };
        server.post(path, &body).await.problem(401, "auth.invalid_link");
    }
    let moved = server.post(VERIFY, &json!({ "token": token })).await.expect(200).json();
    assert_eq!((&moved["user"]["email"], &moved["user"]["email_verified"]), (&json!("new@example.com"), &json!(true)));
    assert_eq!(server.get_as(ME, &ada.access).await.expect(200).json()["email"], "new@example.com");
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(401, "auth.invalid_credentials");
    log_in(&server, "new@example.com").await;

    let mail = mail_with(&server, "moved to another address", &mut read).await;
    assert!(mail.contains("To: ada@example.com") && mail.contains("/account/undo-email-change"));
    let token = link_of(&mail).expect("a link").0;
    server.post(UNDO, &json!({ "token": token })).await.expect(200);
    server.post(UNDO, &json!({ "token": token })).await.problem(401, "auth.invalid_link");
    assert_over(&server, &ada).await;
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(401, "auth.invalid_credentials");
    let token = link(&server, "Set a new password", &mut read).await;
    server.post(RESET, &json!({ "token": token, "new_password": OTHER })).await.expect(200);
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": OTHER })).await.expect(200);
}

#[tokio::test]
async fn an_invitation_gives_an_account_to_its_owner() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let send = async |method: Method, path: &str, body: &Value| server.send(request(method, path, &admin.access, body)).await;
    let new = json!({ "email": "ada@example.com", "full_name": "Ada Lovelace", "locale": "de" });
    let id = send(Method::POST, USERS, &new).await.expect(201).text("id");
    let mail = mail_with(&server, "Einladung", &mut read).await;
    assert!(mail.contains("Ada Lovelace") && mail.contains("/account/invitation"), "{mail}");
    let first = link_of(&mail).expect("a link").0;
    let invitation = format!("{USERS}/{id}/invitation");
    send(Method::POST, &invitation, &json!({})).await.expect(202);
    let second = link(&server, "Einladung", &mut read).await;
    server.post(ACCEPT, &json!({ "token": first, "new_password": OTHER })).await.problem(401, "auth.invalid_link");
    server.post(ACCEPT, &json!({ "token": second, "new_password": "password" })).await.problem(422, "password.too_weak");
    server.post(ACCEPT, &json!({ "token": second, "new_password": OTHER })).await.expect(200);
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": OTHER })).await.expect(200);
    send(Method::POST, &invitation, &json!({})).await.problem(409, "account.invitation_accepted");

    send(Method::POST, &format!("{USERS}/{id}/password-reset"), &json!({})).await.expect(202);
    let mail = mail_with(&server, "Bitte setzen Sie ein neues Passwort", &mut read).await;
    assert!(mail.contains("/account/reset-password"), "{mail}");
    let token = link_of(&mail).expect("a link").0;
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": OTHER })).await.expect(200);
    server.post(RESET, &json!({ "token": token, "new_password": PASSWORD })).await.expect(200);
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);

    let quiet = json!({ "email": "bob@example.com", "invite": false });
    let id = send(Method::POST, USERS, &quiet).await.expect(201).text("id");
    let events = server.get_as(&format!("/api/v1/admin/audit-events?subject={id}"), &admin.access).await.expect(200).json();
    let actions: Vec<&str> =
        events["items"].as_array().expect("a list").iter().filter_map(|event| event["action"].as_str()).collect();
    assert_eq!(actions, ["account.created"]);
}

fn with_header(mut request: Request<Full<Bytes>>, name: &'static str, value: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert(name, value.parse().expect("a header value"));
    request
}

/// The cookie that a reply sets, as a browser sends it back.
fn cookie(reply: &Reply) -> String {
    reply.header("set-cookie").split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn a_link_that_a_browser_asked_for_logs_nobody_in_elsewhere() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    register(&server, "ada@example.com").await;
    mail_with(&server, "Confirm your email", &mut read).await;
    let asked = server.post(MAGIC, &json!({ "email": "ada@example.com", "this_browser_only": true })).await.expect(202);
    let mine = cookie(&asked);
    assert!(mine.starts_with("authkit_browser=") && asked.header("set-cookie").contains("HttpOnly; SameSite=Lax"), "{mine}");
    let token = link(&server, "Your login link", &mut read).await;
    let body = json!({ "token": token });
    server.post(MAGIC_VERIFY, &body).await.problem(403, "auth.link_of_another_browser");
    let stranger = format!("authkit_browser={}", "A".repeat(43));
    server.send(with_header(post(MAGIC_VERIFY, &body), "cookie", &stranger)).await.problem(403, "auth.link_of_another_browser");
    // The page keeps to it as well.
    let form = || {
        let mut request = with_header(get("/account/magic-link", None), "content-type", "application/x-www-form-urlencoded");
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::new(format!("token={token}").into());
        request
    };
    server.send(form()).await.expect(403);
    server.send(with_header(form(), "cookie", &mine)).await.expect(200);
    server.send(with_header(post(MAGIC_VERIFY, &body), "cookie", &mine)).await.problem(401, "auth.invalid_link");

    // A browser that has the cookie is bound without saying so; a program that keeps none is not.
    server.send(with_header(post(MAGIC, &json!({ "email": "ada@example.com" })), "cookie", &mine)).await.expect(202);
    let body = json!({ "token": link(&server, "Your login link", &mut read).await });
    server.post(MAGIC_VERIFY, &body).await.problem(403, "auth.link_of_another_browser");
    server.send(with_header(post(MAGIC_VERIFY, &body), "cookie", &mine)).await.expect(200);
    let asked = server.post(MAGIC, &json!({ "email": "ada@example.com" })).await.expect(202);
    assert_eq!(asked.header("set-cookie"), "");
    let body = json!({ "token": link(&server, "Your login link", &mut read).await });
    server.post(MAGIC_VERIFY, &body).await.expect(200);
}

#[tokio::test]
async fn mail_speaks_the_language_of_the_browser_where_the_owner_has_chosen_none() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    let registration =
        with_header(post("/api/v1/auth/register", &credentials("ada@example.com")), "accept-language", "fr-CH, de;q=0.5");
    let ada = crate::account::Tokens::of(&server.send(registration).await.expect(201));
    mail_with(&server, "Confirmez votre adresse e-mail", &mut read).await;
    let forgot = || with_header(post(FORGOT, &json!({ "email": "ada@example.com" })), "accept-language", "de");
    server.send(forgot()).await.expect(202);
    mail_with(&server, "Neues Passwort setzen", &mut read).await;
    server.send(request(Method::PATCH, ME, &ada.access, &json!({ "locale": "es" }))).await.expect(200);
    server.send(forgot()).await.expect(202);
    mail_with(&server, "Establecer una nueva contrase", &mut read).await;
}

#[tokio::test]
async fn operators_see_what_could_not_be_sent_and_have_it_tried_again() {
    let (port, mails) = crate::links::smtp(0).await;
    // Nobody listens at the first port.
    let url = "smtp://127.0.0.1:1".to_owned();
    let mail = [("AUTHKIT_SMTP_URL", url.as_str()), ("AUTHKIT_MAIL_FROM", "AuthKit <no-reply@auth.example>")];
    let mut server = Server::start(&settings_with(&mail)).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let pending = async |server: &Server, state: &str| {
        let list = server.get_as(&format!("{OUTBOX}?state={state}"), &admin.access).await.expect(200).json();
        list["items"].as_array().expect("a list").clone()
    };
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        waiting = pending(&server, "pending").await;
        if waiting.iter().any(|message| message["last_error"] == "temporary") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((waiting.len(), &waiting[0]["subject"], &waiting[0]["kind"]), (1, &json!("verify_email"), &json!("mail")));
    let text = serde_json::to_string(&waiting).expect("JSON");
    assert!(!text.contains("root@example.com") && !text.contains("ak_ot_"), "neither the recipient nor the link is shown");
    let id = waiting[0]["id"].as_str().expect("an id").to_owned();
    server.get_as(&format!("{OUTBOX}?state=lost"), &admin.access).await.problem(400, "request.invalid_parameter");
    // Only what was given up is tried again by hand.
    server.post_as(&format!("{OUTBOX}/{id}/retry"), &admin.access, &json!({})).await.problem(404, "outbox.not_found");
    server.post_as(&format!("{OUTBOX}/x/retry"), &admin.access, &json!({})).await.problem(404, "outbox.not_found");
    let metrics = String::from_utf8_lossy(&server.get("/metrics").await.expect(200).body).into_owned();
    assert!(metrics.contains("outbox_deferred_total 1"), "{metrics}");
    let ready = server.get("/health/ready").await.expect(200).json();
    assert!(ready["parts"]["outbox"]["status"].is_string(), "{ready}");
    bury(&server, &id).await;
    server.stop().await;
    server.set("AUTHKIT_SMTP_URL", &format!("smtp://127.0.0.1:{port}"));
    server.start_again().await;
    let admin = log_in(&server, "root@example.com").await;
    let dead = server.get_as(OUTBOX, &admin.access).await.expect(200).json();
    assert_eq!(dead["items"][0]["id"], json!(id));
    server.post_as(&format!("{OUTBOX}/{id}/retry"), &admin.access, &json!({})).await.expect(204);
    for _ in 0..1_000 {
        if mails.lock().expect("not poisoned").iter().any(|mail| mail.contains("Confirm your email")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let sent = mails.lock().expect("not poisoned").iter().filter(|mail| mail.contains("Confirm your email")).count();
    assert_eq!(sent, 1, "the log:\n{}", server.log());
    let delete = server.send(request(Method::DELETE, &format!("{OUTBOX}/{id}"), &admin.access, &json!({}))).await;
    assert_eq!(delete.status, 204);
    server
        .send(request(Method::DELETE, &format!("{OUTBOX}/{id}"), &admin.access, &json!({})))
        .await
        .problem(404, "outbox.not_found");
    let events =
        server.get_as("/api/v1/admin/audit-events?action=outbox.message_retried", &admin.access).await.expect(200).json();
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1));
}

/// Gives a message up, as twelve failures do.
async fn bury(server: &Server, id: &str) {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", server.data_dir().join("authkit.sqlite3").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("opens");
    let sql = "UPDATE authkit_outbox SET state = 'dead', finished_at = created_at WHERE lower(hex(id)) = $1";
    let done = sqlx::query(sql).bind(id.replace('-', "")).execute(&mut connection).await.expect("updates");
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn the_command_line_invites_and_looks_after_messages() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    let run = async |arguments: &[&str]| {
        let output = server.run(arguments, &[], "").await;
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
        (output.status.code(), out.trim().to_owned(), err)
    };
    let (code, id, err) = run(&["users", "create", "--email", "ada@example.com", "--without-password", "--invite"]).await;
    assert_eq!(code, Some(0), "{err}");
    let token = link(&server, "You are invited", &mut read).await;
    server.post(ACCEPT, &json!({ "token": token, "new_password": OTHER })).await.expect(200);
    let (code, _, err) = run(&["users", "invite", &id]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("has a password already"), "{err}");
    let (code, out, err) = run(&["users", "reset-password", "ada@example.com"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&id), "{out}");
    mail_with(&server, "Please set a new password", &mut read).await;
    let (code, out, err) = run(&["outbox", "list", "--state", "delivered", "--format", "json"]).await;
    assert_eq!(code, Some(0), "{err}");
    let list: Value = serde_json::from_str(&out).expect("JSON");
    let messages = list["messages"].as_array().expect("a list");
    assert!(messages.iter().any(|message| message["subject"] == "invitation"), "{out}");
    let id = messages[0]["id"].as_str().expect("an id");
    assert_eq!(run(&["outbox", "retry", id]).await.0, Some(1));
    assert_eq!(run(&["outbox", "discard", id]).await.0, Some(0));
    assert_eq!(run(&["outbox", "discard", "x"]).await.0, Some(2));
}
