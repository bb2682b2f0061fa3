//! What is mailed: who gets it, in which language, and what it says, before any template.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::client::RequestContext;
use crate::primitives::FactorCode;
use crate::primitives::{DeviceKind, Email, FullName, Locale, OneTimeTokenText, Timestamp};

/// Declares the words of a closed vocabulary: each with its meaning and its stable name, once.
macro_rules! factors {
    ($($(#[doc = $doc:literal])+ $factor:ident = $name:literal,)+) => {
        /// A factor whose coming or going is announced to the owner of an account.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AnnouncedFactor {
            $($(#[doc = $doc])+ $factor,)+
        }

        impl AnnouncedFactor {
            /// Every factor.
            pub const ALL: &'static [Self] = &[$(Self::$factor),+];

            /// The stable name, in the outbox and for templates.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$factor => $name,)+
                }
            }

            /// The factor with a stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|factor| factor.as_str() == name)
            }
        }
    };
}

factors! {
    /// Codes of an authenticator app.
    Totp = "totp",
    /// Codes that are mailed.
    EmailCode = "email",
    /// Codes in text messages.
    SmsCode = "sms",
    /// A passkey.
    Passkey = "passkey",
    /// A set of recovery codes, which replaces the one before it.
    RecoveryCodes = "recovery_codes",
}

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
    /// Prove that you read mail at this address, and your account moves to it.
    ChangeEmail {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// An administrator has made an account for you: choose a password.
    Invitation {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// An administrator asks you to set a new password.
    AdminPasswordReset {
        /// Goes into the link.
        token: OneTimeTokenText,
    },
    /// Your account has moved to another address: the last mail to this one, with a link that takes it back.
    EmailChanged {
        /// Goes into the link. `None` where nobody had proved to read mail at the address.
        token: Option<OneTimeTokenText>,
    },
    /// A code of six digits, to be typed in where it was asked for.
    Code(FactorCode),
    /// Something has happened to your account.
    Notice(Notice),
}

/// What the owner of an account is told has happened to it. It holds no link that does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The password was set anew by a mailed link; all sessions have ended.
    PasswordReset,
    /// The password was changed by whoever knows it; all other sessions have ended.
    PasswordChanged,
    /// Somebody has logged in on a device that the account did not know.
    NewDevice,
    /// A copy of a refresh token came back: its session has ended.
    RefreshTokenReused,
    /// Somebody who is logged in wants the account to move to another address.
    EmailChangeRequested,
    /// The account has another factor.
    FactorAdded(AnnouncedFactor),
    /// The account has a factor less.
    FactorRemoved(AnnouncedFactor),
    /// An administrator has removed every second factor of the account.
    FactorsReset,
    /// Somebody has logged in by a recovery code, and so many are left.
    RecoveryCodeUsed(u32),
    /// Somebody has tried to register with the address of the account.
    RegistrationAttempted,
}

impl Notice {
    /// The stable name: of the template, and in the outbox.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::NewDevice => "new_device",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::EmailChangeRequested => "email_change_requested",
            Self::FactorAdded(_) => "factor_added",
            Self::FactorRemoved(_) => "factor_removed",
            Self::FactorsReset => "factors_reset",
            Self::RecoveryCodeUsed(_) => "recovery_code_used",
            Self::RegistrationAttempted => "registration_attempted",
        }
    }

    fn from_parts(name: &str, facts: &BTreeMap<String, String>) -> Option<Self> {
        let factor = || AnnouncedFactor::from_name(facts.get("factor")?);
        Some(match name {
            "password_reset" => Self::PasswordReset,
            "password_changed" => Self::PasswordChanged,
            "new_device" => Self::NewDevice,
            "refresh_token_reused" => Self::RefreshTokenReused,
            "email_change_requested" => Self::EmailChangeRequested,
            "factor_added" => Self::FactorAdded(factor()?),
            "factor_removed" => Self::FactorRemoved(factor()?),
            "factors_reset" => Self::FactorsReset,
            "recovery_code_used" => Self::RecoveryCodeUsed(facts.get("left")?.parse().ok()?),
            "registration_attempted" => Self::RegistrationAttempted,
            _ => return None,
        })
    }
}

impl From<Notice> for MailContent {
    fn from(notice: Notice) -> Self {
        Self::Notice(notice)
    }
}

