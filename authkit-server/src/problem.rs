//! What goes wrong, as the client sees it: one problem document (RFC 9457) for every error of the service.

mod framework;
mod schema;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use authkit_core::RequestId;
use poem::error::ResponseError;
use poem::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{HeaderName, HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use serde_json::{Map, Value};

pub use schema::{ProblemDocument, ProblemField};

/// The media type of a problem document (RFC 9457 §3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One member of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path of the member, as in `device.name` or `roles[2]`.
    pub field: String,
    /// A stable machine code.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: Cow<'static, str>,
}

/// An error that a client is told about.
///
/// The answer carries only what was put in here: never the text of an inner error, never a value of the request.
///
/// ```
/// use authkit_server::problem::Problem;
/// use poem::http::StatusCode;
///
/// let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "password.too_weak", "The password is too weak")
///     .detail("Choose a longer one.")
///     .field("password", "too_short", "must have at least 8 characters");
/// assert_eq!(problem.code(), "password.too_weak");
/// ```
#[derive(Clone)]
#[must_use]
pub struct Problem(Box<Parts>);

#[derive(Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    request_id: Option<RequestId>,
    challenge: Option<&'static str>,
    challenge_text: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with its HTTP status, its stable machine code and its title.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            title: title.into(),
            detail: None,
            errors: Vec::new(),
            members: Map::new(),
            request_id: None,
            challenge: None,
            challenge_text: None,
            retry_after: None,
            allow: None,
            headers: Vec::new(),
        }))
    }

    /// Explains this occurrence to people.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a member of the request that was refused, and why.
    pub fn field(
        mut self,
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.errors.push(FieldError { field: field.into(), code: code.into(), message: message.into() });
        self
    }

    /// Adds an extension member (RFC 9457 §3.2); the members that every problem has cannot be replaced.
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// Says when to try again: `Retry-After` in whole seconds, rounded up.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Puts an error code of RFC 6750 §3.1 or RFC 9470 §3 into the `WWW-Authenticate` header, which every 401 has and
    /// a 403 that another token could turn into a success.
    pub fn challenge(mut self, error: &'static str) -> Self {
        self.0.challenge = Some(error);
        self
    }

    /// Puts whole parameters into the `WWW-Authenticate` header, such as the `acr_values` of RFC 9470 §3. They must be our own
    /// text: nothing of a request.
    pub fn challenge_text(mut self, parameters: String) -> Self {
        self.0.challenge_text = Some(parameters);
        self
    }

    /// Adds a header to the reply, such as `RateLimit-Remaining`.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Says which methods the resource knows; a 405 must (RFC 9110 §15.5.6).
    pub fn allow(mut self, methods: impl Into<String>) -> Self {
        self.0.allow = Some(methods.into());
        self
    }

    /// An address asks for more than its share.
    pub(crate) fn too_many_requests(code: &'static str, after: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, "This was tried too often");
        problem.detail("Try again after the time in Retry-After.").retry_after(after)
    }

    /// Gives members other names, where `name` knows one.
    pub(crate) fn rename_fields<'n>(mut self, name: impl Fn(&str) -> Option<&'n str>) -> Self {
        for error in &mut self.0.errors {
            if let Some(known) = name(&error.field) {
                known.clone_into(&mut error.field);
            }
        }
        self
    }

    /// Ties the problem to its request.
    pub fn with_request_id(mut self, id: RequestId) -> Self {
        self.0.request_id = Some(id);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable machine code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The members of the request that were refused.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The document as it goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let parts = &*self.0;
        let mut document = parts.members.clone();
        document.insert("type".into(), format!("urn:authkit:problem:{}", parts.code).into());
        document.insert("title".into(), parts.title.as_ref().into());
        document.insert("status".into(), parts.status.as_u16().into());
        document.insert("code".into(), parts.code.as_ref().into());
        if let Some(detail) = &parts.detail {
            document.insert("detail".into(), detail.as_ref().into());
        }
        if let Some(id) = &parts.request_id {
            document.insert("request_id".into(), id.as_str().into());
        }
        if !parts.errors.is_empty() {
            let errors = parts.errors.iter().map(
                |error| serde_json::json!({ "field": error.field, "code": error.code.as_ref(), "message": error.message.as_ref() }),
            );
            document.insert("errors".into(), errors.collect());
        }
        Value::Object(document)
    }

    fn to_response(&self) -> Response {
        let parts = &*self.0;
        let mut response = Response::builder().status(parts.status).body(self.to_json().to_string());
        // The problem travels with its reply, so that the shell can render it once more with the id of the request.
        response.set_data(self.clone());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(text) = parts.challenge_text.as_ref().and_then(|text| challenge_parameters(text)) {
            headers.insert(WWW_AUTHENTICATE, text);
        } else if parts.status == StatusCode::UNAUTHORIZED || parts.challenge.is_some() {
            headers.insert(WWW_AUTHENTICATE, challenge_header(parts.challenge));
        }
        if let Some(after) = self.retry_delay() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        if let Some(methods) = parts.allow.as_ref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            headers.insert(ALLOW, methods);
        }
        for (name, value) in &parts.headers {
            headers.insert(name, value.clone());
        }
        response
    }

    /// 429 and 503 always say when to come back, also where the one who refused did not.
    fn retry_delay(&self) -> Option<Duration> {
        let must = matches!(self.0.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.0.retry_after.or_else(|| must.then_some(Duration::from_secs(1)))
    }
}

