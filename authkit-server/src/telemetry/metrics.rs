//! Numbers for Prometheus.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem::http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::render`] (OpenMetrics 1.0).
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the label `route` says where no route matched. The path of the client would make one series per guess.
const UNMATCHED: &str = "unmatched";

/// The metrics of the service. Cheap to clone; every clone counts into the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, DurationBuckets>,
    in_flight: Gauge,
    connections: Gauge,
    refused: Counter<u64, AtomicU64>,
    accept_failures: Counter<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    method: &'static str,
    route: String,
}

/// Half a millisecond to ten seconds: a verified token takes well below one, a password hash around ten, and a queue more.
#[derive(Clone)]
struct DurationBuckets;

impl MetricConstructor<Histogram> for DurationBuckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers the metrics of the HTTP shell.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("authkit");
        let requests = Family::default();
        let durations = Family::new_with_constructor(DurationBuckets);
        let (in_flight, connections) = (Gauge::default(), Gauge::default());
        let (refused, accept_failures) = (Counter::default(), Counter::default());
        registry.register("http_requests", "Requests answered", requests.clone());
        let help = "Time from the head of a request to the head of its reply";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, durations.clone());
        registry.register("http_requests_in_flight", "Requests being answered", in_flight.clone());
        registry.register("http_connections", "Open connections", connections.clone());
        registry.register("http_connections_refused", "Connections turned away at a cap", refused.clone());
        registry.register("http_accept_failures", "Failures to accept a connection", accept_failures.clone());
        let registry = Mutex::new(registry);
        Self(Arc::new(Inner { registry, requests, durations, in_flight, connections, refused, accept_failures }))
    }

    /// Adds numbers that somebody else keeps; they are asked at every scrape.
    pub fn register_collector(&self, collector: Box<dyn Collector>) {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(collector);
    }

    /// Adds metrics to the registry.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics as OpenMetrics text, which Prometheus reads. Serve it as [`Metrics::content_type`].
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }

    /// The media type of [`Metrics::render`].
    #[must_use]
    pub const fn content_type() -> &'static str {
        OPENMETRICS
    }

    /// Counts a request as in flight until the guard is dropped, also when its client hangs up.
    #[must_use]
    pub fn request_started(&self) -> InFlightGuard {
        self.0.in_flight.inc();
        InFlightGuard(self.clone())
    }

    /// Counts an answered request. `route` is the pattern of the route, never the path of the client.
    pub fn request_finished(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let method = known_method(method);
        let route = route.unwrap_or(UNMATCHED);
        let labels = RequestLabels { method, route: route.to_owned(), status: status_class(status) };
        self.0.requests.get_or_create(&labels).inc();
        let labels = DurationLabels { method, route: labels.route };
        self.0.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a connection as open until the guard is dropped.
    #[must_use]
    pub fn connection_opened(&self) -> ConnectionGuard {
        self.0.connections.inc();
        ConnectionGuard(self.clone())
    }

    /// Counts a connection that was turned away.
    pub fn connection_refused(&self) {
        self.0.refused.inc();
    }

    /// Counts a failure to accept a connection.
    pub fn accept_failed(&self) {
        self.0.accept_failures.inc();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlightGuard(Metrics);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.in_flight.dec();
    }
}

/// An open connection.
#[derive(Debug)]
pub struct ConnectionGuard(Metrics);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.0.connections.dec();
    }
}

/// SECURITY: a client can invent methods, and each would be a series that is kept for ever.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::DescriptorEncoder;
    use prometheus_client::encoding::EncodeMetric;
    use prometheus_client::metrics::gauge::ConstGauge;

    use super::*;

    #[derive(Debug)]
    struct Queue;

    impl Collector for Queue {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            let gauge = ConstGauge::new(7_i64);
            let metric = encoder.encode_descriptor("hash_queue", "Hashes that wait", None, gauge.metric_type())?;
            gauge.encode(metric)
        }
    }

    #[test]
    fn a_client_cannot_make_series() {
        let metrics = Metrics::new();
        for number in 0..100 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a method");
            metrics.request_finished(&method, None, StatusCode::NOT_FOUND, Duration::from_millis(1));
        }
        let text = metrics.render().expect("renders");
        assert_eq!(text.matches("authkit_http_requests_total{").count(), 1, "{text}");
        assert!(text.contains("authkit_http_requests_total{method=\"OTHER\",route=\"unmatched\",status=\"4xx\"} 100"), "{text}");
    }

    #[test]
    fn others_add_their_own_numbers_and_gauges_go_down_again() {
        let metrics = Metrics::new();
        metrics.register_collector(Box::new(Queue));
        drop(metrics.request_started());
        let _open = metrics.connection_opened();
        let text = metrics.render().expect("renders");
        assert!(text.contains("hash_queue 7"), "{text}");
        assert!(text.contains("authkit_http_requests_in_flight 0") && text.contains("authkit_http_connections 1"), "{text}");
    }
}
