//! The store itself: which transaction each method of the port gets, and on which thread.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use authkit_core::model::Factors;
use authkit_core::model::StoredPassword;
use authkit_core::model::{
    AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, ChangeSet, Committed, Credentials, Revocation,
    Rotation, RotationOutcome, ServerKey, Session, SessionWithUser, StoredRoles, User, UserFilter, UserPage, UserPageRequest,
};
use authkit_core::model::{CredentialId, Passkey, PasskeyWithUser};
use authkit_core::model::{GuessSubject, Guesses, LoginState};
use authkit_core::model::{OneTimePurpose, OneTimeTokenWithUser, OutboxMessage, OutboxState};
use authkit_core::ports::FactorReads;
use authkit_core::ports::GuessReads;
use authkit_core::ports::PasskeyReads;
use authkit_core::ports::{
    AccessMark, AuditReads, CommitError, KeyReads, RevocationMark, RoleReads, SessionReads, Store, StoreError, UserReads,
};
use authkit_core::ports::{OneTimeTokenReads, OutboxReads};
use authkit_core::{AuditEventId, Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};
use authkit_core::{OneTimeTokenId, OutboxMessageId};
use redb::{Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use tokio::sync::Semaphore;

use crate::changes::{self, NotRotated};
use crate::passkeys;
use crate::reads;
use crate::tables::{self, FORMAT, META, broken};

/// A [`Store`] in one file, on redb.
#[derive(Debug)]
pub(crate) struct RedbStore {
    database: Arc<Database>,
    /// One permit: whose turn it is to write. redb would make the others wait too, but each in a blocked thread.
    turn: Arc<Semaphore>,
}

impl RedbStore {
    /// Opens the file, and makes it when there is none.
    pub(crate) async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let database = off_the_runtime(move || Database::create(path).map_err(broken)).await?;
        let store = Self { database: Arc::new(database), turn: Arc::new(Semaphore::new(1)) };
        store.write(tables::prepare).await?;
        Ok(store)
    }

    /// Runs a query on a snapshot: it waits for no writer, and no writer waits for it.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        off_the_runtime(move || query(&database.begin_read().map_err(broken)?)).await
    }

    /// Runs `work` in the one write transaction: all of it is kept, on disk, when `work` succeeds, and nothing when it fails.
    async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(StoreError::unavailable)?;
        let database = Arc::clone(&self.database);
        off_the_runtime(move || {
            let _turn = turn;
            let tx = database.begin_write().map_err(broken)?;
            let done = work(&tx)?; // an error drops the transaction, and that takes everything back
            tx.commit().map_err(broken)?; // returns when it is on disk
            Ok(done)
        })
        .await
    }
}

/// Disk and JSON are work for a thread that may block. The job is finished even if nobody waits for it any more.
async fn off_the_runtime<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    job: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| {
        let error = if error.is_cancelled() { StoreError::unavailable(error) } else { StoreError::failed(error) };
        Err(error.into())
    })
}

#[async_trait]
impl UserReads for RedbStore {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |tx| reads::user(tx, id)).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let email = email.normal().to_owned();
        self.read(move |tx| reads::credentials_by_email(tx, &email)).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.read(move |tx| reads::credentials(tx, id)).await
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        self.read(move |tx| reads::password_hashes(tx, page)).await
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |tx| reads::list_users(tx, &filter, &page)).await
    }
}

#[async_trait]
impl SessionReads for RedbStore {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.read(move |tx| reads::session_with_user(tx, id)).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        self.read(move |tx| reads::live_sessions(tx, user_id, now, page)).await
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        self.read(move |tx| reads::revocations_after(tx, mark, limit)).await
    }
}

#[async_trait]
impl KeyReads for RedbStore {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.read(reads::server_keys).await
    }
}

#[async_trait]
impl AuditReads for RedbStore {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let filter = filter.clone();
        self.read(move |tx| reads::audit_events(tx, &filter, page)).await
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        self.read(move |tx| reads::audit_event_count(tx, from, below)).await
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        self.read(move |tx| reads::audit_seals(tx, after, limit)).await
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        self.read(reads::last_audit_seal).await
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        self.read(move |tx| reads::audit_leaves(tx, seal)).await
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        let name = name.to_owned();
        self.read(move |tx| tables::get(tx, name.as_str())).await
    }
}

#[async_trait]
impl RoleReads for RedbStore {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        self.read(move |tx| reads::roles(tx, known)).await
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        self.read(move |tx| reads::access_after(tx, mark, limit)).await
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        let role = role.clone();
        self.read(move |tx| reads::users_with_role(tx, &role, page)).await
    }
}

#[async_trait]
impl GuessReads for RedbStore {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        self.read(move |tx| reads::guesses(tx, subject)).await
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        let email = email.normal().to_owned();
        self.read(move |tx| reads::login(tx, reads::credentials_by_email(tx, &email)?, subject, device)).await
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        self.read(move |tx| reads::login(tx, reads::credentials(tx, id)?, subject, None)).await
    }
}

#[async_trait]
impl FactorReads for RedbStore {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        self.read(move |tx| tables::get(tx, user_id.as_uuid())).await
    }
}

#[async_trait]
impl OneTimeTokenReads for RedbStore {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        self.read(move |tx| reads::one_time_token(tx, id, purpose)).await
    }
}

#[async_trait]
impl PasskeyReads for RedbStore {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.read(move |tx| passkeys::of(tx, user_id)).await
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        let credential_id = credential_id.clone();
        self.read(move |tx| passkeys::by_credential(tx, &credential_id)).await
    }
}

#[async_trait]
impl OutboxReads for RedbStore {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        self.read(move |tx| tables::get(tx, id.as_uuid())).await
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        self.read(move |tx| reads::outbox_messages(tx, state, page)).await
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        let changes = changes.clone();
        self.write(move |tx| {
            let mut committed = Committed::default();
            for change in changes.changes() {
                changes::apply(tx, change, &mut committed)?;
            }
            Ok(committed)
        })
        .await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let rotation = rotation.clone();
        match self.write(move |tx| changes::rotate(tx, &rotation)).await {
            Ok(moved) => Ok(RotationOutcome::Rotated(Box::new(moved))),
            Err(NotRotated::Refused(stands)) => Ok(RotationOutcome::Refused(stands)),
            Err(NotRotated::Failed(error)) => Err(error),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(|tx| tables::set(tx, META, "format", FORMAT)).await
    }
}
