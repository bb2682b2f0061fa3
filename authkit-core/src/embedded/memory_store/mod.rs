//! The store that keeps everything in memory: the reference model of [`Store`], and a store for tests.

mod audit;
mod factors;
mod guesses;
mod keys;
mod one_time_tokens;
mod outbox;
mod passkeys;
mod roles;
mod sessions;
mod table;
mod users;

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use crate::model::Factors;
use crate::model::StoredPassword;
use crate::model::{
    AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, Change, ChangeSet, Committed, Credentials,
    Revocation, Rotation, RotationOutcome, ServerKey, Session, SessionWithUser, StoredRoles, User, UserFilter, UserPage,
    UserPageRequest,
};
use crate::model::{CredentialId, Passkey, PasskeyWithUser};
use crate::model::{GuessSubject, Guesses, LoginState};
use crate::model::{OneTimePurpose, OneTimeTokenWithUser, OutboxMessage, OutboxState};
use crate::ports::store::FactorReads;
use crate::ports::store::GuessReads;
use crate::ports::store::PasskeyReads;
use crate::ports::store::{
    AccessMark, AuditReads, CommitError, KeyReads, RevocationMark, RoleReads, SessionReads, Store, StoreError, UserReads,
};
use crate::ports::store::{OneTimeTokenReads, OutboxReads};
use crate::primitives::{AuditEventId, Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};
use crate::primitives::{OneTimeTokenId, OutboxMessageId};

use audit::AuditLog;
use factors::FactorTable;
use guesses::GuessLog;
use keys::Keys;
use one_time_tokens::OneTimeTokens;
use outbox::Outbox;
use passkeys::Passkeys;
use roles::Roles;
use sessions::Sessions;
use users::Users;

/// A [`Store`] in memory: gone when the process ends, and otherwise exactly what the port promises.
///
/// It is the model that every other store is compared with, so it is written to be obviously right: one lock, ordered
/// maps, and a note of every overwritten row that takes a refused change set back.
///
/// ```
/// use authkit_core::embedded::MemoryStore;
/// use authkit_core::model::ChangeSet;
/// use authkit_core::ports::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = MemoryStore::new();
/// assert!(store.commit(&ChangeSet::new()).await.is_ok());
/// # }
/// ```
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        // INVARIANT: a panic in the middle of a commit may have left half of it, so what is behind a poisoned lock is never read.
        self.tables.lock().map_err(|_| StoreError::failed("a panic interrupted a commit"))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// All aggregates, behind the one lock.
#[derive(Default)]
struct Tables {
    users: Users,
    sessions: Sessions,
    keys: Keys,
    audit: AuditLog,
    roles: Roles,
    guesses: GuessLog,
    factors: FactorTable,
    tokens: OneTimeTokens,
    outbox: Outbox,
    passkeys: Passkeys,
}

impl Tables {
    fn apply(&mut self, change: &Change, committed: &mut Committed) -> Result<(), CommitError> {
        match change {
            Change::User(change) => users::apply(self, change),
            Change::Credential(change) => users::apply_credential(self, change),
            Change::Session(change) => sessions::apply(self, change, committed),
            Change::Key(change) => keys::apply(self, change),
            Change::Audit(change) => audit::apply(self, change, committed),
            Change::Role(change) => roles::apply(self, change),
            Change::Guess(change) => guesses::apply(self, change, committed),
            Change::Factor(change) => factors::apply(self, change),
            Change::OneTimeToken(change) => one_time_tokens::apply(self, change, committed),
            Change::Outbox(change) => outbox::apply(self, change, committed),
            Change::Passkey(change) => passkeys::apply(self, change, committed),
        }
    }

    fn keep(&mut self) {
        self.users.keep();
        self.sessions.keep();
        self.keys.keep();
        self.audit.keep();
        self.roles.keep();
        self.guesses.keep();
        self.factors.keep();
        self.tokens.keep();
        self.outbox.keep();
        self.passkeys.keep();
    }

