//! `/api/v1/admin/users`: what administrators do with the accounts of others, and what they may not.

use authkit_sqlx::{SqliteOptions, SqliteStore};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::account::{
    LOGIN, LOGOUT_ALL, ME, MY_PASSWORD, PASSWORD, REAUTHENTICATE, REFRESH, SESSIONS, Tokens, assert_over, credentials, log_in,
    refresh_token, register,
};
use crate::database;
use crate::own_account::request;
use crate::support::{Reply, Server, authority};
use crate::{SETTINGS, settings_with};

pub(crate) const USERS: &str = "/api/v1/admin/users";

/// Gives the account with an address these permissions and no others.
pub(crate) async fn grant(server: &Server, email: &str, permissions: &[&str]) {
    let options = SqliteOptions::new(server.data_dir().join("authkit.sqlite3"));
    let store = SqliteStore::open(options).await.expect("the database opens");
    authority::grant(&store, email, permissions).await;
    store.close().await;
}

/// Registers somebody who holds these permissions.
pub(crate) async fn administrator(server: &Server, email: &str, permissions: &[&str]) -> Tokens {
    let tokens = register(server, email).await;
    grant(server, email, permissions).await;
    tokens
}

fn with_if_match(mut request: Request<Full<Bytes>>, tag: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("if-match", tag.parse().expect("a header"));
    request
}

async fn call(server: &Server, method: Method, path: &str, token: &str, body: &Value) -> Reply {
    server.send(request(method, path, token, body)).await
}

async fn id_of(server: &Server, tokens: &Tokens) -> String {
    server.get_as(ME, &tokens.access).await.expect(200).text("id")
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn an_account_is_made_found_changed_suspended_restored_and_closed() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let new = json!({ "email": "Zoë.Müller@Example.com", "full_name": "Zoë Müller", "locale": "de" });
    let made = call(&server, Method::POST, USERS, &admin.access, &new).await.expect(201);
    let (id, first_tag) = (made.text("id"), made.header("etag").to_owned());
    let path = format!("{USERS}/{id}");
    assert_eq!(made.header("location"), path);
    assert_eq!((made.json()["email_verified"].clone(), made.json()["status"].clone()), (json!(false), json!("active")));
    call(&server, Method::POST, USERS, &admin.access, &new).await.problem(409, "account.email_taken");
    // It has no password: nobody logs in to it.
    server.post(LOGIN, &credentials("zoë.müller@example.com")).await.problem(401, "auth.invalid_credentials");

    for query in ["muller", "zo%C3%AB%20mull", "zoe.muller@exa", "@example.com", &id, "&query=", "mull&status=active&limit=1"] {
        let found = server.get_as(&format!("{USERS}?query={query}"), &admin.access).await.expect(200).json();
        let ids: Vec<&Value> = found["items"].as_array().expect("items").iter().map(|item| &item["id"]).collect();
        let more = found["next_cursor"].is_string();
        assert!(ids.contains(&&json!(id)) || more || query.starts_with('&'), "{query}: {found}");
    }
    for query in ["nobody", "mull&status=suspended", "mull&role=admin"] {
        let found = server.get_as(&format!("{USERS}?query={query}"), &admin.access).await.expect(200).json();
        assert_eq!(found, json!({ "items": [], "next_cursor": null }), "{query}");
    }

    let read = server.get_as(&path, &admin.access).await.expect(200);
    assert_eq!(read.header("etag"), first_tag);
    let renamed = with_if_match(request(Method::PATCH, &path, &admin.access, &json!({ "full_name": "Zoe" })), &first_tag);
    let renamed = server.send(renamed).await.expect(200);
    assert_ne!(renamed.header("etag"), first_tag);
    for (method, path) in [
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/suspend")),
        (Method::POST, format!("{path}/restore")),
    ] {
        let stale = with_if_match(request(method.clone(), &path, &admin.access, &json!({ "locale": "fr" })), &first_tag);
        server.send(stale).await.problem(412, "account.changed");
        let weak = with_if_match(request(method.clone(), &path, &admin.access, &json!({})), "W/\"1.0\"");
        server.send(weak).await.problem(412, "account.changed");
        let bare = with_if_match(request(method, &path, &admin.access, &json!({})), "1.0");
        server.send(bare).await.problem_of(400, "request.invalid_parameter", "If-Match");
    }
    let same = call(&server, Method::PATCH, &path, &admin.access, &json!({ "full_name": "Zoe" })).await.expect(200);
    assert_eq!(same.header("etag"), renamed.header("etag"), "what changes nothing is no change");

    let suspended = call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({})).await.expect(200);
    assert_eq!(suspended.json()["status"], "suspended");
    let again = call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({})).await.expect(200);
    assert_eq!(again.header("etag"), suspended.header("etag"));
    let restored = call(&server, Method::POST, &format!("{path}/restore"), &admin.access, &json!({})).await.expect(200);
    assert_eq!(restored.json()["status"], "active");
    let current = with_if_match(request(Method::DELETE, &path, &admin.access, &json!({})), restored.header("etag"));
    server.send(current).await.expect(204);
    server.get_as(&path, &admin.access).await.problem(404, "account.not_found");
    call(&server, Method::DELETE, &path, &admin.access, &json!({})).await.problem(404, "account.not_found");
    for (action, count) in
        [("account.created", 1), ("account.changed", 1), ("account.suspended", 1), ("account.restored", 1), ("account.closed", 1)]
    {
        assert_eq!(database::events(&server, action, "success").await, count, "{action}");
    }
}

