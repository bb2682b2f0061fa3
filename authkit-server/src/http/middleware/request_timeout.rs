//! No request takes for ever.

use std::time::Duration;

use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use tokio::time::timeout;

use crate::problem::Problem;

/// Gives up on a request after a time, with a 503.
#[derive(Debug)]
pub(crate) struct RequestTimeout(Duration);

impl RequestTimeout {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(limit)
    }
}

impl<E: Endpoint> Middleware<E> for RequestTimeout {
    type Output = WithRequestTimeout<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithRequestTimeout { inner, limit: self.0 }
    }
}

pub(crate) struct WithRequestTimeout<E> {
    inner: E,
    limit: Duration,
}

impl<E: Endpoint> Endpoint for WithRequestTimeout<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        match timeout(self.limit, self.inner.call(request)).await {
            Ok(result) => result.map(IntoResponse::into_response),
            Err(_) => Err(Problem::timed_out().into()),
        }
    }
}
