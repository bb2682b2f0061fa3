//! One-time tokens: proofs that somebody reads the mail of an address, or holds what was handed to her a moment ago.

use std::collections::BTreeMap;

use crate::model::user::User;
use crate::primitives::{Digest, Email, OneTimeTokenId, Timestamp, UserId};

/// Declares the purposes: each with its meaning and its stable name, once.
macro_rules! purposes {
    ($($(#[doc = $doc:literal])+ $purpose:ident = $name:literal,)+) => {
        /// What a one-time token is good for, and it alone: the purpose is part of what is hashed and of every guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum OneTimePurpose {
            $($(#[doc = $doc])+ $purpose,)+
        }

        impl OneTimePurpose {
            /// Every purpose.
            pub const ALL: &'static [Self] = &[$(Self::$purpose),+];

            /// The stable name, as stored and as hashed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$purpose => $name,)+
                }
            }

            /// The purpose with a stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|purpose| purpose.as_str() == name)
            }
        }
    };
}

purposes! {
    /// Proves that the owner reads mail at the address of her account.
    VerifyEmail = "verify_email",
    /// Proves that the owner reads mail at the address that she wants to change to.
    ChangeEmail = "change_email",
    /// Takes a change of address back, from the address that was left.
    UndoEmailChange = "undo_email_change",
    /// Sets a new password without the old one.
    ResetPassword = "reset_password",
    /// Logs in.
    MagicLink = "magic_link",
    /// Sets the first password of an account that an administrator made.
    Invitation = "invitation",
    /// Stands between a first factor and a second.
    MfaChallenge = "mfa_challenge",
    /// Stands between a first factor and the enrolment of a second, which is demanded before a session begins.
    MfaEnrolment = "mfa_enrolment",
}

/// A one-time token as a store keeps it: never the text, only a digest of its purpose and its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeToken {
    /// Names the token; it is part of the text.
    pub id: OneTimeTokenId,
    /// What it is good for.
    pub purpose: OneTimePurpose,
    /// Whose account.
    pub user_id: UserId,
    /// The SHA-256 of the purpose, the id and the secret.
    pub secret: Digest,
    /// The account's `auth_epoch` when the token was made. Whoever redeems a token that stands for a means of access compares it
    /// with the account's: a change of password or address voids what was made before (OWASP Forgot Password).
    pub auth_epoch: u32,
    /// The address that the token was sent to, and so the one that it proves.
    pub address: Option<Email>,
    /// What else the purpose has to remember: short names and values.
    pub data: BTreeMap<String, String>,
    /// How many guesses are left, for a secret that can be guessed; see [`OneTimeTokenChange::SpendAttempt`].
    pub attempts_left: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

/// A token and its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeTokenWithUser {
    /// The token.
    pub token: OneTimeToken,
    /// Its account, active or suspended.
    pub user: User,
}

/// One change of one-time tokens, with its guard.
///
/// A token that was used is gone, so that nothing has to be remembered of it; the audit log tells what it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OneTimeTokenChange {
    /// Keeps a token. Guards: its account is there, active or suspended (`Conflict::UserChanged`), and its id is new
    /// (`Conflict::DuplicateId`). The older ones of its purpose stay; where only one may live, put a
    /// [`RevokeAllOf`](Self::RevokeAllOf) in front.
    Insert(Box<OneTimeToken>),
    /// Uses a token up. Guards: it is there with this purpose and this secret, and has not expired at `at`
    /// (`Conflict::TokenGone`). Of any number of rivals one succeeds. What the account must be like is for the changes beside it
    /// to guard.
    Consume {
        /// Which.
        id: OneTimeTokenId,
        /// What it is presented for.
        purpose: OneTimePurpose,
        /// The digest of what was presented.
        secret: Digest,
        /// When.
        at: Timestamp,
    },
    /// Pays for one guess at a secret that can be guessed. Guards: the token is there with this purpose, has not expired at `at`,
    /// and has an attempt left (`Conflict::TokenGone`).
    ///
    /// Commit it before anything is compared: then no more guesses are judged than there were attempts, however many come at
    /// once.
    SpendAttempt {
        /// Which.
        id: OneTimeTokenId,
        /// What it is presented for.
        purpose: OneTimePurpose,
        /// When.
        at: Timestamp,
    },
    /// Forgets the tokens of an account, of one purpose or of all. No guard.
    RevokeAllOf {
        /// Whose.
        user_id: UserId,
        /// Which; `None` for all of them.
        purpose: Option<OneTimePurpose>,
    },
    /// Forgets tokens that expired before this instant, at most `limit`. No guard; `Committed::purged` says how many.
    Purge {
        /// The instant.
        expired_before: Timestamp,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
}