#[tokio::test]
async fn nothing_of_a_suspended_account_works_and_a_moved_address_ends_everything() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let ada = [register(&server, "ada@example.com").await, log_in(&server, "ada@example.com").await];
    let path = format!("{USERS}/{}", id_of(&server, &ada[0]).await);
    call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({})).await.expect(200);
    for tokens in &ada {
        assert_over(&server, tokens).await;
        let again = json!({ "password": PASSWORD });
        call(&server, Method::POST, REAUTHENTICATE, &tokens.access, &again).await.problem(401, "auth.session_ended");
    }
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(403, "account.suspended");
    let impersonate = json!({ "reason": "a look" });
    call(&server, Method::POST, &format!("{path}/impersonate"), &admin.access, &impersonate)
        .await
        .problem(409, "account.suspended");
    call(&server, Method::POST, &format!("{path}/restore"), &admin.access, &json!({})).await.expect(200);
    assert_over(&server, &ada[0]).await;
    let ada = log_in(&server, "ada@example.com").await;

    register(&server, "eve@example.com").await;
    let taken = json!({ "email": "EVE@example.com" });
    call(&server, Method::PATCH, &path, &admin.access, &taken).await.problem(409, "account.email_taken");
    server.get_as(ME, &ada.access).await.expect(200);
    let moved = json!({ "email": "ada@example.org" });
    let moved = call(&server, Method::PATCH, &path, &admin.access, &moved).await.expect(200).json();
    assert_eq!((&moved["email"], &moved["email_verified"]), (&json!("ada@example.org"), &json!(false)));
    assert_over(&server, &ada).await;
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(401, "auth.invalid_credentials");
    log_in(&server, "ada@example.org").await;
}

