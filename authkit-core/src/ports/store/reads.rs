//! The reads, one small trait per aggregate. Each is one round trip and sees every commit that was acknowledged before it began.

use async_trait::async_trait;

use crate::model::Factors;
use crate::model::StoredPassword;
use crate::model::{
    AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, Credentials, Revocation, ServerKey, Session,
    SessionWithUser, StoredRoles, User,
};
use crate::model::{CredentialId, Passkey, PasskeyWithUser};
use crate::model::{GuessSubject, Guesses, LoginState};
use crate::model::{OneTimePurpose, OneTimeTokenWithUser, OutboxMessage, OutboxState};
use crate::model::{UserFilter, UserPage, UserPageRequest};
use crate::ports::store::StoreError;
use crate::primitives::{AuditEventId, Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};
use crate::primitives::{OneTimeTokenId, OutboxMessageId};

/// Reads of accounts. A closed account is absent from all of them.
#[async_trait]
pub trait UserReads: Send + Sync {
    /// The account with this id.
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The account with this address (by its normal form) and its password hash.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError>;

    /// The account with this id and its password hash.
    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// The password hashes of all accounts, the least id first. A page begins above the cursor's id, whether or not an account
    /// of that id still is, or ever was, among them.
    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError>;

    /// The accounts that the filter lets through: without a search the greatest id first, with one in the order of
    /// ([`UserQuery::place`](crate::model::UserQuery::place), id), texts compared byte by byte. A page begins behind the cursor, whether
    /// or not its account still is, or ever was, in the list. The cost of a page does not grow with how far back it lies.
    ///
    /// A page of a search may hold fewer accounts than were asked for, or none, and name a next one: a store may look at a bounded number
    /// of candidates for each page. Whoever follows the cursors to the end has seen each account once.
    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError>;
}

/// Where a reader of revocations stands: everything up to this instant, and at it up to this session, was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevocationMark {
    /// The instant.
    pub at: Timestamp,
    /// The last session that was read at that instant; `None` for none of them.
    pub session_id: Option<SessionId>,
}

/// Reads of sessions.
#[async_trait]
pub trait SessionReads: Send + Sync {
    /// The session with this id and its account, whether it is live or not. Absent when its account is closed.
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError>;

    /// The sessions of a user that are live at `now`, the greatest id first; none when the account is closed.
    /// A page begins below the cursor's id, whether or not a session of that id still is, or ever was, among them.
    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError>;

    /// The sessions revoked after `mark`, closed accounts' included, in the order of (instant, id), at most `limit`: those
    /// whose (instant, `Some(id)`) is greater than the mark's pair, `None` being less than every id.
    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError>;
}

/// Reads of the server's keys.
#[async_trait]
pub trait KeyReads: Send + Sync {
    /// Every key, in the order of purpose and serial. There are only ever a handful.
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError>;
}

/// Reads of the audit log.
#[async_trait]
pub trait AuditReads: Send + Sync {
    /// The events that the filter asks for, in its order. Events of closed accounts stay.
    ///
    /// Whatever one member of the filter is given alone is found by an index, also among ten million events.
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError>;

    /// How many events there are with an id from `from` to below `below`.
    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError>;

    /// The seals whose number is greater than `after`, in order, at most `limit`.
    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError>;

    /// The seal with the greatest number.
    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError>;

    /// The leaves of a seal, in order; `None` where there is no such seal, or its events were purged.
    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError>;

    /// How far a receiver of the log is.
    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError>;
}

/// Where a reader of changed access stands: everything up to this instant, and at it up to this account, was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessMark {
    /// The instant.
    pub at: Timestamp,
    /// The last account that was read at that instant; `None` for none of them.
    pub user_id: Option<UserId>,
}

/// Reads of roles, and of who has them.
#[async_trait]
pub trait RoleReads: Send + Sync {
    /// Every role and their version, seen at one moment; `None` when the version is still `known`.
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError>;

    /// The version of all roles, and the accounts whose roles were replaced after `mark`, in the order of (instant, id), at most
    /// `limit`: those whose (instant, `Some(id)`) is greater than the mark's pair, `None` being less than every id. Of an account that
    /// changed several times the last change; of a closed one nothing.
    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError>;

    /// The accounts, active or suspended, that have this role, in whatever scope and until whenever, the greatest id first.
    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError>;
}

/// Reads of the counts of wrong guesses, alone or beside the account that they are about.
#[async_trait]
pub trait GuessReads: Send + Sync {
    /// The wrong guesses of a subject in a row; `None` for none.
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError>;

    /// The account with this address (by its normal form), as [`UserReads::credentials_by_email`] finds it, with the guesses of
    /// `subject` and of `device`. The guesses are read whether there is an account or not, in the same way and time.
    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError>;

    /// The account with this id, as [`UserReads::credentials_by_id`] finds it, with the guesses of `subject`.
    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError>;
}

/// Reads of second factors.
#[async_trait]
pub trait FactorReads: Send + Sync {
    /// What the second factors of an account are checked against; `None` when it never had any, or is closed.
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError>;
}

/// Reads of one-time tokens.
#[async_trait]
pub trait OneTimeTokenReads: Send + Sync {
    /// The token with this id and this purpose, expired or not, and its account. Absent when its account is closed.
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError>;
}

/// Reads of passkeys.
#[async_trait]
pub trait PasskeyReads: Send + Sync {
    /// The passkeys of an account, the least id first; none when it is closed. There are only ever a handful.
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError>;

    /// The passkey that its authenticator calls this, and its account. Absent when that is closed.
    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError>;
}

/// Reads of the outbox.
#[async_trait]
pub trait OutboxReads: Send + Sync {
    /// The message with this id.
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError>;

    /// The messages in a state, the greatest id first.
    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError>;
}
