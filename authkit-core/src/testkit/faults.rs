//! A store that fails on demand.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::model::Factors;
use crate::model::StoredPassword;
use crate::model::{
    AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, ChangeSet, Committed, Credentials, Revocation,
    Rotation, RotationOutcome, ServerKey, Session, SessionWithUser, StoredRoles, User, UserFilter, UserPage, UserPageRequest,
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

/// A method of [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`UserReads::user_by_id`]
    UserById,
    /// [`UserReads::credentials_by_email`]
    CredentialsByEmail,
    /// [`UserReads::credentials_by_id`]
    CredentialsById,
    /// [`UserReads::password_hashes`]
    PasswordHashes,
    /// [`UserReads::list_users`]
    ListUsers,
    /// [`SessionReads::session_by_id`]
    SessionById,
    /// [`SessionReads::live_sessions`]
    LiveSessions,
    /// [`SessionReads::revocations_after`]
    RevocationsAfter,
    /// [`KeyReads::server_keys`]
    ServerKeys,
    /// [`AuditReads::audit_events`]
    AuditEvents,
    /// [`AuditReads::audit_event_count`]
    AuditEventCount,
    /// [`AuditReads::audit_seals`]
    AuditSeals,
    /// [`AuditReads::last_audit_seal`]
    LastAuditSeal,
    /// [`AuditReads::audit_leaves`]
    AuditLeaves,
    /// [`AuditReads::audit_stream`]
    AuditStream,
    /// [`GuessReads::guesses`]
    Guesses,
    /// [`GuessReads::login_by_email`]
    LoginByEmail,
    /// [`GuessReads::login_by_id`]
    LoginById,
    /// [`FactorReads::factors`]
    Factors,
    /// [`OneTimeTokenReads::one_time_token`]
    OneTimeToken,
    /// [`PasskeyReads::passkeys`]
    Passkeys,
    /// [`PasskeyReads::passkey_by_credential`]
    PasskeyByCredential,
    /// [`OutboxReads::outbox_message`]
    OutboxMessage,
    /// [`OutboxReads::outbox_messages`]
    OutboxMessages,
    /// [`Store::commit`]
    Commit,
    /// [`Store::rotate`]
    Rotate,
    /// [`Store::ping`]
    Ping,
    /// [`RoleReads::roles`]
    Roles,
    /// [`RoleReads::access_after`]
    AccessAfter,
    /// [`RoleReads::users_with_role`]
    UsersWithRole,
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// It does not reach the store: `Unavailable`, and nothing is done.
    Unavailable,
    /// It does, and its reply is lost: `Unavailable`, and everything is done.
    LostReply,
    /// It waits before the gate until that is opened, and is then served.
    Wait(Gate),
}

/// A gate that calls wait before. Clones are one gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Debug, Clone, Copy, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Returns when a call stands before the gate, or did.
    pub async fn reached(&self) {
        // The sender lives as long as `self`, so the wait ends only with its condition.
        let _ = self.0.subscribe().wait_for(|state| state.reached).await;
    }

    /// Says that a call stands before the gate, and returns when it is open: for ports that stores do not have.
    pub async fn pass(&self) {
        self.0.send_modify(|state| state.reached = true);
        let _ = self.0.subscribe().wait_for(|state| state.open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`Store`] in front of another one, that counts calls and spoils the ones it is told to.
///
/// ```
/// use authkit_core::embedded::MemoryStore;
/// use authkit_core::model::ChangeSet;
/// use authkit_core::ports::Store;
/// use authkit_core::testkit::{Fault, FaultyStore, Method};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = FaultyStore::new(MemoryStore::new());
/// store.inject(Method::Commit, 2, Fault::LostReply);
/// assert!(store.commit(&ChangeSet::new()).await.is_ok());
/// assert!(store.commit(&ChangeSet::new()).await.is_err());
/// assert_eq!(store.calls(Method::Commit), 2);
/// # }
/// ```
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    calls: BTreeMap<Method, u64>,
    /// By method and the number of the call.
    faults: BTreeMap<(Method, u64), Fault>,
    down: bool,
    /// What was committed, where that is kept.
    committed: Option<Vec<ChangeSet>>,
}

impl<S> FaultyStore<S> {
    /// Stands in front of `inner` and spoils nothing yet.
    pub fn new(inner: S) -> Self {
        Self { inner, script: Mutex::default() }
    }

    /// Spoils the `nth` call of a method from now on, 1 being the next one.
    pub fn inject(&self, on: Method, nth: u64, fault: Fault) {
        let mut script = self.script();
        let number = script.calls.get(&on).copied().unwrap_or(0) + nth;
        script.faults.insert((on, number), fault);
    }

    /// Makes every call fail, until it is set to `false` again.
    pub fn set_down(&self, down: bool) {
        self.script().down = down;
    }

    /// Keeps every change set that is committed from now on.
    pub fn keep_commits(&self) {
        self.script().committed.get_or_insert_default();
    }

    /// The change sets that were kept, in the order in which they were committed.
    pub fn commits(&self) -> Vec<ChangeSet> {
        self.script().committed.clone().unwrap_or_default()
    }

    /// How often a method was called, spoiled calls included.
    pub fn calls(&self, method: Method) -> u64 {
        self.script().calls.get(&method).copied().unwrap_or(0)
    }

    /// How often any method was called.
    pub fn total_calls(&self) -> u64 {
        self.script().calls.values().sum()
    }

    /// The store behind.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and takes what is planned for it.
    fn next_fault(&self, method: Method) -> Option<Fault> {
        let mut script = self.script();
        let calls = script.calls.entry(method).or_default();
        *calls += 1;
        let number = *calls;
        if script.down { Some(Fault::Unavailable) } else { script.faults.remove(&(method, number)) }
    }
}