#[tokio::test]
async fn an_account_that_strangers_have_closed_is_opened_again() {
    let limits = [("AUTHKIT_RATE_LIMITING", "on"), ("AUTHKIT_GUESSES_BEFORE_DELAY", "3"), ("AUTHKIT_GUESSES_AT_MOST", "3")];
    let server = Server::start(&settings_with(&limits)).await;
    let admin = administrator(&server, "root@example.com", &["users:write"]).await;
    let ada = register(&server, "ada@example.com").await;
    let unlock = format!("{USERS}/{}/unlock", id_of(&server, &ada).await);
    let open = call(&server, Method::POST, &unlock, &admin.access, &json!({})).await.expect(200);
    assert_eq!(open.text("email"), "ada@example.com");
    assert_eq!(database::events(&server, "account.unlocked", "success").await, 0, "nothing was done, and nothing is told");
    for _ in 0..3 {
        let wrong = json!({ "email": "ada@example.com", "password": "SecurePass124" });
        server.post(LOGIN, &wrong).await.problem(401, "auth.invalid_credentials");
    }
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(429, "rate_limit.exceeded");
    let unlocked = call(&server, Method::POST, &unlock, &admin.access, &json!({})).await.expect(200);
    assert_eq!(unlocked.header("etag"), open.header("etag"), "it is no change of the account");
    log_in(&server, "ada@example.com").await;
    assert_eq!(database::events(&server, "account.unlocked", "success").await, 1);
    for nobody in ["x", "00000000-0000-7000-8000-000000000000"] {
        let path = format!("{USERS}/{nobody}/unlock");
        call(&server, Method::POST, &path, &admin.access, &json!({})).await.problem(404, "account.not_found");
    }
}

#[tokio::test]
async fn sessions_of_others_are_listed_and_ended() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let ada = [register(&server, "ada@example.com").await, log_in(&server, "ada@example.com").await];
    let eve = register(&server, "eve@example.com").await;
    let (ada_id, eve_id) = (id_of(&server, &ada[0]).await, id_of(&server, &eve).await);
    let list = format!("{USERS}/{ada_id}/sessions");
    let sessions = server.get_as(&list, &admin.access).await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(2));
    let of_eve = server.get_as(&format!("{USERS}/{eve_id}/sessions"), &admin.access).await.expect(200).json();
    let eves = of_eve["items"][0]["id"].as_str().expect("an id").to_owned();
    for none in [eves.as_str(), "x", "0190-", "..%2f..%2f", "' OR 1=1 --", "00000000-0000-7000-8000-000000000000"] {
        let none = none.replace(' ', "%20").replace('\'', "%27");
        let path = format!("{list}/{none}");
        call(&server, Method::DELETE, &path, &admin.access, &json!({})).await.problem(404, "session.not_found");
    }
    server.get_as(ME, &eve.access).await.expect(200);
    let first = sessions["items"][1]["id"].as_str().expect("an id").to_owned();
    call(&server, Method::DELETE, &format!("{list}/{first}"), &admin.access, &json!({})).await.expect(204);
    assert_over(&server, &ada[0]).await;
    call(&server, Method::DELETE, &format!("{list}/{first}"), &admin.access, &json!({})).await.problem(404, "session.not_found");
    let ended = call(&server, Method::DELETE, &list, &admin.access, &json!({})).await.expect(200).json();
    assert_eq!(ended["revoked"], 1);
    assert_over(&server, &ada[1]).await;
    server.get_as(ME, &eve.access).await.expect(200);
}

