//! One line in the log, and one observation in the metrics, for every request.

use std::sync::Arc;
use std::time::Instant;

use authkit_core::model::RequestContext;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::PathPattern;
use poem::{Body, Endpoint, Middleware, Request, Response, Result};

use crate::http::route_table::RouteTable;
use crate::telemetry::Metrics;

/// The most bytes of a path that a log line holds.
const MAX_PATH_BYTES: usize = 256;

/// Writes the request log.
///
/// SECURITY: a line holds no query, no header of the client but a request id that was checked, and no body: these are where
/// tokens and passwords travel.
#[derive(Debug)]
pub(crate) struct AccessLog {
    metrics: Metrics,
    routes: Arc<RouteTable>,
}

impl AccessLog {
    pub(crate) fn new(metrics: Metrics, routes: Arc<RouteTable>) -> Self {
        Self { metrics, routes }
    }
}

impl<E: Endpoint<Output = Response>> Middleware<E> for AccessLog {
    type Output = WithAccessLog<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithAccessLog { inner, metrics: self.metrics.clone(), routes: Arc::clone(&self.routes) }
    }
}

pub(crate) struct WithAccessLog<E> {
    inner: E,
    metrics: Metrics,
    routes: Arc<RouteTable>,
}

impl<E: Endpoint<Output = Response>> Endpoint for WithAccessLog<E> {
    type Output = Response;

    #[expect(clippy::disallowed_methods, reason = "measures how long the request took")]
    async fn call(&self, request: Request) -> Result<Response> {
        let started = Instant::now();
        let method = request.method().clone();
        let uri = request.uri().clone();
        let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
        let in_flight = self.metrics.request_started();

        let mut response = self.inner.call(request).await?;

        drop(in_flight);
        let took = started.elapsed();
        let status = response.status();
        // What no route of the API matched has the pattern of where the API is nested, which is empty.
        let route = response.data::<PathPattern>().filter(|pattern| !pattern.0.is_empty()).cloned();
        let route = route.as_ref().map(|pattern| self.routes.documented(&pattern.0));
        let bytes = known_length(&mut response);
        self.metrics.request_finished(&method, route, status, took);
        tracing::info!(
            target: "authkit_server::access",
            method = method.as_str(),
            // The path is logged only where no pattern tells which route it was.
            path = route.unwrap_or_else(|| shortened(uri.path())),
            status = status.as_u16(),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            bytes,
            client = context.client.ip.map(tracing::field::display),
            request_id = context.request_id.as_ref().map(authkit_core::RequestId::as_str),
            "request"
        );
        Ok(response)
    }
}

fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(MAX_PATH_BYTES)]
}

/// The size of the reply, where it is not a stream.
fn known_length(response: &mut Response) -> Option<u64> {
    let body = BoxBody::from(response.take_body());
    let length = body.size_hint().exact();
    response.set_body(Body::from(body));
    length
}
