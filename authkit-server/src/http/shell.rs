//! The shell put together: the layers around an application, in their order.

use std::sync::Arc;

use authkit_core::{Clock, Entropy, OsEntropy, SystemClock};
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use tokio::net::TcpListener;

use super::client_address::TrustedProxies;
use super::limits::Limits;
use super::listener::{Drained, Readiness, Service};
use super::middleware::access_log::AccessLog;
use super::middleware::panic::catch_panic;
use super::middleware::problems::Problems;
use super::middleware::request_context::AddRequestContext;
use super::middleware::request_limits::RequestLimits;
use super::middleware::request_timeout::RequestTimeout;
use super::middleware::security_headers::SecurityHeaders;
use super::route_table::RouteTable;
use crate::telemetry::Metrics;

/// The HTTP shell around an application. See the [module](crate::http) for an example.
#[derive(Debug, Clone)]
#[must_use]
pub struct HttpShell {
    limits: Arc<Limits>,
    trusted: TrustedProxies,
    metrics: Metrics,
    routes: Arc<RouteTable>,
    readiness: Readiness,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl HttpShell {
    /// A shell with its limits, that trusts no proxy.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Arc::new(limits),
            trusted: TrustedProxies::default(),
            metrics: Metrics::new(),
            routes: Arc::default(),
            readiness: Readiness::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// Believes these networks about the address of a client.
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.trusted = trusted;
        self
    }

    /// Counts requests and connections here.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Knows these routes by their methods and names.
    pub fn routes(mut self, routes: RouteTable) -> Self {
        self.routes = Arc::new(routes);
        self
    }

    /// Takes the time and the randomness of request ids from here.
    pub fn clock_and_entropy(mut self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        self.clock = clock;
        self.entropy = entropy;
        self
    }

    /// Whether the service wants requests, for the readiness probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Puts the layers around an application.
    pub fn wrap<A>(&self, application: A) -> impl Endpoint<Output = Response> + use<A>
    where
        A: IntoEndpoint + 'static,
        A::Endpoint: 'static,
    {
        // From the inside out. The id comes first on the way in, so that every other layer can name it; problems are made
        // outside of everything that can fail, and headers and log lines outside of that, so that no reply escapes them.
        application
            .with(RequestLimits::new(Arc::clone(&self.limits)))
            .with(RequestTimeout::new(self.limits.request_timeout))
            .with(catch_panic())
            .with(Problems::new(Arc::clone(&self.routes)))
            .with(SecurityHeaders)
            .with(AccessLog::new(self.metrics.clone(), Arc::clone(&self.routes)))
            .with(AddRequestContext::new(self.trusted.clone(), Arc::clone(&self.clock), Arc::clone(&self.entropy)))
    }

    /// Serves an application until `shutdown` comes, then lets what is in flight finish.
    pub async fn serve<A>(self, listener: TcpListener, application: A, shutdown: impl Future<Output = ()>) -> Drained
    where
        A: IntoEndpoint + 'static,
        A::Endpoint: 'static,
    {
        let endpoint = Arc::new(self.wrap(application));
        let service = Service { limits: self.limits, trusted: self.trusted, metrics: self.metrics, readiness: self.readiness };
        service.run(listener, endpoint, shutdown).await
    }
}