#[tokio::test]
async fn nobody_has_power_over_somebody_who_may_more_nor_here_over_herself() {
    let server = Server::start(SETTINGS).await;
    let all = ["users:read", "users:write", "users:impersonate", "sessions:read", "sessions:write"];
    let root = administrator(&server, "root@example.com", &["*"]).await;
    let admin = administrator(&server, "admin@example.com", &all).await;
    let auditor = administrator(&server, "auditor@example.com", &["audit:read"]).await;
    let peer = administrator(&server, "peer@example.com", &all[..2]).await;
    let before = database::rows(&server).await;
    for target in [&root, &auditor] {
        let path = format!("{USERS}/{}", id_of(&server, target).await);
        for (method, path, body) in [
            (Method::PATCH, path.clone(), json!({ "email": "mine@evil.example" })),
            (Method::PATCH, path.clone(), json!({ "full_name": "x" })),
            (Method::DELETE, path.clone(), json!({})),
            (Method::POST, format!("{path}/suspend"), json!({})),
            (Method::POST, format!("{path}/restore"), json!({})),
            (Method::POST, format!("{path}/unlock"), json!({})),
            (Method::GET, format!("{path}/sessions"), json!({})),
            (Method::DELETE, format!("{path}/sessions"), json!({})),
            (Method::POST, format!("{path}/impersonate"), json!({ "reason": "power" })),
        ] {
            call(&server, method, &path, &admin.access, &body).await.problem(403, "account.more_powerful");
        }
        // She may be seen.
        server.get_as(&path, &admin.access).await.expect(200);
    }
    let mut after = database::rows(&server).await;
    let events = after.insert("authkit_audit_events".to_owned(), before["authkit_audit_events"].clone()).expect("a table");
    assert_eq!(after, before, "what was refused changed nothing");
    assert_eq!(events.len(), before["authkit_audit_events"].len() + 18, "and is in the audit log");

    let own = format!("{USERS}/{}", id_of(&server, &admin).await);
    for (method, path, body) in [
        (Method::PATCH, own.clone(), json!({ "email": "other@example.com" })),
        (Method::DELETE, own.clone(), json!({})),
        (Method::POST, format!("{own}/suspend"), json!({})),
        (Method::POST, format!("{own}/unlock"), json!({})),
        (Method::DELETE, format!("{own}/sessions"), json!({})),
        (Method::POST, format!("{own}/impersonate"), json!({ "reason": "me" })),
    ] {
        call(&server, method, &path, &admin.access, &body).await.problem(409, "account.own");
    }
    server.get_as(&format!("{own}/sessions"), &admin.access).await.expect(200);

    // Who may as much or less is in her power, and what she may is asked at each request.
    let path = format!("{USERS}/{}", id_of(&server, &peer).await);
    call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({})).await.expect(200);
    call(&server, Method::POST, &format!("{path}/restore"), &admin.access, &json!({})).await.expect(200);
    grant(&server, "admin@example.com", &[]).await;
    call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({}))
        .await
        .problem(403, "auth.permission_required");
}

#[tokio::test]
async fn whoever_acts_as_somebody_else_does_so_under_both_names_and_not_for_long() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let ada = register(&server, "ada@example.com").await;
    let (admin_id, ada_id) = (id_of(&server, &admin).await, id_of(&server, &ada).await);
    let path = format!("{USERS}/{ada_id}/impersonate");
    for refused in [json!({}), json!({ "reason": "" }), json!({ "reason": "x".repeat(201) }), json!({ "reason": "a\nb" })] {
        let reply = call(&server, Method::POST, &path, &admin.access, &refused).await;
        assert_eq!(reply.status, 422, "{refused}");
    }
    let reason = json!({ "reason": "Ticket 4711: =cmd|'/c calc'!A1" });
    let begun = call(&server, Method::POST, &path, &admin.access, &reason).await.expect(200);
    assert!(begun.json().get("refresh_token").is_none());
    let (token, session) = (begun.text("access_token"), begun.text("session_id"));
    let said = claims(&token);
    assert_eq!((&said["sub"], &said["act"]["sub"]), (&json!(ada_id), &json!(admin_id)));
    assert_eq!(said["exp"].as_i64().expect("a number") - said["iat"].as_i64().expect("a number"), 900);

    // She sees what Ada sees, and is seen.
    assert_eq!(server.get_as(ME, &token).await.expect(200).text("email"), "ada@example.com");
    let sessions = server.get_as(SESSIONS, &ada.access).await.expect(200).json();
    let marked = |session: &&Value| session["impersonated"] == true;
    assert_eq!(sessions["items"].as_array().expect("items").iter().filter(marked).count(), 1);
    call(&server, Method::PATCH, ME, &token, &json!({ "full_name": "Ada" })).await.expect(200);

    let password = json!({ "current_password": PASSWORD, "new_password": "plumage-orbit-4417-cadence" });
    for (method, path, body) in [
        (Method::POST, MY_PASSWORD, password),
        (Method::POST, REAUTHENTICATE, json!({ "password": PASSWORD })),
        (Method::DELETE, ME, json!({})),
        (Method::GET, "/api/v1/users/me/export", json!({})),
        (Method::GET, USERS, json!({})),
        (Method::POST, &path, json!({ "reason": "once more" })),
    ] {
        call(&server, method, path, &token, &body).await.problem(403, "auth.impersonation_forbidden");
    }
    // What she did names both.
    let export = server.get_as("/api/v1/users/me/export", &ada.access).await.expect(200).json();
    let events = export["audit_events"].as_array().expect("events");
    let of = |action: &str| events.iter().find(|event| event["action"] == action).expect("an event");
    assert_eq!(of("auth.impersonation")["details"]["reason"], "Ticket 4711: =cmd|'/c calc'!A1");
    let changed = of("account.profile_changed");
    assert_eq!((&changed["actor"], &changed["details"]["on_behalf_of"]), (&json!("administrator"), &json!(ada_id)));
    assert_eq!(changed["ip"], Value::Null, "where an administrator works is not the user's to know");

    // The owner ends it like any session of hers.
    call(&server, Method::DELETE, &format!("{SESSIONS}/{session}"), &ada.access, &json!({})).await.expect(204);
    server.get_as(ME, &token).await.problem(401, "auth.session_ended");
    // And it ends with the session in which it was asked for.
    let token = call(&server, Method::POST, &path, &admin.access, &reason).await.expect(200).text("access_token");
    server.get_as(ME, &token).await.expect(200);
    call(&server, Method::POST, LOGOUT_ALL, &admin.access, &json!({})).await.expect(200);
    server.get_as(ME, &token).await.problem(401, "auth.session_ended");
    call(&server, Method::POST, &path, &admin.access, &reason).await.problem(401, "auth.session_ended");
    server.post(REFRESH, &refresh_token(&ada)).await.expect(200);
}

