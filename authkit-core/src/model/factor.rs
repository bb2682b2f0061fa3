//! Second factors: which of them an account has, and what each is checked against.

use std::fmt;

use crate::model::guess::Guesses;
use crate::model::sent_code::SentCode;
use crate::model::trusted_device::TrustedDevice;
use crate::primitives::{Digest, Sealed, Timestamp, UserId};

/// A second factor that somebody can turn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FactorKind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// Codes that are mailed to the address of the account.
    Email,
    /// Codes in text messages to a telephone.
    Sms,
    /// A passkey.
    Passkey,
}

impl FactorKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Totp, Self::Email, Self::Sms, Self::Passkey];

    /// The stable name, as sent and as audited.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Passkey => "passkey",
        }
    }

    /// The kind with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    const fn bit(self) -> u32 {
        match self {
            Self::Totp => 1,
            Self::Email => 2,
            Self::Sms => 4,
            Self::Passkey => 8,
        }
    }
}

/// The second factors that are in force for an account. While there is one, no session begins on a first factor alone.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FactorSet(u32);

impl FactorSet {
    /// No second factor.
    pub const NONE: Self = Self(0);

    /// The set as a store keeps it: one bit for each kind.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set that a store kept; `None` when it names a kind that this version does not know. Reading past such a factor
    /// would let its account in without it.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        let known = FactorKind::ALL.into_iter().fold(0, |known, kind| known | kind.bit());
        (bits & !known == 0).then_some(Self(bits))
    }

    /// The set with a kind.
    #[must_use]
    pub const fn with(self, kind: FactorKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// The set without a kind.
    #[must_use]
    pub const fn without(self, kind: FactorKind) -> Self {
        Self(self.0 & !kind.bit())
    }

    /// Whether a kind is in force.
    #[must_use]
    pub const fn has(self, kind: FactorKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = FactorKind> {
        FactorKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl fmt::Debug for FactorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The secret that an authenticator app shares with us. Whether it is in force is said by [`FactorSet`]: until then it waits to
/// be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpSecret {
    /// The secret, sealed with the account's id as associated data.
    pub sealed: Sealed,
    /// The last time step whose code was accepted. It only grows, so that no code is accepted twice (RFC 6238 §5.2).
    pub last_step: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A telephone that codes are sent to. Whether it is in force is said by [`FactorSet`]: until then it waits to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// The number (E.164), sealed with the account's id as associated data.
    pub number: Sealed,
    /// When it was given.
    pub created_at: Timestamp,
}

/// The recovery codes that are left of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCodes {
    /// The key that the digests are made with, sealed with the account's id as associated data: without the master key nobody
    /// can even begin to try codes against the digests.
    pub key: Sealed,
    /// A digest for each code that was not used, in the order in which they were made.
    pub digests: Vec<Digest>,
    /// When the set was made.
    pub created_at: Timestamp,
}

/// What the second factors of an account are checked against. One row, so that everything that is decided on it is decided on one
/// reading, and written only if nothing of it has changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors {
    /// Whose.
    pub user_id: UserId,
    /// How often the row was written. It only grows.
    pub version: u32,
    /// The secret of the authenticator app.
    pub totp: Option<TotpSecret>,
    /// The telephone.
    pub phone: Option<Phone>,
    /// The recovery codes.
    pub recovery: Option<RecoveryCodes>,
    /// The codes that were sent and wait to be typed in: at most one for each use.
    pub sent_codes: Vec<SentCode>,
    /// The devices on which no second factor is asked for.
    pub trusted_devices: Vec<TrustedDevice>,
    /// Codes in a row that were wrong, or were let through to be checked and not heard of again.
    pub guesses: Option<Guesses>,
}

impl Factors {
    /// The row of an account that has none yet.
    #[must_use]
    pub const fn none_of(user_id: UserId) -> Self {
        Self {
            user_id,
            version: 0,
            totp: None,
            phone: None,
            recovery: None,
            sent_codes: Vec::new(),
            trusted_devices: Vec::new(),
            guesses: None,
        }
    }
}

/// One change of the second factors of an account, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactorChange {
    /// Writes the row. Guard: it still has the version that was read, or is still absent where that is 0
    /// (`Conflict::FactorsChanged`); where it is absent, after that the account is there, active or suspended
    /// (`Conflict::UserChanged`). The version that is kept is one higher. Of any number of rivals who have read the same
    /// version, one writes.
    ///
    /// Every use of a factor is such a write, so that a time step, a recovery code and a guess are used by one.
    Put(Box<Factors>),
    /// Forgets the row, if there is one. No guard.
    Forget {
        /// Whose.
        user_id: UserId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it_and_nothing_else() {
        let set = FactorSet::NONE.with(FactorKind::Sms).with(FactorKind::Totp).with(FactorKind::Sms);
        assert_eq!(set.iter().collect::<Vec<_>>(), [FactorKind::Totp, FactorKind::Sms]);
        assert_eq!(set.without(FactorKind::Totp).iter().collect::<Vec<_>>(), [FactorKind::Sms]);
        assert!(set.without(FactorKind::Totp).without(FactorKind::Sms).is_empty());
        assert_eq!(FactorSet::from_bits(set.bits()), Some(set));
        assert_eq!(FactorSet::from_bits(1 << 31), None, "a factor of a newer version must not be overlooked");
    }
}
