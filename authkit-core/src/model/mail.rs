//! What is mailed: who gets it, in which language, and what it says, before any template.

use crate::primitives::{Email, FullName, Locale, OneTimeTokenText};

/// What a mail says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MailContent {
    /// Prove that you read mail at this address.
    VerifyEmail {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// Set a new password.
    ResetPassword {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// Log in.
    MagicLink {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// The password of your account was set anew; all sessions have ended.
    PasswordReset,
    /// Somebody tried to register with your address, which has an account.
    RegistrationAttempted,
}

impl MailContent {
    /// The stable name: of the template, and in the outbox.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::MagicLink { .. } => "magic_link",
            Self::PasswordReset => "password_reset",
            Self::RegistrationAttempted => "registration_attempted",
        }
    }

    /// What goes into the link, where there is one.
    #[must_use]
    pub const fn token(&self) -> Option<&OneTimeTokenText> {
        match self {
            Self::VerifyEmail { token } | Self::ResetPassword { token } | Self::MagicLink { token } => Some(token),
            Self::PasswordReset | Self::RegistrationAttempted => None,
        }
    }
}

/// A mail to be written and sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Mail {
    /// To whom: always the address that is stored with an account, never one from a request.
    pub to: Email,
    /// What she calls herself.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// What it says.
    pub content: MailContent,
}

impl Mail {
    /// A mail to somebody.
    #[must_use]
    pub const fn new(to: Email, content: MailContent) -> Self {
        Self { to, full_name: None, locale: None, content }
    }
}
