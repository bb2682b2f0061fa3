//! A session: one login on one device, and the refresh token that keeps it alive.

use std::collections::BTreeSet;

use crate::model::client::Client;
use crate::model::user::User;
use crate::primitives::{DeviceName, Digest, RoleName, SessionId, Timestamp, UserId};

/// How somebody proved who she is (RFC 8176).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// By password.
    Password,
    /// By a code of an authenticator app.
    Totp,
    /// By a code that was mailed to her.
    EmailCode,
    /// By a recovery code.
    RecoveryCode,
    /// By a link that was mailed to the account's address.
    MailedLink,
    /// A code that was sent to a telephone.
    SmsCode,
    /// By a passkey: something she has, which asked for something she knows or is before it signed.
    Passkey,
}

impl AuthMethod {
    /// Every method.
    pub const ALL: &'static [Self] =
        &[Self::Password, Self::Totp, Self::EmailCode, Self::RecoveryCode, Self::MailedLink, Self::SmsCode, Self::Passkey];

    /// The `amr` value: of RFC 8176 §2 where it has one, and a name of our own where it does not.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Totp => "otp",
            Self::EmailCode => "email_code",
            Self::RecoveryCode => "recovery_code",
            Self::MailedLink => "email",
            Self::SmsCode => "sms",
            // Proof of possession of a key. Whether hardware holds it, which `hwk` would say, nobody vouches for.
            Self::Passkey => "pop",
        }
    }

    /// The method with an `amr` value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == name)
    }

    /// Whether it is asked for behind a first factor. A passkey is both: it can stand there, or alone for either.
    #[must_use]
    pub const fn is_second_factor(self) -> bool {
        match self {
            Self::Totp | Self::EmailCode | Self::RecoveryCode | Self::SmsCode | Self::Passkey => true,
            Self::Password | Self::MailedLink => false,
        }
    }
}

/// How sure it is who somebody is (NIST SP 800-63B-4 §2): the `acr` of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AssuranceLevel {
    /// One factor, or factors that do not count for more.
    Aal1,
    /// Two different factors.
    Aal2,
}

impl AssuranceLevel {
    /// The level of a proof by these methods.
    ///
    /// A code that was mailed is a second hurdle, but no second factor: whoever holds the mailbox holds it too, and often resets the
    /// password with it (SP 800-63B-4 §3.1.3.1 rules it out). It leaves the level where it is. A code that was sent to a telephone counts: it
    /// is restricted (§3.1.3.3), and the operator has to turn it on.
    #[must_use]
    pub fn of(methods: &[AuthMethod]) -> Self {
        let first = methods.iter().any(|method| !method.is_second_factor());
        let second =
            methods.iter().any(|method| matches!(method, AuthMethod::Totp | AuthMethod::RecoveryCode | AuthMethod::SmsCode));
        // A passkey that has verified its user is two factors in one (SP 800-63B-4 §3.1.7, §3.2.10).
        let both = methods.contains(&AuthMethod::Passkey);
        if both || (first && second) { Self::Aal2 } else { Self::Aal1 }
    }

    /// The `acr` value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationReason {
    /// Its user logged out.
    Logout,
    /// Its user logged out everywhere.
    LogoutAll,
    /// Its user ended it from another device.
    RevokedByUser,
    /// The password was changed.
    PasswordChanged,
    /// A refresh token that was already used came back: somebody else may hold a copy.
    RefreshTokenReused,
    /// The user has more sessions than the cap allows, and this one was the longest unused.
    SessionCap,
    /// The account was closed.
    AccountClosed,
    /// An administrator ended it.
    RevokedByAdmin,
    /// The account was suspended.
    AccountSuspended,
    /// An administrator changed the address of the account.
    EmailChanged,
    /// Whoever acted in it as its user may do so no more.
    ImpersonationEnded,
    /// The password was guessed at within it, too often.
    GuessedWithin,
}

impl RevocationReason {
    const ALL: [Self; 12] = [
        Self::Logout,
        Self::LogoutAll,
        Self::RevokedByUser,
        Self::PasswordChanged,
        Self::RefreshTokenReused,
        Self::SessionCap,
        Self::AccountClosed,
        Self::RevokedByAdmin,
        Self::AccountSuspended,
        Self::EmailChanged,
        Self::ImpersonationEnded,
        Self::GuessedWithin,
    ];

    /// The stable name, as stored and as audited.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::RevokedByUser => "revoked_by_user",
            Self::PasswordChanged => "password_changed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::SessionCap => "session_cap",
            Self::AccountClosed => "account_closed",
            Self::RevokedByAdmin => "revoked_by_admin",
            Self::AccountSuspended => "account_suspended",
            Self::EmailChanged => "email_changed",
            Self::ImpersonationEnded => "impersonation_ended",
            Self::GuessedWithin => "guessed_within",
        }
    }

    /// The reason with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Who acts in a session that is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Impersonator {
    /// Who.
    pub user_id: UserId,
    /// The session in which she asked for it: when that ends, so does what she does in this one.
    pub session_id: SessionId,
}

/// One login on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session, for ever; the `sid` claim of its access tokens.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// How often the refresh token was rotated. It only grows.
    pub generation: u32,
    /// The digest of the current refresh token's secret.
    pub secret: Digest,
    /// How its user proved who she is.
    pub methods: Vec<AuthMethod>,
    /// When she last did; the `auth_time` claim.
    pub authenticated_at: Timestamp,
    /// What she calls the device.
    pub device_name: Option<DeviceName>,
    /// The client that logged in.
    pub created_by: Client,
    /// The client that used it last.
    pub last_used_by: Client,
    /// When it began.
    pub created_at: Timestamp,
    /// When the current generation of the refresh token was issued.
    pub refreshed_at: Timestamp,
    /// When it ends unless it is refreshed before.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Who acts in it as its user, where that is not her. Such a session is never refreshed.
    pub impersonator: Option<Impersonator>,
    /// When and why it was ended; `None` while it was not.
    pub revoked: Option<(Timestamp, RevocationReason)>,
}

