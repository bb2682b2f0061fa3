//! The audit log: who did what, to whom, from where, and with what outcome.

use std::collections::BTreeMap;

use crate::model::audit_seal::{AuditLeaf, AuditSeal};
use crate::model::client::{Client, RequestContext};
use crate::model::user::Patch;
use crate::primitives::{AuditEventId, RequestId, SessionId, Timestamp, UserId, harmless};

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
    /// An administrator made an account.
    AccountCreated = "account.created",
    /// An administrator changed an account.
    AccountChanged = "account.changed",
    /// An administrator shut an account.
    AccountSuspended = "account.suspended",
    /// An administrator opened an account again.
    AccountRestored = "account.restored",
    /// An administrator ended every session of an account.
    SessionsRevoked = "session.all_revoked",
    /// An administrator began to act as somebody else.
    Impersonation = "auth.impersonation",
    /// The owner of an account took a copy of everything that is held about her.
    AccountExported = "account.exported",
    /// A role was made.
    RoleCreated = "role.created",
    /// A role was changed, or an attempt to change it was refused.
    RoleChanged = "role.changed",
    /// A role was deleted.
    RoleDeleted = "role.deleted",
    /// Somebody was given a role, or an attempt to give it was refused.
    RoleAssigned = "role.assigned",
    /// A role was taken from somebody, or an attempt to take it was refused.
    RoleUnassigned = "role.unassigned",
    /// An account was taken over from another system.
    AccountImported = "account.imported",
    /// The password hash of another system was hashed once more.
    PasswordHashWrapped = "account.password_hash_wrapped",
    /// A link to prove an address, to set a new password or to log in was asked for.
    LinkRequested = "auth.link_requested",
    /// The owner proved that she reads mail at the address of her account.
    EmailVerified = "account.email_verified",
    /// A new password was set by a mailed link.
    PasswordReset = "account.password_reset",
    /// Somebody who is logged in asked for another address of her account.
    EmailChangeRequested = "account.email_change_requested",
    /// The account moved to another address, whose owner has confirmed it.
    EmailChanged = "account.email_changed",
    /// The account was taken back to the address that it had left.
    EmailChangeUndone = "account.email_change_undone",
    /// An administrator had an invitation mailed.
    AccountInvited = "account.invited",
    /// The owner of an account that an administrator made has chosen its first password.
    InvitationAccepted = "account.invitation_accepted",
    /// An administrator had a link mailed that sets a new password.
    PasswordResetSent = "account.password_reset_sent",
    /// An administrator had a message tried again that was given up.
    MessageRetried = "outbox.message_retried",
    /// An administrator removed a message.
    MessageDiscarded = "outbox.message_discarded",
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
    /// A code of a second factor was sent, or was not because enough were.
    FactorCodeSent = "mfa.code_sent",
    /// A device was trusted by its user: at a login on it no second factor is asked for.
    DeviceTrusted = "mfa.device_trusted",
    /// The trust in a device was taken back by its user.
    DeviceForgotten = "mfa.device_forgotten",
    /// A passkey was added.
    PasskeyAdded = "passkey.added",
    /// A passkey was given another name.
    PasskeyRenamed = "passkey.renamed",
    /// A passkey was removed by its owner.
    PasskeyRemoved = "passkey.removed",
    /// The counter of a passkey went back: a copy of it may be in use. The proof was refused.
    PasskeyCloneSuspected = "passkey.clone_suspected",

    // The audit log and what is recorded of refusals.
    /// A refresh was refused.
    RefreshRefused = "auth.refresh_refused",
    /// Requests are being refused by a rate limit: the first of a while, for each scope and subject.
    RateLimited = "auth.rate_limited",
    /// Logins are being turned away because too many passwords are being hashed: the first of a while.
    Overloaded = "auth.overloaded",
    /// Sealed events of the audit log were released to be purged.
    AuditPurged = "audit.purged",
    /// The audit log was exported.
    AuditExported = "audit.exported",

    // Registrations that are answered by mail.
    /// Somebody asked for an account; what became of it is said later, by mail alone.
    RegistrationRequested = "account.registration_requested",

    // Guessing.
    /// Wrong passwords in a row have put off the next one; once for each step.
    GuessingDelayed = "auth.guessing_delayed",
    /// After too many wrong passwords in a row, none is taken from unknown devices any more, or the session has ended.
    GuessingStopped = "auth.guessing_stopped",
    /// An operator or administrator has forgotten the wrong passwords of an account.
    AccountUnlocked = "account.unlocked",
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

