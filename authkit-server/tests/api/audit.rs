//! The audit log from the outside: what a user sees, what an operator asks, and a database that somebody has changed.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::account::{LOGIN, LOGOUT, REFRESH, credentials, refresh_token, register};
use crate::settings_with;
use crate::support::Server;

const EVENTS: &str = "/api/v1/users/me/security-events";
const LOG: &str = "/api/v1/admin/audit-events";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn a_user_sees_her_own_security_events_and_only_who_may_reads_the_log() {
    let server = Server::start(&settings_with(&[])).await;
    let ada = register(&server, "ada@example.com").await;
    register(&server, "grace@example.com").await;
    server.post(LOGIN, &json!({ "email": "ada@example.com", "password": "not the password" })).await.expect(401);
    let seen = server.get_as(EVENTS, &ada.access).await.expect(200).json();
    let events = seen["items"].as_array().expect("a list");
    let actions: Vec<(&str, &str)> =
        events.iter().map(|event| (event["action"].as_str().unwrap(), event["outcome"].as_str().unwrap())).collect();
    assert_eq!(actions, [("auth.login", "failure"), ("account.registered", "success")]);
    assert_eq!((&events[0]["actor"], &events[1]["actor"]), (&json!("anonymous"), &json!("you")));
    assert!(!seen.to_string().contains("wrong_password") && !seen.to_string().contains("grace"), "{seen}");
    let one = server.get_as(&format!("{EVENTS}?limit=1"), &ada.access).await.expect(200).json();
    let cursor = one["next_cursor"].as_str().expect("there is more");
    let two = server.get_as(&format!("{EVENTS}?limit=1&cursor={cursor}"), &ada.access).await.expect(200).json();
    assert_eq!((&two["items"][0], &two["next_cursor"]), (&events[1], &Value::Null));

    server.get_as(LOG, &ada.access).await.problem(403, "auth.permission_required");
    server.get_as("/api/v1/admin/explain?request_id=whatever-it-is", &ada.access).await.problem(403, "auth.permission_required");
    server.get(LOG).await.problem(401, "auth.unauthenticated");
    for wrong in ["actor=x", "subject=1", "action=made.up", "outcome=maybe", "from=yesterday", "to=1", "limit=0", "cursor=x"] {
        server.get_as(&format!("{LOG}?{wrong}"), &ada.access).await.problem(400, "request.invalid_parameter");
    }
}

#[tokio::test]
async fn an_operator_explains_exports_and_verifies_and_a_change_in_the_database_is_named() {
    let server = Server::start(&settings_with(&[("AUTHKIT_AUDIT_SEAL_AFTER", "1s")])).await;
    let ada = register(&server, "ada@example.com").await;
    server.post(LOGOUT, &refresh_token(&ada)).await.expect(200);
    let refused = server.post(REFRESH, &refresh_token(&ada)).await;
    let request = refused.problem(401, "auth.invalid_refresh_token")["request_id"].as_str().expect("an id").to_owned();
    let why = done(&server.run(&["explain", "--request-id", &request], &[], "").await);
    assert!(why.contains("had been ended at") && why.contains("(logout)"), "{why}");
    let nothing = done(&server.run(&["explain", "--request-id", "never-seen-anywhere"], &[], "").await);
    assert!(nothing.contains("Nothing is recorded under this request id"), "{nothing}");
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);

    tokio::time::sleep(Duration::from_millis(1_200)).await;
    done(&server.run(&["audit", "seal"], &[], "").await);
    let verified = done(&server.run(&["audit", "verify"], &[], "").await);
    assert!(verified.contains("covered by seals up to"), "{verified}");
    let anchor = done(&server.run(&["audit", "anchor"], &[], "").await);
    let anchor = anchor.lines().next().expect("a line").to_owned();
    done(&server.run(&["audit", "verify", "--anchor", &anchor], &[], "").await);
    let keys = server.data_dir().join("audit.jwk");
    std::fs::write(&keys, done(&server.run(&["audit", "keys"], &[], "").await)).expect("writes");
    let keys = keys.to_str().expect("UTF-8").to_owned();
    done(&server.run(&["audit", "verify", "--public-key", &keys], &[], "").await);

    let lines = done(&server.run(&["audit", "export", "--with-seals"], &[], "").await);
    let exported: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(exported.iter().any(|line| line["kind"] == "event" && line["action"] == "account.registered"));
    assert!(exported.last().is_some_and(|line| line["kind"] == "seal"));
    let failures = done(&server.run(&["audit", "export", "--outcome", "failure", "--format", "csv"], &[], "").await);
    assert_eq!(failures.lines().count(), 2, "{failures}");
    let secrets = [ada.access.as_str(), ada.refresh.as_str(), crate::account::PASSWORD];
    assert!(secrets.iter().all(|secret| !lines.contains(secret)));
    let purge = done(&server.run(&["audit", "purge", "--older-than", "365d"], &[], "").await);
    assert!(purge.contains("nothing to purge"), "{purge}");

    let file = server.data_dir().join("authkit.sqlite3");
    let mut vandal = SqliteConnectOptions::new().filename(file).connect().await.expect("the database opens");
    let sql = "UPDATE authkit_audit_events SET ip = '192.0.2.1' WHERE action = 'account.registered'";
    sqlx::query(sql).execute(&mut vandal).await.expect("the vandal has the right");
    let found = server.run(&["audit", "verify"], &[], "").await;
    assert_eq!(found.status.code(), Some(1));
    let event = exported.iter().find(|line| line["action"] == "account.registered").expect("the event")["id"].clone();
    assert!(text(&found.stderr).contains(event.as_str().expect("an id")), "{}", text(&found.stderr));
    assert!(text(&found.stdout).contains("was altered after it was sealed"), "{}", text(&found.stdout));
    for wrong in [
        &["audit", "purge", "--older-than", "1h"][..],
        &["audit", "verify", "--anchor", "7"],
        &["audit", "export", "--from", "x"],
    ] {
        assert_eq!(server.run(wrong, &[], "").await.status.code(), Some(2), "{wrong:?}");
    }
}
