//! Rate limits: how often something may be tried, whoever says that he is somebody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::account::{LOGIN, ME, MY_PASSWORD, PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, credentials, refresh_token, register};
use crate::database;
use crate::settings_with;
use crate::support::{Connection, Reply, Server, post};

const CODE: &str = "rate_limit.exceeded";
const RATE_LIMIT_HEADERS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

/// A server that counts.
async fn start(more: &[(&str, &str)]) -> Server {
    Server::start(&settings_with(&[&[("AUTHKIT_RATE_LIMITING", "on")], more].concat())).await
}

/// A server that counts, and believes what this machine says about the addresses of clients.
async fn start_behind_a_proxy() -> Server {
    start(&[("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32"), ("AUTHKIT_EXPOSE_METRICS", "on")]).await
}

/// Requests on one connection, each with the headers that it is given.
struct Client(Connection);

impl Client {
    fn of(server: &Server) -> Self {
        Self(server.connect())
    }

    async fn post(&mut self, path: &str, headers: &[(&'static str, &str)], body: &Value) -> Reply {
        let mut request = post(path, body);
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a header"));
        }
        self.0.send(request).await.expect("a reply")
    }

    async fn login_from(&mut self, address: &str, email: &str, password: &str) -> Reply {
        self.post(LOGIN, &[("x-forwarded-for", address)], &json!({ "email": email, "password": password })).await
    }

    /// A registration that is counted and makes nothing, since its password is too weak.
    async fn weak_registration_from(&mut self, address: &str) -> Reply {
        self.post(REGISTER, &[("x-forwarded-for", address)], &json!({ "email": "a@example.com", "password": "password1" })).await
    }
}

/// The three headers as numbers.
#[track_caller]
fn limits(reply: &Reply) -> [u64; 3] {
    RATE_LIMIT_HEADERS.map(|name| reply.header(name).parse().unwrap_or_else(|_| panic!("no {name} in {:?}", reply.headers)))
}

async fn figure(server: &Server, name: &str) -> u64 {
    let metrics = server.get("/metrics").await.expect(200);
    let text = String::from_utf8(metrics.body.to_vec()).expect("UTF-8");
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no figure in {line}"))
}

#[tokio::test]
async fn headers_of_a_client_that_is_no_proxy_are_no_way_around_the_limit_of_its_address() {
    let server = start(&[]).await;
    let mut client = Client::of(&server);
    let (mut judged, mut refused, mut disguises_refused) = (0, 0, BTreeSet::new());
    // One more comes back every second, so a slow machine judges a few more than a hundred.
    for n in 0..250 {
        if disguises_refused.len() == 7 {
            break;
        }
        let address = format!("198.51.{n}.7");
        let forwarded = format!("for={address}");
        let headers: &[(&'static str, &str)] = match n % 7 {
            0 => &[("x-forwarded-for", &address)],
            1 => &[("forwarded", &forwarded)],
            2 => &[("x-real-ip", &address)],
            3 => &[("cf-connecting-ip", &address)],
            4 => &[("true-client-ip", &address)],
            5 => &[("x-forwarded-for", "a, unknown, 999.1.1.1, _hidden"), ("x-forwarded-for", &address)],
            _ => &[("x-forwarded-for", ""), ("forwarded", "for=\"")],
        };
        let body = json!({ "email": format!("nobody-{n}@example.com"), "password": PASSWORD });
        let reply = client.post(LOGIN, headers, &body).await;
        if reply.status == 429 {
            reply.problem(429, CODE);
            refused += 1;
            disguises_refused.insert(n % 7);
        } else {
            reply.problem(401, "auth.invalid_credentials");
            judged += 1;
        }
    }
    assert_eq!(disguises_refused.len(), 7, "each of them runs into the limit, and not {disguises_refused:?} alone");
    assert!(judged >= 100, "the limit came early, after {judged}");
    assert_eq!(figure(&server, r#"authkit_rate_limit_refused_total{scope="login_address"}"#).await, refused);
    let audited = database::events(&server, "auth.login", "failure").await;
    assert_eq!(audited, judged, "what was judged is audited, and nothing else");
}

#[tokio::test]
async fn a_refused_login_costs_no_hash_and_does_not_tell_who_has_an_account() {
    let server = start_behind_a_proxy().await;
    register(&server, "ada@example.com").await;
    let mut client = Client::of(&server);
    let mut last = Vec::new();
    for email in ["ada@example.com", "nobody@example.com"] {
        for n in 0..10 {
            let reply = client.login_from(&format!("198.51.100.{n}"), email, "SecurePass124").await;
            reply.problem(401, "auth.invalid_credentials");
            let [limit, remaining, reset] = limits(&reply);
            assert_eq!((limit, remaining), (10, 9 - n), "{email}");
            assert!(reset > 30 * n && reset <= 30 * (n + 1), "{email}: {reset} after {n}");
        }
        last.push(email);
    }
    let before = figure(&server, "authkit_hashing_hashed_total ").await;
    let events = database::events(&server, "auth.login", "failure").await;
    let mut answers = Vec::new();
    for n in 0..20 {
        for email in &last {
            // From another address each time, and with the right password.
            let reply = client.login_from(&format!("203.0.113.{n}"), email, PASSWORD).await;
            let mut document = reply.problem(429, CODE);
            document["request_id"] = "".into();
            let seconds: u64 = reply.header("retry-after").parse().expect("seconds");
            // Nine of the ten intervals may still be owed when the next one is allowed.
            assert_eq!(limits(&reply), [10, 0, seconds + 9 * 30]);
            let names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
            answers.push((document, names));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(figure(&server, "authkit_hashing_hashed_total ").await, before, "nothing was hashed");
    assert_eq!(database::events(&server, "auth.login", "failure").await, events, "nothing was written");
    assert_eq!(figure(&server, r#"authkit_rate_limit_refused_total{scope="login_account"}"#).await, 40);
    let warned = server.log().matches("refused by a rate limit").count();
    assert_eq!(warned, 1, "the log is told once a minute: {}", server.log());
}

#[tokio::test]
async fn a_client_is_one_in_every_spelling_of_its_address_and_in_its_whole_ipv6_network() {
    let server = start_behind_a_proxy().await;
    let mut client = Client::of(&server);
    for n in 0..50 {
        let spelling = ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "192.0.2.1:4711"][n % 4];
        client.weak_registration_from(spelling).await.problem(422, "password.too_weak");
        client.weak_registration_from(&format!("2001:db8:1:2:{n:x}::{n:x}")).await.problem(422, "password.too_weak");
    }
    for refused in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::"] {
        client.weak_registration_from(refused).await.problem(429, CODE);
    }
    for other in ["192.0.2.2", "::ffff:192.0.2.3", "2001:db8:1:3::1"] {
        client.weak_registration_from(other).await.problem(422, "password.too_weak");
    }
}

#[tokio::test]
async fn a_stolen_access_token_is_no_way_to_guess_the_password() {
    let server = start(&[]).await;
    let tokens = register(&server, "ada@example.com").await;
    let reauthenticate = json!({ "password": "SecurePass124" });
    let change = json!({ "current_password": "SecurePass124", "new_password": "violet-anchor-7-mosaic" });
    for left in (0..10).rev() {
        let reply = if left % 2 == 0 {
            server.post_as(REAUTHENTICATE, &tokens.access, &reauthenticate).await.expect(401)
        } else {
            server.post_as(MY_PASSWORD, &tokens.access, &change).await.expect(403)
        };
        assert_eq!(limits(&reply)[..2], [10, left], "one budget for both");
    }
    server.post_as(REAUTHENTICATE, &tokens.access, &json!({ "password": PASSWORD })).await.problem(429, CODE);
    server.post_as(MY_PASSWORD, &tokens.access, &change).await.problem(429, CODE);
    // What needs no password is not concerned.
    server.get_as(ME, &tokens.access).await.expect(200);
    server.post(REFRESH, &refresh_token(&tokens)).await.expect(200);
}

#[tokio::test]
async fn replies_tell_what_is_left_where_a_request_was_counted_and_only_there() {
    let server = start(&[]).await;
    let registered = server.post(REGISTER, &credentials("ada@example.com")).await.expect(201);
    assert_eq!(limits(&registered)[..2], [50, 49]);
    let logged_in = server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    assert_eq!(limits(&logged_in), [10, 9, 30], "the tighter of address and account");
    let refreshed = server.post(REFRESH, &json!({ "refresh_token": logged_in.text("refresh_token") })).await.expect(200);
    assert_eq!(limits(&refreshed), [60, 59, 1]);

    let uncounted = [
        server.post(LOGIN, &json!({ "email": "ada", "password": PASSWORD })).await.expect(422),
        server.post(REFRESH, &json!({ "refresh_token": "ak_rt_made_up" })).await.expect(401),
        server.get_as(ME, &logged_in.text("access_token")).await.expect(200),
    ];
    for reply in uncounted {
        assert!(RATE_LIMIT_HEADERS.iter().all(|name| reply.header(name).is_empty()), "{:?}", reply.headers);
    }
    assert_eq!(server.get("/health/ready").await.json()["parts"]["rate_limits"]["status"], "up");
}

#[tokio::test]
async fn limits_that_are_turned_off_are_warned_of_and_count_nothing() {
    let server = start(&[("AUTHKIT_RATE_LIMITING", "off")]).await;
    assert!(server.log().contains("AUTHKIT_RATE_LIMITING is off"), "{}", server.log());
    assert_eq!(server.get("/health/ready").await.json()["parts"]["rate_limits"]["status"], "off");
    let mut client = Client::of(&server);
    for _ in 0..60 {
        let reply = client.weak_registration_from("192.0.2.1").await;
        reply.problem(422, "password.too_weak");
        assert!(RATE_LIMIT_HEADERS.iter().all(|name| reply.header(name).is_empty()), "{:?}", reply.headers);
    }
}
