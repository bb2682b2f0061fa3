//! What every check begins with: an empty store, rows to put into it, and the words "commit" and "refuse".

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Barrier;

use crate::model::{
    ChangeSet, Committed, Revocation, RevocationReason, Rotation, RotationOutcome, Session, SessionChange, SessionWithUser, User,
    UserChange,
};
use crate::ports::store::{CommitError, Conflict, Store};
use crate::primitives::Timestamp;

use super::super::Fixtures;
use super::view::{Known, View};
use super::{FreshStore, Stores};

/// An empty store under test.
pub(super) struct Trial {
    pub(super) store: FreshStore,
    pub(super) fixtures: Fixtures,
    known: Mutex<Known>,
}

impl Trial {
    pub(super) async fn begin(stores: &Stores) -> Self {
        let trial = Self { store: stores.fresh().await, fixtures: Fixtures::new(42), known: Mutex::default() };
        trial.known().note_instant(trial.now());
        trial
    }

    pub(super) fn now(&self) -> Timestamp {
        self.fixtures.now()
    }

    /// Commits, and insists that it works.
    pub(super) async fn commit(&self, changes: ChangeSet) -> Committed {
        self.known().note(&changes);
        match self.store.commit(&changes).await {
            Ok(committed) => committed,
            Err(error) => panic!("{error:?} for {changes:?}"),
        }
    }

    /// Commits one change, and insists that it works.
    pub(super) async fn apply(&self, change: impl Into<crate::model::Change>) -> Committed {
        self.commit(ChangeSet::new().and(change)).await
    }

    /// Commits, and insists that it is refused for this reason and leaves no trace.
    pub(super) async fn refuse(&self, changes: ChangeSet, reason: Conflict) {
        self.known().note(&changes);
        let before = self.view().await;
        match self.store.commit(&changes).await {
            Err(CommitError::Conflict(conflict)) => assert_eq!(conflict, reason, "the guard that is named, for {changes:?}"),
            other => panic!("{other:?} instead of {reason:?}, for {changes:?}"),
        }
        if let Some(trace) = self.view().await.difference(&before) {
            panic!("a refused set left a trace: {trace}\nfor {changes:?}");
        }
    }

    /// Commits one change, and insists that it is refused for this reason and leaves no trace.
    pub(super) async fn refuse_one(&self, change: impl Into<crate::model::Change>, reason: Conflict) {
        self.refuse(ChangeSet::new().and(change), reason).await;
    }

    /// Everything that can be seen now.
    pub(super) async fn view(&self) -> View {
        let known = self.known().clone();
        View::of(&*self.store, &known).await
    }

    /// Keeps an account.
    pub(super) async fn keep_user(&self, user: User) -> User {
        self.apply(UserChange::Insert(user.clone())).await;
        user
    }

    /// A new account.
    pub(super) async fn user(&self) -> User {
        self.keep_user(self.fixtures.user()).await
    }

    /// A new account that is closed again.
    pub(super) async fn closed_user(&self) -> User {
        let user = self.user().await;
        self.apply(UserChange::Close { id: user.id, at: self.now() }).await;
        user
    }

    /// Keeps a session.
    pub(super) async fn keep_session(&self, user: &User, session: Session) -> Session {
        self.apply(begin(user, &session)).await;
        session
    }

    /// A new session.
    pub(super) async fn session(&self, user: &User) -> Session {
        self.keep_session(user, self.fixtures.session(user.id)).await
    }

    /// The session as it is read, and `None` when it isn't there.
    pub(super) async fn read_session(&self, session: &Session) -> Option<SessionWithUser> {
        self.store.session_by_id(session.id).await.expect("a session is read")
    }

    /// Rotates, and insists that it works.
    pub(super) async fn rotate(&self, rotation: &Rotation) -> SessionWithUser {
        match self.store.rotate(rotation).await {
            Ok(RotationOutcome::Rotated(moved)) => *moved,
            other => panic!("{other:?} for {rotation:?}"),
        }
    }

    /// Rotates, and insists that it is refused, shows the session as it stands, and leaves no trace.
    pub(super) async fn refuse_rotation(&self, rotation: &Rotation) {
        let before = self.view().await;
        let stands = self.store.session_by_id(rotation.session_id).await.expect("a session is read");
        match self.store.rotate(rotation).await {
            Ok(RotationOutcome::Refused(shown)) => {
                assert_eq!(shown.map(|session| *session), stands, "the session as it stands");
            }
            other => panic!("{other:?} instead of a refusal, for {rotation:?}"),
        }
        if let Some(trace) = self.view().await.difference(&before) {
            panic!("a refused rotation left a trace: {trace}");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The change that begins a session for an account as it was read.
pub(super) fn begin(user: &User, session: &Session) -> SessionChange {
    SessionChange::Insert { session: Box::new(session.clone()), auth_epoch: user.auth_epoch }
}

/// The change that revokes one session.
pub(super) fn revoke(session: &Session, at: Timestamp) -> SessionChange {
    SessionChange::Revoke { id: session.id, reason: RevocationReason::Logout, at }
}

/// What a commit has to report, in an order that can be compared.
pub(super) fn sorted(mut revoked: Vec<Revocation>) -> Vec<Revocation> {
    revoked.sort_by_key(|revocation| (revocation.session_id, revocation.at));
    revoked
}

/// The revocations of some sessions at one instant, in an order that can be compared.
pub(super) fn revocations_of<'a>(sessions: impl IntoIterator<Item = &'a Session>, at: Timestamp) -> Vec<Revocation> {
    sorted(sessions.into_iter().map(|session| Revocation { session_id: session.id, at }).collect())
}

/// Releases `rivals` tasks at once and gathers what became of each.
pub(in crate::testkit) async fn race<T, Run>(rivals: usize, task: impl Fn(usize) -> Run) -> Vec<T>
where
    T: Send + 'static,
    Run: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(rivals));
    let tasks: Vec<_> = (0..rivals)
        .map(|index| {
            let (start, run) = (Arc::clone(&start), task(index));
            tokio::spawn(async move {
                start.wait().await;
                run.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(rivals);
    for task in tasks {
        results.push(task.await.expect("a rival does not panic"));
    }
    results
}

/// Commits in a race: a conflict is an answer there, a failing store is not.
pub(super) async fn attempt(store: Arc<dyn Store>, changes: ChangeSet) -> Result<Committed, Conflict> {
    match store.commit(&changes).await {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict(conflict)) => Err(conflict),
        Err(error) => panic!("{error:?} for {changes:?}"),
    }
}

/// A number from the environment, for longer runs.
pub(super) fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How often a race is run.
pub(in crate::testkit) fn rounds() -> u32 {
    setting("AUTHKIT_CONTRACT_ROUNDS", 20)
}
