//! The reads: each is one statement on a connection of its own. The same for every store of this crate.

/// Implements the read traits for a store with a method `all`, which runs a query and decodes its rows.
macro_rules! impl_reads {
    ($store:ty) => {
        mod store_reads {
            use async_trait::async_trait;
            use authkit_core::model::{
                AuditEvent, Credentials, Revocation, ServerKey, Session, SessionWithUser, StoredPassword, User,
            };
            use authkit_core::ports::{AuditReads, KeyReads, RevocationMark, SessionReads, StoreError, UserReads};
            use authkit_core::{Email, Page, PageLimit, PageRequest, SessionId, Timestamp, UserId};

            use crate::aggregate::{audit, credential, server_key, session, user};
            use crate::row::{DecodeError, Fields};
            use crate::statement::Query;

            impl $store {
                /// The only row of a query, if there is one.
                pub(super) async fn optional<T>(
                    &self,
                    query: Query,
                    decode: impl Fn(&mut Fields<'_>) -> Result<T, DecodeError> + Send,
                ) -> Result<Option<T>, StoreError> {
                    Ok(self.all(query, decode).await?.pop())
                }
            }

            #[async_trait]
            impl UserReads for $store {
                async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
                    self.optional(user::by_id(id), user::decode).await
                }

                async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
                    self.optional(credential::by_email(email), credential::decode).await
                }

                async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
                    self.optional(credential::by_user(id), credential::decode).await
                }

                async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
                    let passwords = self.all(credential::page(page), credential::decode_stored).await?;
                    Ok(Page::from_surplus(passwords, page.limit, |password| password.user_id.as_uuid()))
                }
            }

            #[async_trait]
            impl SessionReads for $store {
                async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
                    self.optional(session::by_id(id), session::decode_with_user).await
                }

                async fn live_sessions(
                    &self,
                    user_id: UserId,
                    now: Timestamp,
                    page: PageRequest,
                ) -> Result<Page<Session>, StoreError> {
                    let sessions = self.all(session::live(user_id, now, page), session::decode).await?;
                    Ok(Page::from_surplus(sessions, page.limit, |session| session.id.as_uuid()))
                }

                async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
                    self.all(session::revoked_after(mark, limit), session::decode_revocation).await
                }
            }

            #[async_trait]
            impl KeyReads for $store {
                async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
                    self.all(server_key::list(), server_key::decode).await
                }
            }

            #[async_trait]
            impl AuditReads for $store {
                async fn audit_events(&self, subject: Option<UserId>, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
                    let events = self.all(audit::page(subject, page), audit::decode).await?;
                    Ok(Page::from_surplus(events, page.limit, |event| event.id.as_uuid()))
                }
            }
        }
    };
}

pub(crate) use impl_reads;
