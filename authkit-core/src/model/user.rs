//! An account.

use crate::model::access::{Access, Assignment};
use crate::model::factor::FactorSet;
use crate::primitives::{Email, FullName, Locale, Timestamp, UserId};

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserStatus {
    /// May log in.
    Active,
    /// Shut by an administrator: nothing of it works until it is restored.
    Suspended,
}

impl UserStatus {
    /// The stable name, as stored and as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The status with a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|status| status.as_str() == name)
    }
}

/// An account. A closed account is not a `User` any more: no read returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the account, for ever.
    pub id: UserId,
    /// Where mail goes, and what identifies the account at login.
    pub email: Email,
    /// When the owner proved that she reads mail at that address; `None` while she has not.
    pub email_verified_at: Option<Timestamp>,
    /// What she calls herself.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// Whether the account may be used.
    pub status: UserStatus,
    /// How often the means of access were replaced (password set, factor removed). It only grows, and a new session
    /// is guarded by it: a login that was checked against the old password cannot land after the change.
    pub auth_epoch: u32,
    /// The second factors that are in force.
    pub second_factors: FactorSet,
    /// The roles that she has.
    pub access: Access,
    /// How often the account itself was changed. It only grows, and whoever has read the account can guard a change of it by it: of two
    /// administrators who have read the same, one changes it.
    pub version: u32,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the account itself was last changed.
    pub updated_at: Timestamp,
}

/// What happens to one field of a partial update.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field gets a value.
    Set(T),
    /// The field is emptied.
    Clear,
}

impl<T> Patch<T> {
    /// Whether the field stays as it is.
    #[must_use]
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The value that is set, if one is.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// One change of an account, with its guard. Each but `Insert`, `Expect` and `HoldAccess` raises the `version` by one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserChange {
    /// Makes the account, without a password and without roles, whatever `access` says. Guard: no account has the address (`Conflict::EmailTaken`), and no account,
    /// closed ones included, the id (`Conflict::DuplicateId`). Where both are taken, either is named.
    Insert(User),
    /// Changes the named profile fields and `updated_at`. Guard: the account is active (`Conflict::UserChanged`).
    UpdateProfile {
        /// Whose profile.
        id: UserId,
        /// What becomes of the name.
        full_name: Patch<FullName>,
        /// What becomes of the language.
        locale: Patch<Locale>,
        /// When.
        at: Timestamp,
    },
    /// Writes down that the owner reads mail at the account's address; when she first proved it stays. Guard: the account is
    /// active and `email` is its address (`Conflict::UserChanged`): a proof of one address says nothing about another.
    VerifyEmail {
        /// Whose.
        id: UserId,
        /// The address that was proved.
        email: Email,
        /// When.
        at: Timestamp,
    },
    /// Gives the account another address, one at which its owner has just proved to read mail. Guards: no other account has
    /// `to` (`Conflict::EmailTaken`), and the account is active and its address is `from` (`Conflict::UserChanged`); where
    /// both fail, the first is named. Raise the epoch with it: an address is a means of access.
    ChangeEmail {
        /// Whose.
        id: UserId,
        /// The address that it has.
        from: Email,
        /// The address that it gets.
        to: Email,
        /// When.
        at: Timestamp,
    },
    /// Raises `auth_epoch` by one and sets `updated_at`. Guard: the account is active and its epoch is `from`
    /// (`Conflict::UserChanged`).
    RaiseAuthEpoch {
        /// Whose.
        id: UserId,
        /// The epoch that was read.
        from: u32,
        /// When.
        at: Timestamp,
    },
    /// Says which second factors are in force from now on, raises `auth_epoch` by one and sets `updated_at`. Guard: the account is
    /// there, active or suspended, and its epoch is `from` (`Conflict::UserChanged`).
    ///
    /// INVARIANT: the epoch rises with it, so that no login that was decided on the factors as they were lands behind the change.
    SetSecondFactors {
        /// Whose.
        id: UserId,
        /// The epoch that was read.
        from: u32,
        /// The factors.
        to: FactorSet,
        /// When.
        at: Timestamp,
    },
    /// Changes the named fields, as an administrator does, and `updated_at`. A new address is not verified, and raises `auth_epoch` by
    /// one. Guards: the account is open, active or suspended, and has the version `from` (`Conflict::UserChanged`); no other account
    /// has the new address (`Conflict::EmailTaken`, also where neither holds).
    Update {
        /// Whose.
        id: UserId,
        /// The version that was read.
        from: u32,
        /// The new address; `None` where it stays.
        email: Option<Email>,
        /// What becomes of the name.
        full_name: Patch<FullName>,
        /// What becomes of the language.
        locale: Patch<Locale>,
        /// When.
        at: Timestamp,
    },
    /// Shuts the account, and raises `auth_epoch` by one. It ends no session, `SessionChange::RevokeAll` behind it does.
    /// Guard: the account is active and has the version `from` (`Conflict::UserChanged`).
    Suspend {
        /// Whose.
        id: UserId,
        /// The version that was read.
        from: u32,
        /// When.
        at: Timestamp,
    },
    /// Opens a suspended account again. Guard: it is suspended and has the version `from` (`Conflict::UserChanged`).
    Restore {
        /// Whose.
        id: UserId,
        /// The version that was read.
        from: u32,
        /// When.
        at: Timestamp,
    },
    /// Changes nothing, and holds what is behind it in the set to an account that nobody has changed: it is locked until the set is
    /// done. Guard: the account is open, active or suspended, and has this version (`Conflict::UserChanged`).
    Expect {
        /// Whose.
        id: UserId,
        /// The version that was read.
        version: u32,
    },
    /// Replaces the roles of an account, raises the version of its access and sets `updated_at`. Guards, in this order: the version of
    /// all roles is `roles_version` (`Conflict::RolesChanged`); the account is there, active or suspended, and the version of its access
    /// is `from` (`Conflict::AccessChanged`); every role exists (`Conflict::RolesChanged`).
    ///
    /// All roles stay as they are until the set is committed: what a role gives is what it gave when its assignment was decided.
    ReplaceAssignments {
        /// Whose.
        id: UserId,
        /// The version of her access that was read.
        from: u32,
        /// Her roles, in the order of role and scope, no role twice in one scope.
        to: Vec<Assignment>,
        /// The version of all roles that was read.
        roles_version: u32,
        /// When.
        at: Timestamp,
    },
    /// Changes nothing, and stands in front of what a user does by the power of her roles. Guard: her account is active, and the
    /// version of its access is `version` (`Conflict::AuthorityChanged`). It stays so until the set is committed.
    HoldAccess {
        /// Whose.
        id: UserId,
        /// The version of her access that was read.
        version: u32,
    },
    /// Closes the account for good: no read returns it, its address is free again, its password, its second factors and
    /// its roles are gone,
    /// and so is what was personal in its row and in those of its sessions, with its one-time tokens and its messages in the
    /// outbox. Its id stays taken, and its sessions stay so that their
    /// revocation can be read; it does not end them, `SessionChange::RevokeAll` behind it does.
    /// Guard: the account is there, active or suspended (`Conflict::UserChanged`).
    Close {
        /// Whose.
        id: UserId,
        /// When.
        at: Timestamp,
    },
}
