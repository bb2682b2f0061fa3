//! Authentication of a bearer token: no I/O, and no signature check for a token that was seen before.

use std::sync::Arc;
use std::time::Duration;

use crate::flows::engine::Engine;
use crate::model::Impersonator;
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

    /// Who acts as her, where it is not she herself (RFC 8693 §4.1). What only she may do is refused then; see
    /// [the manual](crate::manual::administration).
    #[must_use]
    pub fn impersonator(&self) -> Option<Impersonator> {
        self.claims.impersonator
    }

    /// That she acts herself; for what nobody may do in her name.
    pub(crate) fn in_person(&self) -> Result<(), Impersonated> {
        if self.impersonator().is_some() { Err(Impersonated) } else { Ok(()) }
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// Whether she proved who she is within `window` before `now`.
    pub(crate) fn is_recent(&self, now: Timestamp, window: Duration) -> bool {
        // SECURITY: whoever acts as her has proved nothing about her.
        if self.impersonator().is_some() {
            return false;
        }
        // `auth_time` is cut to whole seconds, so the second that it names belongs to the window.
        now.since(self.authenticated_at()) < window + Duration::from_secs(1)
    }
}

/// Whoever acts as somebody else may not do what only the owner of the account may: change what she proves herself by, end or export
/// the account, or act as an administrator in her name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only the owner of the account may do this")]
pub struct Impersonated;

impl Impersonated {
    /// The stable code of the error.
    pub const CODE: &'static str = "auth.impersonation_forbidden";
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
    // SECURITY: who acts as somebody else does so for as long as she is logged in herself, on every node.
    if claims.impersonator.is_some_and(|impersonator| engine.revoked.sessions.contains(impersonator.session_id)) {
        return Err(AuthenticateError::Revoked);
    }
    Ok(Principal { claims })
}