fn challenge_header(error: Option<&'static str>) -> HeaderValue {
    const PLAIN: HeaderValue = HeaderValue::from_static("Bearer realm=\"authkit\"");
    error.and_then(|error| HeaderValue::from_str(&format!("Bearer realm=\"authkit\", error=\"{error}\"")).ok()).unwrap_or(PLAIN)
}

fn challenge_parameters(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("Bearer realm=\"authkit\", {text}")).ok()
}

fn whole_seconds(after: Duration) -> u64 {
    after.as_secs() + u64::from(after.subsec_nanos() > 0)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.title)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SECURITY: extension members may carry a token (`mfa_token`), so they are not shown.
        f.debug_struct("Problem").field("status", &self.0.status.as_u16()).field("code", &self.0.code).finish_non_exhaustive()
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.0.status
    }

    fn as_response(&self) -> Response {
        self.to_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.to_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_every_problem_cannot_be_replaced_by_an_extension() {
        let problem = Problem::new(StatusCode::FORBIDDEN, "auth.mfa_required", "A second factor is required")
            .member("status", 200)
            .member("mfa_token", "canary-token");
        let document = problem.to_json();
        assert_eq!(document["status"], 403);
        assert_eq!(document["type"], "urn:authkit:problem:auth.mfa_required");
        assert_eq!(document["mfa_token"], "canary-token");
        assert!(!format!("{problem:?}").contains("canary"), "an extension member never reaches a log");
    }

    #[test]
    fn every_401_challenges_and_every_429_and_503_says_when_to_come_back() {
        let unauthorized = Problem::new(StatusCode::UNAUTHORIZED, "a.b", "t");
        let header = |problem: &Problem, name| problem.to_response().headers().get(name).cloned();
        assert_eq!(header(&unauthorized, WWW_AUTHENTICATE).expect("challenges"), "Bearer realm=\"authkit\"");
        let invalid = unauthorized.challenge("invalid_token");
        let expected = "Bearer realm=\"authkit\", error=\"invalid_token\"";
        assert_eq!(header(&invalid, WWW_AUTHENTICATE).expect("challenges"), expected);
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let problem = Problem::new(status, "a.b", "t");
            assert_eq!(header(&problem, RETRY_AFTER).expect("says when"), "1");
            let later = problem.retry_after(Duration::from_millis(1_001));
            assert_eq!(header(&later, RETRY_AFTER).expect("says when"), "2");
        }
    }
}
