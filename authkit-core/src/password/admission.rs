//! A place in the pool, and what can be done with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::primitives::{Password, PasswordHash};

use super::fairness::Seat;
use super::hasher::{Hasher, Verdict};
use super::pending::ready;
use super::policy::PolicyContext;
use super::pool::Shared;
use super::queue::{HashClass, Lane};
use super::stored::StoredHash;
use super::weakness::Weakness;

/// From how many new hashes' worth of time on a hash waits in the lane of the heavy ones: a third of a second. bcrypt of cost 12, which
/// most imports bring, is below it, or its owners would log in one at a time.
const HEAVY_COST: u64 = 24;

/// There is no place now. Nothing was looked up and nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked, retry in {} s", retry_after.as_secs())]
#[non_exhaustive]
pub struct Overloaded {
    /// When to try again: whole seconds, at least one, different for everybody so that they do not come back together.
    pub retry_after: Duration,
}

/// A password was neither matched nor hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// Its turn did not come in time.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The stored hash, or the parameters for new ones, are of an unknown algorithm or beyond the limits.
    #[error("the hash is of an unknown algorithm or its parameters are beyond the limits")]
    Unsupported,
    /// The hash was made with a pepper that the settings do not hold. The operator has to bring it back; whether the password
    /// is right is not known.
    #[error("the pepper {id:?} that the hash was made with is not configured")]
    MissingPepper {
        /// Which pepper.
        id: String,
    },
    /// The hash came from a Firebase project whose signer key the settings do not hold.
    #[error("the signer key {id:?} of the Firebase project that the hash came from is not configured")]
    MissingSignerKey {
        /// Which key.
        id: String,
    },
    /// There was no memory for it, or the computation broke off: a defect to report.
    #[error("the hash could not be computed")]
    Failed,
    /// The pool has ended.
    #[error("the hashing pool has stopped")]
    Stopped,
}

/// A new password was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetPasswordError {
    /// It is not good enough; the person must choose another.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// What a thread of the pool does. `run` computes and returns what delivers the result, so that the books are closed first.
pub(super) trait Task: Send {
    fn run(self: Box<Self>, hasher: &mut Hasher) -> Box<dyn FnOnce() + Send>;
    fn refuse(self: Box<Self>, error: HashError);
}

struct Step<T, F> {
    reply: oneshot::Sender<Result<T, HashError>>,
    work: F,
}

impl<T, F> Task for Step<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Hasher) -> Result<T, HashError> + Send,
{
    fn run(self: Box<Self>, hasher: &mut Hasher) -> Box<dyn FnOnce() + Send> {
        let Self { reply, work } = *self;
        // A defect in the estimate of one password must not cost everybody a thread. The hasher stays sound: each hash
        // overwrites the memory of the one before.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(hasher))).unwrap_or(Err(HashError::Failed));
        Box::new(move || drop(reply.send(outcome)))
    }

    fn refuse(self: Box<Self>, error: HashError) {
        drop(self.reply.send(Err(error)));
    }
}

/// A place in the pool: taken before anything is looked up, used for one or more steps, given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Admission {
    pool: Arc<Shared>,
    class: HashClass,
    seat: Seat,
    /// No step was taken yet, so that the place still counts as one that is about to.
    fresh: bool,
}

impl Admission {
    pub(super) fn new(pool: Arc<Shared>, class: HashClass, seat: Seat) -> Self {
        Self { pool, class, seat, fresh: true }
    }

