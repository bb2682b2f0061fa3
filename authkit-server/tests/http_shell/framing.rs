//! Sizes and framing: what is too much or ambiguous is refused, and the connection ends.

use tokio::io::AsyncWriteExt;

use crate::harness::{Reply, Server};

const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn a_large_body_is_refused_by_its_announced_length() {
    let server = Server::start(|_| {}).await;
    for target in ["/api/v1/echo", "/api/v1/careless"] {
        let reply = server.post(target, "application/json", &"x".repeat(TEN_MEGABYTES)).await;
        assert_eq!(reply.problem(413, "request.body_too_large")["max_bytes"], 64 * 1024);
    }
    let announced = "POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\nExpect: 100-continue\r\n\r\n";
    server.raw(announced).await.problem(413, "request.body_too_large");
}

#[tokio::test]
async fn a_large_chunked_body_is_refused_while_it_arrives() {
    let server = Server::start(|_| {}).await;
    for target in ["/api/v1/echo", "/api/v1/careless"] {
        let mut stream = server.connect().await;
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("writes");
        let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
        let mut sent = 0;
        while sent < TEN_MEGABYTES && stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 64 * 1024;
        }
        Reply::read(&mut stream).await.problem(413, "request.body_too_large");
    }
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_is_taken() {
    let server = Server::start(|_| {}).await;
    let request = "POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\n{\"tex\r\n8\r\nt\":\"hi\"}\r\n0\r\n\r\n";
    let reply = server.raw(request).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "\"hi\""));
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let server = Server::start(|_| {}).await;
    let many = "X-Filler: y\r\n".repeat(120);
    server.get("GET", "/api/v1/whoami", &many).await.problem(431, "request.headers_too_large");
    let large = format!("X-Filler: {}\r\n", "y".repeat(17 * 1024));
    server.get("GET", "/api/v1/whoami", &large).await.problem(431, "request.headers_too_large");
    // Far over the limit nothing is parsed any more, and the answer is bare.
    let flood = "X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(100_000);
    assert_eq!(server.get("GET", "/api/v1/whoami", &flood).await.status, 431);
    assert_eq!(server.get("GET", "/api/v1/whoami", "").await.status, 200);
}

#[tokio::test]
async fn a_long_url_is_refused() {
    let server = Server::start(|_| {}).await;
    let target = format!("/api/v1/whoami?q={}", "x".repeat(9 * 1024));
    server.get("GET", &target, "").await.problem(414, "request.uri_too_long");
}

#[tokio::test]
async fn a_request_that_two_parsers_could_read_differently_is_a_400_and_ends_the_connection() {
    let server = Server::start(|_| {}).await;
    let hidden = "GET /private HTTP/1.1\r\nHost: x\r\n\r\n";
    let corpus = [
        // RFC 9112 §6.3: two lengths that differ, a length that is none, an encoding that is not final, and both at once.
        format!("POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345{hidden}"),
        format!("POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n12345{hidden}"),
        format!("POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n12345{hidden}"),
        format!("POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("POST /api/v1/echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // Folded and malformed lines.
        format!("GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nX-A: b\r\n folded\r\n\r\n{hidden}"),
        format!("GET /api/v1/whoami HTTP/1.1\r\nHost : x\r\n\r\n{hidden}"),
        format!("GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n{hidden}"),
        format!("GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n{hidden}"),
        format!("GET /api/v1/whoami HTTP/9.9\r\nHost: x\r\n\r\n{hidden}"),
        format!("GET /api v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n{hidden}"),
    ];
    for bytes in corpus {
        let reply = server.raw(&bytes).await;
        assert_eq!(reply.status, 400, "{bytes:?}: {reply:?}");
        assert!(!reply.body.contains("HTTP/1.1"), "the hidden request was answered: {bytes:?}");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_hides_no_second_request() {
    let server = Server::start(|_| {}).await;
    let hidden = "GET /private HTTP/1.1\r\nHost: x\r\n\r\n";
    let request = format!(
        "POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    );
    let reply = server.raw(request).await;
    assert!((400..500).contains(&reply.status), "{reply:?}");
    assert!(!reply.body.contains("HTTP/1.1"), "the hidden request was answered: {reply:?}");
}

#[tokio::test]
async fn broken_chunks_are_a_400_that_ends_the_connection() {
    let server = Server::start(|_| {}).await;
    let head = "POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in ["zz\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}", "2\r\n{}XX0\r\n\r\n"] {
        let reply = server.raw(format!("{head}{chunks}")).await;
        reply.problem(400, "request.body_incomplete");
    }
}
