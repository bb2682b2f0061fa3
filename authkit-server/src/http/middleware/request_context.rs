//! Who asks, and under which id: the [`RequestContext`] of every request.

use std::sync::Arc;

use authkit_core::model::{Client, RequestContext};
use authkit_core::{Clock, Entropy, Locale, RequestId, UserAgent};
use poem::http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Middleware, Request, Response, Result};

use crate::http::client_address::{TrustedProxies, client_address};
use crate::http::rate_limit_headers;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the [`RequestContext`] to every request, and to every reply the id and what is left of the client's quotas.
#[derive(Debug)]
pub(crate) struct AddRequestContext {
    trusted: TrustedProxies,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl AddRequestContext {
    pub(crate) fn new(trusted: TrustedProxies, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { trusted, clock, entropy }
    }
}

impl<E: Endpoint<Output = Response>> Middleware<E> for AddRequestContext {
    type Output = WithRequestContext<E>;

    fn transform(&self, inner: E) -> Self::Output {
        let (trusted, clock, entropy) = (self.trusted.clone(), Arc::clone(&self.clock), Arc::clone(&self.entropy));
        WithRequestContext { inner, trusted, clock, entropy }
    }
}

pub(crate) struct WithRequestContext<E> {
    inner: E,
    trusted: TrustedProxies,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<E> WithRequestContext<E> {
    fn context(&self, request: &Request) -> RequestContext {
        // A client's own id is kept where it is sane and there is just one, so that two systems can speak of one request.
        let mut sent = request.headers().get_all(&X_REQUEST_ID).iter();
        let kept = match (sent.next(), sent.next()) {
            (Some(only), None) => only.to_str().ok().and_then(|text| text.parse::<RequestId>().ok()),
            _ => None,
        };
        let id = kept.unwrap_or_else(|| RequestId::generate(self.clock.now(), self.entropy.as_ref()));
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        let user_agent = request.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        RequestContext {
            client: Client {
                ip: peer.map(|peer| client_address(peer, request.headers(), &self.trusted)),
                user_agent: user_agent.and_then(|text| UserAgent::from_header(&text)),
            },
            request_id: Some(id),
            language: preferred_language(request),
            ..RequestContext::default()
        }
    }
}

/// The first language of `Accept-Language` (RFC 9110 §12.5.4), which is the preferred one as browsers send it.
fn preferred_language(request: &Request) -> Option<Locale> {
    let list = request.headers().get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    Locale::parse(list.split([',', ';']).next()?.trim()).ok()
}

impl<E: Endpoint<Output = Response>> Endpoint for WithRequestContext<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let context = self.context(&request);
        let id = context.request_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
        let rate_limit = context.rate_limit.clone();
        request.extensions_mut().insert(context);
        let mut response = self.inner.call(request).await?;
        if let Some(id) = id {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(reading) = rate_limit.reading() {
            rate_limit_headers::write(response.headers_mut(), &reading);
        }
        Ok(response)
    }
}
