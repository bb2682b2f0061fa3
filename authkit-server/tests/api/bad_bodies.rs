//! Bodies that no honest client sends: each is refused with its own problem, and nothing changes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{
    LOGIN, LOGOUT, ME, MY_PASSWORD, PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, credentials, refresh_token, register,
};
use crate::database;
use crate::support::{Reply, Server};

/// Every route that reads a body, with one that it would take.
fn routes(token: &str) -> [(&'static str, Value); 6] {
    [
        (REGISTER, credentials("mallory@example.com")),
        (LOGIN, credentials("ada@example.com")),
        (REFRESH, json!({ "refresh_token": token })),
        (LOGOUT, json!({ "refresh_token": token })),
        (REAUTHENTICATE, json!({ "password": PASSWORD })),
        (MY_PASSWORD, json!({ "current_password": PASSWORD, "new_password": "correct horse battery staple" })),
    ]
}

struct Attacker<'s> {
    server: &'s Server,
    access_token: String,
}

impl Attacker<'_> {
    async fn post(&self, path: &str, content_type: Option<&str>, body: impl Into<Bytes>) -> Reply {
        let mut request = Request::post(path).header("authorization", format!("Bearer {}", self.access_token));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        self.server.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    async fn json(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.post(path, Some("application/json"), body).await
    }
}

#[tokio::test]
async fn a_bad_body_is_refused_with_its_own_problem_by_every_route_and_changes_nothing() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let attacker = Attacker { server: &server, access_token: tokens.access.clone() };
    let before = database::rows(&server).await;

    for (path, good) in routes(&tokens.refresh) {
        malformed(&attacker, path, &good).await;
        wrong_shape(&attacker, path, &good).await;
        wrong_content_type(&attacker, path, &good).await;
        too_large(&attacker, path).await;
    }
    let mut after = database::rows(&server).await;
    // That a token was none of ours is recorded, a few times, so that it can be explained.
    let log = after.get_mut("authkit_audit_events").expect("the log");
    log.retain(|event| !event.contains("'auth.refresh_refused'"));
    assert_eq!(after, before, "nothing changed");
    // The token of all those refreshes and logouts was not used up.
    server.post(REFRESH, &refresh_token(&tokens)).await.expect(200);
    server.get_as(ME, &tokens.access).await.expect(200);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

async fn malformed(attacker: &Attacker<'_>, path: &str, good: &Value) {
    let text = good.to_string();
    let (name, value) = good.as_object().expect("an object").iter().next().expect("a member");
    let twice = format!("{{\"{name}\":{value},{}", &text[1..]);
    let deep = format!("{{\"{name}\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let abyss = format!("{{\"{name}\":{}", "[".repeat(60_000));
    let corpus: [&[u8]; 14] = [
        b"",
        b" ",
        b"{",
        &text.as_bytes()[..text.len() - 1],
        b"{} {}",
        b"{'email':'x'}",
        b"{\"email\":\"\xff\xfe\"}",
        b"{\"email\":\"\\ud800\"}",
        b"{\"email\":\"a\nb\"}",
        b"\xef\xbb\xbf{}",
        b"{\"email\":NaN}",
        twice.as_bytes(),
        deep.as_bytes(),
        abyss.as_bytes(),
    ];
    for body in corpus {
        attacker.json(path, body.to_vec()).await.problem(400, "request.malformed_json");
    }
}

async fn wrong_shape(attacker: &Attacker<'_>, path: &str, good: &Value) {
    for body in ["[]", "null", "true", "1", "\"text\"", &format!("[{good}]")] {
        attacker.json(path, body.to_owned()).await.problem_of(422, "request.invalid_type", "");
    }
    let unknown =
        ["role", "is_admin", "email_verified", "id", "user_id", "tenant_id", "created_at", "__proto__", "Email", "a.b[0]"];
    for member in unknown {
        let mut body = good.clone();
        body[member] = json!(true);
        attacker.json(path, body.to_string()).await.problem_of(422, "request.unknown_member", member);
    }
    for name in good.as_object().expect("an object").keys() {
        for wrong in [json!(null), json!(1), json!(true), json!(["x"]), json!({ "canary": 1 })] {
            let mut body = good.clone();
            // Who proves again who she is sends a password or a code, and so each of them may be missing, but not both.
            let code = if path == REAUTHENTICATE && wrong.is_null() { "request.invalid_value" } else { "request.invalid_type" };
            body[name] = wrong;
            attacker.json(path, body.to_string()).await.problem_of(422, code, name);
        }
        let mut body = good.clone();
        body.as_object_mut().expect("an object").remove(name);
        let code = if path == REAUTHENTICATE { "request.invalid_value" } else { "request.missing_member" };
        attacker.json(path, body.to_string()).await.problem_of(422, code, name);
        // A token that is none of ours is as good as a wrong one; every other member says what is wrong with it.
        for hostile in ["", "a\0b", "\u{1b}[31m\r\nX-Evil: 1", &"x".repeat(60_000)] {
            // A password may hold what it likes but a NUL.
            if name.ends_with("password") && hostile.starts_with('\u{1b}') {
                continue;
            }
            let mut body = good.clone();
            body[name] = json!(hostile);
            let reply = attacker.json(path, body.to_string()).await;
            match name.as_str() {
                "refresh_token" => reply.problem(401, "auth.invalid_refresh_token"),
                name => reply.problem_of(422, "request.invalid_value", name),
            };
        }
    }
}

async fn wrong_content_type(attacker: &Attacker<'_>, path: &str, good: &Value) {
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "",
    ] {
        attacker.post(path, Some(content_type), good.to_string()).await.problem(415, "request.unsupported_media_type");
    }
    attacker.post(path, None, good.to_string()).await.problem(415, "request.unsupported_media_type");
    for (name, value) in [("content-encoding", "gzip"), ("content-type", "text/plain")] {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", attacker.access_token))
            .header("content-type", "application/json")
            // Harmless first, so that who looks at one header only sees nothing.
            .header("content-encoding", "identity")
            .header(name, value);
        let request = request.body(Full::new(Bytes::from(good.to_string()))).expect("a request");
        attacker.server.send(request).await.problem(415, "request.unsupported_media_type");
    }
}

async fn too_large(attacker: &Attacker<'_>, path: &str) {
    let megabyte = json!({ "email": "mallory@example.com", "password": "x".repeat(1 << 20) }).to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        attacker.access_token
    );
    let announced = format!("{head}Content-Length: {}\r\n\r\n{megabyte}", megabyte.len());
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{megabyte}\r\n0\r\n\r\n", megabyte.len());
    let ten_megabytes = format!("{head}Content-Length: 10485760\r\n\r\n{}", "a".repeat(10 << 20));
    for bytes in [announced, chunked, ten_megabytes] {
        let answer = attacker.server.raw(bytes.as_bytes(), Duration::from_secs(5)).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("\"code\":\"request.body_too_large\""), "{path}: {text}");
        assert!(text.contains("application/problem+json") && text.contains("x-request-id: "), "{text}");
    }
}
