//! Authentication of a bearer token: no I/O, and no signature check for a token that was seen before.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::flows::engine::Engine;
use crate::model::AssuranceLevel;
use crate::primitives::{SessionId, Timestamp, UserId};
use crate::token::{AccessClaims, AccessTokenError};

/// At least one factor was proved ([`AssuranceLevel::Aal1`]).
#[derive(Debug, Clone, Copy)]
pub struct Aal1;

/// Two different factors were proved ([`AssuranceLevel::Aal2`]).
#[derive(Debug, Clone, Copy)]
pub struct Aal2;

/// Somebody whose access token was verified, and how much of her was: code that takes a `Principal<Aal2>` cannot be called with
/// less than two factors.
///
/// ```compile_fail
/// use authkit_core::Principal;
/// use authkit_core::flows::Aal2;
///
/// fn transfer(_: &Principal<Aal2>) {}
/// fn handler(principal: &Principal) {
///     transfer(principal);
/// }
/// ```
///
/// ```
/// use authkit_core::Principal;
/// use authkit_core::flows::{Aal2, InsufficientAuthentication};
///
/// fn transfer(_: &Principal<Aal2>) {}
/// fn handler(principal: &Principal) -> Result<(), InsufficientAuthentication> {
///     transfer(&principal.require_aal2()?);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Principal<Level = Aal1> {
    claims: Arc<AccessClaims>,
    level: PhantomData<Level>,
}

impl<Level> Clone for Principal<Level> {
    fn clone(&self) -> Self {
        Self { claims: Arc::clone(&self.claims), level: PhantomData }
    }
}

impl From<Principal<Aal2>> for Principal {
    fn from(principal: Principal<Aal2>) -> Self {
        Self { claims: principal.claims, level: PhantomData }
    }
}

impl Principal {
    /// The same, if she has proved two different factors.
    pub fn require_aal2(&self) -> Result<Principal<Aal2>, InsufficientAuthentication> {
        match self.assurance() {
            AssuranceLevel::Aal2 => Ok(Principal { claims: Arc::clone(&self.claims), level: PhantomData }),
            AssuranceLevel::Aal1 => Err(InsufficientAuthentication::Assurance(AssuranceLevel::Aal2)),
        }
    }
}

impl<Level> Principal<Level> {
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

    /// How sure it is who she is.
    #[must_use]
    pub fn assurance(&self) -> AssuranceLevel {
        self.claims.assurance()
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// Demands that she proved who she is within `window` before `now`.
    pub fn require_recent(&self, now: Timestamp, window: Duration) -> Result<(), InsufficientAuthentication> {
        if self.is_recent(now, window) { Ok(()) } else { Err(InsufficientAuthentication::Age(window)) }
    }

    /// Whether she proved who she is within `window` before `now`.
    pub(crate) fn is_recent(&self, now: Timestamp, window: Duration) -> bool {
        // `auth_time` is cut to whole seconds, so the second that it names belongs to the window.
        now.since(self.authenticated_at()) < window + Duration::from_secs(1)
    }
}

/// The caller is known, but has proved too little, or too long ago: she steps up at the service and asks again (RFC 9470).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InsufficientAuthentication {
    /// A higher level is needed: the `acr_values` of RFC 9470 §3.
    #[error("a second factor is needed")]
    Assurance(AssuranceLevel),
    /// A proof that is at most as old: the `max_age` of RFC 9470 §3.
    #[error("a recent proof of identity is needed")]
    Age(Duration),
}

impl InsufficientAuthentication {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Assurance(_) => "auth.step_up_required",
            Self::Age(_) => "auth.reauthentication_required",
        }
    }

    /// The parameters of the `WWW-Authenticate` challenge (RFC 9470 §3).
    #[must_use]
    pub fn challenge(self) -> String {
        match self {
            Self::Assurance(level) => format!("error=\"insufficient_user_authentication\", acr_values=\"{}\"", level.as_str()),
            Self::Age(window) => format!("error=\"insufficient_user_authentication\", max_age=\"{}\"", window.as_secs()),
        }
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
    Ok(Principal { claims, level: PhantomData })
}
