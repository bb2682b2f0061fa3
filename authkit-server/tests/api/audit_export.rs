//! The audit log taken out over HTTP: whole, in bounded memory, and only for who may.

use std::time::Duration;

use authkit_core::model::ChangeSet;
use authkit_core::ports::Store as _;
use authkit_core::testkit::Fixtures;
use authkit_sqlx::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::SETTINGS;
use crate::account::{LOGIN, register};
use crate::administration::{administrator, grant};
use crate::database::events;
use crate::support::{Reply, Server};

const EXPORT: &str = "/api/v1/admin/audit-events/export";

fn lines(reply: &Reply) -> Vec<Value> {
    let text = String::from_utf8(reply.body.to_vec()).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Appends so many events, beside the server.
async fn fill(server: &Server, count: usize) {
    let store = SqliteStore::open(SqliteOptions::new(server.data_dir().join("authkit.sqlite3"))).await.expect("opens");
    let fixtures = Fixtures::new(1);
    for _ in 0..count / 500 {
        let events = (0..500).map(|_| fixtures.event(fixtures.user().id).with("much", "x".repeat(300)));
        let changes = events.fold(ChangeSet::new(), ChangeSet::and);
        store.commit(&changes).await.expect("commits");
    }
    store.close().await;
}

#[tokio::test]
async fn who_may_takes_out_everything_and_that_is_recorded() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "auditor@example.com", &["audit:read"]).await;
    let plain = register(&server, "plain@example.com").await;
    server.post(LOGIN, &json!({ "email": "plain@example.com", "password": "not the password" })).await.expect(401);
    server.get(EXPORT).await.problem(401, "auth.unauthenticated");
    for _ in 0..3 {
        server.get_as(EXPORT, &plain.access).await.problem(403, "auth.permission_required");
    }
    assert_eq!(events(&server, "audit.exported", "failure").await, 1, "the first of a while");
    for wrong in ["actor=x", "action=made.up", "outcome=maybe", "from=yesterday", "request_id=%0a"] {
        server.get_as(&format!("{EXPORT}?{wrong}"), &admin.access).await.problem(400, "request.invalid_parameter");
    }
    assert_eq!(events(&server, "audit.exported", "success").await, 0);

    let all = server.get_as(EXPORT, &admin.access).await.expect(200);
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    assert_eq!(all.header("content-disposition"), "attachment; filename=\"audit.jsonl\"");
    let all = lines(&all);
    let ids: Vec<&str> = all.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert!(ids.is_sorted(), "the oldest first");
    assert!(all.iter().any(|event| event["action"] == "account.registered") && all.iter().all(|event| event["kind"] == "event"));
    let failed = server.get_as(&format!("{EXPORT}?outcome=failure&action=auth.login"), &admin.access).await.expect(200);
    let failed = lines(&failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["details"]["reason"], "wrong_password");
    // What was taken out, and by whom.
    let recorded = server.get_as("/api/v1/admin/audit-events?action=audit.exported&outcome=success", &admin.access).await;
    let recorded = recorded.expect(200).json();
    let recorded = recorded["items"].as_array().expect("items");
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0]["details"]["filter.action"], "auth.login");
    assert!(recorded[0]["actor_id"].is_string() && recorded[0]["request_id"].is_string() && recorded[0]["ip"].is_string());
    // On the command line as well, by the operator.
    let output = server.run(&["audit", "export", "--outcome", "failure"], &[], "").await;
    assert!(output.status.success());
    assert_eq!(events(&server, "audit.exported", "success").await, 3);
}

#[tokio::test]
async fn many_pages_come_whole_and_break_off_where_the_permission_ends() {
    let server = Server::start(SETTINGS).await;
    let admin = administrator(&server, "auditor@example.com", &["audit:read"]).await;
    fill(&server, 20_000).await;
    let all = server.get_as(EXPORT, &admin.access).await.expect(200);
    assert!(lines(&all).len() > 20_000);

    // Somebody reads a little, loses the permission, and reads on: she gets what was under way and no more, and sees that it is not whole.
    let mut stream = TcpStream::connect(server.address()).await.expect("connects");
    let request =
        format!("GET {EXPORT} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", server.address(), admin.access);
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut some = vec![0; 4_096];
    let read = stream.read(&mut some).await.expect("reads");
    assert!(some[..read].starts_with(b"HTTP/1.1 200"));
    sleep(Duration::from_millis(500)).await;
    grant(&server, "auditor@example.com", &[]).await;
    let mut rest = Vec::new();
    // Ended by the server; a reset is an end as well.
    drop(timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("it ends"));
    assert!(rest.len() < all.body.len(), "{} of {} bytes", rest.len(), all.body.len());
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "a reply that is not whole must not look like one");
}
