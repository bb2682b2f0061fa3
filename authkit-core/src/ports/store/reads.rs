//! The reads, one small trait per aggregate. Each is one round trip and sees every commit that was acknowledged before it began.

use async_trait::async_trait;

use crate::model::{AccessNews, AuditEvent, Credentials, Revocation, ServerKey, Session, SessionWithUser, StoredRoles, User};
use crate::ports::store::StoreError;
use crate::primitives::{Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};

/// Reads of accounts. A closed account is absent from all of them.
#[async_trait]
pub trait UserReads: Send + Sync {
    /// The account with this id.
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The account with this address (by its normal form) and its password hash.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError>;

    /// The account with this id and its password hash.
    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;
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
    /// The events, the greatest id first; of one account only where `subject` is given. Events of closed accounts stay.
    async fn audit_events(&self, subject: Option<UserId>, page: PageRequest) -> Result<Page<AuditEvent>, StoreError>;
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
