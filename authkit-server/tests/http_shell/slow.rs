//! Nobody holds a connection by being slow. The limits are short here, the margins wide.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Reply, Server};

const SHORT: Duration = Duration::from_millis(300);
/// Far above `SHORT` also on a busy machine, far below what a client would need to stay.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends one byte at a time until the server is done with us; returns how long that took.
async fn drip(stream: &mut TcpStream, endless: &str) -> Duration {
    let started = Instant::now();
    let (mut read, mut write) = stream.split();
    let mut sink = Vec::new();
    let writing = async {
        for byte in endless.bytes().cycle() {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, async {
        tokio::select! {
            () = writing => {}
            _ = read.read_to_end(&mut sink) => {}
        }
    })
    .await
    .expect("a dripping client is dropped");
    started.elapsed()
}

#[tokio::test]
async fn a_dripped_head_is_dropped_and_does_not_starve_others() {
    let server = Server::start(|limits| limits.head_timeout = SHORT).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nX-Drip: ").await.expect("writes");
        streams.push(tokio::spawn(async move { drip(&mut stream, "a").await }));
    }
    assert_eq!(server.get("GET", "/api/v1/whoami", "").await.status, 200);
    for stream in streams {
        stream.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_dropped() {
    let server = Server::start(|limits| limits.head_timeout = SHORT).await;
    let mut stream = server.connect().await;
    let mut sink = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut sink)).await.expect("dropped");
    assert!(sink.is_empty());
}

#[tokio::test]
async fn between_two_requests_a_connection_may_rest_longer_than_a_head_may_take() {
    let server = Server::start(|limits| {
        limits.head_timeout = SHORT;
        limits.idle_timeout = Duration::from_secs(4);
    })
    .await;
    let mut stream = server.connect().await;
    let request = b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut reply = [0_u8; 4096];
    for _ in 0..2 {
        stream.write_all(request).await.expect("writes");
        let count = stream.read(&mut reply).await.expect("reads");
        assert!(reply[..count].starts_with(b"HTTP/1.1 200"), "the connection rested and lives");
        sleep(SHORT * 3).await;
    }
    // The next head gets no more time than the first.
    stream.write_all(b"GET / HTTP/1.1\r\nX-Drip: ").await.expect("writes");
    assert!(drip(&mut stream, "a").await < Duration::from_secs(4));
    // And rest ends too.
    let mut stream = server.connect().await;
    stream.write_all(request).await.expect("writes");
    Reply::read(&mut stream).await;
}

#[tokio::test]
async fn a_dripped_body_is_a_408() {
    let server = Server::start(|limits| limits.body_timeout = SHORT).await;
    for target in ["/api/v1/echo", "/api/v1/careless"] {
        let mut stream = server.connect().await;
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("writes");
        let (mut read, mut write) = stream.into_split();
        let dripping = tokio::spawn(async move {
            while write.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let mut reply = vec![0; 4096];
        let count = timeout(PATIENCE, read.read(&mut reply)).await.expect("answered").expect("reads");
        let text = String::from_utf8_lossy(&reply[..count]).into_owned();
        assert!(text.starts_with("HTTP/1.1 408"), "{text}");
        assert!(text.contains("request.body_timeout"), "{text}");
        dripping.abort();
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_dropped() {
    let server = Server::start(|limits| limits.write_timeout = SHORT).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/v1/big HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    let gone = async {
        while server.metrics.render().expect("renders").contains("authkit_http_connections 1") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    // Let the connection be counted first.
    sleep(SHORT / 2).await;
    timeout(PATIENCE, gone).await.expect("the connection was dropped");
}

#[tokio::test]
async fn a_reader_that_reads_a_trickle_is_dropped() {
    let server = Server::start(|limits| {
        // Long enough for some progress within it at the pace below: what drops the reader is the pace, not a pause.
        limits.write_timeout = Duration::from_secs(1);
        limits.min_write_rate = 64 * 1024 * 1024;
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/v1/big HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    let mut taken = 0_usize;
    let mut buffer = vec![0_u8; 64 * 1024];
    let trickle = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            taken += count;
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("the connection was dropped");
    assert!(taken < 32 * 1024 * 1024, "the whole reply was read: {taken}");
}

#[tokio::test]
async fn connections_over_the_cap_are_told_so_and_room_comes_back() {
    let server = Server::start(|limits| limits.max_connections = 2).await;
    let held = [server.connect().await, server.connect().await];
    // The two are counted when they are accepted, which is in the order in which they came.
    let mut third = server.connect().await;
    let reply = Reply::read(&mut third).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert!(reply.body.contains("server.too_many_connections"));
    drop(held);
    let back = async {
        while server.get("GET", "/api/v1/whoami", "").await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, back).await.expect("room came back");
}
