//! Authentication of a bearer token: no I/O, and no signature check for a token that was seen before.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::flows::access_book::{VerifiedToken, WorkedOut};
use crate::flows::engine::Engine;
use crate::model::{AssuranceLevel, Impersonator};
use crate::primitives::{Clock, Permission, Scope, SessionId, Timestamp, UserId};
use crate::rbac::EffectiveAccess;
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
///
/// What she may is asked of [`can`](Self::can) and its like: a look into a hash table, without I/O and without allocation. It is what
/// this node knew when the token was verified, changes of her roles since it was issued included; only the end of an assignment is
/// looked at each time. Whoever keeps a `Principal` for longer than a request verifies the token anew now and then.
#[derive(Debug)]
pub struct Principal<Level = Aal1> {
    token: Arc<VerifiedToken>,
    access: Arc<WorkedOut>,
    clock: Arc<dyn Clock>,
    level: PhantomData<Level>,
}

impl<Level> Clone for Principal<Level> {
    fn clone(&self) -> Self {
        self.at_level()
    }
}

impl From<Principal<Aal2>> for Principal {
    fn from(principal: Principal<Aal2>) -> Self {
        principal.at_level()
    }
}

impl Principal {
    /// The same, if she has proved two different factors.
    pub fn require_aal2(&self) -> Result<Principal<Aal2>, InsufficientAuthentication> {
        match self.assurance() {
            AssuranceLevel::Aal2 => Ok(self.at_level()),
            AssuranceLevel::Aal1 => Err(InsufficientAuthentication::Assurance(AssuranceLevel::Aal2)),
        }
    }
}

impl<Level> Principal<Level> {
    /// The same person, at a level that is known to hold.
    fn at_level<Other>(&self) -> Principal<Other> {
        let (token, access, clock) = (Arc::clone(&self.token), Arc::clone(&self.access), Arc::clone(&self.clock));
        Principal { token, access, clock, level: PhantomData }
    }

    /// Who.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.claims().user_id
    }

    /// In which session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.claims().session_id
    }

    /// When she last proved who she is, in whole seconds.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.claims().authenticated_at
    }

    /// Who acts as her, where it is not she herself (RFC 8693 §4.1). What only she may do is refused then; see
    /// [the manual](crate::manual::administration).
    #[must_use]
    pub fn impersonator(&self) -> Option<Impersonator> {
        self.claims().impersonator
    }

    /// That she acts herself; for what nobody may do in her name.
    pub(crate) fn in_person(&self) -> Result<(), Impersonated> {
        if self.impersonator().is_some() { Err(Impersonated) } else { Ok(()) }
    }

    /// How sure it is who she is.
    #[must_use]
    pub fn assurance(&self) -> AssuranceLevel {
        self.claims().assurance()
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        self.token.claims()
    }

    /// Whether she may do what `needed` names, e.g. `invoice:write`, everywhere. A role that she has in one scope gives nothing here.
    #[must_use]
    pub fn can(&self, needed: &str) -> bool {
        self.access().holds(needed, || self.clock.now())
    }

    /// Whether she may do what `needed` names in a scope: by a role that she has there, or everywhere.
    #[must_use]
    pub fn can_in(&self, needed: &str, scope: &Scope) -> bool {
        self.access().holds_in(needed, scope, || self.clock.now())
    }

    /// Lets her through when she may do what `needed` names, everywhere.
    ///
    /// # Errors
    /// [`Forbidden`] when she may not.
    pub fn require(&self, needed: &str) -> Result<(), Forbidden> {
        if self.can(needed) { Ok(()) } else { Err(Forbidden::new(needed)) }
    }

    /// Lets her through when she may do what `needed` names in a scope.
    ///
    /// # Errors
    /// [`Forbidden`] when she may not.
    pub fn require_in(&self, needed: &str, scope: &Scope) -> Result<(), Forbidden> {
        if self.can_in(needed, scope) { Ok(()) } else { Err(Forbidden::new(needed)) }
    }

    /// The permissions that she holds everywhere right now, in the order of their texts.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        self.access().permissions(self.clock.now())
    }

    /// What she may, for checks of another kind.
    #[must_use]
    pub fn access(&self) -> &EffectiveAccess {
        &self.access.access
    }

    /// Demands that she proved who she is within `window` before `now`.
    pub fn require_recent(&self, now: Timestamp, window: Duration) -> Result<(), InsufficientAuthentication> {
        if self.is_recent(now, window) { Ok(()) } else { Err(InsufficientAuthentication::Age(window)) }
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

/// That somebody lacks a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the permission {permission} is required")]
pub struct Forbidden {
    permission: String,
}

impl Forbidden {
    fn new(permission: &str) -> Self {
        Self { permission: permission.to_owned() }
    }

    /// The permission.
    #[must_use]
    pub fn permission(&self) -> &str {
        &self.permission
    }

    /// The parameters of the `WWW-Authenticate` challenge (RFC 6750 §3.1): another token, of somebody who may, would do.
    #[must_use]
    pub fn challenge(&self) -> String {
        scope_challenge(&self.permission)
    }

    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "auth.permission_required"
    }
}

/// The challenge to come back with a token that gives a permission.
pub(crate) fn scope_challenge(permission: &str) -> String {
    // RFC 6749 §3.3. What is no such token is left out: it could end the quotes.
    let is_token = !permission.is_empty() && permission.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if is_token {
        format!("error=\"insufficient_scope\", scope=\"{permission}\"")
    } else {
        "error=\"insufficient_scope\"".to_owned()
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
    let token = engine.verified.verify(&engine.keyring.load(), &engine.config.tokens, token, now)?;
    if engine.revoked.sessions.contains(token.claims().session_id) {
        return Err(AuthenticateError::Revoked);
    }
    // SECURITY: who acts as somebody else does so for as long as she is logged in herself, on every node.
    if token.claims().impersonator.is_some_and(|impersonator| engine.revoked.sessions.contains(impersonator.session_id)) {
        return Err(AuthenticateError::Revoked);
    }
    let access = engine.access.work_out(&token).ok_or(AuthenticateError::Expired)?;
    Ok(Principal { token, access, clock: Arc::clone(&engine.clock), level: PhantomData })
}
