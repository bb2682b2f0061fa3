//! Every request of the API counts against what its address may ask of this node, before anything else is done about it.

use authkit_core::AuthKit;
use authkit_core::model::RequestContext;
use poem::{Endpoint, Middleware, Request, Result};

use crate::problem::Problem;

/// Counts requests, and refuses what is too much.
#[derive(Debug)]
pub(crate) struct CountRequests(AuthKit);

impl CountRequests {
    pub(crate) const fn new(auth: AuthKit) -> Self {
        Self(auth)
    }
}

impl<E: Endpoint> Middleware<E> for CountRequests {
    type Output = Counted<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Counted { inner, auth: self.0.clone() }
    }
}

pub(crate) struct Counted<E> {
    inner: E,
    auth: AuthKit,
}

impl<E: Endpoint> Endpoint for Counted<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> Result<Self::Output> {
        let context = request.extensions().get::<RequestContext>().ok_or_else(Problem::internal)?;
        if let Err(refusal) = self.auth.count_request(context).await {
            return Err(Problem::too_many_requests(refusal.code(), refusal.retry_after).into());
        }
        self.inner.call(request).await
    }
}