/// Who did it, and in whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Doer {
    /// Who did it.
    pub actor: Actor,
    /// As whom, where that is somebody else: the detail `on_behalf_of` of the event.
    pub on_behalf_of: Option<UserId>,
}

impl From<Actor> for Doer {
    fn from(actor: Actor) -> Self {
        Self { actor, on_behalf_of: None }
    }
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
    pub fn by(mut self, doer: impl Into<Doer>) -> Self {
        let Doer { actor, on_behalf_of } = doer.into();
        self.actor = actor;
        match on_behalf_of {
            Some(user) => self.with("on_behalf_of", user.to_string()),
            None => self,
        }
    }

    /// Says to whose account.
    #[must_use]
    pub fn on(mut self, subject: UserId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds a detail.
    ///
    /// SECURITY: a value may come from whoever sent the request. What could forge a line is escaped, and what is too long is cut,
    /// so that neither a reader of the log nor its size is in her hands.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.details.insert(name.to_owned(), harmless(value.as_ref(), Self::MAX_DETAIL_CHARS));
        self
    }

    /// The most characters of a detail's value.
    pub const MAX_DETAIL_CHARS: usize = 512;

    /// Adds what became of a field, `changed.<field>.from` and `changed.<field>.to`, where it is another than before; an absent
    /// value is left out. Never for a secret: of a password or a token it is said *that* it changed, elsewhere.
    #[must_use]
    pub fn changed(self, field: &str, from: Option<&str>, to: Option<&str>) -> Self {
        if from == to {
            return self;
        }
        let with = |event: Self, end: &str, value: Option<&str>| match value {
            Some(value) => event.with(&format!("changed.{field}.{end}"), value),
            None => event,
        };
        with(with(self, "from", from), "to", to)
    }

    /// Adds what a patch has made of a field, as [`changed`](Self::changed) does; nothing where it is kept.
    #[must_use]
    pub fn patched<T>(self, field: &str, from: Option<&T>, patch: &Patch<T>, text: impl Fn(&T) -> &str) -> Self {
        match patch {
            Patch::Keep => self,
            Patch::Clear => self.changed(field, from.map(text), None),
            Patch::Set(value) => self.changed(field, from.map(&text), Some(text(value))),
        }
    }
}

/// One change of the audit log, of its seals, or of what was handed on of it.
///
/// The log itself grows, and is otherwise left alone by a server: that needs the rights to read and to insert. Only
/// [`PurgeSealed`](Self::PurgeSealed), which no server does by itself, removes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditChange {
    /// Appends an event. Guard: its id is new (`Conflict::DuplicateId`). The accounts and sessions that it names need not
    /// exist (any more).
    Append(Box<AuditEvent>),
    /// Adds a seal, with its leaves. Guard: it is the first seal and there is none, or the seal before it is there with the digest
    /// that it names; and nobody has taken its number (`Conflict::AuditSealTaken`). So there is one chain, whoever seals.
    Seal {
        /// The seal.
        seal: Box<AuditSeal>,
        /// What it is the root of, in order.
        leaves: Vec<AuditLeaf>,
    },
    /// Forgets the events of a seal, and its leaves; the seal itself stays. No guard: they may be gone.
    /// `Committed::purged` says how many events that were.
    PurgeSealed {
        /// The number of the seal.
        seal: u64,
    },
    /// Begins or prolongs the lease of a node on a receiver of the log. Guard: nobody else holds one that lasts beyond `at`
    /// (`Conflict::AuditStreamHeld`). A receiver that is not known yet is made, with nothing handed over.
    ClaimStream {
        /// Names the receiver.
        name: String,
        /// The node.
        holder: String,
        /// When.
        at: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Notes what was handed over, and prolongs the lease. Guard: the node still holds the lease, even if that is over, and the
    /// position is the one that it started from (`Conflict::AuditStreamHeld`).
    AdvanceStream {
        /// Names the receiver.
        name: String,
        /// The node.
        holder: String,
        /// The seal up to which was handed over before.
        from: u64,
        /// The seal up to which was handed over now.
        to: u64,
        /// Until when the lease lasts now.
        until: Timestamp,
    },
}