impl Session {
    /// Whether the session can be used at `now`: neither revoked nor past either of its ends.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.idle_expires_at && now < self.expires_at
    }
}

/// A session and its account, read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionWithUser {
    /// The session.
    pub session: Session,
    /// Its account.
    pub user: User,
}

/// That a session was revoked: what the nodes tell one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// Which session.
    pub session_id: SessionId,
    /// When.
    pub at: Timestamp,
}

/// One change of sessions, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionChange {
    /// Begins a session. Guards: its account is active and has this `auth_epoch` (`Conflict::UserChanged`), and after
    /// that its id is new (`Conflict::DuplicateId`). It begins live: what `session.revoked` says is not stored.
    Insert {
        /// The session.
        session: Box<Session>,
        /// The account's epoch when its password was checked.
        auth_epoch: u32,
    },
    /// Ends a session. Guard: it exists and was not revoked (`Conflict::SessionEnded`); it may have expired, and its
    /// account may be suspended or closed.
    Revoke {
        /// Which.
        id: SessionId,
        /// Why.
        reason: RevocationReason,
        /// When.
        at: Timestamp,
    },
    /// Ends every session of a user that was not revoked, expired ones included, whatever became of the account.
    /// No guard: there may be none.
    ///
    /// It sees the sessions that exist, not one that a rival is just beginning. Behind a change that makes the guard of
    /// [`SessionChange::Insert`] fail (`UserChange::RaiseAuthEpoch`, `UserChange::Close`) in the same set it misses none:
    /// what was begun before is ended, and nothing is begun after.
    RevokeAll {
        /// Whose.
        user_id: UserId,
        /// The one that stays.
        except: Option<SessionId>,
        /// Why.
        reason: RevocationReason,
        /// When.
        at: Timestamp,
    },
    /// Ends every session in which somebody acts as somebody else and that was not revoked, with the reason `ImpersonationEnded`.
    /// No guard: there may be none.
    EndImpersonations {
        /// Who acts.
        by: UserId,
        /// When.
        at: Timestamp,
    },
    /// Ends every session in which somebody acts as this user and that was not revoked, with the reason `ImpersonationEnded`.
    /// No guard: there may be none.
    EndImpersonationsOf {
        /// As whom.
        user_id: UserId,
        /// When.
        at: Timestamp,
    },
    /// Ends every session in which somebody acts as somebody else and that was not revoked, where either of the two has one of these
    /// roles, in whatever scope and until whenever; with the reason `ImpersonationEnded`. No guard: there may be none.
    ///
    /// Behind a change of a role in the same set it misses none that was begun behind [`RoleChange::Expect`](super::RoleChange::Expect):
    /// what was begun before is ended, and nothing is begun after.
    EndImpersonationsByRole {
        /// The roles.
        roles: BTreeSet<RoleName>,
        /// When.
        at: Timestamp,
    },
    /// Ends the sessions of a user that are live at `at`, beyond the `keep` that were refreshed last (ties: the higher id
    /// stays), with the reason `SessionCap`; those in which somebody else acts as the user are neither counted nor ended. No guard. Behind [`SessionChange::Insert`] in the same set it counts what rivals
    /// began before, so that however many come at once, `keep` stay.
    EnforceCap {
        /// Whose.
        user_id: UserId,
        /// How many may stay.
        keep: u32,
        /// When.
        at: Timestamp,
    },
    /// Forgets sessions that ended before an instant: those whose `expires_at` or whose revocation is earlier, whatever became of
    /// their accounts; at most `limit`, and which of them is the store's choice. No guard; `Committed::purged` says how many.
    /// A session that rivals are purging too may be left to them.
    Purge {
        /// The instant. It lies so far back that nobody needs their revocations any more.
        ended_before: Timestamp,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
    /// Records that the user proved again who she is, and how. Guard: the session is live at `at` and its account is active with
    /// this `auth_epoch` (`Conflict::SessionEnded`).
    Reauthenticate {
        /// Which.
        id: SessionId,
        /// The account's epoch when the proof was checked.
        auth_epoch: u32,
        /// How she has proved it in this session so far; `None` where that stays as it is.
        methods: Option<Vec<AuthMethod>>,
        /// When; sets `authenticated_at`.
        at: Timestamp,
    },
}

/// A rotation of a refresh token: the next generation, if everything is still as the presented token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Which session.
    pub session_id: SessionId,
    /// The generation of the presented token.
    pub generation: u32,
    /// The digest of the presented token's secret.
    pub presented: Digest,
    /// The digest of its successor's secret.
    pub successor: Digest,
    /// When.
    pub at: Timestamp,
    /// The new idle end, before it is cut at the session's `expires_at`.
    pub idle_expires_at: Timestamp,
    /// Who asks.
    pub client: Client,
}

/// What became of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationOutcome {
    /// The session moved on by one generation; here it is, after that.
    Rotated(Box<SessionWithUser>),
    /// A guard did not hold and nothing changed. The session as it stands; `None` when there is no such session, or its account is closed.
    Refused(Option<Box<SessionWithUser>>),
}
