//! The driver against a small server that speaks the contract, sheds now and then, and can be told to misbehave.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use authkit_benches::context::{Context, ScenarioError};
use authkit_benches::options::Options;
use authkit_benches::report::Report;
use authkit_benches::scenario;
use bytes::Bytes;
use clap::Parser as _;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Every how many logins one is shed.
const SHED_EVERY: u64 = 3;

#[derive(Default)]
struct Stub {
    passwords: Mutex<HashMap<String, String>>,
    live_refresh_tokens: Mutex<HashSet<String>>,
    tokens: AtomicU64,
    logins: AtomicU64,
    /// A path that answers 500.
    broken: Option<&'static str>,
}

impl Stub {
    /// Listens on a free port, for as long as the test's runtime lives.
    async fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stub = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stub = Arc::clone(&stub);
                let service = service_fn(move |request| Arc::clone(&stub).answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        address
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let bearer = request.headers().get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"Bearer at-"));
        let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let (status, body) = match path.as_str() {
            path if self.broken == Some(path) => (500, json!({ "code": "internal" })),
            "/api/v1/auth/register" => {
                match self.passwords.lock().expect("no holder panics").insert(text("email"), text("password")) {
                    None => (201, self.issue()),
                    Some(_) => (409, json!({ "code": "account.email_taken" })),
                }
            }
            "/api/v1/auth/login" if self.logins.fetch_add(1, Ordering::Relaxed).is_multiple_of(SHED_EVERY) => {
                (503, json!({ "code": "overloaded" }))
            }
            "/api/v1/auth/login"
                if self.passwords.lock().expect("no holder panics").get(&text("email")) == Some(&text("password")) =>
            {
                (200, self.issue())
            }
            // Stricter than the contract: a driver that presents a token twice is found out.
            "/api/v1/auth/refresh" => {
                let known = self.live_refresh_tokens.lock().expect("no holder panics").remove(&text("refresh_token"));
                if known { (200, self.issue()) } else { (401, json!({ "code": "auth.refresh_token_reused" })) }
            }
            "/api/v1/users/me" if bearer => (200, json!({ "email": "somebody" })),
            _ => (401, json!({ "code": "auth.invalid_credentials" })),
        };
        let response = Response::builder().status(status).header("retry-after", "1");
        Ok(response.body(Full::new(Bytes::from(body.to_string()))).expect("a response"))
    }

    fn issue(&self) -> Value {
        let serial = self.tokens.fetch_add(1, Ordering::Relaxed);
        self.live_refresh_tokens.lock().expect("no holder panics").insert(format!("rt-{serial}"));
        json!({ "access_token": format!("at-{serial}"), "refresh_token": format!("rt-{serial}"), "token_type": "Bearer", "expires_in": 900 })
    }
}

async fn run(stub: Stub, name: &str) -> Result<Report, ScenarioError> {
    let url = format!("http://{}", stub.listen().await);
    let options = Options::try_parse_from(["load", "--url", &url, "--seconds", "1", "--rate", "200", "--connections", "4"]);
    let context = Arc::new(Context::new(options.expect("a command line")).await?);
    let scenario = scenario::select(&[name.to_owned()]).expect("it exists")[0];
    (scenario.run)(context).await
}

async fn line(stub: Stub, name: &str) -> Value {
    let report = run(stub, name).await.expect("it runs");
    assert!(report.is_clean(), "{}", report.to_line(name));
    serde_json::from_str(&report.to_line(name)).expect("a line of JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_http_scenario_comes_to_numbers() {
    for (name, key) in [("register", "register_per_s"), ("me", "me_per_s"), ("refresh", "refresh_per_s")] {
        let line = line(Stub::default(), name).await;
        assert!(line[key].as_f64().is_some_and(|rate| rate > 0.0), "{line}");
        assert!(line["p99_us"].as_f64() >= line["p50_us"].as_f64(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shed_login_is_counted_apart_and_never_as_a_success() {
    let stormy = line(Stub::default(), "me_under_logins").await;
    assert!(stormy["requests"]["shed"].as_u64().is_some_and(|shed| shed > 0), "{stormy}");
    assert!(stormy["storm_login_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{stormy}");
    assert!(stormy["p99_ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{stormy}");
    // One second idle in halves and one under the storm, at 200 a second each; the logins come on top.
    assert!(stormy["requests"]["ok"].as_u64().is_some_and(|ok| ok > 400), "{stormy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_error_spoils_the_report() {
    let report = run(Stub { broken: Some("/api/v1/users/me"), ..Stub::default() }, "me").await.expect("it runs");
    assert!(!report.is_clean());
    assert!(report.to_line("me").contains(r#""unexpected":{"500":"#), "{}", report.to_line("me"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_makes_no_accounts_ends_the_scenario_with_the_reason() {
    let error = run(Stub { broken: Some("/api/v1/auth/register"), ..Stub::default() }, "me").await.expect_err("it cannot run");
    assert!(error.to_string().contains("500"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_process_is_skipped_without_one() {
    for name in ["cold_start", "idle_rss", "login_rss"] {
        assert!(line(Stub::default(), name).await["skipped"].is_string(), "{name}");
    }
}
