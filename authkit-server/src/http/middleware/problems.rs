//! The catch-all: whatever goes wrong below leaves as a problem with the id of its request.

use std::sync::Arc;

use authkit_core::RequestId;
use authkit_core::model::RequestContext;
use poem::PathPattern;
use poem::http::StatusCode;
use poem::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};

use crate::http::route_table::RouteTable;
use crate::problem::Problem;

/// Makes a [`Problem`] of every error.
#[derive(Debug)]
pub(crate) struct Problems(Arc<RouteTable>);

impl Problems {
    pub(crate) fn new(routes: Arc<RouteTable>) -> Self {
        Self(routes)
    }
}

impl<E: Endpoint> Middleware<E> for Problems {
    type Output = WithProblems<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithProblems { inner, routes: Arc::clone(&self.0) }
    }
}

pub(crate) struct WithProblems<E> {
    inner: E,
    routes: Arc<RouteTable>,
}

impl<E: Endpoint> Endpoint for WithProblems<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let id = request.extensions().get::<RequestContext>().and_then(|context| context.request_id.clone());
        match self.inner.call(request).await {
            Ok(output) => Ok(self.checked(output.into_response(), id)),
            Err(error) => {
                let problem = Problem::from_error(&error);
                if problem.status().is_server_error() && error.downcast_ref::<Problem>().is_none() {
                    tracing::error!(request_id = id.as_ref().map(RequestId::as_str), %error, "a request failed");
                }
                let pattern = error.data::<PathPattern>().cloned();
                Ok(self.rendered(problem, pattern, id))
            }
        }
    }
}

impl<E> WithProblems<E> {
    /// Looks at a reply that is not an error to poem but may be one to the client.
    fn checked(&self, response: Response, id: Option<RequestId>) -> Response {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        let pattern = response.data::<PathPattern>().cloned();
        if let Some(problem) = response.data::<Problem>().cloned() {
            return self.rendered(problem, pattern, id);
        }
        // JSON was made by a handler that meant it, such as the health report, and HTML by a page; any other text is a framework's.
        let is_meant = |kind: &str| kind.starts_with("application/") && kind.contains("json") || kind.starts_with("text/html");
        if response.content_type().is_some_and(is_meant) {
            return response;
        }
        let mut replaced = self.rendered(Problem::of_status(status), pattern, id);
        for name in [ALLOW, RETRY_AFTER, WWW_AUTHENTICATE] {
            if let Some(value) = response.headers().get(&name) {
                replaced.headers_mut().insert(name, value.clone());
            }
        }
        replaced
    }

    fn rendered(&self, mut problem: Problem, pattern: Option<PathPattern>, id: Option<RequestId>) -> Response {
        if let Some(id) = id {
            problem = problem.with_request_id(id);
        }
        if let Some(PathPattern(pattern)) = &pattern {
            problem = problem.rename_fields(|name| self.routes.parameter(pattern, name));
            if problem.status() == StatusCode::METHOD_NOT_ALLOWED
                && let Some(methods) = self.routes.allow(pattern)
            {
                problem = problem.allow(methods);
            }
        }
        let mut response = problem.into_response();
        if let Some(pattern) = pattern {
            response.set_data(pattern);
        }
        response
    }
}