#[tokio::test]
async fn an_export_is_everything_but_secrets() {
    let server = Server::start(SETTINGS).await;
    let ada = register(&server, "ada@example.com").await;
    let other = log_in(&server, "ada@example.com").await;
    register(&server, "eve@example.com").await;
    let reply = server.get_as("/api/v1/users/me/export", &ada.access).await.expect(200);
    assert!(reply.header("content-disposition").starts_with("attachment; filename=\"authkit-export-"));
    let (text, export) = (reply.json().to_string(), reply.json());
    assert_eq!((&export["account"]["email"], &export["has_password"]), (&json!("ada@example.com"), &json!(true)));
    assert_eq!(export["sessions"].as_array().map(Vec::len), Some(2));
    let actions: Vec<&str> =
        export["audit_events"].as_array().expect("events").iter().filter_map(|event| event["action"].as_str()).collect();
    for action in ["account.exported", "auth.login", "account.registered"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    for secret in [PASSWORD, "argon2", &ada.refresh, &ada.access, &other.refresh, "eve@example.com"] {
        assert!(!text.contains(secret), "{secret}");
    }
    server.get("/api/v1/users/me/export").await.problem(401, "auth.unauthenticated");
}

#[tokio::test]
async fn what_an_administrator_may_not_say_is_refused_and_named() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "root@example.com", &["*"]).await;
    let ada = register(&server, "ada@example.com").await;
    let path = format!("{USERS}/{}", id_of(&server, &ada).await);
    let before = database::rows(&server).await;
    let forbidden = [
        "role",
        "roles",
        "is_admin",
        "email_verified",
        "id",
        "status",
        "created_at",
        "tenant_id",
        "mfa_enabled",
        "password",
        "version",
        "auth_epoch",
        "access",
    ];
    for member in forbidden {
        for (method, path, body) in [
            (Method::POST, USERS.to_owned(), json!({ "email": "x@example.com", member: true })),
            (Method::PATCH, path.clone(), json!({ "full_name": "x", member: true })),
            (Method::POST, format!("{path}/impersonate"), json!({ "reason": "x", member: true })),
        ] {
            call(&server, method, &path, &admin.access, &body).await.problem_of(422, "request.unknown_member", member);
        }
    }
    let wrong = json!({ "email": "a@evil\u{ff20}x.example", "full_name": "\u{1b}[2J", "locale": "../etc" });
    let refused = call(&server, Method::POST, USERS, &admin.access, &wrong).await.problem(422, "request.invalid_value");
    assert_eq!(refused["errors"].as_array().map(Vec::len), Some(3));
    for (query, field) in [
        ("query=%25", "query"),
        ("query=%27%20--", "query"),
        ("query=a+b+c+d+e+f+g+h+i", "query"),
        ("status=closed", "status"),
        ("status=active%27", "status"),
        ("role=%27%3B--", "role"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=1e2", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%27%20OR%201%3D1", "cursor"),
    ] {
        let reply = server.get_as(&format!("{USERS}?{query}"), &admin.access).await;
        reply.problem_of(400, "request.invalid_parameter", field);
    }
    let long = "x".repeat(300);
    server.get_as(&format!("{USERS}?query={long}"), &admin.access).await.problem_of(400, "request.invalid_parameter", "query");
    for id in ["x", "1", "00000000-0000-7000-8000-000000000000", "..%2fadmin", "%27%20OR%201%3D1", "%00"] {
        let path = format!("{USERS}/{id}");
        server.get_as(&path, &admin.access).await.problem(404, "account.not_found");
        call(&server, Method::POST, &format!("{path}/suspend"), &admin.access, &json!({}))
            .await
            .problem(404, "account.not_found");
    }
    assert_eq!(database::rows(&server).await, before, "what was refused changed nothing");
}

