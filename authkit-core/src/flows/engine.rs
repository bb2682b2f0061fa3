//! What every flow works with: the ports, the mechanisms and the settings of one `AuthKit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::flows::PasswordSecretError;
use crate::flows::access_book::{self, AccessBook, WorkedOut};
use crate::flows::account_cache::AccountCache;
use crate::flows::audit_seal::SealBooks;
use crate::flows::audit_stream::Streaming;
use crate::flows::breach::BreachGate;
use crate::flows::outbox_books::OutboxBooks;
use crate::flows::refusals::RefusalBook;
use crate::flows::throttle::Throttle;
use crate::model::Doer;
use crate::model::{Actor, Change, OutboxChange};
use crate::model::{AuditAction, AuditEvent, ChangeSet, Committed, Outcome, RequestContext, Revocation};
use crate::password::{HashError, HashPool};
use crate::ports::{
    BreachListError, CommitError, CustodyError, KeyCustody, Mailer, RevocationBus, RevocationSink, SmsSender, Store, StoreError,
};
use crate::primitives::{AuditEventId, Clock, Entropy, SessionId, Timestamp};
use crate::token::{IssueError, KeyError, Keyring, RefreshTokenError, RevokedSessions, VerifiedTokens};

/// Something that is nobody's fault who asked: a part below failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Internal {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A guard failed that this flow did not expect to fail, again and again.
    #[error("the change was overtaken too often")]
    Conflict(#[source] CommitError),
    /// A sealed key could not be opened, or a new one not be sealed.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A secret of password hashes is missing or another one.
    #[error(transparent)]
    PasswordSecret(#[from] PasswordSecretError),
    /// The list of breached passwords could not be asked, and the settings want no password accepted then.
    #[error("the list of breached passwords cannot be asked")]
    BreachList(#[source] BreachListError),
    /// No access token could be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No refresh token could be issued.
    #[error(transparent)]
    RefreshToken(#[from] RefreshTokenError),
    /// The hashing pool has stopped.
    #[error("the hashing pool has stopped")]
    HashingStopped,
    /// A password could not be hashed: a defect, or no memory.
    #[error("a password could not be hashed")]
    HashingFailed,
    /// A stored password hash is of a kind or a cost that is not supported.
    #[error("a stored password hash cannot be verified")]
    UnsupportedHash,
    /// A stored password hash was made with a secret that the settings do not hold: whether the password is right is not known.
    #[error("a stored password hash needs a secret that is not configured")]
    MissingPasswordSecret(#[source] HashError),
}

impl Internal {
    /// Whether asking again later can help: the store or the key custody is away, others were faster, or the process is stopping.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Unavailable(_))
                | Self::Custody(CustodyError::Unavailable(_))
                | Self::Conflict(_)
                | Self::HashingStopped
                | Self::MissingPasswordSecret(_)
                | Self::BreachList(_)
        )
    }
}

impl From<CommitError> for Internal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            conflict @ CommitError::Conflict(_) => Self::Conflict(conflict),
        }
    }
}

/// How long a flow that has committed waits for the bus: after that, polling has told the other nodes anyway.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);

/// The ports, the mechanisms and the settings of one `AuthKit`.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) custody: Arc<dyn KeyCustody>,
    pub(crate) bus: Arc<dyn RevocationBus>,
    /// `None`: nothing is mailed from here, and nothing is enqueued.
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// `None`: no code is sent to a telephone from here.
    pub(crate) sms_sender: Option<Arc<dyn SmsSender>>,
    /// Wakes the worker of the outbox.
    pub(crate) outbox_wake: Arc<tokio::sync::Notify>,
    pub(crate) outbox_books: OutboxBooks,
    pub(crate) config: Config,
    /// The service as passkeys know it; `None` where it has an address and no name.
    #[cfg(feature = "passkeys")]
    pub(crate) passkeys: Option<crate::passkey::RelyingParty>,
    pub(crate) throttle: Throttle,
    pub(crate) breach: BreachGate,
    pub(crate) accounts: AccountCache,
    pub(crate) access: AccessBook,
    pub(crate) pool: HashPool,
    pub(crate) keyring: ArcSwap<Keyring>,
    /// Held while the keyring is read and replaced, so that an older reading never replaces a newer one.
    pub(crate) keyring_turn: tokio::sync::Mutex<()>,
    pub(crate) verified: VerifiedTokens<WorkedOut>,
    pub(crate) revoked: Arc<RevokedSet>,
    pub(crate) skew: ClockSkew,
    pub(crate) sealing: SealBooks,
    pub(crate) streaming: Streaming,
    pub(crate) refusals: RefusalBook,
}

impl Engine {
    /// One reading of the clock: a flow takes it first and compares everything with it.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An audit event of this moment in this request.
    pub(crate) fn event(&self, at: Timestamp, action: AuditAction, outcome: Outcome, context: &RequestContext) -> AuditEvent {
        AuditEvent::new(AuditEventId::generate(at, &*self.entropy), at, action, outcome, context)
    }

