//! Passkeys: the public halves of keys that somebody's authenticators hold, and the challenges that they sign.

use std::collections::BTreeSet;
use std::fmt;

use uuid::Uuid;

use crate::model::user::User;
use crate::primitives::{Digest, PasskeyChallengeId, PasskeyId, PasskeyName, Timestamp, UserId};

/// What an authenticator calls a key that it made: 1 to 1023 bytes (WebAuthn Level 3 §4, "Credential ID"). It is no secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// The most bytes.
    pub const MAX_BYTES: usize = 1023;

    /// The identifier, if it has a length that one can have.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (1..=Self::MAX_BYTES).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Takes an identifier that a store kept.
    #[must_use]
    pub const fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialId(")?;
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

/// Declares the transports: each with its meaning and its stable name, once.
macro_rules! transports {
    ($($(#[doc = $doc:literal])+ $transport:ident = $name:literal,)+) => {
        /// How a browser reaches an authenticator (WebAuthn Level 3 §5.8.4): a hint, and no matter of security.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum PasskeyTransport {
            $($(#[doc = $doc])+ $transport,)+
        }

        impl PasskeyTransport {
            /// Every transport.
            pub const ALL: &'static [Self] = &[$(Self::$transport),+];

            /// The name of the standard.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$transport => $name,)+
                }
            }

            /// The transport with a name; `None` for one of a later edition of the standard.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|transport| transport.as_str() == name)
            }
        }
    };
}

transports! {
    /// By Bluetooth Low Energy.
    Ble = "ble",
    /// By another device nearby, which shows a QR code or is shown one.
    Hybrid = "hybrid",
    /// It is a part of the device.
    Internal = "internal",
    /// By touch.
    Nfc = "nfc",
    /// By a card in a reader.
    SmartCard = "smart-card",
    /// By plug.
    Usb = "usb",
}

/// A passkey of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Names it to its owner.
    pub id: PasskeyId,
    /// Whose.
    pub user_id: UserId,
    /// What its authenticator calls it. No two passkeys of all accounts share one.
    pub credential_id: CredentialId,
    /// The public key as the authenticator wrote it: a `COSE_Key` (RFC 9052 §7).
    pub public_key: Vec<u8>,
    /// What its owner calls it.
    pub name: PasskeyName,
    /// The signature counter of the last reply. It only grows, but for authenticators that do not count and always say 0
    /// (WebAuthn Level 3 §6.1.1).
    pub sign_count: u32,
    /// Whether the key may be copied to other devices. That never changes (WebAuthn Level 3 §6.1.3).
    pub backup_eligible: bool,
    /// Whether it was when it was used last.
    pub backed_up: bool,
    /// How its authenticator is reached.
    pub transports: BTreeSet<PasskeyTransport>,
    /// Which make the authenticator says that it is of. Nobody vouches for that.
    pub aaguid: Uuid,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
}

/// A passkey and its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyWithUser {
    /// The passkey.
    pub passkey: Passkey,
    /// Its account, active or suspended.
    pub user: User,
}

/// A challenge that waits to be signed. What it may be answered for, and by whom, is part of what is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyChallenge {
    /// Names it; it is part of the challenge.
    pub id: PasskeyChallengeId,
    /// The SHA-256 of what it is for and of its bytes.
    pub secret: Digest,
    /// From when on nothing answers it.
    pub expires_at: Timestamp,
}

/// One change of passkeys, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasskeyChange {
    /// Keeps a passkey. Guards, in this order: its account is active and has this `auth_epoch` (`Conflict::UserChanged`); neither
    /// its id nor what its authenticator calls it is taken, by whatever account (`Conflict::PasskeyTaken`); the account has fewer
    /// than `at_most` (`Conflict::PasskeyLimit`).
    Insert {
        /// The passkey.
        passkey: Box<Passkey>,
        /// The account's epoch when the registration was judged.
        auth_epoch: u32,
        /// How many there may be, this one included.
        at_most: u32,
    },
    /// Records a use. Guard: it is there, and its counter is the one that the reply was judged by (`Conflict::PasskeyUsed`). Of any
    /// number of replies that were judged by one counter and move it, one is recorded.
    Use {
        /// Which.
        id: PasskeyId,
        /// The counter that was read.
        from: u32,
        /// The counter of the reply.
        sign_count: u32,
        /// Whether the key is copied to other devices now.
        backed_up: bool,
        /// When.
        at: Timestamp,
    },
    /// Gives a passkey another name. Guard: the account has it (`Conflict::PasskeyGone`).
    Rename {
        /// Which.
        id: PasskeyId,
        /// Whose.
        user_id: UserId,
        /// The name.
        name: PasskeyName,
    },
    /// Forgets a passkey. Guards: the account has it (`Conflict::PasskeyGone`), and another passkey or a password beside it
    /// (`Conflict::LastWayIn`). Rivals wait for each other at the account: two cannot each leave the other's.
    Delete {
        /// Which.
        id: PasskeyId,
        /// Whose.
        user_id: UserId,
    },
    /// Forgets every passkey of an account. No guard: there may be none.
    ForgetAllOf {
        /// Whose.
        user_id: UserId,
    },
    /// Keeps a challenge. Guard: its id is new (`Conflict::DuplicateId`).
    Challenge(PasskeyChallenge),
    /// Uses a challenge up. Guard: it is there with this secret, and has not expired at `at` (`Conflict::TokenGone`). Of any number
    /// of rivals one succeeds.
    Answer {
        /// Which.
        id: PasskeyChallengeId,
        /// The digest of what was answered, and of what for.
        secret: Digest,
        /// When.
        at: Timestamp,
    },
    /// Forgets challenges that expired before this instant, at most `limit`. No guard; `Committed::purged` says how many.
    PurgeChallenges {
        /// The instant.
        expired_before: Timestamp,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
}
