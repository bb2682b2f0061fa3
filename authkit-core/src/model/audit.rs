//! The audit log: who did what, to whom, from where, and with what outcome.

use std::collections::BTreeMap;

use crate::model::client::{Client, RequestContext};
use crate::primitives::{AuditEventId, RequestId, SessionId, Timestamp, UserId};

/// Declares the actions: each with its meaning and its stable name, once.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident = $name:literal,)+) => {
        /// What happened. The names are stable: reports and alarms are built on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AuditAction {
            $($(#[doc = $doc])+ $action,)+
        }

        impl AuditAction {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$action),+];

            /// The stable name, as stored and as sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }

            /// The action with a stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.as_str() == name)
            }
        }
    };
}

actions! {
    /// An account was made.
    AccountRegistered = "account.registered",
    /// A login succeeded or failed.
    Login = "auth.login",
    /// A user proved again who she is, or failed to.
    Reauthentication = "auth.reauthentication",
    /// A session was ended by its user.
    Logout = "auth.logout",
    /// All sessions of a user were ended.
    LogoutAll = "auth.logout_all",
    /// A session was ended from another device.
    SessionRevoked = "session.revoked",
    /// A refresh token that was already used came back; its session was ended.
    RefreshTokenReused = "auth.refresh_token_reused",
    /// The profile was changed.
    ProfileChanged = "account.profile_changed",
    /// The password was changed, or an attempt failed.
    PasswordChanged = "account.password_changed",
    /// The account was closed.
    AccountClosed = "account.closed",
    /// A server key was made.
    KeyCreated = "key.created",
    /// A server key that nothing can need any more was forgotten.
    KeyDeleted = "key.deleted",
    /// A first factor was passed, and a second is asked for.
    SecondFactorDemanded = "auth.mfa_demanded",
    /// A second factor was begun to be turned on.
    FactorEnrolmentStarted = "mfa.enrolment_started",
    /// A second factor was turned on.
    FactorEnrolled = "mfa.enrolled",
    /// A second factor was turned off by its owner.
    FactorRemoved = "mfa.removed",
    /// Every second factor was turned off by an administrator.
    FactorsReset = "mfa.reset",
    /// A fresh set of recovery codes was made.
    RecoveryCodesReplaced = "mfa.recovery_codes_replaced",
    /// A recovery code was used up.
    RecoveryCodeUsed = "mfa.recovery_code_used",
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Actor {
    /// Nobody who is known: a request before or without a login.
    Anonymous,
    /// A user, with her session where there is one.
    User(UserId, Option<SessionId>),
    /// The service itself, or its operator at the command line.
    System,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

impl Outcome {
    /// The stable name, as stored and as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// The outcome with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure].into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// One event of the audit log. Never a secret, never a whole token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Names the event; events sort by it in the order in which they were decided.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// How it ended.
    pub outcome: Outcome,
    /// By whom.
    pub actor: Actor,
    /// To whose account, where one is concerned.
    pub subject: Option<UserId>,
    /// From where.
    pub client: Client,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// What else is worth knowing: short names and values, e.g. `reason`.
    pub details: BTreeMap<String, String>,
}

impl AuditEvent {
    /// An event with the client and the request taken from `context`, and no details yet.
    #[must_use]
    pub fn new(id: AuditEventId, at: Timestamp, action: AuditAction, outcome: Outcome, context: &RequestContext) -> Self {
        Self {
            id,
            at,
            action,
            outcome,
            actor: Actor::Anonymous,
            subject: None,
            client: context.client.clone(),
            request_id: context.request_id.clone(),
            details: BTreeMap::new(),
        }
    }

    /// Says who did it.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Says to whose account.
    #[must_use]
    pub fn on(mut self, subject: UserId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// One change of the audit log: it grows, and its old end may be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditChange {
    /// Appends an event. Guard: its id is new (`Conflict::DuplicateId`). The accounts and sessions that it names need not
    /// exist (any more).
    Append(Box<AuditEvent>),
    /// Forgets the events whose id is below this one, the least id first; at most `limit`. No guard; `Committed::purged` says how
    /// many. Events that rivals are purging too may be left to them.
    Purge {
        /// The first id that stays; [`AuditEventId::first_of`] makes one of an instant.
        below: AuditEventId,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
}
