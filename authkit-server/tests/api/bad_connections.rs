//! Bytes that are no good HTTP, or too much of it, or come too slowly.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::SETTINGS;
use crate::account::LOGIN;
use crate::database;
use crate::support::Server;

const PATIENCE: Duration = Duration::from_secs(5);

/// A head with `headers` after its Host.
fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn what_is_no_good_http_is_refused_as_a_problem_and_changes_nothing() {
    let server = Server::start(SETTINGS).await;
    let before = database::rows(&server).await;
    let post = |headers: &str, body: &str| {
        format!("POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
    };
    let flood = |count: usize| (0..count).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    let corpus = [
        ("no HTTP", 400, "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
        ("HTTP 0.9", 400, "GET /\r\n\r\n".to_owned()),
        ("no Host", 400, "GET /health/live HTTP/1.1\r\n\r\n".to_owned()),
        ("two Hosts", 400, get("/health/live", "Host: y\r\n")),
        ("a NUL in a header", 400, get("/health/live", "X: \0\r\n")),
        ("a folded header", 400, get("/health/live", "X: a\r\n b\r\n")),
        ("a space before the colon", 400, get("/health/live", "X : a\r\n")),
        ("a raw byte in the path", 400, get("/\u{1}", "")),
        ("120 headers", 431, get("/health/live", &flood(120))),
        ("5000 headers", 431, get("/health/live", &flood(5_000))),
        ("a header of 20 kB", 431, get("/health/live", &format!("X: {}\r\n", "a".repeat(20_000)))),
        ("a header of 1 MB", 431, get("/health/live", &format!("X: {}\r\n", "a".repeat(1 << 20)))),
        ("a URL of 9 kB", 414, get(&format!("/{}", "a".repeat(9_000)), "")),
        ("a URL of 1 MB", 431, get(&format!("/{}", "a".repeat(1 << 20)), "")),
        ("a negative length", 400, post("Content-Length: -1\r\n", "")),
        ("two lengths", 400, post("Content-Length: 1\r\nContent-Length: 2\r\n", "{}")),
        ("an unknown transfer coding", 400, post("Transfer-Encoding: gzip\r\n", "")),
        ("a broken chunk", 400, post("Transfer-Encoding: chunked\r\n", "zz\r\n")),
        (
            "a flood of chunk extensions",
            400,
            post("Transfer-Encoding: chunked\r\n", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(60_000))),
        ),
        (
            "a second request behind chunks",
            400,
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"),
        ),
    ];
    for (what, status, bytes) in corpus {
        let answer = server.raw(bytes.as_bytes(), PATIENCE).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {text}");
        assert_eq!(text.matches("HTTP/1.").count(), 1, "{what} is answered once: {text}");
        let head = text.to_lowercase();
        assert!(head.contains("content-type: application/problem+json") && head.contains("x-request-id: "), "{what}: {text}");
        assert!(text.contains("\"code\":\"request.") && text.contains("\"request_id\":\""), "{what}: {text}");
    }
    assert_eq!(database::rows(&server).await, before);
    server.get("/health/live").await.expect(200);
    assert!(!server.log().contains("ERROR") && !server.log().contains("panic"), "{}", server.log());
}

#[tokio::test]
async fn slow_clients_are_dropped_and_the_others_do_not_notice() {
    let server = Server::start(SETTINGS).await;
    let mut slow = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
        let start = match number % 3 {
            0 => String::new(),
            1 => "GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ".to_owned(),
            _ => format!("POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"),
        };
        stream.write_all(start.as_bytes()).await.expect("writes");
        slow.push(tokio::spawn(drip(stream, number % 3 != 0)));
    }
    for _ in 0..20 {
        timeout(Duration::from_secs(2), server.get("/health/ready")).await.expect("others are served").expect(200);
        sleep(Duration::from_millis(50)).await;
    }
    for (number, slow) in slow.into_iter().enumerate() {
        let answer = slow.await.expect("ends").unwrap_or_else(|| panic!("slow client {number} was never dropped"));
        if number % 3 == 2 {
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request.body_timeout"), "{answer}");
        }
    }
}

/// Sends a byte now and then, until the server closes. Returns what it answered; `None` when it never closed.
async fn drip(mut stream: TcpStream, sends: bool) -> Option<String> {
    let mut answer = Vec::new();
    let (mut reader, mut writer) = stream.split();
    let closed = timeout(Duration::from_secs(25), async {
        let write = async {
            loop {
                sleep(Duration::from_millis(500)).await;
                if sends && writer.write_all(b"a").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            // A reset is an end as well.
            _ = reader.read_to_end(&mut answer) => {}
            () = write => {}
        }
    });
    closed.await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}
