//! The password of an account, kept apart from the account, so that reading a profile never reads a hash.

use crate::model::guess::Guesses;
use crate::model::user::User;
use crate::primitives::{PasswordHash, Timestamp, UserId};

/// What a login reads in one go: the account and its password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// The hash of its password; `None` when it has no password.
    pub password: Option<PasswordHash>,
}

/// A password hash and whose it is: what a job reads that goes through all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPassword {
    /// Whose.
    pub user_id: UserId,
    /// The hash.
    pub hash: PasswordHash,
}

/// What a flow reads before it checks a password: the account, and what was guessed at it. One reading of all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginState {
    /// The account and its password hash; `None` when there is no such account.
    pub credentials: Option<Credentials>,
    /// The wrong guesses of the subject that was asked for, whether there is an account or not; `None` for none.
    pub guesses: Option<Guesses>,
    /// The same of the device that was asked for.
    pub device_guesses: Option<Guesses>,
}

/// One change of a password, with its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialChange {
    /// Gives the account a password. Guards: the account exists, active or suspended (`Conflict::UserChanged`), and has
    /// none (`Conflict::PasswordChanged`).
    InsertPassword {
        /// Whose.
        user_id: UserId,
        /// The hash.
        hash: PasswordHash,
        /// When.
        at: Timestamp,
    },
    /// Replaces the hash. Guard: it is still `from` (`Conflict::PasswordChanged`), which it is for no account that has no
    /// password, is closed or never was.
    ReplacePassword {
        /// Whose.
        user_id: UserId,
        /// The hash that was verified.
        from: PasswordHash,
        /// The hash to keep.
        to: PasswordHash,
        /// When.
        at: Timestamp,
    },
    /// Removes the password, if there is one. No guard.
    DeletePassword {
        /// Whose.
        user_id: UserId,
    },
}
