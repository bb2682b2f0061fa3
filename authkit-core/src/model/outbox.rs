//! The outbox: what is to be sent, committed together with its cause and delivered afterwards.

use crate::primitives::{OutboxMessageId, Sealed, Timestamp, UserId};

/// Declares the kinds of messages: each with its meaning and its stable name, once.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal,)+) => {
        /// What a message is, for whoever looks at the outbox: what it says and to whom is sealed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum MessageKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl MessageKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The stable name, as stored and as sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The kind with a stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
            }
        }
    };
}

kinds! {
    /// A mail.
    Mail = "mail",
    /// A text message.
    Sms = "sms",
    /// Somebody asked for something on behalf of an address, and what becomes of it depends on whether the address has an
    /// account. It is looked up when the message is worked off, so that the answer to the request cannot tell.
    Request = "request",
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OutboxState {
    /// Waits to be sent, for the first time or again.
    Pending,
    /// Was sent, or worked off. Nothing is left of what it said.
    Delivered,
    /// Could not be sent. What it said is kept, so that an administrator can have it tried again.
    Dead,
    /// What it says was no longer true before it could be sent. Nothing is left of it.
    Expired,
}

impl OutboxState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Expired];

    /// The stable name, as stored and as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
        }
    }

    /// The state with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Names the message, and is what a receiver can tell a repetition by.
    pub id: OutboxMessageId,
    /// What it is.
    pub kind: MessageKind,
    /// What it says, e.g. `verify_email`: the name of a template. Never a secret.
    pub subject: String,
    /// Whose account it is about, where that is known.
    pub user_id: Option<UserId>,
    /// The recipient and the content, sealed with the message's id as associated data; `None` once it is delivered or expired.
    pub payload: Option<Sealed>,
    /// Where it is.
    pub state: OutboxState,
    /// How often it was claimed. A worker that dies with a message in its hands has used an attempt up.
    pub attempts: u32,
    /// When it is due; while a worker has it, when that worker's lease ends.
    pub due_at: Timestamp,
    /// From when on it must not be sent: what it says is no longer true.
    pub expires_at: Timestamp,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it left the state `Pending`.
    pub finished_at: Option<Timestamp>,
    /// Why the last attempt failed: a short reason without the recipient.
    pub last_error: Option<String>,
}

/// One change of the outbox, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutboxChange {
    /// Adds a message that waits to be sent: state, attempts, end and error are those of a new one whatever the struct says.
    /// Guard: its id is new (`Conflict::DuplicateId`). The account that it names need not exist.
    Enqueue(Box<OutboxMessage>),
    /// Takes messages that wait and are due at `at`, the longest due first, at most `limit`: raises their attempts by one and
    /// moves their due date to `lease_until`, so that another worker takes them when this one has died. No guard;
    /// `Committed::claimed` has them as they are then. Messages that a rival is just taking may be left to it: none is taken by
    /// two before its lease ends.
    Claim {
        /// When.
        at: Timestamp,
        /// Until when they are this worker's.
        lease_until: Timestamp,
        /// How many at most.
        limit: u32,
    },
    /// Notes that a claimed message was delivered, and forgets what it said. Guard: it is pending, and `attempt` is its last
    /// one (`Conflict::MessageMoved`): a worker whose lease has run out has nothing to say any more.
    Deliver {
        /// Which.
        id: OutboxMessageId,
        /// The attempts of the message when it was claimed.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// Gives a claimed message back, to be tried again. Guard: as for [`Deliver`](Self::Deliver).
    Defer {
        /// Which.
        id: OutboxMessageId,
        /// The attempts of the message when it was claimed.
        attempt: u32,
        /// When to try again.
        due_at: Timestamp,
        /// Why it could not be sent.
        error: String,
    },
    /// Gives a claimed message up. It keeps what it says. Guard: as for [`Deliver`](Self::Deliver).
    Bury {
        /// Which.
        id: OutboxMessageId,
        /// The attempts of the message when it was claimed.
        attempt: u32,
        /// When.
        at: Timestamp,
        /// Why it could not be sent.
        error: String,
    },
    /// Notes that a claimed message came too late, and forgets what it said. Guard: as for [`Deliver`](Self::Deliver).
    Expire {
        /// Which.
        id: OutboxMessageId,
        /// The attempts of the message when it was claimed.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// Has a message that was given up tried again, with all its attempts. Guard: it is dead and has not expired at `at`
    /// (`Conflict::MessageMoved`).
    Retry {
        /// Which.
        id: OutboxMessageId,
        /// When.
        at: Timestamp,
    },
    /// Removes a message, whatever its state. Guard: it is there (`Conflict::MessageMoved`).
    Discard {
        /// Which.
        id: OutboxMessageId,
    },
    /// Forgets messages that left the state `Pending` before this instant, at most `limit`. No guard; `Committed::purged` says
    /// how many.
    Purge {
        /// The instant.
        finished_before: Timestamp,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
}
