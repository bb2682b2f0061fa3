//! Random bodies and headers to every route that takes a POST: never a 5xx, and no refusal that is not a problem document.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::SETTINGS;
use crate::account::{LOGIN, LOGOUT, LOGOUT_ALL, ME, MY_PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, register};
use crate::support::{Connection, Server};

const PATHS: [&str; 7] = [REGISTER, LOGIN, REFRESH, LOGOUT, LOGOUT_ALL, REAUTHENTICATE, MY_PASSWORD];
const MEMBERS: [&str; 9] =
    ["email", "password", "full_name", "locale", "device_name", "refresh_token", "current_password", "new_password", "role"];
const HEADERS: [&str; 10] = [
    "accept",
    "content-encoding",
    "cookie",
    "expect",
    "forwarded",
    "origin",
    "range",
    "user-agent",
    "x-forwarded-for",
    "x-request-id",
];

/// Texts near what a member takes, and texts far from it.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}",
        "\\PC{0,40}@\\PC{0,20}",
        "ak_rt_[A-Za-z0-9_-]{0,160}",
        "[a-z]{2}-[A-Z]{2}",
        "\\PC{0,60}",
        ".{0,60}",
        Just("\0".to_owned()),
        Just("x".repeat(5_000)),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        10 => texts().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let members = || prop::collection::hash_map(prop::sample::select(&MEMBERS[..]), values(), 0..5);
    let whole = |members: std::collections::HashMap<&'static str, Value>| json!(members).to_string().into_bytes();
    prop_oneof![
        6 => members().prop_map(whole),
        2 => (members(), any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(members, at, byte)| {
            let mut body = whole(members);
            let at = at.index(body.len());
            body[at] = byte;
            body
        }),
        1 => values().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

#[derive(Debug, Clone)]
struct Attempt {
    path: &'static str,
    content_type: String,
    bearer: Option<String>,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn attempts(token: String) -> impl Strategy<Value = Attempt> {
    let content_type = prop_oneof![8 => Just("application/json".to_owned()), 1 => "[ -~]{0,30}"];
    // A token that is ours lets a request reach further; it is not used where that would end its session.
    let bearer = prop_oneof![2 => Just(Some(token)), 1 => Just(None), 1 => "[!-~]{0,80}".prop_map(Some)];
    let header = (prop::sample::select(&HEADERS[..]), prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..60));
    (prop::sample::select(&PATHS[..]), content_type, bearer, prop::collection::vec(header, 0..4), bodies())
        .prop_map(|(path, content_type, bearer, headers, body)| Attempt { path, content_type, bearer, headers, body })
}

impl Attempt {
    fn request(&self, token: &str) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.path).header("content-type", &self.content_type);
        let bearer = self.bearer.as_deref().filter(|bearer| *bearer != token || self.path != LOGOUT_ALL);
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        for (name, value) in &self.headers {
            // `Expect: 100-continue` is between the two HTTP libraries.
            let value = HeaderValue::from_bytes(value).expect("printable or beyond ASCII");
            request = request.header(HeaderName::from_static(name), value);
        }
        request.body(Full::new(Bytes::from(self.body.clone()))).expect("a request")
    }
}

#[test]
fn nothing_that_is_posted_is_answered_with_a_5xx() {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(SETTINGS));
    let tokens = runtime.block_on(register(&server, "ada@example.com"));
    let connection = std::cell::RefCell::new(server.connect());
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&attempts(tokens.access.clone()), |attempt| {
        runtime.block_on(check(&mut connection.borrow_mut(), &attempt, &tokens.access))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}\n{}", server.log()));
    // Who was never logged out by any of it.
    runtime.block_on(server.get_as(ME, &tokens.access)).expect(200);
    assert!(!server.log().contains("ERROR") && !server.log().contains("panicked"), "{}", server.log());
}

async fn check(connection: &mut Connection, attempt: &Attempt, token: &str) -> Result<(), TestCaseError> {
    let reply = match connection.send(attempt.request(token)).await {
        Ok(reply) => reply,
        // The server may have closed while we asked: once more, on a new connection.
        Err(_) => connection.send(attempt.request(token)).await.map_err(|error| TestCaseError::fail(error.to_string()))?,
    };
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    match reply.status {
        200 | 201 => {
            prop_assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
            let body = reply.json();
            prop_assert!(body["access_token"].is_string() || body["message"].is_string(), "{}", text);
        }
        400..=499 => {
            prop_assert_eq!(reply.header("content-type"), "application/problem+json", "{} {}", reply.status, text);
            let body = reply.json();
            prop_assert!(body["code"].as_str().is_some_and(|code| code.contains('.')), "{}", text);
            prop_assert_eq!(&body["request_id"], reply.header("x-request-id"));
        }
        status => prop_assert!(false, "{} {}", status, text),
    }
    Ok(())
}
