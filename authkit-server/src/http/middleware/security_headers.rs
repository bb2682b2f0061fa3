//! The headers that tell a browser to be careful.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Middleware, Request, Response, Result};

/// What every reply says unless its handler says otherwise: OWASP's REST and HTTP headers cheat sheets, ASVS 3.4.
const HEADERS: [(HeaderName, &str); 9] = [
    // Browsers heed it over TLS only, which a proxy in front of us ends. One year is the least that ASVS 3.4.1 takes.
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "geolocation=(), camera=(), microphone=()"),
    // A reply of this service is about one caller at one moment, unless its handler knows better.
    (CACHE_CONTROL, "no-store"),
];

/// Adds the headers.
#[derive(Debug)]
pub(crate) struct SecurityHeaders;

impl<E: Endpoint<Output = Response>> Middleware<E> for SecurityHeaders {
    type Output = WithSecurityHeaders<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithSecurityHeaders(inner)
    }
}

pub(crate) struct WithSecurityHeaders<E>(E);

impl<E: Endpoint<Output = Response>> Endpoint for WithSecurityHeaders<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let mut response = self.0.call(request).await?;
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

/// A policy for an HTML page that runs exactly its own inline scripts, each named by its SHA-256, and no other.
///
/// For the Swagger page, whose one file holds script, style and specification. Give it to that route as its
/// `Content-Security-Policy`; the shell leaves a policy alone that is there already.
#[must_use]
pub fn content_security_policy(html: &str) -> String {
    let hashes: String = inline_scripts(html)
        .map(|script| format!(" 'sha256-{}'", STANDARD.encode(authkit_core::Digest::of(script.as_bytes()).as_bytes())))
        .collect();
    let scripts = if hashes.is_empty() { " 'none'" } else { &hashes };
    // Swagger UI sets styles from its script, which only 'unsafe-inline' allows; a style cannot run code.
    format!(
        "default-src 'none'; script-src{scripts}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}

fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("<script")?;
        let (_attributes, body) = after.split_once('>')?;
        let (script, tail) = body.split_once("</script>")?;
        rest = tail;
        Some(script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_its_own_scripts_and_no_other() {
        let policy = content_security_policy("<script charset=\"UTF-8\">alert('Hello, world.');</script><p><script>x</script>");
        // The first hash is the example of CSP Level 3, §6.7.3.3.
        assert!(policy.contains("script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=' 'sha256-"), "{policy}");
        assert!(!policy.contains("script-src 'unsafe-inline'") && policy.contains("default-src 'none'"));
        assert!(content_security_policy("<p>").contains("script-src 'none'"));
    }
}
