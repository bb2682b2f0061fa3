//! The request log: one line for each request, with what an operator needs and nothing that a thief wants.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::Server;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// The runtime of a test has one thread, so the subscriber of this thread sees the server too.
#[tokio::test]
async fn a_request_is_one_line_that_holds_no_secret() {
    let sink = Sink::default();
    let out = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || out.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = Server::start(|_| {}).await;
    let headers = "Authorization: Bearer canary-token\r\nCookie: canary-cookie\r\nX-Request-Id: the-request-1\r\n";
    server.get("GET", "/api/v1/items/7?token=canary-query", headers).await;
    server.get("GET", "/private?access_token=canary-query", headers).await;
    server.post("/api/v1/echo", "application/json", r#"{"text":"canary-body"}"#).await;
    server.post("/api/v1/echo", "application/json", r#"{"text":{"canary-body":"canary-body"}}"#).await;
    server.post("/api/v1/careless", "application/json", r#"{"text":["canary-body"]}"#).await;
    server.get("GET", "/api/v1/panic", headers).await;

    let text = String::from_utf8(sink.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    assert!(!text.contains("canary"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "authkit_server::access").collect();
    assert_eq!(requests.len(), 6, "{text}");
    let first = requests[0];
    assert_eq!((&first["method"], &first["path"], &first["status"]), (&"GET".into(), &"/api/v1/items/{id}".into(), &200.into()));
    assert_eq!(
        (&first["client"], &first["request_id"], &first["bytes"]),
        (&"127.0.0.1".into(), &"the-request-1".into(), &1.into())
    );
    assert!(first["duration_us"].is_u64());
    assert_eq!(requests[5]["status"], 500);
}