impl<S: Store> FaultyStore<S> {
    async fn call<T, E: From<StoreError>>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        match self.next_fault(method) {
            None => call.await,
            Some(Fault::Unavailable) => Err(StoreError::unavailable("the call was spoiled before it reached the store").into()),
            Some(Fault::LostReply) => {
                call.await?;
                Err(StoreError::unavailable("the reply was lost").into())
            }
            Some(Fault::Wait(gate)) => {
                gate.pass().await;
                call.await
            }
        }
    }
}

#[async_trait]
impl<S: Store> UserReads for FaultyStore<S> {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.call(Method::UserById, self.inner.user_by_id(id)).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        self.call(Method::CredentialsByEmail, self.inner.credentials_by_email(email)).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.call(Method::CredentialsById, self.inner.credentials_by_id(id)).await
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        self.call(Method::PasswordHashes, self.inner.password_hashes(page)).await
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        self.call(Method::ListUsers, self.inner.list_users(filter, page)).await
    }
}

#[async_trait]
impl<S: Store> SessionReads for FaultyStore<S> {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.call(Method::SessionById, self.inner.session_by_id(id)).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        self.call(Method::LiveSessions, self.inner.live_sessions(user_id, now, page)).await
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        self.call(Method::RevocationsAfter, self.inner.revocations_after(mark, limit)).await
    }
}

#[async_trait]
impl<S: Store> KeyReads for FaultyStore<S> {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.call(Method::ServerKeys, self.inner.server_keys()).await
    }
}

#[async_trait]
impl<S: Store> AuditReads for FaultyStore<S> {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        self.call(Method::AuditEvents, self.inner.audit_events(filter, page)).await
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        self.call(Method::AuditEventCount, self.inner.audit_event_count(from, below)).await
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        self.call(Method::AuditSeals, self.inner.audit_seals(after, limit)).await
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        self.call(Method::LastAuditSeal, self.inner.last_audit_seal()).await
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        self.call(Method::AuditLeaves, self.inner.audit_leaves(seal)).await
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        self.call(Method::AuditStream, self.inner.audit_stream(name)).await
    }
}

#[async_trait]
impl<S: Store> RoleReads for FaultyStore<S> {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        self.call(Method::Roles, self.inner.roles(known)).await
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        self.call(Method::AccessAfter, self.inner.access_after(mark, limit)).await
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        self.call(Method::UsersWithRole, self.inner.users_with_role(role, page)).await
    }
}

#[async_trait]
impl<S: Store> GuessReads for FaultyStore<S> {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        self.call(Method::Guesses, self.inner.guesses(subject)).await
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        self.call(Method::LoginByEmail, self.inner.login_by_email(email, subject, device)).await
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        self.call(Method::LoginById, self.inner.login_by_id(id, subject)).await
    }
}

#[async_trait]
impl<S: Store> FactorReads for FaultyStore<S> {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        self.call(Method::Factors, self.inner.factors(user_id)).await
    }
}

#[async_trait]
impl<S: Store> OneTimeTokenReads for FaultyStore<S> {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        self.call(Method::OneTimeToken, self.inner.one_time_token(id, purpose)).await
    }
}

#[async_trait]
impl<S: Store> PasskeyReads for FaultyStore<S> {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.call(Method::Passkeys, self.inner.passkeys(user_id)).await
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        self.call(Method::PasskeyByCredential, self.inner.passkey_by_credential(credential_id)).await
    }
}

#[async_trait]
impl<S: Store> OutboxReads for FaultyStore<S> {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        self.call(Method::OutboxMessage, self.inner.outbox_message(id)).await
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        self.call(Method::OutboxMessages, self.inner.outbox_messages(state, page)).await
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        let committed = self.call(Method::Commit, self.inner.commit(changes)).await?;
        if let Some(kept) = &mut self.script().committed {
            kept.push(changes.clone());
        }
        Ok(committed)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        self.call(Method::Rotate, self.inner.rotate(rotation)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(Method::Ping, self.inner.ping()).await
    }

    async fn index_users(&self, limit: PageLimit) -> Result<usize, StoreError> {
        self.inner.index_users(limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::MemoryStore;
    use crate::model::UserChange;
    use crate::testkit::Fixtures;

    #[tokio::test]
    async fn a_spoiled_call_does_nothing_and_a_lost_reply_does_everything() {
        let (store, fixtures) = (FaultyStore::new(MemoryStore::new()), Fixtures::new(1));
        store.inject(Method::Commit, 1, Fault::Unavailable);
        store.inject(Method::Commit, 2, Fault::LostReply);
        for kept in [false, true] {
            let user = fixtures.user();
            let changes = ChangeSet::new().and(UserChange::Insert(user.clone()));
            assert!(matches!(store.commit(&changes).await, Err(CommitError::Store(StoreError::Unavailable(_)))));
            assert_eq!(store.user_by_id(user.id).await.unwrap().is_some(), kept);
        }
        assert_eq!((store.calls(Method::Commit), store.total_calls()), (2, 4));
        store.set_down(true);
        assert!(store.ping().await.is_err());
        store.set_down(false);
        assert!(store.ping().await.is_ok());
    }

    #[tokio::test]
    async fn a_call_waits_until_the_gate_opens() {
        let (store, gate) = (Arc::new(FaultyStore::new(MemoryStore::new())), Gate::new());
        store.inject(Method::Ping, 1, Fault::Wait(gate.clone()));
        let call = tokio::spawn({
            let store = store.clone();
            async move { store.ping().await }
        });
        gate.reached().await;
        assert!(!call.is_finished());
        gate.open();
        assert!(call.await.unwrap().is_ok());
    }
}
