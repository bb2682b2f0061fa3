//! The reads: each is one statement on a connection of its own.

use async_trait::async_trait;
use authkit_core::model::{AuditEvent, Credentials, Revocation, ServerKey, Session, SessionWithUser, User};
use authkit_core::ports::{AuditReads, KeyReads, RevocationMark, SessionReads, StoreError, UserReads};
use authkit_core::{Email, Page, PageLimit, PageRequest, SessionId, Timestamp, UserId};

use crate::aggregate::{audit, credential, server_key, session, user};
use crate::sqlite::SqliteStore;

#[async_trait]
impl UserReads for SqliteStore {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.inner.readers.optional(user::by_id(id), user::decode).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        self.inner.readers.optional(credential::by_email(email), credential::decode).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.inner.readers.optional(credential::by_user(id), credential::decode).await
    }
}

#[async_trait]
impl SessionReads for SqliteStore {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.inner.readers.optional(session::by_id(id), session::decode_with_user).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        let sessions = self.inner.readers.all(session::live(user_id, now, page), session::decode).await?;
        Ok(Page::from_surplus(sessions, page.limit, |session| session.id.as_uuid()))
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        self.inner.readers.all(session::revoked_after(mark, limit), session::decode_revocation).await
    }
}

#[async_trait]
impl KeyReads for SqliteStore {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.inner.readers.all(server_key::list(), server_key::decode).await
    }
}

#[async_trait]
impl AuditReads for SqliteStore {
    async fn audit_events(&self, subject: Option<UserId>, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let events = self.inner.readers.all(audit::page(subject, page), audit::decode).await?;
        Ok(Page::from_surplus(events, page.limit, |event| event.id.as_uuid()))
    }
}
