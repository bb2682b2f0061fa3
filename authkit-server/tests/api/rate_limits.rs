//! Rate limits: how often something may be tried, whoever says that he is somebody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::account::{LOGIN, ME, MY_PASSWORD, PASSWORD, REAUTHENTICATE, REFRESH, REGISTER, credentials, refresh_token, register};
use crate::database;
use crate::settings_with;
use crate::support::{Connection, Reply, Server, get, post};

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

    async fn get(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Reply {
        let mut request = get(path, None);
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
    let settings = [
        ("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32"),
        ("AUTHKIT_EXPOSE_METRICS", "on"),
        // The quota alone is on trial, and not what comes of wrong passwords.
        ("AUTHKIT_LIMIT_LOGIN_PER_ACCOUNT", "10/30s"),
        ("AUTHKIT_GUESSES_BEFORE_DELAY", "100"),
    ];
    let server = start(&settings).await;
    register(&server, "ada@example.com").await;
    let mut client = Client::of(&server);
    let mut last = Vec::new();
    for email in ["ada@example.com", "nobody@example.com"] {
        for n in 0..10 {
            let reply = client.login_from(&format!("198.51.100.{n}"), email, "SecurePass124").await;
            reply.problem(401, "auth.invalid_credentials");
            // What is left of the account's quota would tell that somebody else has tried it.
            let used = if email == "ada@example.com" { 1 } else { 2 };
            assert!(limits(&reply)[1] >= 100 - used, "{email}: what is told is of the address");
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
async fn a_stolen_access_token_is_worth_ten_guesses_and_then_nothing() {
    let server = start(&[("AUTHKIT_GUESSES_BEFORE_DELAY", "100")]).await;
    let tokens = register(&server, "ada@example.com").await;
    let reauthenticate = json!({ "password": "SecurePass124" });
    let change = json!({ "current_password": "SecurePass124", "new_password": "violet-anchor-7-mosaic" });
    for left in (1..10).rev() {
        let reply = if left % 2 == 0 {
            server.post_as(REAUTHENTICATE, &tokens.access, &reauthenticate).await.expect(401)
        } else {
            server.post_as(MY_PASSWORD, &tokens.access, &change).await.expect(403)
        };
        assert_eq!(limits(&reply)[..2], [10, left], "one budget for both");
    }
    server.post_as(REAUTHENTICATE, &tokens.access, &reauthenticate).await.problem(401, "auth.session_ended");
    server.get_as(ME, &tokens.access).await.problem(401, "auth.session_ended");
    server.post(REFRESH, &refresh_token(&tokens)).await.expect(401);
    assert_eq!(database::events(&server, "auth.guessing_stopped", "success").await, 1);
    // The owner is not kept out by it.
    let again = server.post(LOGIN, &credentials("ada@example.com")).await.expect(200).text("access_token");
    server.post_as(REAUTHENTICATE, &again, &json!({ "password": PASSWORD })).await.problem(429, CODE);
    server.get_as(ME, &again).await.expect(200);
}

#[tokio::test]
async fn wrong_passwords_put_off_the_next_whatever_it_is_and_a_restart_forgets_none() {
    let mut server = start(&[("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    register(&server, "ada@example.com").await;
    let mut answers = Vec::new();
    let both = ["ada@example.com", "nobody@example.com"];
    let mut client = Client::of(&server);
    for n in 0..5 {
        for email in both {
            client.login_from(&format!("198.51.100.{n}"), email, "SecurePass124").await.problem(401, "auth.invalid_credentials");
        }
    }
    // The sixth is let through after a second, and so on: four of them bring it to sixteen.
    for wait in [1, 2, 4, 8] {
        tokio::time::sleep(std::time::Duration::from_millis(wait * 1_000 + 200)).await;
        for email in both {
            client.login_from("198.51.100.9", email, "SecurePass124").await.problem(401, "auth.invalid_credentials");
        }
    }
    server.restart().await;
    let mut client = Client::of(&server);
    for email in ["ada@example.com", "nobody@example.com"] {
        let reply = client.login_from("203.0.113.1", email, PASSWORD).await;
        let mut document = reply.problem(429, CODE);
        document["request_id"] = "".into();
        let seconds: u64 = reply.header("retry-after").parse().expect("seconds");
        assert!((1..=16).contains(&seconds), "{seconds}");
        answers.push((document, reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>()));
    }
    assert_eq!(answers[0], answers[1], "whether there is such an account");
    let unlocked = server.run(&["users", "unlock", "--email", "ADA@example.com"], &[], "").await;
    let said = String::from_utf8_lossy(&unlocked.stdout).into_owned();
    assert!(unlocked.status.success() && said.starts_with("9 wrong in a row"), "{said}");
    client.login_from("203.0.113.2", "ada@example.com", PASSWORD).await.expect(200);
    assert_eq!(database::events(&server, "account.unlocked", "success").await, 1);
    let status = server.run(&["users", "lock", "--email", "nobody@example.com"], &[], "").await;
    assert!(String::from_utf8_lossy(&status.stdout).contains("delayed"), "{status:?}");
}

#[tokio::test]
async fn a_known_device_logs_in_while_strangers_are_held_up() {
    let server = start(&[("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32"), ("AUTHKIT_PUBLIC_URL", "https://auth.example")]).await;
    let registered = server.post(REGISTER, &credentials("ada@example.com")).await.expect(201);
    let cookie = registered.header("set-cookie").to_owned();
    let token = registered.text("device_token");
    assert!(
        cookie.starts_with(&format!("__Host-authkit_device={token}; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax; Secure")),
        "{cookie}"
    );
    let mut attackers = Client::of(&server);
    for n in 0..50 {
        let reply = attackers.login_from(&format!("198.51.100.{n}"), "ada@example.com", "SecurePass124").await;
        assert!([401, 429].contains(&reply.status), "{}", reply.status);
    }
    let (login, mut with_token) = (credentials("ada@example.com"), credentials("ada@example.com"));
    attackers.post(LOGIN, &[("x-forwarded-for", "203.0.113.1")], &login).await.problem(429, CODE);
    let pair = format!("theme=dark; __Host-authkit_device={token}");
    let by_cookie = attackers.post(LOGIN, &[("x-forwarded-for", "203.0.113.1"), ("cookie", &pair)], &login).await.expect(200);
    assert_ne!(by_cookie.text("device_token"), token, "each login makes one of its own");
    for n in 0..50 {
        attackers.login_from(&format!("198.51.101.{n}"), "ada@example.com", "SecurePass124").await;
    }
    with_token["device_token"] = token.as_str().into();
    server.post(LOGIN, &with_token).await.expect(200);
    // Whatever is no token of the account is ignored, and is none.
    for garbage in ["", "ak_dt_", "x", &"A".repeat(4_000), &token[..token.len() - 1], &token.replace("ak_dt_", "ak_rt_")] {
        with_token["device_token"] = garbage.into();
        for n in 0..50 {
            attackers.login_from(&format!("198.51.102.{n}"), "ada@example.com", "SecurePass124").await;
        }
        server.post(LOGIN, &with_token).await.problem(429, CODE);
        with_token["device_token"] = token.as_str().into();
        server.post(LOGIN, &with_token).await.expect(200);
    }
}

#[tokio::test]
async fn one_address_asks_for_its_share_of_a_node_and_is_then_refused_on_every_route_of_the_api() {
    let server = start(&[("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32"), ("AUTHKIT_LIMIT_REQUESTS_PER_ADDRESS", "20/1h")]).await;
    let tokens = register(&server, "ada@example.com").await;
    let mut client = Client::of(&server);
    let bearer = format!("Bearer {}", tokens.access);
    for n in 0..20 {
        client.get(ME, &[("x-forwarded-for", "198.51.100.1"), ("authorization", &bearer)]).await.expect(200);
        assert!(n < 20);
    }
    for path in [ME, "/api/v1/users/me/sessions", "/api/v1/nothing"] {
        let reply = client.get(path, &[("x-forwarded-for", "198.51.100.1"), ("authorization", &bearer)]).await;
        reply.problem(429, CODE);
        assert_eq!(limits(&reply)[..2], [20, 0]);
    }
    client.login_from("::ffff:198.51.100.1", "ada@example.com", PASSWORD).await.problem(429, CODE);
    client.get(ME, &[("x-forwarded-for", "198.51.100.2"), ("authorization", &bearer)]).await.expect(200);
    // What machines ask for is no part of it.
    client.get("/.well-known/jwks.json", &[("x-forwarded-for", "198.51.100.1")]).await.expect(200);
    client.get("/health/ready", &[("x-forwarded-for", "198.51.100.1")]).await.expect(200);
}

#[tokio::test]
async fn replies_tell_what_is_left_where_a_request_was_counted_and_only_there() {
    let server = start(&[]).await;
    let registered = server.post(REGISTER, &credentials("ada@example.com")).await.expect(201);
    assert_eq!(limits(&registered)[..2], [50, 49]);
    let logged_in = server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    assert_eq!(limits(&logged_in), [100, 99, 1], "of the address, and nothing of the account");
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
