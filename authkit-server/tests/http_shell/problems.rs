//! Every error is a problem document, and none says more than it should.

use authkit_server::http::Limits;

use crate::harness::Server;

const JSON: &str = "application/json";

#[tokio::test]
async fn every_framework_error_is_a_problem_with_the_id_of_its_request() {
    let server = Server::start(|_| {}).await;
    server.get("GET", "/nowhere", "").await.problem(404, "request.not_found");
    server.get("GET", "/api/v1/nowhere?access_token=canary", "").await.problem(404, "request.not_found");
    let path = server.get("GET", "/api/v1/items/canary", "").await;
    assert_eq!(path.problem(400, "request.invalid_parameter")["errors"][0]["field"], "id");
    let query = server.get("GET", "/api/v1/items/1?page=canary", "").await;
    assert_eq!(query.problem(400, "request.invalid_parameter")["errors"][0]["field"], "page");
    server.post("/api/v1/echo", "text/plain", "{}").await.problem(415, "request.unsupported_media_type");
    server.get("POST", "/api/v1/echo", "").await.problem(415, "request.unsupported_media_type");
    server.post("/api/v1/careless", "text/plain", "{}").await.problem(415, "request.unsupported_media_type");
    let careless = server.post("/api/v1/careless", JSON, r#"{"text":{"secret":"canary"}}"#).await;
    careless.problem(400, "request.malformed_json");
    for reply in [path, query, careless] {
        assert!(!reply.body.contains("canary") && !reply.body.contains("failed to parse"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_method_that_a_route_does_not_know_is_a_405_that_says_which_it_knows() {
    let server = Server::start(|_| {}).await;
    for method in ["PUT", "TRACE", "OPTIONS", "PROPFIND", "get"] {
        let reply = server.get(method, "/api/v1/items/1", "").await;
        reply.problem(405, "request.method_not_allowed");
        assert_eq!(reply.header("allow"), Some("get, head"), "{method}");
    }
    let head = server.get("HEAD", "/api/v1/items/1", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_body_is_taken_strictly() {
    let server = Server::start(|_| {}).await;
    let good = server.post("/api/v1/echo", "application/json; charset=utf-8", r#"{"text":"hi"}"#).await;
    assert_eq!((good.status, good.body.as_str()), (200, "\"hi\""));
    let unknown = server.post("/api/v1/echo", JSON, r#"{"text":"hi","is_admin":true}"#).await;
    assert_eq!(unknown.problem(422, "request.unknown_member")["errors"][0]["field"], "is_admin");
    server.post("/api/v1/echo", JSON, "{}").await.problem(422, "request.missing_member");
    server.post("/api/v1/echo", JSON, r#"{"text":1}"#).await.problem(422, "request.invalid_type");
    server.post("/api/v1/echo", JSON, r#"{"text":"#).await.problem(400, "request.malformed_json");
    server.post("/api/v1/echo", JSON, "").await.problem(400, "request.malformed_json");
}

#[tokio::test]
async fn a_panic_or_a_failure_is_a_bare_500_and_the_service_lives_on() {
    let server = Server::start(|_| {}).await;
    for target in ["/api/v1/panic", "/api/v1/broken"] {
        let reply = server.get("GET", target, "").await;
        reply.problem(500, "service.internal_error");
        assert!(!reply.body.contains("canary"), "{reply:?}");
    }
    assert_eq!(server.get("GET", "/api/v1/items/1", "").await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_a_503_that_says_when_to_come_back() {
    let server = Server::start(|limits| limits.request_timeout = std::time::Duration::from_millis(100)).await;
    let reply = server.get("GET", "/api/v1/sleep/60000", "").await;
    reply.problem(503, "service.timeout");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn no_authorization_header_is_worse_than_a_401() {
    let server = Server::start(|_| {}).await;
    let none = server.get("GET", "/private?access_token=good", "").await;
    none.problem(401, "auth.unauthenticated");
    assert_eq!(none.header("www-authenticate"), Some("bearer realm=\"authkit\""));
    let long = format!("Authorization: Bearer {}\r\n", "a".repeat(9_000));
    let corpus: [&[u8]; 8] = [
        b"Authorization: Bearer\r\n",
        b"Authorization: Bearer \r\n",
        b"Authorization: Bearer \xff\r\n",
        b"Authorization: bearer x y\r\n",
        b"Authorization: Basic %%%\r\n",
        b"Authorization:\r\n",
        b"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n",
        long.as_bytes(),
    ];
    for headers in corpus {
        let mut bytes = b"GET /private HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".to_vec();
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(b"\r\n");
        let reply = server.raw(bytes).await;
        assert_eq!(reply.status, 401, "{:?}: {reply:?}", String::from_utf8_lossy(headers));
        assert!(reply.header("www-authenticate").is_some_and(|value| value.contains("error=\"invalid_token\"")));
    }
    let huge = format!("Authorization: Bearer {}\r\n", "a".repeat(64 * 1024));
    assert_eq!(server.get("GET", "/private", &huge).await.status, 431);
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let server = Server::start(|_| {}).await;
    let kept = server.get("GET", "/api/v1/whoami", "X-Request-Id: trace.0123-abc\r\n").await;
    assert_eq!(kept.header("x-request-id"), Some("trace.0123-abc"));
    for hostile in
        ["X-Request-Id: a b c d e f\r\n", "X-Request-Id: x\r\n", "X-Request-Id: one-is-fine\r\nX-Request-Id: two-is-not\r\n"]
    {
        let reply = server.get("GET", "/nowhere", hostile).await;
        reply.problem(404, "request.not_found");
        assert_eq!(reply.header("x-request-id").map(str::len), Some(36), "{reply:?}");
    }
}

#[tokio::test]
async fn every_reply_carries_the_security_headers() {
    let server = Server::start(|_| {}).await;
    for target in ["/api/v1/whoami", "/nowhere", "/api/v1/panic", "/private"] {
        let reply = server.get("GET", target, "").await;
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=31536000; includesubdomains"), "{target}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-frame-options"), Some("deny"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert_eq!(reply.header("server"), None, "no versions");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_speaks_for_its_client() {
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\n";
    let alone = Server::start(|_| {}).await;
    assert_eq!(alone.get("GET", "/api/v1/whoami", lies).await.body, "127.0.0.1");
    let behind = Server::start_behind(Limits::default(), &["127.0.0.0/8"]).await;
    let walked = behind.get("GET", "/api/v1/whoami", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n").await;
    assert_eq!(walked.body, "198.51.100.1");
    assert_eq!(behind.get("GET", "/api/v1/whoami", "X-Forwarded-For: garbage\r\n").await.body, "127.0.0.1");
}

#[tokio::test]
async fn requests_are_counted_by_the_pattern_of_their_route() {
    let server = Server::start(|_| {}).await;
    for target in ["/api/v1/items/1", "/api/v1/items/2", "/a/guess", "/another/guess"] {
        server.get("GET", target, "").await;
    }
    let text = server.metrics.render().expect("renders");
    assert!(text.contains(r#"http_requests_total{method="GET",route="/api/v1/items/{id}",status="2xx"} 2"#), "{text}");
    assert!(text.contains(r#"http_requests_total{method="GET",route="unmatched",status="4xx"} 2"#), "{text}");
    assert!(!text.contains("guess"));
}
