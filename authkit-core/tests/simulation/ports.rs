//! The ports of a simulated node. Each call stops before it is done and, where there is a reply, before the reply arrives.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use async_trait::async_trait;
use authkit_core::embedded::LocalKeyCustody;
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
    AccessMark, AuditReads, BusError, BusHealth, CommitError, CustodyError, KeyCustody, KeyReads, RevocationBus, RevocationMark,
    RevocationSink, RoleReads, SessionReads, Store, StoreError, UserReads,
};
use authkit_core::ports::{OneTimeTokenReads, OutboxReads};
use authkit_core::testkit::{Method, MutantStore};
use authkit_core::{
    AuditEventId, Clock, Email, Page, PageLimit, PageRequest, RoleName, Sealed, SecretBytes, SessionId, Timestamp, UserId,
};
use authkit_core::{OneTimeTokenId, OutboxMessageId};

use crate::flow::{Point, Verdict, current, pass};
use crate::ledger::Ledger;
use crate::mutants::Flaw;

/// What all nodes have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The true time, in microseconds. No node sees it.
    pub(crate) now: AtomicI64,
    pub(crate) store: MutantStore,
    pub(crate) flaw: Flaw,
    ledger: Mutex<Ledger>,
    network: Mutex<Network>,
}

impl Shared {
    pub(crate) fn new(store: MutantStore, flaw: Flaw, ledger: Ledger, start: Timestamp) -> Self {
        let now = AtomicI64::new(start.unix_micros());
        Self { now, store, flaw, ledger: Mutex::new(ledger), network: Mutex::default() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic under the lock")
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().expect("no panic under the lock")
    }
}

/// The clock of one node: the true time, and how wrong it is.
#[derive(Debug, Clone)]
pub(crate) struct NodeClock {
    shared: Arc<Shared>,
    skew: Arc<AtomicI64>,
    /// By how much the next reading alone is ahead: a mutant.
    leap: Arc<AtomicI64>,
}

impl NodeClock {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), skew: Arc::default(), leap: Arc::default() }
    }

    pub(crate) fn skew(&self) -> i64 {
        self.skew.load(Ordering::SeqCst)
    }

    pub(crate) fn set_skew(&self, micros: i64) {
        self.skew.store(micros, Ordering::SeqCst);
    }

    pub(crate) fn leap_once(&self, micros: i64) {
        self.leap.store(micros, Ordering::SeqCst);
    }

    /// What it shows, for somebody who is no flow.
    pub(crate) fn reading(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.shared.now() + self.skew())
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let now = self.shared.now();
        let Some(flow) = current() else { return self.reading() };
        flow.state().looked_at = now;
        Timestamp::from_unix_micros(now + self.skew() + self.leap.swap(0, Ordering::SeqCst))
    }
}

/// The store as one node reaches it.
#[derive(Debug)]
pub(crate) struct NodeStore {
    shared: Arc<Shared>,
    clock: NodeClock,
    /// The node has read revocations since it started.
    has_read: AtomicBool,
}

impl NodeStore {
    pub(crate) fn new(shared: &Arc<Shared>, clock: &NodeClock) -> Self {
        Self { shared: Arc::clone(shared), clock: clock.clone(), has_read: AtomicBool::new(false) }
    }

    async fn call<T, E: From<StoreError>>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let request = pass(Point::Request(method)).await;
        if request == Verdict::Lose {
            return Err(StoreError::unavailable("the request was lost").into());
        }
        let answer = call.await;
        let reply = pass(Point::Reply(method)).await;
        if reply == Verdict::Lose {
            return Err(StoreError::unavailable("the reply was lost").into());
        }
        answer
    }

    fn inner(&self) -> &MutantStore {
        &self.shared.store
    }

    async fn read_revocations(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        let is_first = !self.has_read.swap(true, Ordering::SeqCst);
        let mark = match self.shared.flaw {
            Flaw::TellsNobody => return Ok(Vec::new()),
            Flaw::CatchesUpFromNow if is_first => RevocationMark { at: self.clock.reading(), session_id: None },
            Flaw::PollsWithoutOverlap => RevocationMark { at: mark.at.max(self.clock.reading()), ..mark },
            _ => mark,
        };
        self.inner().revocations_after(mark, limit).await
    }
}

#[async_trait]
impl UserReads for NodeStore {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.call(Method::UserById, self.inner().user_by_id(id)).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        self.call(Method::CredentialsByEmail, self.inner().credentials_by_email(email)).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.call(Method::CredentialsById, self.inner().credentials_by_id(id)).await
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        self.call(Method::PasswordHashes, self.inner().password_hashes(page)).await
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        self.call(Method::ListUsers, self.inner().list_users(filter, page)).await
    }
}

#[async_trait]
impl SessionReads for NodeStore {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.call(Method::SessionById, self.inner().session_by_id(id)).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        self.call(Method::LiveSessions, self.inner().live_sessions(user_id, now, page)).await
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        self.call(Method::RevocationsAfter, self.read_revocations(mark, limit)).await
    }
}

#[async_trait]
impl KeyReads for NodeStore {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.call(Method::ServerKeys, self.inner().server_keys()).await
    }
}

