//! The end of service: what is in flight is finished, nothing new is taken.

use std::time::Duration;

use authkit_server::http::Drained;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::harness::{Reply, Server};

const PATIENCE: Duration = Duration::from_secs(15);

async fn until(mut condition: impl FnMut() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let mut server = Server::start(|_| {}).await;
    let address = server.address;
    until(|| server.readiness.is_ready()).await;

    // A client that rests between two requests, and one that is being answered.
    let mut resting = server.connect().await;
    resting.write_all(b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    let mut buffer = [0_u8; 4096];
    assert!(resting.read(&mut buffer).await.expect("reads") > 0);
    let mut busy = server.connect().await;
    busy.write_all(b"GET /api/v1/sleep/1000 HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    let metrics = server.metrics.clone();
    until(|| metrics.render().expect("renders").contains("authkit_http_requests_in_flight 1")).await;

    server.stop();
    until(|| !server.readiness.is_ready()).await;
    assert_eq!(resting.read(&mut buffer).await.expect("closed in order"), 0, "a resting connection is closed at once");
    assert!(TcpStream::connect(address).await.is_err(), "a new connection is refused");
    let reply = Reply::read(&mut busy).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "slept"), "{reply:?}");
    assert_eq!(timeout(PATIENCE, server.stopped()).await.expect("ends"), Drained::Clean);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut server = Server::start(|limits| limits.shutdown_timeout = Duration::from_millis(200)).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /api/v1/sleep/60000 HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    let metrics = server.metrics.clone();
    until(|| metrics.render().expect("renders").contains("authkit_http_requests_in_flight 1")).await;
    server.stop();
    assert_eq!(timeout(PATIENCE, server.stopped()).await.expect("ends"), Drained::Aborted);
}

#[tokio::test]
async fn a_request_that_was_sent_before_the_shutdown_is_answered() {
    for _ in 0..10 {
        let mut server = Server::start(|_| {}).await;
        let mut fresh = server.connect().await;
        fresh.write_all(b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
        server.stop();
        let reply = Reply::read(&mut fresh).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(timeout(PATIENCE, server.stopped()).await.expect("ends"), Drained::Clean);
    }
}

#[tokio::test]
async fn a_request_that_was_on_its_way_when_the_shutdown_came_is_answered() {
    let mut server = Server::start(|_| {}).await;
    let mut fresh = server.connect().await;
    let metrics = server.metrics.clone();
    until(|| metrics.render().expect("renders").contains("authkit_http_connections 1")).await;
    server.stop();
    until(|| !server.readiness.is_ready()).await;
    fresh.write_all(b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writes");
    assert_eq!(Reply::read(&mut fresh).await.status, 200);
}

#[tokio::test]
async fn while_it_drains_the_service_is_unready_but_still_answers() {
    let mut server = Server::start(|limits| limits.drain_delay = Duration::from_secs(3)).await;
    until(|| server.readiness.is_ready()).await;
    server.stop();
    until(|| !server.readiness.is_ready()).await;
    assert_eq!(server.get("GET", "/api/v1/whoami", "").await.status, 200);
}

#[tokio::test]
async fn while_it_drains_the_service_takes_leave_of_kept_connections_with_a_reply() {
    let mut server = Server::start(|limits| limits.drain_delay = Duration::from_mins(1)).await;
    until(|| server.readiness.is_ready()).await;
    let mut kept = server.connect().await;
    let request = b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n";
    kept.write_all(request).await.expect("writes");
    let mut buffer = [0_u8; 4096];
    let read = kept.read(&mut buffer).await.expect("reads");
    assert!(!String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase().contains("connection: close"));

    server.stop();
    until(|| !server.readiness.is_ready()).await;
    kept.write_all(request).await.expect("a resting connection is still served");
    // Reads to the end of the connection.
    let reply = Reply::read(&mut kept).await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{reply:?}");
}