impl MailContent {
    /// The stable name: of the template, and in the outbox.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::MagicLink { .. } => "magic_link",
            Self::ChangeEmail { .. } => "change_email",
            Self::Invitation { .. } => "invitation",
            Self::AdminPasswordReset { .. } => "admin_password_reset",
            Self::EmailChanged { .. } => "email_changed",
            Self::Code(_) => "second_factor_code",
            Self::Notice(notice) => notice.name(),
        }
    }

    /// What goes into the link, where there is one.
    #[must_use]
    pub const fn token(&self) -> Option<&OneTimeTokenText> {
        match self {
            Self::VerifyEmail { token }
            | Self::ResetPassword { token }
            | Self::MagicLink { token }
            | Self::ChangeEmail { token }
            | Self::Invitation { token }
            | Self::AdminPasswordReset { token } => Some(token),
            Self::EmailChanged { token } => token.as_ref(),
            Self::Code(_) | Self::Notice(_) => None,
        }
    }

    /// The factor that it is about, where it is about one.
    #[must_use]
    pub const fn factor(&self) -> Option<AnnouncedFactor> {
        match self {
            Self::Notice(Notice::FactorAdded(factor) | Notice::FactorRemoved(factor)) => Some(*factor),
            _ => None,
        }
    }

    /// How many recovery codes are left, where it says so.
    #[must_use]
    pub const fn codes_left(&self) -> Option<u32> {
        match self {
            Self::Notice(Notice::RecoveryCodeUsed(left)) => Some(*left),
            _ => None,
        }
    }

    /// The code, where it says one.
    #[must_use]
    pub const fn code(&self) -> Option<&FactorCode> {
        match self {
            Self::Code(code) => Some(code),
            _ => None,
        }
    }

    /// What else it says, as the outbox keeps it.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let factor = self.factor().map(|factor| ("factor".to_owned(), factor.as_str().to_owned()));
        let left = self.codes_left().map(|left| ("left".to_owned(), left.to_string()));
        let code = self.code().map(|code| ("code".to_owned(), code.expose().to_owned()));
        factor.into_iter().chain(left).chain(code).collect()
    }

    /// The content that the outbox kept; `None` for one that this version does not know.
    pub(crate) fn from_parts(name: &str, token: Option<OneTimeTokenText>, facts: &BTreeMap<String, String>) -> Option<Self> {
        Some(match (name, token) {
            ("verify_email", Some(token)) => Self::VerifyEmail { token },
            ("reset_password", Some(token)) => Self::ResetPassword { token },
            ("magic_link", Some(token)) => Self::MagicLink { token },
            ("change_email", Some(token)) => Self::ChangeEmail { token },
            ("invitation", Some(token)) => Self::Invitation { token },
            ("admin_password_reset", Some(token)) => Self::AdminPasswordReset { token },
            ("email_changed", token) => Self::EmailChanged { token },
            ("second_factor_code", None) => Self::Code(FactorCode::new(facts.get("code")?.clone())),
            (name, None) => Self::Notice(Notice::from_parts(name, facts)?),
            _ => return None,
        })
    }

    /// One of each, for whoever writes templates and has to try them. What goes into the links opens nothing.
    #[must_use]
    pub fn examples() -> Vec<Self> {
        let token = OneTimeTokenText::new(format!("ak_ot_{}", "x".repeat(64)));
        let linked = [
            Self::VerifyEmail { token: token.clone() },
            Self::ResetPassword { token: token.clone() },
            Self::MagicLink { token: token.clone() },
            Self::ChangeEmail { token: token.clone() },
            Self::Invitation { token: token.clone() },
            Self::AdminPasswordReset { token: token.clone() },
            Self::EmailChanged { token: Some(token) },
            Self::EmailChanged { token: None },
        ];
        let notices = [
            Notice::EmailChangeRequested,
            Notice::PasswordReset,
            Notice::PasswordChanged,
            Notice::NewDevice,
            Notice::RefreshTokenReused,
            Notice::FactorsReset,
            Notice::RegistrationAttempted,
        ];
        let factors = AnnouncedFactor::ALL.iter();
        let factors = factors.flat_map(|&factor| [Notice::FactorAdded(factor), Notice::FactorRemoved(factor)]);
        let left = [0, 1, 5].map(Notice::RecoveryCodeUsed);
        let code = Self::Code(FactorCode::new("000000".to_owned()));
        linked.into_iter().chain([code]).chain(notices.into_iter().chain(factors).chain(left).map(Self::Notice)).collect()
    }
}

/// What happened that a mail is about: when, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occurrence {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// On which device, in words that its user did not choose: see [`DeviceKind`].
    pub device: Option<String>,
}

impl Occurrence {
    /// What a request tells.
    #[must_use]
    pub fn of(context: &RequestContext, at: Timestamp) -> Self {
        let device = context.client.user_agent.as_ref().and_then(|agent| DeviceKind::of(agent).words());
        Self { at, ip: context.client.ip, device }
    }
}

/// A mail to be written and sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Mail {
    /// To whom: always the address that is stored with an account, never one from a request.
    pub to: Email,
    /// What she calls herself; `None` for an address that is not proved yet, because somebody else may have written it.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// What it says.
    pub content: MailContent,
    /// What it is about.
    pub occurred: Option<Occurrence>,
    /// How long its link is good from when it was made.
    pub good_for: Option<Duration>,
}

impl Mail {
    /// A mail to somebody.
    #[must_use]
    pub const fn new(to: Email, content: MailContent) -> Self {
        Self { to, full_name: None, locale: None, content, occurred: None, good_for: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_gives_back_what_it_was_given() {
        for content in MailContent::examples() {
            let back = MailContent::from_parts(content.name(), content.token().cloned(), &content.facts()).expect("is known");
            assert_eq!(back.name(), content.name());
            assert_eq!(back.token().map(OneTimeTokenText::expose), content.token().map(OneTimeTokenText::expose));
            assert_eq!((back.factor(), back.codes_left()), (content.factor(), content.codes_left()));
        }
        assert!(MailContent::from_parts("verify_email", None, &BTreeMap::new()).is_none(), "a link without its token is none");
        assert!(MailContent::from_parts("factor_added", None, &BTreeMap::new()).is_none());
    }
}