#[tokio::test]
async fn an_operator_does_the_same_at_the_command_line_and_keeps_the_last_who_may_everything() {
    let server = Server::start(SETTINGS).await;
    let root = administrator(&server, "root@example.com", &["*"]).await;
    let ada = register(&server, "ada@example.com").await;
    let run = async |arguments: &[&str]| {
        let output = server.run(&[&["users"], arguments].concat(), &[], "").await;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) =
        run(&["create", "--email", "eve@example.com", "--full-name", "=HYPERLINK(\"x\")", "--without-password"]).await;
    assert_eq!(code, Some(0), "{err}");
    let eve = out.trim().to_owned();
    let (_, out, _) = run(&["show", "eve@example.com", "--format", "json"]).await;
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&shown["id"], &shown["full_name"]), (&json!(eve), &json!("=HYPERLINK(\"x\")")));
    let (_, out, _) = run(&["list", "--query", "hyper", "--status", "active"]).await;
    assert!(out.lines().count() == 1 && out.contains(&eve), "{out}");
    let (_, out, _) = run(&["list", "--format", "json", "--limit", "2"]).await;
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(listed["users"].as_array().map(Vec::len), Some(2));
    assert_eq!(run(&["update", &eve, "--email", "eve@example.org", "--full-name", ""]).await.0, Some(0));
    let (_, out, _) = run(&["sessions", "ada@example.com", "--format", "json"]).await;
    let sessions: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&["revoke-sessions", "ada@example.com"]).await.1, "1 session was ended\n");
    // The server that runs learns of it.
    let heard = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while server.get_as(ME, &ada.access).await.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    heard.await.expect("within a second or so");
    assert_eq!(run(&["suspend", "ada@example.com"]).await.0, Some(0));
    server.post(LOGIN, &credentials("ada@example.com")).await.problem(403, "account.suspended");
    assert_eq!(run(&["restore", "ada@example.com"]).await.0, Some(0));
    assert_eq!(run(&["delete", &eve]).await.0, Some(2), "it is asked for once more");
    assert_eq!(run(&["delete", &eve, "--yes"]).await.0, Some(0));
    assert_eq!(run(&["show", &eve]).await.0, Some(1));
    for refused in [&["suspend", "root@example.com"][..], &["delete", "root@example.com", "--yes"]] {
        let (code, _, err) = run(refused).await;
        assert_eq!(code, Some(1));
        assert!(err.contains("nobody else holds every permission"), "{err}");
    }
    server.get_as(ME, &root.access).await.expect(200);
    for usage in [&["show", "nobody"][..], &["list", "--query", "%"], &["list", "--status", "closed"], &["update", &eve]] {
        assert_eq!(run(usage).await.0, Some(2), "{usage:?}");
    }
}