    fn take_back(&mut self) {
        self.users.take_back();
        self.sessions.take_back();
        self.keys.take_back();
        self.audit.take_back();
        self.roles.take_back();
        self.guesses.take_back();
        self.factors.take_back();
        self.tokens.take_back();
        self.outbox.take_back();
        self.passkeys.take_back();
    }
}

#[async_trait]
impl UserReads for MemoryStore {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.tables()?.users.open(id).map(|account| account.user.clone()))
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.users.id_by_email(email).and_then(|id| tables.users.open(id)).cloned())
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        Ok(self.tables()?.users.open(id).cloned())
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        Ok(self.tables()?.users.password_page(page))
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        Ok(self.tables()?.users.page(filter, page))
    }
}

#[async_trait]
impl SessionReads for MemoryStore {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        Ok(sessions::with_user(&*self.tables()?, id))
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        let tables = self.tables()?;
        if tables.users.open(user_id).is_none() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        Ok(tables.sessions.live_page(user_id, now, page))
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        Ok(self.tables()?.sessions.revocations_after(mark, limit))
    }
}

#[async_trait]
impl KeyReads for MemoryStore {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        Ok(self.tables()?.keys.all())
    }
}

#[async_trait]
impl AuditReads for MemoryStore {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        Ok(self.tables()?.audit.page(filter, page))
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        Ok(self.tables()?.audit.count(from, below))
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        Ok(self.tables()?.audit.seals(after, limit))
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        Ok(self.tables()?.audit.last_seal())
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        Ok(self.tables()?.audit.leaves(seal))
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        Ok(self.tables()?.audit.stream(name))
    }
}

#[async_trait]
impl RoleReads for MemoryStore {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        Ok(self.tables()?.roles.all(known))
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        Ok(roles::access_after(&*self.tables()?, mark, limit))
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        Ok(roles::users_with_role(&*self.tables()?, role, page))
    }
}

#[async_trait]
impl GuessReads for MemoryStore {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        Ok(self.tables()?.guesses.of(subject))
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        let tables = self.tables()?;
        Ok(LoginState {
            credentials: tables.users.id_by_email(email).and_then(|id| tables.users.open(id)).cloned(),
            guesses: tables.guesses.of(subject),
            device_guesses: device.and_then(|device| tables.guesses.of(device)),
        })
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        let tables = self.tables()?;
        Ok(LoginState { credentials: tables.users.open(id).cloned(), guesses: tables.guesses.of(subject), device_guesses: None })
    }
}

#[async_trait]
impl FactorReads for MemoryStore {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        Ok(self.tables()?.factors.of(user_id).cloned())
    }
}

#[async_trait]
impl OneTimeTokenReads for MemoryStore {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        Ok(one_time_tokens::with_user(&*self.tables()?, id, purpose))
    }
}

#[async_trait]
impl OutboxReads for MemoryStore {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        Ok(self.tables()?.outbox.get(id).cloned())
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        Ok(self.tables()?.outbox.page(state, page))
    }
}

#[async_trait]
impl PasskeyReads for MemoryStore {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        Ok(self.tables()?.passkeys.of(user_id))
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        Ok(passkeys::with_user(&*self.tables()?, credential_id))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        let mut tables = self.tables()?;
        let mut committed = Committed::default();
        for change in changes.changes() {
            if let Err(refusal) = tables.apply(change, &mut committed) {
                tables.take_back();
                return Err(refusal);
            }
        }
        tables.keep();
        Ok(committed)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let mut tables = self.tables()?;
        let outcome = sessions::rotate(&mut tables, rotation)?;
        tables.keep();
        Ok(outcome)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.tables().map(drop)
    }
}

/// The counters that only ever grow end at the top of their type, as a column of a database would.
fn next(counter: u32) -> Result<u32, StoreError> {
    counter.checked_add(1).ok_or_else(|| StoreError::failed("a counter is at its end"))
}