    /// Verifies a password. `None` is an account that does not exist or has no password, and so is a hash that waits for the
    /// proof of its address: it takes the same way and the same work against a hash of nothing, and never matches.
    pub async fn verify(&mut self, password: Password, against: Option<PasswordHash>) -> Result<Verdict, HashError> {
        // A password that waits for the proof of its address is none yet.
        let against = against.filter(|hash| ready(hash).is_none());
        let exists = against.is_some();
        let hash = against.unwrap_or_else(|| self.pool.decoy().clone());
        let reader = self.pool.reader();
        let decoy = || StoredHash::parse(self.pool.decoy(), reader).map_err(|_| HashError::Failed);
        // SECURITY: what cannot be verified takes as long as what can, so that time does not tell such accounts apart.
        let (stored, trouble) = match StoredHash::parse(&hash, reader) {
            Err(_) => (decoy()?, Some(HashError::Unsupported)),
            Ok(stored) => match stored.missing_key(reader) {
                Some(error) => (decoy()?, Some(error)),
                None => (stored, None),
            },
        };
        let owed = self.pool.owed_by(&stored);
        let verdict = self.compute(password.clone(), stored).await?;
        if let Some(owed) = owed
            && (trouble.is_some() || !exists || verdict == Verdict::Mismatch)
        {
            // Nobody waits for its outcome: what keeps it from being computed is no reason for another answer.
            let _ = self.compute(password, owed).await;
        }
        match (trouble, exists) {
            (Some(error), _) => Err(error),
            (None, false) => Ok(Verdict::Mismatch),
            (None, true) => Ok(verdict),
        }
    }

    async fn compute(&mut self, password: Password, stored: StoredHash) -> Result<Verdict, HashError> {
        let (lane, cost) = self.weigh(&stored, password.expose().len());
        self.step(lane, cost, move |hasher| hasher.verify_stored(&password, &stored)).await
    }

    /// Checks a new password against the policy and hashes it, both on the pool's thread.
    pub async fn set(&mut self, password: Password, context: PolicyContext) -> Result<PasswordHash, SetPasswordError> {
        let policy = Arc::clone(self.pool.policy());
        let checked = self
            .step(self.class.lane(), 1, move |hasher| match policy.check(&password, &context) {
                Ok(()) => hasher.hash(&password).map(Ok),
                Err(weakness) => Ok(Err(weakness)),
            })
            .await?;
        Ok(checked?)
    }

    /// Hashes a password that was just verified once more, with the parameters of the day.
    pub async fn rehash(&mut self, password: Password) -> Result<PasswordHash, HashError> {
        self.step(self.class.lane(), 1, move |hasher| hasher.hash(&password)).await
    }

    /// Hashes a hash that another system made; `None` when there is nothing to gain. See [`Hasher::wrap`].
    pub async fn wrap(&mut self, hash: PasswordHash) -> Result<Option<PasswordHash>, HashError> {
        self.step(self.class.lane(), 1, move |hasher| hasher.wrap(&hash)).await
    }

    pub(super) fn weigh(&self, stored: &StoredHash, password_bytes: usize) -> (Lane, u64) {
        let unit = self.pool.unit();
        // Beyond this a cost changes no decision any more, only the length of a loop.
        let cost = stored.work(password_bytes).div_ceil(unit.work).clamp(1, 64);
        // What takes memory of its own, or seconds, runs one at a time: the bound of memory holds, and one thread is never
        // enough to stop the others.
        let heavy = stored.needs_more_than(unit.blocks) || cost > HEAVY_COST;
        (if heavy { Lane::HEAVY } else { self.class.lane() }, cost)
    }

    pub(super) async fn step<T: Send + 'static>(
        &mut self,
        lane: Lane,
        cost: u64,
        work: impl FnOnce(&mut Hasher) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        let fresh = std::mem::take(&mut self.fresh).then_some(self.class.lane());
        let id = self.pool.submit(fresh, lane, self.seat.identifier, cost, Box::new(Step { reply, work }))?;
        let mut wait = Wait { pool: &self.pool, lane, id, over: false };
        let outcome = answer.await;
        wait.over = true;
        // A task that is dropped without an answer was in the queue when the pool ended.
        outcome.unwrap_or(Err(HashError::Stopped))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.pool.leave(self.fresh.then_some(self.class.lane()), &self.seat);
    }
}

/// Takes a step out of the queue when whoever waited for it is gone.
struct Wait<'a> {
    pool: &'a Shared,
    lane: Lane,
    id: u64,
    over: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.pool.withdraw(self.lane, self.id);
        }
    }
}
