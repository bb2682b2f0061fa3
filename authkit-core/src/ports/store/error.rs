//! How a store says no.

use std::error::Error;

/// The guard that did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Another account has this address.
    #[error("another account has this email address")]
    EmailTaken,
    /// The account is gone, in another state, or its `auth_epoch` or `version` moved on.
    #[error("the account has changed")]
    UserChanged,
    /// The password is not the one that was verified.
    #[error("the password has changed")]
    PasswordChanged,
    /// The session is gone, revoked or, where that matters, expired.
    #[error("the session has ended")]
    SessionEnded,
    /// Another node has made this key of the purpose.
    #[error("another node has made the next key")]
    KeySerialTaken,
    /// The key is gone already.
    #[error("the key is gone already")]
    KeyGone,
    /// Another guess was counted in this moment, or the count was forgotten.
    #[error("another guess was counted")]
    GuessesChanged,
    /// The second factors of the account were written since they were read.
    #[error("the second factors have changed")]
    FactorsChanged,
    /// The one-time token was used, has expired, has no attempts left, or is another one.
    #[error("the one-time token cannot be used any more")]
    TokenGone,
    /// A passkey has this identifier, or its authenticator calls it as another passkey is called.
    #[error("the passkey is known already")]
    PasskeyTaken,
    /// The account has as many passkeys as it may have.
    #[error("the account has as many passkeys as it may have")]
    PasskeyLimit,
    /// The passkey was used since it was read, or is gone.
    #[error("the passkey was used in this moment")]
    PasskeyUsed,
    /// The account has no such passkey.
    #[error("the account has no such passkey")]
    PasskeyGone,
    /// Without it nobody could log in to the account.
    #[error("it is the last way into the account")]
    LastWayIn,
    /// The message of the outbox is gone, or in another state than it was read in.
    #[error("the message has moved on")]
    MessageMoved,
    /// A row with this identifier exists.
    #[error("the identifier is taken")]
    DuplicateId,
    /// A role has this name.
    #[error("a role has this name")]
    RoleTaken,
    /// A role was made, changed or deleted since they were read, or is built in.
    #[error("the roles have changed")]
    RolesChanged,
    /// Somebody has the role.
    #[error("somebody has the role")]
    RoleInUse,
    /// The roles of the account changed since they were read, or it is gone.
    #[error("the roles of the account have changed")]
    AccessChanged,
    /// The roles of whoever acts changed since they were read, or her account is not active any more.
    #[error("the authority of the actor has changed")]
    AuthorityChanged,
    /// Nobody would hold everything any more.
    #[error("nobody would hold every permission any more")]
    LastSuperuser,
    /// Another node has made this seal of the audit log, or the one before it is another.
    #[error("another node has made the next seal")]
    AuditSealTaken,
    /// Another node hands the audit log to this receiver.
    #[error("another node hands the audit log over")]
    AuditStreamHeld,
}

/// The store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, is shutting down, is read-only or is out of space. Asking again later can help.
    #[error("storage is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// What it holds cannot be read, or it refused a statement: asking again won't help.
    #[error("storage failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// The store cannot be used right now, for this cause.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// The store holds or answered something that must not be, for this cause.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}

/// Why a change set was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A guard did not hold; nothing was changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
