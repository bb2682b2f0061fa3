//! What operators and machines ask for: health, keys, metrics, documentation.

use serde_json::json;

use crate::account::{ME, REFRESH, refresh_token, register};
use crate::support::Server;
use crate::{SETTINGS, settings_with};

#[tokio::test]
async fn operators_and_machines_get_health_keys_metrics_and_documentation() {
    let server = Server::start(SETTINGS).await;
    let tokens = register(&server, "ada@example.com").await;
    server.post(REFRESH, &refresh_token(&tokens)).await.expect(200);
    server.get("/wp-login.php").await.problem(404, "request.not_found");

    assert_eq!(server.get("/health/live").await.expect(200).json(), json!({ "status": "live" }));
    let ready = server.get("/health/ready").await.expect(200).json();
    assert_eq!((&ready["status"], &ready["parts"]["database"]["status"]), (&json!("ready"), &json!("up")));

    let keys = server.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys.header("cache-control"), "public, max-age=900");
    let keys = keys.json();
    let keys = keys["keys"].as_array().expect("keys");
    assert!(!keys.is_empty());
    for key in keys {
        let members: Vec<_> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "public members and no other");
    }

    let metrics = server.get("/metrics").await.expect(200);
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(metrics.body.to_vec()).expect("UTF-8");
    let figure = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("no figure in {line}"))
    };
    assert!(figure("authkit_hashing_hashed_total ") >= 1.0 && figure("authkit_hashing_threads ") >= 1.0);
    assert!(figure("authkit_store_change_sets_total ") >= 1.0 && figure("authkit_store_batches_total ") >= 1.0);
    assert!(figure(r#"authkit_http_requests_total{method="POST",route="/api/v1/auth/register",status="2xx"}"#) >= 1.0);
    assert!(figure(r#"authkit_http_requests_total{method="GET",route="unmatched",status="4xx"}"#) >= 1.0);
    assert!(text.ends_with("# EOF\n") && !text.contains("wp-login") && !text.contains("route=\"\""));

    let docs = server.get("/docs").await.expect(200);
    let policy = docs.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
    assert!(!policy.split(';').any(|part| part.contains("script-src") && part.contains("unsafe")), "{policy}");
    assert!(String::from_utf8_lossy(&docs.body).contains("swagger-ui"));
    server.get_as(ME, &tokens.access).await.expect(200);
}

#[tokio::test]
async fn documentation_and_metrics_can_be_closed() {
    let server = Server::start(&settings_with(&[("AUTHKIT_EXPOSE_DOCS", "off"), ("AUTHKIT_EXPOSE_METRICS", "off")])).await;
    for path in ["/docs", "/openapi.json", "/metrics"] {
        server.get(path).await.problem(404, "request.not_found");
    }
    server.get("/health/ready").await.expect(200);
    server.get("/.well-known/jwks.json").await.expect(200);
}

#[tokio::test]
async fn the_binary_asks_a_running_server_how_it_is() {
    let mut server = Server::start(SETTINGS).await;
    let ask = async |server: &Server, arguments: &[&str]| {
        let output = server.run(arguments, &[], "").await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = ask(&server, &["health"]).await;
    assert!(code == Some(0) && said.contains("\"status\":\"ready\""), "{code:?} {said}");
    assert_eq!(ask(&server, &["health", "--live"]).await, (Some(0), "{\"status\":\"live\"}\n".to_owned()));

    server.kill();
    for arguments in [&["health"][..], &["health", "--live"]] {
        let output = server.run(arguments, &[], "").await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{complaint}");
        assert!(complaint.contains("no answer at 127.0.0.1:"), "{complaint}");
    }
}
