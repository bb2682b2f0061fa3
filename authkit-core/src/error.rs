//! Every error of every use case under one roof, for hosts that answer requests.

use std::time::Duration;

use crate::flows::authenticate::scope_challenge;
use crate::flows::{AdminError, ExportError};
use crate::flows::{
    AuthenticateError, AuthorizeError, ChangePasswordError, CloseAccountError, Internal, LoginError, LogoutError, ProfileError,
    ReauthenticateError, RefreshError, RegisterError, RoleError, SessionError,
};
use crate::flows::{ChangeEmailError, LinkError, OutboxError};
use crate::flows::{EnrollError, InsufficientAuthentication, SecondFactorError, SecondFactorRequired};
use crate::flows::{Forbidden, TooManyRequests};
#[cfg(feature = "passkeys")]
use crate::flows::{PasskeyError, PasskeyProofError};
use crate::password::Weakness;

/// Who has to do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller sent something that cannot be used: 422.
    Invalid,
    /// The caller has not proved who she is, or her proof is not accepted: 401.
    Unauthenticated,
    /// The caller is known and may not: 403.
    Forbidden,
    /// There is no such thing, or none that the caller may know of: 404.
    NotFound,
    /// It clashes with what is there: 409.
    Conflict,
    /// The caller tried too often; the same request can succeed after this time: 429.
    Throttled(Duration),
    /// Too much is going on; the same request can succeed after this time: 503.
    Overloaded(Duration),
    /// What the caller has read is not what is there any more: 412.
    Outdated,
    /// A part below is away; the same request can succeed later: 503.
    Unavailable,
    /// A part below failed: 500.
    Internal,
}

impl ErrorKind {
    /// The HTTP status that says it (RFC 9110 §15).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 422,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Outdated => 412,
            Self::Throttled(_) => 429,
            Self::Overloaded(_) | Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// When to try again, in whole seconds and not too early, where that can help.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Throttled(after) | Self::Overloaded(after) => {
                Some((after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1))
            }
            Self::Unavailable => Some(1),
            _ => None,
        }
    }
}

/// What an error of the administration is.
const fn of_administration(error: &AdminError) -> ErrorKind {
    match error {
        AdminError::Authorize(AuthorizeError::SessionEnded) => ErrorKind::Unauthenticated,
        AdminError::NotFound | AdminError::NoSuchSession => ErrorKind::NotFound,
        AdminError::InvitationAccepted
        | AdminError::NoMail
        | AdminError::OwnAccount
        | AdminError::Suspended
        | AdminError::EmailTaken
        | AdminError::LastSuperuser => ErrorKind::Conflict,
        AdminError::Changed => ErrorKind::Outdated,
        _ => ErrorKind::Forbidden,
    }
}

/// What an error of the passkeys of an account is.
#[cfg(feature = "passkeys")]
const fn of_passkeys(error: &PasskeyError) -> ErrorKind {
    match error {
        PasskeyError::NotConfigured | PasskeyError::NotFound => ErrorKind::NotFound,
        PasskeyError::ReauthenticationRequired | PasskeyError::Impersonated(_) => ErrorKind::Forbidden,
        PasskeyError::StaleChallenge | PasskeyError::Refused(_) => ErrorKind::Invalid,
        PasskeyError::AlreadyKnown | PasskeyError::TooMany | PasskeyError::LastWayIn | PasskeyError::Demanded => {
            ErrorKind::Conflict
        }
        PasskeyError::Throttled { retry_after } => ErrorKind::Throttled(*retry_after),
        PasskeyError::SessionEnded => ErrorKind::Unauthenticated,
        PasskeyError::Internal(_) => ErrorKind::Internal,
    }
}