#[async_trait]
impl AuditReads for NodeStore {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        self.call(Method::AuditEvents, self.inner().audit_events(filter, page)).await
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        self.call(Method::AuditEventCount, self.inner().audit_event_count(from, below)).await
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        self.call(Method::AuditSeals, self.inner().audit_seals(after, limit)).await
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        self.call(Method::LastAuditSeal, self.inner().last_audit_seal()).await
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        self.call(Method::AuditLeaves, self.inner().audit_leaves(seal)).await
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        self.call(Method::AuditStream, self.inner().audit_stream(name)).await
    }
}

#[async_trait]
impl FactorReads for NodeStore {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        self.call(Method::Factors, self.inner().factors(user_id)).await
    }
}

#[async_trait]
impl PasskeyReads for NodeStore {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.call(Method::Passkeys, self.inner().passkeys(user_id)).await
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        self.call(Method::PasskeyByCredential, self.inner().passkey_by_credential(credential_id)).await
    }
}

#[async_trait]
impl RoleReads for NodeStore {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        self.call(Method::Roles, self.inner().roles(known)).await
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        self.call(Method::AccessAfter, self.inner().access_after(mark, limit)).await
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        self.call(Method::UsersWithRole, self.inner().users_with_role(role, page)).await
    }
}

#[async_trait]
impl GuessReads for NodeStore {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        self.call(Method::Guesses, self.inner().guesses(subject)).await
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        self.call(Method::LoginByEmail, self.inner().login_by_email(email, subject, device)).await
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        self.call(Method::LoginById, self.inner().login_by_id(id, subject)).await
    }
}

#[async_trait]
impl OneTimeTokenReads for NodeStore {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        self.call(Method::OneTimeToken, self.inner().one_time_token(id, purpose)).await
    }
}

#[async_trait]
impl OutboxReads for NodeStore {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        self.call(Method::OutboxMessage, self.inner().outbox_message(id)).await
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        self.call(Method::OutboxMessages, self.inner().outbox_messages(state, page)).await
    }
}

#[async_trait]
impl Store for NodeStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        let commit = async {
            let result = self.inner().commit(changes).await;
            let flow = current().expect("a flow commits");
            self.shared.ledger().committed(&flow, changes, &result, self.shared.store.inner(), self.shared.now());
            result
        };
        let committed = self.call(Method::Commit, commit).await?;
        // A node whose reply was lost knows nothing of it.
        let flow = current().expect("a flow commits");
        flow.state().ended.extend(committed.revoked.iter().map(|revocation| revocation.session_id));
        Ok(committed)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let rotate = async {
            let outcome = self.inner().rotate(rotation).await;
            let flow = current().expect("a flow rotates");
            self.shared.ledger().rotated(&flow, rotation, &outcome, self.shared.store.inner());
            outcome
        };
        self.call(Method::Rotate, rotate).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(Method::Ping, self.inner().ping()).await
    }
}

/// The custody of keys as a node reaches it.
#[derive(Debug)]
pub(crate) struct NodeCustody(pub(crate) Arc<LocalKeyCustody>);

#[async_trait]
impl KeyCustody for NodeCustody {
    async fn seal(&self, plaintext: &SecretBytes, context: &[u8]) -> Result<Sealed, CustodyError> {
        let verdict = pass(Point::Seal).await;
        if verdict == Verdict::Lose { Err(away()) } else { self.0.seal(plaintext, context).await }
    }

    async fn open(&self, sealed: &Sealed, context: &[u8]) -> Result<SecretBytes, CustodyError> {
        let verdict = pass(Point::Open).await;
        if verdict == Verdict::Lose { Err(away()) } else { self.0.open(sealed, context).await }
    }
}

fn away() -> CustodyError {
    CustodyError::Unavailable("the request was lost".into())
}

/// A message on its way to one node.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) to: usize,
    pub(crate) revoked: Vec<Revocation>,
}

/// The bus between the nodes: who listens, and what is on its way, in no order.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) messages: Vec<Message>,
    sinks: Vec<Option<Weak<dyn RevocationSink>>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl Network {
    /// Who listens at a node, if it is up.
    pub(crate) fn sink(&self, node: usize) -> Option<Arc<dyn RevocationSink>> {
        self.sinks.get(node)?.as_ref()?.upgrade()
    }
}

/// The bus as one node reaches it.
#[derive(Debug)]
pub(crate) struct NodeBus {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: usize,
    pub(crate) nodes: usize,
}

#[async_trait]
impl RevocationBus for NodeBus {
    async fn publish(&self, revoked: &[Revocation]) -> Result<(), BusError> {
        let verdict = pass(Point::Publish).await;
        if verdict == Verdict::Lose {
            return Err(BusError("the bus is away".into()));
        }
        if !matches!(self.shared.flaw, Flaw::TellsNobody | Flaw::PublishesNothing) {
            let others = (0..self.nodes).filter(|node| *node != self.node);
            self.shared.network().messages.extend(others.map(|to| Message { to, revoked: revoked.to_vec() }));
        }
        Ok(())
    }

    fn subscribe(&self, sink: Arc<dyn RevocationSink>) {
        let mut network = self.shared.network();
        network.sinks.resize_with(self.nodes, || None);
        network.sinks[self.node] = Some(Arc::downgrade(&sink));
    }

    fn health(&self) -> BusHealth {
        BusHealth::Connected
    }
}
