//! What operators and machines ask for: documentation, keys, health, metrics.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::AuthKit;
use authkit_core::flows::{Health, OutboxStats};
use authkit_core::ports::{BusHealth, CacheHealth, LimiterHealth};
use poem::endpoint::{make, make_sync};
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, Response, Route, get};
use serde_json::{Value, json};

use crate::api;
use crate::http::{Readiness, RouteTable, content_security_policy};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::telemetry::Metrics;

/// How long a reader may keep the key set, in seconds: a fourth of the time that a new key is published before it signs.
const JWKS_MAX_AGE_SECONDS: u32 = 900;
/// How long the store may take to say that it is there.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

const PATHS: [&str; 6] = ["/docs", "/openapi.json", "/.well-known/jwks.json", "/health/live", "/health/ready", "/metrics"];

/// Names the routes to the log and the metrics.
pub(super) fn describe(table: RouteTable) -> RouteTable {
    PATHS.into_iter().fold(table, |table, path| table.route(path, [Method::GET]))
}

/// Adds the routes that the settings open.
pub(super) fn add_to(
    routes: Route,
    settings: &Settings,
    service: &api::Service,
    auth: &AuthKit,
    metrics: &Metrics,
    readiness: Readiness,
) -> Route {
    let mut routes = routes
        .at("/.well-known/jwks.json", get(jwks(auth.clone())))
        .at("/health/live", get(make_sync(|_| json_reply(StatusCode::OK, &json!({ "status": "live" })))))
        .at("/health/ready", get(ready(auth.clone(), readiness)));
    if settings.docs_are_open() {
        let document: Arc<str> = api::document(service).into();
        let page: Arc<str> = api::docs_page(service, &document).into();
        let policy = content_security_policy(&page);
        routes = routes.at("/openapi.json", get(fixed("application/json", document, None)));
        routes = routes.at("/docs", get(fixed("text/html; charset=utf-8", page, Some(policy))));
    }
    if settings.metrics_are_open() {
        routes = routes.at("/metrics", get(exposition(metrics.clone())));
    }
    routes
}

fn fixed(content_type: &'static str, body: Arc<str>, policy: Option<String>) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        let response = Response::builder().content_type(content_type).header(header::CACHE_CONTROL, "no-cache");
        let response = match &policy {
            Some(policy) => response.header(header::CONTENT_SECURITY_POLICY, policy.as_str()),
            None => response,
        };
        response.body(body.to_string())
    })
}

/// The public keys (RFC 7517 §5).
fn jwks(auth: AuthKit) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        Response::builder()
            .content_type("application/jwk-set+json")
            .header(header::CACHE_CONTROL, format!("public, max-age={JWKS_MAX_AGE_SECONDS}"))
            .body(auth.keys().jwks())
    })
}

/// Whether this node wants requests, and each part that it needs.
fn ready(auth: AuthKit, readiness: Readiness) -> impl Endpoint<Output = Response> {
    make(move |_| {
        let (auth, stopping) = (auth.clone(), !readiness.is_ready());
        async move {
            let health = tokio::time::timeout(HEALTH_TIMEOUT, auth.health()).await.ok();
            let (status, mut body) = report(health.as_ref(), auth.config().limits.enabled, stopping);
            body["parts"]["outbox"] = outbox(&auth.outbox().stats());
            json_reply(status, &body)
        }
    })
}

/// What waits to be sent. Nobody is turned away because of it: messages wait for as long as they have to.
fn outbox(stats: &OutboxStats) -> Value {
    json!({
        "status": if stats.needs_attention() { "degraded" } else { "up" },
        "waiting": stats.waiting,
        "dead": stats.dead,
        "overdue_seconds": stats.overdue.as_secs(),
    })
}

fn report(health: Option<&Health>, counts: bool, stopping: bool) -> (StatusCode, Value) {
    let is_ready = !stopping && health.is_some_and(Health::is_ready);
    let is_degraded = health.is_none_or(Health::is_degraded);
    let status = match (stopping, is_ready, is_degraded) {
        (true, ..) => "stopping",
        (_, false, _) => "unavailable",
        (_, true, true) => "degraded",
        (_, true, false) => "ready",
    };
    let part = |up: bool| if up { "up" } else { "down" };
    let bus = health.map_or("unknown", |health| if health.bus == BusHealth::Connected { "up" } else { "degraded" });
    let limits = match health.map(|health| health.limiter) {
        _ if !counts => "off",
        Some(LimiterHealth::Working) => "up",
        Some(_) => "degraded",
        None => "unknown",
    };
    let records = health.map_or("unknown", |health| if health.cache == CacheHealth::Working { "up" } else { "degraded" });
    let age = health.and_then(|health| health.revocations_age).map(|age| age.as_secs());
    let clock = match health.map(|health| (health.is_on_time(), health.clock_skew)) {
        Some((true, _)) => "up",
        Some((false, _)) => "down",
        None => "unknown",
    };
    let skew = health.and_then(|health| health.clock_skew).map(|skew| skew.as_millis());
    let audit = match health {
        None => json!({ "status": "unknown" }),
        Some(health) => {
            let mut audit = json!({
                "status": if health.is_audit_late() { "degraded" } else { "up" },
                "unsealed_seconds": health.unsealed_for.as_secs(),
            });
            if let Some(stream) = &health.audit_stream {
                audit["stream"] = json!({
                    "status": if stream.is_failing { "failing" } else if stream.is_here { "up" } else { "elsewhere" },
                    "behind_seconds": stream.behind.as_secs(),
                });
            }
            audit
        }
    };
    let body = json!({
        "status": status,
        "parts": {
            "clock": { "status": clock, "skew_milliseconds": skew },
            "database": { "status": part(health.is_some_and(|health| health.store)) },
            "revocations": { "status": bus, "age_seconds": age },
            "rate_limits": { "status": limits },
            "records": { "status": records },
            "audit": audit,
        },
    });
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
}

/// The figures, in the text format of OpenMetrics.
fn exposition(metrics: Metrics) -> impl Endpoint<Output = Response> {
    make_sync(move |_| match metrics.render() {
        Ok(text) => Response::builder().content_type(Metrics::content_type()).body(text),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            poem::IntoResponse::into_response(Problem::internal())
        }
    })
}

fn json_reply(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}
