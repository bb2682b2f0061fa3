//! The one place where what the frameworks say becomes a problem of ours.
//!
//! SECURITY: the texts of poem and poem-openapi name Rust types and can repeat the whole body of a request, a password
//! included; no text of theirs is passed on or logged for an error of the client.

use std::error::Error as StdError;
use std::time::Duration;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError};
use poem::http::StatusCode;
use poem_openapi::error as oai;

use super::Problem;
use crate::http::BodyError;

impl Problem {
    /// 404: no such route, or no such thing.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "request.not_found", "There is nothing at this address")
    }

    /// 405: the route exists, the method does not. Which do exist is added where the routes are known.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "request.method_not_allowed", "This method is not supported here")
    }

    /// 413: more bytes than any request of this service needs.
    pub fn body_too_large(max_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request.body_too_large", "The request body is too large")
            .member("max_bytes", max_bytes)
    }

    /// 408: the body did not arrive in time.
    pub fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request.body_timeout", "The request body did not arrive in time")
    }

    /// 400: the connection ended, or its framing broke, within the body.
    pub fn body_incomplete() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.body_incomplete", "The request body could not be read")
    }

    /// 400: the bytes are no HTTP that can be understood.
    pub fn malformed() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.malformed", "The request is not valid HTTP")
    }

    /// 400: no `Host` header, or more than one (RFC 9112 §3.2).
    pub fn invalid_host() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.invalid_host", "A request has exactly one Host header")
    }

    /// 414: the URL is longer than any URL of this service.
    pub fn uri_too_long(max_bytes: usize) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "request.uri_too_long", "The URL is too long").member("max_bytes", max_bytes)
    }

    /// 431: too many headers, or too many bytes in them.
    pub fn headers_too_large() -> Self {
        let title = "The request headers are too large";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "request.headers_too_large", title)
    }

    /// 415: the body is not `application/json`.
    pub fn unsupported_media_type() -> Self {
        let title = "The request body must be application/json in UTF-8";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request.unsupported_media_type", title)
    }

    /// 401: a token is needed and none that could be read came with the request.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth.unauthenticated", "A valid access token is required")
    }

    /// 401: the access token is malformed, expired, revoked or not ours; which of these is not told.
    pub fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth.invalid_token", "The access token is invalid").challenge("invalid_token")
    }

    /// 500: the cause is in the log, under the id of the request.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "service.internal_error", "Something went wrong on our side")
    }

    /// 503: a part that the request needs is down or full.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service.unavailable", "The service cannot answer right now")
            .retry_after(retry_after)
    }

    /// 503: the request took longer than any request may.
    pub fn timed_out() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service.timeout", "The request took too long")
            .retry_after(Duration::from_secs(1))
    }

    /// What a status alone says.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::UNAUTHORIZED => Self::unauthenticated(),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::headers_too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            StatusCode::REQUEST_TIMEOUT => Self::body_timeout(),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(Duration::from_secs(1)),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "request.body_too_large", "The request body is too large"),
            StatusCode::FORBIDDEN => Self::new(status, "auth.forbidden", "This is not allowed"),
            StatusCode::TOO_MANY_REQUESTS => Self::new(status, "request.throttled", "Too many requests"),
            status if status.is_client_error() => Self::new(status, "request.invalid", "The request is not valid"),
            _ => Self::internal(),
        }
    }

    /// Turns any error of a handler, of poem or of poem-openapi into a problem.
    #[must_use = "the problem is the reply"]
    pub fn from_error(error: &poem::Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        if let Some(body) = find_source::<BodyError>(error) {
            return body.to_problem();
        }
        if let Some(parameter) = error.downcast_ref::<oai::ParseParamError>() {
            return invalid_parameter(parameter.name);
        }
        if let Some(parameter) = error.downcast_ref::<oai::ParsePathError>() {
            return invalid_parameter(parameter.name);
        }
        if error.is::<NotFoundError>() {
            return Self::not_found();
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::method_not_allowed();
        }
        if error.is::<oai::ParseRequestPayloadError>() {
            let title = "The request body is not valid JSON";
            return Self::new(StatusCode::BAD_REQUEST, "request.malformed_json", title);
        }
        if error.is::<ReadBodyError>() && error.status() == StatusCode::BAD_REQUEST {
            return Self::body_incomplete();
        }
        Self::of_status(error.status())
    }
}

fn invalid_parameter(name: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "request.invalid_parameter", "A parameter of the request is not valid").field(
        name,
        "invalid",
        "is missing or has the wrong form",
    )
}

/// Looks for an error of type `T` in the causes of `error`, also inside an `io::Error`, whose `source` skips its own payload.
fn find_source<'e, T: StdError + 'static>(error: &'e poem::Error) -> Option<&'e T> {
    let mut next: Option<&'e (dyn StdError + 'static)> = error.source();
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        next = match current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(payload) => Some(payload),
            None => current.source(),
        };
    }
    None
}
