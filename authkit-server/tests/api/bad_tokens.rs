//! Access tokens that are not ours, not whole, not for us or not where they belong: each is a 401 and changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::account::{LOGOUT_ALL, ME, MY_PASSWORD, REAUTHENTICATE, SESSIONS, register};
use crate::database;
use crate::own_account::request;
use crate::support::{Server, get};
use crate::{PUBLIC_URL, SETTINGS, settings_with};

const SECRET: &str = "a secret for tests that nobody guesses, longer than thirty-two bytes";

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// A token with another header and other claims, under the old signature.
fn altered(token: &str, header: impl FnOnce(&mut Value), claims: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let (mut head, mut body) = (decode(parts[0]), decode(parts[1]));
    header(&mut head);
    claims(&mut body);
    format!("{}.{}.{}", encode(&head), encode(&body), parts[2])
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused_by_every_route_and_changes_nothing() {
    let server = Server::start(SETTINGS).await;
    let foreign_server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    let token = tokens.access.as_str();
    let foreign = register(&foreign_server, "ada@example.com").await.access;
    let parts: Vec<&str> = token.split('.').collect();
    let foreign_parts: Vec<&str> = foreign.split('.').collect();
    let before = database::rows(&server).await;

    let forged = vec![
        ("truncated", token[..token.len() - 1].to_owned()),
        ("truncated by half", token[..token.len() / 2].to_owned()),
        ("without signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{token}.{}", parts[2])),
        ("padded", format!("{token}=")),
        ("of another server", foreign.clone()),
        ("signed by another key under our key's name", format!("{}.{}.{}", parts[0], parts[1], foreign_parts[2])),
        ("our claims under a foreign header", format!("{}.{}.{}", foreign_parts[0], parts[1], foreign_parts[2])),
        ("another subject", altered(token, |_| (), |c| c["sub"] = json!("01a20acc-6966-722d-9525-9529da83d756"))),
        ("a longer life", altered(token, |_| (), |c| c["exp"] = json!(4_102_444_800_u64))),
        ("an admin", altered(token, |_| (), |c| c["roles"] = json!(["admin"]))),
        ("alg none", format!("{}.{}.", encode(&json!({ "alg": "none", "typ": "at+jwt" })), parts[1])),
        ("alg None with our key", altered(token, |h| h["alg"] = json!("None"), |_| ())),
        ("alg HS256 with our key", altered(token, |h| h["alg"] = json!("HS256"), |_| ())),
        ("without alg", altered(token, |h| h["alg"] = Value::Null, |_| ())),
        ("unknown kid", altered(token, |h| h["kid"] = json!("../../../dev/null"), |_| ())),
        ("its own key", altered(token, |h| h["jwk"] = json!({ "kty": "oct", "k": "AAAA" }), |_| ())),
        ("a key by URL", altered(token, |h| h["jku"] = json!("http://127.0.0.1:1/"), |_| ())),
        ("critical extension", altered(token, |h| h["crit"] = json!(["b64"]), |_| ())),
        ("another type", altered(token, |h| h["typ"] = json!("JWT"), |_| ())),
        ("a refresh token", tokens.refresh.clone()),
        ("too long", "a".repeat(9_000)),
        ("no token", "x".to_owned()),
    ];
    for (what, token) in &forged {
        let reply = server.get_as(ME, token).await;
        assert_eq!(reply.status, 401, "{what}: {}", String::from_utf8_lossy(&reply.body));
        reply.problem(401, "auth.invalid_token");
        assert!(reply.header("www-authenticate").contains("error=\"invalid_token\""), "{what}");
    }
    // Every other route, with a body that it would take: who has no token learns nothing about the rest of the request.
    let guarded = [
        (Method::PATCH, ME.to_owned()),
        (Method::DELETE, ME.to_owned()),
        (Method::POST, MY_PASSWORD.to_owned()),
        (Method::GET, SESSIONS.to_owned()),
        (Method::DELETE, format!("{SESSIONS}/01a20acc-6966-722d-9525-9529da83d756")),
        (Method::POST, LOGOUT_ALL.to_owned()),
        (Method::POST, REAUTHENTICATE.to_owned()),
    ];
    for (method, path) in guarded {
        for (_, token) in forged.iter().step_by(5) {
            server.send(request(method.clone(), &path, token, &json!([]))).await.problem(401, "auth.invalid_token");
        }
        let mut bare = request(method, &path, "x", &json!([]));
        bare.headers_mut().remove(AUTHORIZATION);
        server.send(bare).await.problem(401, "auth.unauthenticated");
    }
    assert_eq!(database::rows(&server).await, before, "nothing changed");
    server.get_as(ME, token).await.expect(200);
}

#[tokio::test]
async fn a_token_is_taken_from_one_authorization_header_and_from_nowhere_else() {
    let server = Server::start(SETTINGS).await;
    let token = register(&server, "ada@example.com").await.access;
    for path in
        [format!("{ME}?access_token={token}"), format!("{ME}?token={token}"), format!("{ME}?authorization=Bearer%20{token}")]
    {
        server.get(&path).await.problem(401, "auth.unauthenticated");
    }
    let cookie = Request::get(ME).header("cookie", format!("access_token={token}; authorization=Bearer {token}"));
    server.send(cookie.body(Full::default()).expect("a request")).await.problem(401, "auth.unauthenticated");
    let form = Request::post(LOGOUT_ALL).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(Full::new(Bytes::from(format!("access_token={token}")))).expect("a request");
    server.send(form).await.problem(401, "auth.unauthenticated");

    let mut two = get(ME, Some(&token));
    let same = two.headers()[AUTHORIZATION].clone();
    two.headers_mut().append(AUTHORIZATION, same);
    server.send(two).await.problem(401, "auth.invalid_token");
    for value in [
        format!("Basic {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},Bearer {token}"),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer \u{7f}".replace('\u{7f}', "\u{e9}"),
    ] {
        let mut request = get(ME, None);
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        server.send(request).await.problem(401, "auth.invalid_token");
    }
    let mut any_case = get(ME, None);
    any_case.headers_mut().insert(AUTHORIZATION, format!("bEARER {token}").parse().expect("a header value"));
    server.send(any_case).await.expect(200);
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused_although_its_signature_is_right() {
    let of = |audience| {
        let signed = [PUBLIC_URL, ("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", SECRET)];
        settings_with(&[&signed[..], &[("AUTHKIT_AUDIENCE", audience), ("AUTHKIT_LOG", "debug")]].concat())
    };
    let (shop, bank) = (Server::start(&of("shop")).await, Server::start(&of("bank")).await);
    let token = register(&shop, "ada@example.com").await.access;
    assert_eq!(decode(token.split('.').nth(1).expect("claims"))["aud"], "shop");
    shop.get_as(ME, &token).await.expect(200);
    bank.get_as(ME, &token).await.problem(401, "auth.invalid_token");
    assert!(bank.log().contains("wrong_audience"), "refused for its audience: {}", bank.log());
}
