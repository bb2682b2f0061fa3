//! How large a request may be.

use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use poem::http::Version;
use poem::http::header::{CONTENT_LENGTH, HOST};
use poem::{Body, Endpoint, Middleware, Request, Result};
use tokio::time::Instant;

use crate::http::body::CappedBody;
use crate::http::limits::Limits;
use crate::problem::Problem;

/// Refuses a request that is too large, and counts the body of the others while it arrives.
#[derive(Debug)]
pub(crate) struct RequestLimits(Arc<Limits>);

impl RequestLimits {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self(limits)
    }
}

impl<E: Endpoint> Middleware<E> for RequestLimits {
    type Output = WithRequestLimits<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithRequestLimits { inner, limits: Arc::clone(&self.0) }
    }
}

pub(crate) struct WithRequestLimits<E> {
    inner: E,
    limits: Arc<Limits>,
}

impl<E: Endpoint> Endpoint for WithRequestLimits<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        check(&request, &self.limits)?;
        let body = BoxBody::from(request.take_body());
        let deadline = Instant::now() + self.limits.body_timeout;
        let body = CappedBody::new(body, self.limits.max_body_bytes, deadline);
        request.set_body(Body::from(BoxBody::new(body)));
        self.inner.call(request).await
    }
}

fn check(request: &Request, limits: &Limits) -> Result<(), Problem> {
    let uri_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > limits.max_uri_bytes {
        return Err(Problem::uri_too_long(limits.max_uri_bytes));
    }
    let headers = request.headers();
    // RFC 9112 §3.2: none is allowed before HTTP/1.1 only, and two are two requests to two different readers.
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() >= Version::HTTP_11) {
        return Err(Problem::invalid_host());
    }
    // Each line of a head also has `: ` and CRLF.
    let head_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > limits.max_headers || uri_bytes + head_bytes > limits.max_head_bytes {
        return Err(Problem::headers_too_large());
    }
    // hyper has refused a length that is not a number, so what cannot be read here is too large for a u64.
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).map(str::parse::<u64>);
    let max_body = limits.max_body_bytes as u64;
    match announced {
        Some(Ok(bytes)) if bytes <= max_body => Ok(()),
        None => Ok(()),
        Some(_) => Err(Problem::body_too_large(limits.max_body_bytes)),
    }
}
