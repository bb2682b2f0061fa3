//! The reads: each is one statement on a connection of its own. The same for every store of this crate.

/// Implements the read traits for a store with a method `all`, which runs a query and decodes its rows.
macro_rules! impl_reads {
    ($store:ty, $dialect:path) => {
        mod store_reads {
            use async_trait::async_trait;
            use authkit_core::model::Factors;
            use authkit_core::model::StoredPassword;
            use authkit_core::model::{
                AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, Credentials, Revocation, ServerKey,
                Session, SessionWithUser, StoredRoles, User,
            };
            use authkit_core::model::{CredentialId, Passkey, PasskeyWithUser};
            use authkit_core::model::{GuessSubject, Guesses, LoginState};
            use authkit_core::model::{OneTimePurpose, OneTimeTokenWithUser, OutboxMessage, OutboxState};
            use authkit_core::model::{UserFilter, UserPage, UserPageRequest};
            use authkit_core::ports::FactorReads;
            use authkit_core::ports::PasskeyReads;
            use authkit_core::ports::{
                AccessMark, AuditReads, KeyReads, RevocationMark, RoleReads, SessionReads, StoreError, UserReads,
            };
            use authkit_core::ports::{CommitError, GuessReads};
            use authkit_core::ports::{OneTimeTokenReads, OutboxReads};
            use authkit_core::{AuditEventId, Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};
            use authkit_core::{OneTimeTokenId, OutboxMessageId};

            use crate::aggregate::factor;
            use crate::aggregate::passkey;
            use crate::aggregate::{audit, credential, role, server_key, session, user};
            use crate::aggregate::{guess, user_search};
            use crate::aggregate::{one_time_token, outbox};
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

            impl $store {
                /// Prepares for the search at most so many accounts that were written without it; says how many there were.
                pub(super) async fn index(&self, limit: PageLimit) -> Result<usize, StoreError> {
                    let users = self.all(user_search::unindexed(limit), user::decode).await?;
                    if users.is_empty() {
                        return Ok(0);
                    }
                    match self.write(user_search::index_all(&$dialect, &users)).await {
                        Ok(_) => return Ok(users.len()),
                        // One of them has changed in between: one by one.
                        Err(CommitError::Conflict(_)) => {}
                        Err(CommitError::Store(error)) => return Err(error),
                        Err(other) => return Err(StoreError::failed(other)),
                    }
                    for user in &users {
                        match self.write(user_search::index_all(&$dialect, std::slice::from_ref(user))).await {
                            // Whoever changed it gave it its terms, or the next round does.
                            Ok(_) | Err(CommitError::Conflict(_)) => {}
                            Err(CommitError::Store(error)) => return Err(error),
                            Err(other) => return Err(StoreError::failed(other)),
                        }
                    }
                    Ok(users.len())
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

                async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
                    let query = user_search::page(&$dialect, filter, page);
                    let rows = self.all(query, |fields| user_search::decode(filter, fields)).await?;
                    Ok(user_search::page_of(rows, filter, page.limit))
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
            impl GuessReads for $store {
                async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
                    self.optional(guess::by_subject(subject), guess::decode).await
                }

                async fn login_by_email(
                    &self,
                    email: &Email,
                    subject: GuessSubject,
                    device: Option<GuessSubject>,
                ) -> Result<LoginState, StoreError> {
                    let read = self.optional(guess::login_by_email(email, subject, device), guess::decode_login).await?;
                    Ok(read.unwrap_or_default())
                }

                async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
                    Ok(self.optional(guess::login_by_user(id, subject), guess::decode_login).await?.unwrap_or_default())
                }
            }

            #[async_trait]
            impl FactorReads for $store {
                async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
                    self.optional(factor::by_user(user_id), factor::decode).await
                }
            }

            #[async_trait]
            impl PasskeyReads for $store {
                async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
                    self.all(passkey::of_user(user_id), passkey::decode).await
                }

                async fn passkey_by_credential(
                    &self,
                    credential_id: &CredentialId,
                ) -> Result<Option<PasskeyWithUser>, StoreError> {
                    self.optional(passkey::by_credential(credential_id), passkey::decode_with_user).await
                }
            }

            #[async_trait]
            impl AuditReads for $store {
                async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
                    let Some(query) = audit::page(filter, page) else { return Ok(Page { items: Vec::new(), next: None }) };
                    let events = self.all(query, audit::decode).await?;
                    Ok(Page::from_surplus(events, page.limit, |event| event.id.as_uuid()))
                }

                async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
                    Ok(self.optional(audit::count(from, below), |fields: &mut Fields<'_>| fields.count()).await?.unwrap_or(0))
                }

                async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
                    self.all(audit::seals(after, limit), audit::decode_seal).await
                }

                async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
                    self.optional(audit::last_seal(), audit::decode_seal).await
                }

                async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
                    self.optional(audit::leaves(seal), audit::decode_leaves).await
                }

                async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
                    self.optional(audit::stream(name), audit::decode_stream).await
                }
            }

            #[async_trait]
            impl RoleReads for $store {
                async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
                    let rows = self.all(role::all(known), role::decode).await?;
                    let version = rows.first().map(|(version, _)| *version);
                    Ok(version.map(|version| StoredRoles { version, roles: rows.into_iter().map(|(_, role)| role).collect() }))
                }

                async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
                    let rows = self.all(role::changed_after(mark, limit), role::decode_change).await?;
                    let roles_version = rows.first().map_or(0, |(version, _)| *version);
                    Ok(AccessNews { roles_version, changes: rows.into_iter().filter_map(|(_, change)| change).collect() })
                }

                async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
                    let users = self.all(role::users(role, page), user::decode).await?;
                    Ok(Page::from_surplus(users, page.limit, |user| user.id.as_uuid()))
                }
            }

            #[async_trait]
            impl OneTimeTokenReads for $store {
                async fn one_time_token(
                    &self,
                    id: OneTimeTokenId,
                    purpose: OneTimePurpose,
                ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
                    self.optional(one_time_token::by_id(id, purpose), one_time_token::decode_with_user).await
                }
            }

            #[async_trait]
            impl OutboxReads for $store {
                async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
                    self.optional(outbox::by_id(id), outbox::decode).await
                }

                async fn outbox_messages(
                    &self,
                    state: OutboxState,
                    page: PageRequest,
                ) -> Result<Page<OutboxMessage>, StoreError> {
                    let messages = self.all(outbox::page(state, page), outbox::decode).await?;
                    Ok(Page::from_surplus(messages, page.limit, |message| message.id.as_uuid()))
                }
            }
        }
    };
}

pub(crate) use impl_reads;
