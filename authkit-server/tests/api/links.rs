//! Links that are mailed: the mails are read as their recipients read them, and their links followed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::account::{LOGIN, ME, PASSWORD, log_in, register};
use crate::support::{Server, get};
use crate::{SETTINGS, settings_with};

pub(crate) const FORGOT: &str = "/api/v1/auth/password/forgot";
pub(crate) const RESET: &str = "/api/v1/auth/password/reset";
pub(crate) const VERIFY: &str = "/api/v1/auth/email/verify";
const RESEND: &str = "/api/v1/auth/email/resend";
pub(crate) const MAGIC: &str = "/api/v1/auth/magic-link";
pub(crate) const MAGIC_VERIFY: &str = "/api/v1/auth/magic-link/verify";
pub(crate) const OTHER: &str = "plumage-orbit-4417-other";

/// The token in a mail, and the host that its link names.
pub(crate) fn link_of(mail: &str) -> Option<(String, String)> {
    let plain = mail.replace("=\r\n", "").replace("=3D", "=");
    let at = plain.find("ak_ot_")?;
    let host = plain[..at].rsplit_once("://")?.1.split('/').next()?.to_owned();
    Some((plain.get(at..at + 70)?.to_owned(), host))
}

/// Waits for a mail with this in it that is none of those that were read before.
pub(crate) async fn mail_with(server: &Server, what: &str, read: &mut Vec<String>) -> String {
    let directory = server.data_dir().join("outbox");
    for _ in 0..2_000 {
        let files = std::fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok);
        for file in files {
            let name = file.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            if !read.contains(&name) && text.contains(what) && text.contains("--\r\n") {
                read.push(name);
                return text;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no mail with {what:?} came; the log:\n{}", server.log());
}

#[tokio::test]
async fn links_prove_an_address_set_a_password_and_log_in() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    let ada = register(&server, "ada@example.com").await;
    let (token, _) = link_of(&mail_with(&server, "Confirm your email", &mut read).await).expect("a link");

    // Opening the link uses nothing up, however often; a program at the other end of the mail may do so.
    for _ in 0..3 {
        let page = server.get(&format!("/account/verify-email?token={token}")).await.expect(200);
        assert!(page.header("content-security-policy").contains("form-action 'self'"));
        assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    }
    assert_eq!(server.get_as(ME, &ada.access).await.expect(200).json()["email_verified"], false);
    let verified = server.post(VERIFY, &json!({ "token": token })).await.expect(200).json();
    assert_eq!(verified["user"]["email_verified"], true);
    assert_eq!(server.post(VERIFY, &json!({ "token": token })).await.expect(401).code(), "auth.invalid_link");

    server.post(FORGOT, &json!({ "email": "Ada@Example.com" })).await.expect(202);
    let (token, _) = link_of(&mail_with(&server, "Set a new password", &mut read).await).expect("a link");
    for path in [VERIFY, MAGIC_VERIFY] {
        assert_eq!(server.post(path, &json!({ "token": token })).await.expect(401).code(), "auth.invalid_link");
    }
    let weak = json!({ "token": token, "new_password": "password" });
    assert_eq!(server.post(RESET, &weak).await.expect(422).code(), "password.too_weak");
    server.post(RESET, &json!({ "token": token, "new_password": OTHER })).await.expect(200);
    server.get_as(ME, &ada.access).await.expect(401);
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": PASSWORD })).await.expect(401);
    mail_with(&server, "Your password was reset", &mut read).await;

    server.post(MAGIC, &json!({ "email": "ada@example.com" })).await.expect(202);
    let (token, _) = link_of(&mail_with(&server, "Your login link", &mut read).await).expect("a link");
    let tokens = server.post(MAGIC_VERIFY, &json!({ "token": token })).await.expect(200).json();
    server.get_as(ME, tokens["access_token"].as_str().expect("a token")).await.expect(200);
    assert_eq!(server.post(MAGIC_VERIFY, &json!({ "token": token })).await.expect(401).code(), "auth.invalid_link");
}

#[tokio::test]
async fn a_page_does_what_its_link_is_for_without_a_script() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    register(&server, "ada@example.com").await;
    let (token, _) = link_of(&mail_with(&server, "Confirm your email", &mut read).await).expect("a link");
    let form = |body: String| {
        let mut request = get("/account/verify-email", None);
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().expect("a value"));
        headers.insert("accept-language", "de-CH,de;q=0.9".parse().expect("a value"));
        *request.body_mut() = http_body_util::Full::new(body.into());
        request
    };
    let hostile = server.send(form("token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned())).await.expect(401);
    assert!(!String::from_utf8_lossy(&hostile.body).contains("<script"));
    let page = server.get("/account/verify-email?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.expect(401);
    assert!(!String::from_utf8_lossy(&page.body).contains("<script"));
    // What a link did not do is told on a page, in the language of its reader.
    let told = String::from_utf8_lossy(&hostile.body).into_owned();
    assert!(hostile.header("content-type").starts_with("text/html") && told.contains("Der Link gilt nicht mehr"), "{told}");
    let done = server.send(form(format!("token={token}"))).await.expect(200);
    assert!(String::from_utf8_lossy(&done.body).contains("Die Adresse ist bestätigt"));
    server.send(form(format!("token={token}"))).await.expect(401);
}

#[tokio::test]
async fn whoever_asks_for_an_address_without_an_account_learns_nothing_and_no_host_is_believed() {
    let server = Server::start(SETTINGS).await;
    let mut read = Vec::new();
    register(&server, "ada@example.com").await;
    mail_with(&server, "Confirm your email", &mut read).await;
    for path in [FORGOT, MAGIC, RESEND] {
        let [known, unknown] =
            ["ada@example.com", "nobody@example.com"].map(|email| server.post(path, &json!({ "email": email })));
        let (known, unknown) = (known.await.expect(202), unknown.await.expect(202));
        assert_eq!(known.body, unknown.body, "{path}");
        mail_with(&server, "To: ada@example.com", &mut read).await;
    }
    for (name, value) in [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")] {
        let mut request = crate::support::post(FORGOT, &json!({ "email": "ada@example.com" }));
        request.headers_mut().insert(name, value.parse().expect("a value"));
        let reply = server.send(request).await;
        if reply.status == 202 {
            let (_, host) = link_of(&mail_with(&server, "To: ada@example.com", &mut read).await).expect("a link");
            assert!(host.starts_with("localhost"), "{name}: {host}");
        }
    }
}

/// A server that takes mail: refuses the first so often, keeps the rest.
pub(crate) async fn smtp(refusals: usize) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, left) = (Arc::clone(&mails), Arc::new(Mutex::new(refusals)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (kept, left) = (Arc::clone(&kept), Arc::clone(&left));
            tokio::spawn(async move {
                let (reading, mut writing) = stream.into_split();
                let mut lines = BufReader::new(reading).lines();
                writing.write_all(b"220 test\r\n").await.expect("writes");
                let mut mail: Option<String> = None;
                while let Ok(Some(line)) = lines.next_line().await {
                    let reply: &[u8] = match (&mut mail, line.as_str()) {
                        (Some(text), ".") => {
                            kept.lock().expect("not poisoned").push(std::mem::take(text));
                            mail = None;
                            b"250 kept\r\n"
                        }
                        (Some(text), line) => {
                            text.push_str(line);
                            text.push_str("\r\n");
                            b""
                        }
                        (None, line) if line.starts_with("EHLO") => b"250-test\r\n250 8BITMIME\r\n",
                        (None, line) if line.starts_with("RCPT") => {
                            let mut left = left.lock().expect("not poisoned");
                            if *left > 0 {
                                *left -= 1;
                                b"451 later\r\n"
                            } else {
                                b"250 ok\r\n"
                            }
                        }
                        (None, "DATA") => {
                            mail = Some(String::new());
                            b"354 go on\r\n"
                        }
                        (None, "QUIT") => b"221 bye\r\n",
                        (None, _) => b"250 ok\r\n",
                    };
                    if writing.write_all(reply).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, mails)
}

#[tokio::test]
async fn mail_over_smtp_is_tried_again_and_comes_once() {
    let (port, mails) = smtp(1).await;
    let url = format!("smtp://127.0.0.1:{port}");
    let mail = [("AUTHKIT_SMTP_URL", url.as_str()), ("AUTHKIT_MAIL_FROM", "AuthKit <no-reply@auth.example>")];
    let server = Server::start(&settings_with(&mail)).await;
    register(&server, "ada@example.com").await;
    for _ in 0..4_000 {
        if !mails.lock().expect("not poisoned").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mails = mails.lock().expect("not poisoned").clone();
    assert_eq!(mails.len(), 1, "the log:\n{}", server.log());
    let (head, _) = mails[0].split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("@auth.example>") && head.contains("Auto-Submitted: auto-generated"), "{head}");
    let (token, _) = link_of(&mails[0]).expect("a link");
    server.post(VERIFY, &json!({ "token": token })).await.expect(200);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what a client waits for is time that passes")]
async fn a_server_that_takes_no_mail_keeps_nobody_waiting_and_a_crash_loses_none() {
    // It takes the connection, and says nothing.
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", hole.local_addr().expect("bound"));
    let mail = [("AUTHKIT_SMTP_URL", url.as_str()), ("AUTHKIT_MAIL_FROM", "no-reply@auth.example")];
    let mut server = Server::start(&settings_with(&mail)).await;
    register(&server, "ada@example.com").await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        server.post(FORGOT, &json!({ "email": "ada@example.com" })).await.expect(202);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?} while the mail server says nothing");
    log_in(&server, "ada@example.com").await;
    server.kill();
    let waiting = waiting_messages(&server).await;
    assert!(waiting >= 21, "{waiting} messages are left of 21");
}

/// How many messages wait, as the file of the database has them.
async fn waiting_messages(server: &Server) -> i64 {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", server.data_dir().join("authkit.sqlite3").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("opens");
    let count = "SELECT count(*) FROM authkit_outbox WHERE state = 'pending' AND payload IS NOT NULL";
    sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("counts")
}
