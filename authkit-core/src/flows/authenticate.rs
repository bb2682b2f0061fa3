//! Authentication of a bearer token: no I/O, and no signature check for a token that was seen before.

use std::sync::Arc;
use std::time::Duration;

use crate::flows::engine::Engine;
use crate::primitives::{SessionId, Timestamp, UserId};
use crate::token::{AccessClaims, AccessTokenError};

/// Somebody whose access token was verified.
#[derive(Debug, Clone)]
pub struct Principal {
    claims: Arc<AccessClaims>,
}

impl Principal {
    /// Who.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.claims.user_id
    }

    /// In which session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.claims.session_id
    }

    /// When she last proved who she is, in whole seconds.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.claims.authenticated_at
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// Whether she proved who she is within `window` before `now`.
    pub(crate) fn is_recent(&self, now: Timestamp, window: Duration) -> bool {
        // `auth_time` is cut to whole seconds, so the second that it names belongs to the window.
        now.since(self.authenticated_at()) < window + Duration::from_secs(1)
    }
}

/// Why a bearer token is refused. The outside is told that it is not valid; the reason is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// Not one of ours, altered, or for somebody else.
    #[error("the access token is not valid")]
    Invalid(#[source] AccessTokenError),
    /// Its time is over: refresh it.
    #[error("the access token has expired")]
    Expired,
    /// Its session has ended: log in again.
    #[error("the session has ended")]
    Revoked,
}

impl AuthenticateError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid(_) => "auth.invalid_token",
            Self::Expired => "auth.token_expired",
            Self::Revoked => "auth.session_ended",
        }
    }

    /// The exact reason, for the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Invalid(error) => error.reason(),
            Self::Expired => "expired",
            Self::Revoked => "session_revoked",
        }
    }
}

impl From<AccessTokenError> for AuthenticateError {
    fn from(error: AccessTokenError) -> Self {
        match error {
            AccessTokenError::Expired => Self::Expired,
            other => Self::Invalid(other),
        }
    }
}

/// Verifies an access token and that its session was not ended.
pub(crate) fn authenticate(engine: &Engine, token: &str) -> Result<Principal, AuthenticateError> {
    let now = engine.now();
    let claims = engine.verified.verify(&engine.keyring.load(), &engine.config.tokens, token, now)?;
    if engine.revoked.sessions.contains(claims.session_id) {
        return Err(AuthenticateError::Revoked);
    }
    Ok(Principal { claims })
}