    /// Commits, and then tells this node and the others which sessions ended, and the cache which records changed.
    ///
    /// INVARIANT: no flow calls `store.commit` itself, so that no revocation and no invalidation can be forgotten.
    pub(crate) async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        let forgetting = self.accounts.forgetting(changes);
        let result = self.store.commit(changes).await;
        // Also after a failure: a commit whose reply was lost may have happened.
        forgetting.done().await;
        let committed = result?;
        if changes.changes().iter().any(|change| matches!(change, Change::Outbox(OutboxChange::Enqueue(_)))) {
            self.outbox_wake.notify_one();
        }
        self.announce(changes, &committed).await;
        Ok(committed)
    }

    /// Tells this node and the others which sessions a commit has ended, and whose roles it has changed.
    pub(crate) async fn announce(&self, changes: &ChangeSet, committed: &Committed) {
        if access_book::take_in_committed(self, changes.changes()).await {
            match tokio::time::timeout(PUBLISH_PATIENCE, self.bus.publish_access_change()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a change of roles was not published"),
                Err(_) => tracing::warn!("the bus did not take a change of roles in time"),
            }
        }
        if committed.revoked.is_empty() {
            return;
        }
        self.revoked.sessions.insert(&committed.revoked);
        // The others poll the store, so whatever goes wrong delays what they know by a second and loses nothing.
        match tokio::time::timeout(PUBLISH_PATIENCE, self.bus.publish(&committed.revoked)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, sessions = committed.revoked.len(), "revocations were not published"),
            Err(_) => tracing::warn!(sessions = committed.revoked.len(), "the bus did not take revocations in time"),
        }
    }

    /// Takes in that a session was found to have ended, on another node it may be: whoever is told so here can rely on it here.
    pub(crate) fn found_ended(&self, session_id: SessionId, at: Timestamp) {
        self.revoked.sessions.insert(&[Revocation { session_id, at }]);
    }
}

/// How far the clock of this node and the store's are apart, as it was found last.
#[derive(Debug)]
pub(crate) struct ClockSkew(AtomicI64);

impl ClockSkew {
    const UNKNOWN: i64 = i64::MIN;

    pub(crate) const fn unknown() -> Self {
        Self(AtomicI64::new(Self::UNKNOWN))
    }

    /// Keeps what was found: the store's reading lies between two of ours.
    pub(crate) fn found(&self, before: Timestamp, store: Timestamp, after: Timestamp) {
        let middle = before.unix_micros() + (after.unix_micros() - before.unix_micros()) / 2;
        self.0.store(store.unix_micros() - middle, Ordering::Relaxed);
    }

    /// The difference, whichever is ahead; `None` when there is no clock to compare with.
    pub(crate) fn get(&self) -> Option<Duration> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != Self::UNKNOWN).then(|| Duration::from_micros(micros.unsigned_abs()))
    }
}

/// The revoked sessions of this process, and how fresh they are.
#[derive(Debug)]
pub(crate) struct RevokedSet {
    pub(crate) sessions: RevokedSessions,
    /// When the store was last read, in microseconds; `i64::MIN` while all of it has to be read.
    read_at: AtomicI64,
    wake: tokio::sync::Notify,
    look: tokio::sync::Notify,
}

impl RevokedSet {
    pub(crate) fn new(sessions: RevokedSessions) -> Self {
        Self { sessions, read_at: AtomicI64::new(i64::MIN), wake: tokio::sync::Notify::new(), look: tokio::sync::Notify::new() }
    }

    /// The store was read completely as of `at`.
    pub(crate) fn caught_up(&self, at: Timestamp) {
        self.read_at.store(at.unix_micros(), Ordering::Release);
    }

    /// Nothing is known of what was read: the next reading has to be of everything.
    pub(crate) fn owe_catch_up(&self) {
        self.read_at.store(i64::MIN, Ordering::Release);
    }

    /// When the store was last read; `None` when that is not known.
    pub(crate) fn read_at(&self) -> Option<Timestamp> {
        let micros = self.read_at.load(Ordering::Acquire);
        (micros != i64::MIN).then(|| Timestamp::from_unix_micros(micros))
    }

    /// Resolves when the bus reports that roles have changed.
    pub(crate) async fn look_asked_for(&self) {
        self.look.notified().await;
    }

    /// Resolves when the bus reports a gap.
    pub(crate) async fn gap_reported(&self) {
        self.wake.notified().await;
    }
}

impl RevocationSink for RevokedSet {
    fn revoked(&self, revocations: &[Revocation]) {
        self.sessions.insert(revocations);
    }

    fn gap(&self) {
        self.wake.notify_one();
    }

    fn access_changed(&self) {
        self.look.notify_one();
    }
}

/// Who acts in a flow that serves an authenticated user: she herself, or whoever acts as her.
pub(crate) fn actor(principal: &super::authenticate::Principal) -> Doer {
    let user_id = principal.impersonator().map_or(principal.user_id(), |impersonator| impersonator.user_id);
    let on_behalf_of = principal.impersonator().map(|_| principal.user_id());
    Doer { actor: Actor::User(user_id, Some(principal.session_id())), on_behalf_of }
}

impl Internal {
    /// The stable code of the error: the outside learns whether to try again, and nothing else.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        if self.is_unavailable() { "service.unavailable" } else { "service.internal_error" }
    }
}

/// Turns what the hashing pool refused into a flow's own `Overloaded` or `Internal`.
macro_rules! hash_error_into {
    ($error:ident) => {
        impl From<$crate::password::HashError> for $error {
            fn from(error: $crate::password::HashError) -> Self {
                use $crate::password::HashError;
                match error {
                    HashError::Overloaded(overloaded) => Self::Overloaded { retry_after: overloaded.retry_after },
                    HashError::Unsupported => Self::Internal($crate::flows::Internal::UnsupportedHash),
                    HashError::Stopped => Self::Internal($crate::flows::Internal::HashingStopped),
                    HashError::Failed => Self::Internal($crate::flows::Internal::HashingFailed),
                    error @ (HashError::MissingPepper { .. } | HashError::MissingSignerKey { .. }) => {
                        Self::Internal($crate::flows::Internal::MissingPasswordSecret(error))
                    }
                }
            }
        }
    };
}
pub(crate) use hash_error_into;