/// What an error of a proof by a passkey is.
#[cfg(feature = "passkeys")]
const fn of_passkey_proofs(error: &PasskeyProofError) -> ErrorKind {
    match error {
        PasskeyProofError::NotConfigured | PasskeyProofError::NotEnrolled => ErrorKind::NotFound,
        PasskeyProofError::Suspended | PasskeyProofError::Impersonated(_) => ErrorKind::Forbidden,
        PasskeyProofError::Throttled { retry_after } => ErrorKind::Throttled(*retry_after),
        PasskeyProofError::InvalidPasskey | PasskeyProofError::InvalidToken | PasskeyProofError::SessionEnded => {
            ErrorKind::Unauthenticated
        }
        PasskeyProofError::Internal(_) => ErrorKind::Internal,
    }
}

/// Any error of any use case. Each flow returns its own, narrower one; they all convert into this.
///
/// `Display` may be shown to whoever asked: it says what to do, and nothing of the inside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of what needs a permission.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// Of a [`Principal`](crate::Principal) who lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Of a change of roles.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Of `authenticate`.
    #[error(transparent)]
    Authenticate(#[from] AuthenticateError),
    /// Of a registration.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Of a login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Of a refresh.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// Of a logout.
    #[error(transparent)]
    Logout(#[from] LogoutError),
    /// Of a renewed proof of identity.
    #[error(transparent)]
    Reauthenticate(#[from] ReauthenticateError),
    /// Of the profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Of a change of password.
    #[error(transparent)]
    ChangePassword(#[from] ChangePasswordError),
    /// Of a change of the address.
    #[error(transparent)]
    ChangeEmail(#[from] ChangeEmailError),
    /// Of a session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Of the administration of accounts.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Of an export of an account.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Of closing an account.
    #[error(transparent)]
    CloseAccount(#[from] CloseAccountError),
    /// Of the second half of a login.
    #[error(transparent)]
    SecondFactor(#[from] SecondFactorError),
    /// Of turning second factors on and off.
    #[error(transparent)]
    Enroll(#[from] EnrollError),
    /// Of a route that wants more than the caller has proved.
    #[error(transparent)]
    InsufficientAuthentication(#[from] InsufficientAuthentication),
    /// Of the count of all requests.
    #[error(transparent)]
    TooManyRequests(#[from] TooManyRequests),
    /// Of the passkeys of an account.
    #[cfg(feature = "passkeys")]
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    /// Of a proof by a passkey.
    #[cfg(feature = "passkeys")]
    #[error(transparent)]
    PasskeyProof(#[from] PasskeyProofError),
    /// Of a mailed link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Of the outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// Of a part below.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Error {
    /// The stable code, e.g. `auth.invalid_credentials`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authenticate(error) => error.code(),
            Self::Register(error) => error.code(),
            Self::Authorize(error) => error.code(),
            Self::Forbidden(error) => error.code(),
            Self::Role(error) => error.code(),
            Self::Login(error) => error.code(),
            Self::Refresh(error) => error.code(),
            Self::Logout(error) => error.code(),
            Self::Reauthenticate(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::ChangePassword(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::ChangeEmail(error) => error.code(),
            Self::CloseAccount(error) => error.code(),
            Self::SecondFactor(error) => error.code(),
            Self::Enroll(error) => error.code(),
            Self::InsufficientAuthentication(error) => error.code(),
            Self::TooManyRequests(error) => error.code(),
            Self::Admin(error) => error.code(),
            Self::Export(error) => error.code(),
            #[cfg(feature = "passkeys")]
            Self::Passkey(error) => error.code(),
            #[cfg(feature = "passkeys")]
            Self::PasskeyProof(error) => error.code(),
            Self::Link(error) => error.code(),
            Self::Outbox(error) => error.code(),
            Self::Internal(error) => error.code(),
        }
    }

    /// Who has to do something about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        if let Some(internal) = self.internal() {
            return if internal.is_unavailable() { ErrorKind::Unavailable } else { ErrorKind::Internal };
        }
        match self {
            Self::Register(RegisterError::Overloaded { retry_after })
            | Self::Login(LoginError::Overloaded { retry_after })
            | Self::Reauthenticate(ReauthenticateError::Overloaded { retry_after })
            | Self::ChangePassword(ChangePasswordError::Overloaded { retry_after })
            | Self::Link(LinkError::Overloaded { retry_after }) => ErrorKind::Overloaded(*retry_after),
            Self::Register(RegisterError::Throttled { retry_after })
            | Self::Login(LoginError::Throttled { retry_after })
            | Self::Refresh(RefreshError::Throttled { retry_after })
            | Self::Reauthenticate(ReauthenticateError::Throttled { retry_after })
            | Self::ChangePassword(ChangePasswordError::Throttled { retry_after })
            | Self::ChangeEmail(ChangeEmailError::Throttled { retry_after })
            | Self::Link(LinkError::Throttled { retry_after }) => ErrorKind::Throttled(*retry_after),
            Self::TooManyRequests(error) => ErrorKind::Throttled(error.retry_after),
            Self::Register(RegisterError::EmailTaken)
            | Self::ChangeEmail(ChangeEmailError::NoMail)
            | Self::Link(LinkError::EmailTaken)
            | Self::Role(RoleError::NameTaken | RoleError::InUse | RoleError::Inherited { .. } | RoleError::LastSuperuser)
            | Self::CloseAccount(CloseAccountError::LastSuperuser) => ErrorKind::Conflict,
            Self::Register(RegisterError::UnknownRole { .. } | RegisterError::WeakPassword(_))
            | Self::ChangePassword(ChangePasswordError::WeakPassword(_))
            | Self::ChangeEmail(ChangeEmailError::SameAddress)
            | Self::Link(LinkError::WeakPassword(_))
            | Self::Role(
                RoleError::Cycle | RoleError::UnknownInherited { .. } | RoleError::TooMany { .. } | RoleError::Expired,
            ) => ErrorKind::Invalid,
            Self::Forbidden(_)
            | Self::Authorize(AuthorizeError::Forbidden { .. } | AuthorizeError::Impersonated(_))
            | Self::Register(RegisterError::Closed | RegisterError::ByMailOnly)
            | Self::Role(
                RoleError::Authorize(AuthorizeError::Forbidden { .. } | AuthorizeError::Impersonated(_))
                | RoleError::NotHeld
                | RoleError::BuiltIn,
            )
            | Self::Login(LoginError::Suspended | LoginError::SecondFactorRequired(_))
            | Self::Enroll(
                EnrollError::ReauthenticationRequired
                | EnrollError::Impersonated(_)
                | EnrollError::EmailNotVerified
                | EnrollError::NotAvailable,
            )
            | Self::InsufficientAuthentication(_)
            | Self::Profile(ProfileError::Suspended)
            | Self::Reauthenticate(ReauthenticateError::Impersonated(_) | ReauthenticateError::FactorRequired)
            | Self::ChangePassword(
                ChangePasswordError::Suspended | ChangePasswordError::WrongPassword | ChangePasswordError::Impersonated(_),
            )
            | Self::ChangeEmail(
                ChangeEmailError::ReauthenticationRequired | ChangeEmailError::Suspended | ChangeEmailError::Impersonated(_),
            )
            | Self::Outbox(OutboxError::Authorize(AuthorizeError::Forbidden { .. } | AuthorizeError::Impersonated(_)))
            | Self::CloseAccount(CloseAccountError::ReauthenticationRequired | CloseAccountError::Impersonated(_))
            | Self::Export(ExportError::Impersonated(_))
            | Self::Link(LinkError::Suspended | LinkError::OtherBrowser | LinkError::SecondFactorRequired(_)) => {
                ErrorKind::Forbidden
            }
            Self::Admin(error) => of_administration(error),
            #[cfg(feature = "passkeys")]
            Self::Passkey(error) => of_passkeys(error),
            #[cfg(feature = "passkeys")]
            Self::PasskeyProof(error) => of_passkey_proofs(error),
            Self::Role(RoleError::Changed) => ErrorKind::Outdated,
            Self::Role(RoleError::NotFound | RoleError::UserNotFound | RoleError::NotAssigned)
            | Self::Outbox(OutboxError::NotFound)
            | Self::Session(_)
            | Self::Enroll(EnrollError::NotEnrolled) => ErrorKind::NotFound,
            Self::SecondFactor(SecondFactorError::Throttled { retry_after }) => ErrorKind::Throttled(*retry_after),
            Self::Enroll(EnrollError::Throttled { retry_after }) => ErrorKind::Throttled(*retry_after),
            Self::Enroll(EnrollError::AlreadyEnrolled | EnrollError::Demanded) => ErrorKind::Conflict,
            Self::Enroll(EnrollError::InvalidCode) => ErrorKind::Invalid,
            Self::Enroll(EnrollError::Enrolment(_)) => ErrorKind::Internal,
            _ => ErrorKind::Unauthenticated,
        }
    }

    /// The permission that the caller lacks, where that is the error.
    #[must_use]
    pub fn missing_permission(&self) -> Option<&str> {
        match self {
            Self::Forbidden(error) => Some(error.permission()),
            Self::Authorize(AuthorizeError::Forbidden { permission })
            | Self::Role(RoleError::Authorize(AuthorizeError::Forbidden { permission }))
            | Self::Admin(AdminError::Authorize(AuthorizeError::Forbidden { permission }))
            | Self::Outbox(OutboxError::Authorize(AuthorizeError::Forbidden { permission })) => Some(permission),
            _ => None,
        }
    }

    /// The parameters of a `WWW-Authenticate: Bearer` challenge that says which permission would do (RFC 6750 §3.1), where one is missing.
    #[must_use]
    pub fn scope_challenge(&self) -> Option<String> {
        self.missing_permission().map(scope_challenge)
    }

    /// Why a password was refused, where that is the error.
    #[must_use]
    pub const fn weakness(&self) -> Option<&Weakness> {
        match self {
            Self::Link(LinkError::WeakPassword(weakness))
            | Self::Register(RegisterError::WeakPassword(weakness))
            | Self::ChangePassword(ChangePasswordError::WeakPassword(weakness)) => Some(weakness),
            _ => None,
        }
    }

    /// The demand for a second factor, where that is the error: whoever answers hands its token to the client.
    #[must_use]
    pub const fn second_factor_required(&self) -> Option<&SecondFactorRequired> {
        match self {
            Self::Login(LoginError::SecondFactorRequired(required)) | Self::Link(LinkError::SecondFactorRequired(required)) => {
                Some(required)
            }
            _ => None,
        }
    }

    /// What failed below, for the log. Nothing of it belongs into a reply.
    #[must_use]
    pub const fn internal(&self) -> Option<&Internal> {
        match self {
            Self::Authorize(AuthorizeError::Internal(error))
            | Self::Role(RoleError::Internal(error) | RoleError::Authorize(AuthorizeError::Internal(error)))
            | Self::Register(RegisterError::Internal(error))
            | Self::Login(LoginError::Internal(error))
            | Self::Refresh(RefreshError::Internal(error))
            | Self::Logout(LogoutError::Internal(error))
            | Self::Reauthenticate(ReauthenticateError::Internal(error))
            | Self::Profile(ProfileError::Internal(error))
            | Self::ChangePassword(ChangePasswordError::Internal(error))
            | Self::Session(SessionError::Internal(error))
            | Self::ChangeEmail(ChangeEmailError::Internal(error))
            | Self::CloseAccount(CloseAccountError::Internal(error))
            | Self::Export(ExportError::Internal(error))
            | Self::SecondFactor(SecondFactorError::Internal(error))
            | Self::Enroll(EnrollError::Internal(error))
            | Self::Link(LinkError::Internal(error))
            | Self::Internal(error) => Some(error),
            Self::Outbox(error) => error.internal(),
            Self::Admin(error) => error.internal(),
            #[cfg(feature = "passkeys")]
            Self::Passkey(PasskeyError::Internal(error)) | Self::PasskeyProof(PasskeyProofError::Internal(error)) => Some(error),
            _ => None,
        }
    }
}
