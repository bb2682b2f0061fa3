//! A store of two nodes.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Two stores on one database, asked in turn, as by a balancer: what one acknowledged, the other must know.
#[derive(Debug)]
pub(crate) struct InTurn<S> {
    nodes: [S; 2],
    asked: AtomicUsize,
}

impl<S> InTurn<S> {
    pub(crate) const fn new(first: S, second: S) -> Self {
        Self { nodes: [first, second], asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &S {
        &self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl<S: Store> UserReads for InTurn<S> {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.next().user_by_id(id).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        self.next().credentials_by_email(email).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.next().credentials_by_id(id).await
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        self.next().password_hashes(page).await
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        self.next().list_users(filter, page).await
    }
}

#[async_trait]
impl<S: Store> SessionReads for InTurn<S> {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.next().session_by_id(id).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        self.next().live_sessions(user_id, now, page).await
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        self.next().revocations_after(mark, limit).await
    }
}

#[async_trait]
impl<S: Store> KeyReads for InTurn<S> {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.next().server_keys().await
    }
}

#[async_trait]
impl<S: Store> AuditReads for InTurn<S> {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        self.next().audit_events(filter, page).await
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        self.next().audit_event_count(from, below).await
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        self.next().audit_seals(after, limit).await
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        self.next().last_audit_seal().await
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        self.next().audit_leaves(seal).await
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        self.next().audit_stream(name).await
    }
}

#[async_trait]
impl<S: Store> RoleReads for InTurn<S> {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        self.next().roles(known).await
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        self.next().access_after(mark, limit).await
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        self.next().users_with_role(role, page).await
    }
}

#[async_trait]
impl<S: Store> GuessReads for InTurn<S> {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        self.next().guesses(subject).await
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        self.next().login_by_email(email, subject, device).await
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        self.next().login_by_id(id, subject).await
    }
}

#[async_trait]
impl<S: Store> PasskeyReads for InTurn<S> {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.next().passkeys(user_id).await
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        self.next().passkey_by_credential(credential_id).await
    }
}

#[async_trait]
impl<S: Store> FactorReads for InTurn<S> {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        self.next().factors(user_id).await
    }
}

#[async_trait]
impl<S: Store> OneTimeTokenReads for InTurn<S> {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        self.next().one_time_token(id, purpose).await
    }
}

#[async_trait]
impl<S: Store> OutboxReads for InTurn<S> {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        self.next().outbox_message(id).await
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        self.next().outbox_messages(state, page).await
    }
}

#[async_trait]
impl<S: Store> Store for InTurn<S> {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        self.next().commit(changes).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        self.next().rotate(rotation).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.next().ping().await
    }
}
