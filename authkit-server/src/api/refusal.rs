//! The one place where the library's errors become problem documents.
//!
//! Code, status and sentence come from the error; what is added here is the challenge of a 401, the reasons of a weak
//! password, and the silence about what failed inside.

use std::error::Error as _;
use std::time::Duration;

use authkit_core::flows::{AuthenticateError, Internal};
use authkit_core::{Error, ErrorKind};
use poem::http::StatusCode;

use crate::problem::{FieldError, Problem};

/// The challenge of a route that wants a bearer token, or that was given a proof which it does not accept (RFC 9110 §15.5.2).
const CHALLENGE: &str = "Bearer realm=\"authkit\"";
/// The challenge to a bearer token that is not accepted (RFC 6750 §3.1).
const INVALID_TOKEN: &str = "Bearer realm=\"authkit\", error=\"invalid_token\"";

/// No bearer token came with the request.
pub(super) fn missing_bearer() -> Problem {
    let detail = "send an access token in the header `Authorization: Bearer …`";
    Problem::new(StatusCode::UNAUTHORIZED, "auth.missing_token", detail).challenge(CHALLENGE)
}

/// A refresh token came back that was used before.
pub(super) fn reused() -> Problem {
    let detail = "this refresh token was used before, so its session was ended: log in again";
    Problem::new(StatusCode::UNAUTHORIZED, "auth.refresh_token_reused", detail).challenge(CHALLENGE)
}

/// There is no such session of the caller's.
pub(super) fn no_such_session() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "session.not_found", "you have no such session that is alive")
}

/// The problem document of an error of the library. `password` names the member that a weak password came in.
pub(super) fn refused(error: impl Into<Error>) -> Problem {
    let error = error.into();
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(internal) = error.internal() {
        return failed(status, internal);
    }
    let problem = Problem::new(status, error.code(), sentence(&error));
    let problem = match (error.kind(), &error) {
        (ErrorKind::Unauthenticated, Error::Authenticate(reason)) => {
            // The outside is told that the token is not valid; why exactly, the log is.
            tracing::debug!(reason = reason.reason(), "access token refused");
            problem.challenge(INVALID_TOKEN)
        }
        (ErrorKind::Unauthenticated, _) => problem.challenge(CHALLENGE),
        (ErrorKind::Overloaded(after), _) => problem.retry_after(after),
        _ => problem,
    };
    match error.weakness() {
        Some(weakness) => {
            let field = if matches!(error, Error::Register(_)) { "password" } else { "new_password" };
            let reasons = weakness.reasons().iter().map(|reason| FieldError::new(field, reason.code(), reason.message()));
            problem.with_errors(reasons.collect())
        }
        None => problem,
    }
}

/// What to do about it, where the error's own sentence can be said better over HTTP.
fn sentence(error: &Error) -> String {
    match error {
        Error::Authenticate(AuthenticateError::Expired) => "the access token has expired: refresh it, or log in again".to_owned(),
        Error::Authenticate(AuthenticateError::Revoked) => "the session has ended: log in again".to_owned(),
        Error::Authenticate(_) => "the access token is not valid: log in again".to_owned(),
        Error::CloseAccount(_) => "this cannot be undone: send your password to /api/v1/auth/reauthenticate first, and use the access \
                                   token of its reply"
            .to_owned(),
        other if matches!(other.kind(), ErrorKind::Overloaded(_)) => {
            "too many passwords are being checked right now: try again after the time in Retry-After".to_owned()
        }
        other => other.to_string(),
    }
}

/// What failed inside is logged once, with its causes; the outside learns whether to try again.
fn failed(status: StatusCode, error: &Internal) -> Problem {
    let causes: Vec<String> = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect();
    if error.is_unavailable() {
        tracing::warn!(%error, ?causes, "a request was refused because a part is unavailable");
        let detail = "the service cannot do this right now: try again after the time in Retry-After";
        Problem::new(status, error.code(), detail).retry_after(Duration::from_secs(1))
    } else {
        tracing::error!(%error, ?causes, "a request failed inside");
        let detail = "something went wrong here; the request id helps the operator to find out what";
        Problem::new(status, error.code(), detail)
    }
}
