//! The threads that hash, and the books about who waits for them.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{HashingConfig, PasswordConfig};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, PasswordHash};

use super::admission::{Admission, HashError, Overloaded, Task};
use super::argon2::new_hash_params;
use super::books::{Books, Limits, Unit};
use super::fairness::{HashOrigin, Seat, Seats};
use super::hasher::{Hasher, examine};
use super::legacy::{ForeignHash, HashRefusal};
use super::pending::ready;
use super::policy::PasswordPolicy;
use super::queue::{Entry, HashClass, Lane};
use super::stored::{HashSecrets, Reader, StoredHash};

#[cfg(test)]
mod tests;

/// The pool that hashes and verifies passwords, bounded in memory, time and fairness. Cheap to clone; its threads end
/// when the last clone is dropped. See the [module](super) for the design.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use authkit_core::config::{HashingConfig, PasswordConfig};
/// use authkit_core::password::{HashClass, HashOrigin, HashPool, PolicyContext, Verdict};
/// use authkit_core::{OsEntropy, Password};
///
/// let pool = HashPool::start(&HashingConfig::default(), &PasswordConfig::default(), Arc::new(OsEntropy))?;
/// let password = Password::parse("correct horse battery staple")?;
///
/// let mut place = pool.admit(HashClass::Registration, &HashOrigin::new(None, "user@example.com"))?;
/// let hash = place.set(password.clone(), PolicyContext::default()).await?;
/// drop(place);
///
/// let mut place = pool.admit(HashClass::Login, &HashOrigin::new(None, "user@example.com"))?;
/// assert_eq!(place.verify(password, Some(hash)).await?, Verdict::Match { needs_upgrade: false });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HashPool(Arc<Handle>);

/// Ends the threads when the last clone of the pool goes. Admissions do not hold it.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl HashPool {
    /// Starts the threads. Their memory is allocated when each computes its first hash.
    ///
    /// # Errors
    /// `InvalidInput` when the parameters for new hashes are impossible or beyond `max_memory_kib`; otherwise what the
    /// operating system says.
    pub fn start(hashing: &HashingConfig, passwords: &PasswordConfig, entropy: Arc<dyn Entropy>) -> io::Result<Self> {
        let invalid = |error: HashError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let shared = Arc::new(Shared::new(hashing, passwords, entropy).map_err(invalid)?);
        // From here on an early return ends the threads that have started.
        let pool = Self(Arc::new(Handle(Arc::clone(&shared))));
        for number in 0..shared.limits.threads {
            let mut hasher = Hasher::new(hashing, passwords, Arc::clone(&shared.entropy)).map_err(invalid)?;
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("authkit-hash-{number}")).spawn(move || {
                lower_priority();
                shared.serve(&mut hasher);
            })?;
        }
        Ok(pool)
    }

    /// Takes a place, or says when to come back. Costs microseconds: ask before anything is looked up.
    ///
    /// Drop the place as soon as the last password is verified or hashed: an identifier has two at a time.
    pub fn admit(&self, class: HashClass, origin: &HashOrigin<'_>) -> Result<Admission, Overloaded> {
        let shared = &self.0.0;
        let seat = shared.seats.of(class, origin);
        if shared.lock().admit(class, &seat, &shared.limits) {
            Ok(Admission::new(Arc::clone(shared), class, seat))
        } else {
            Err(shared.overloaded())
        }
    }

    /// Says whether a hash can be verified here, without computing anything: for imports.
    ///
    /// # Errors
    /// Why not, in words for whoever imports it.
    pub fn examine(&self, hash: &PasswordHash) -> Result<(), HashRefusal> {
        examine(hash, &self.0.0.reader)
    }

    /// The secrets of the settings that a hash was made with, whether they are there or not.
    #[must_use]
    pub fn secrets_of(&self, hash: &PasswordHash) -> HashSecrets {
        let waiting = ready(hash);
        let hash = waiting.as_ref().unwrap_or(hash);
        StoredHash::parse(hash, &self.0.0.reader).map(|stored| stored.secrets()).unwrap_or_default()
    }

    /// Whether a hash was made by another system and not hashed once more since.
    #[must_use]
    pub fn is_foreign(&self, hash: &PasswordHash) -> bool {
        matches!(StoredHash::parse(hash, &self.0.0.reader), Ok(StoredHash::Foreign(_)))
    }

    /// The figures of this moment, for metrics.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let shared = &self.0.0;
        let books = shared.lock();
        PoolStats {
            threads: shared.limits.threads,
            admitted: books.admitted,
            queued: books.queue.waiting(),
            running: books.queue.running(),
            mean_hash_time: books.mean,
            predicted_wait: books.predicted_wait(HashClass::Login, shared.limits.threads),
            hashed: books.hashed,
            expired: books.expired,
            abandoned: books.abandoned,
            shed: books.shed,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let waiting = {
            let mut books = self.0.lock();
            books.stopped = true;
            books.queue.drain()
        };
        self.0.wake.notify_all();
        // Without the lock: dropping a task wakes whoever waits for it.
        drop(waiting);
    }
}

/// The figures of a pool. Counters count since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Threads that hash.
    pub threads: usize,
    /// Places that are taken now: looking up an account, waiting, hashing, or about to be given back.
    pub admitted: usize,
    /// Steps that wait now.
    pub queued: usize,
    /// Steps that are computed now.
    pub running: usize,
    /// The moving average of the time that one hash with the parameters of new hashes takes.
    pub mean_hash_time: Duration,
    /// How long a login that came now would wait.
    pub predicted_wait: Duration,
    /// Counter of hashes that were computed.
    pub hashed: u64,
    /// Counter of steps whose turn did not come in time.
    pub expired: u64,
    /// Counter of steps that left the queue because their client was gone.
    pub abandoned: u64,
    shed: [u64; HashClass::ALL.len()],
}

impl PoolStats {
    /// Counter of requests of a class that got no place.
    #[must_use]
    pub const fn shed(&self, class: HashClass) -> u64 {
        self.shed[class.lane().index()]
    }
}

/// What the threads, the pool and its admissions share.
pub(super) struct Shared {
    limits: Limits,
    reader: Reader,
    unit: Unit,
    decoy: PasswordHash,
    imitated: Option<ForeignHash>,
    policy: Arc<PasswordPolicy>,
    entropy: Arc<dyn Entropy>,
    seats: Seats,
    epoch: Instant,
    books: Mutex<Books>,
    wake: Condvar,
}

impl Shared {
    fn new(hashing: &HashingConfig, passwords: &PasswordConfig, entropy: Arc<dyn Entropy>) -> Result<Self, HashError> {
        let hasher = Hasher::new(hashing, passwords, Arc::clone(&entropy))?;
        let params = new_hash_params(&passwords.params, hashing.max_memory_kib, &passwords.peppers);
        let params = params.ok_or(HashError::Unsupported)?;
        let unit = Unit { work: hasher.unit(), blocks: params.block_count() };
        let reader = Reader::new(hashing, passwords);
        let imitated = match &passwords.imitated_hash {
            None => None,
            Some(format) => Some(ForeignHash::imitated(format, reader.limits()).ok_or(HashError::Unsupported)?),
        };
        Ok(Self {
            limits: Limits {
                threads: hashing.threads.max(1),
                max_wait: hashing.max_wait,
                max_admitted: hashing.max_admitted.max(1),
            },
            reader,
            unit,
            decoy: hasher.decoy()?,
            imitated,
            policy: Arc::new(PasswordPolicy::new(passwords)),
            entropy,
            seats: Seats::default(),
            epoch: now(),
            books: Mutex::new(Books::new(hashing.max_wait, unit)),
            wake: Condvar::new(),
        })
    }

    /// What a failed verification costs beside the stored hash, so that time tells neither an account whose hash another system made
    /// nor one that there is not from the others: always a hash of ours, and the one that is imitated, where one is.
    pub(super) fn owed_by(&self, stored: &StoredHash) -> Option<StoredHash> {
        match stored {
            StoredHash::Argon2(_) => self.imitated.clone().map(StoredHash::Foreign),
            StoredHash::Foreign(_) => StoredHash::parse(&self.decoy, &self.reader).ok(),
            // It is both already.
            StoredHash::Wrapped(_) => None,
        }
    }

    pub(super) fn decoy(&self) -> &PasswordHash {
        &self.decoy
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    pub(super) fn policy(&self) -> &Arc<PasswordPolicy> {
        &self.policy
    }

    /// Queues a step. `fresh` is the lane in which its place has counted until now.
    pub(super) fn submit(
        &self,
        fresh: Option<Lane>,
        lane: Lane,
        identifier: u64,
        cost: u64,
        task: Box<dyn Task>,
    ) -> Result<u64, HashError> {
        let queued_at = self.epoch.elapsed();
        let mut books = self.lock();
        if let Some(fresh) = fresh {
            books.ahead[fresh.index()].less(1);
        }
        if books.stopped {
            return Err(HashError::Stopped);
        }
        books.last_id += 1;
        let id = books.last_id;
        books.ahead[lane.index()].more(cost);
        books.queue.push(Entry { id, lane, identifier, cost, queued_at, task });
        drop(books);
        self.wake.notify_one();
        Ok(id)
    }

    /// Takes a step out of the queue, if it still waits there.
    pub(super) fn withdraw(&self, lane: Lane, id: u64) {
        let mut books = self.lock();
        let Some(entry) = books.queue.withdraw(lane, id) else { return };
        books.ahead[lane.index()].less(entry.cost);
        books.abandoned += 1;
        drop(books);
        drop(entry);
    }

    /// Gives a place back.
    pub(super) fn leave(&self, fresh: Option<Lane>, seat: &Seat) {
        let mut books = self.lock();
        if let Some(fresh) = fresh {
            books.ahead[fresh.index()].less(1);
        }
        books.admitted -= 1;
        books.ledger.release(seat);
    }

    fn overloaded(&self) -> Overloaded {
        let [random] = random_bytes::<1>(self.entropy.as_ref());
        Overloaded { retry_after: Duration::from_secs(1 + u64::from(random % 4)) }
    }

    /// What a thread does for all its life.
    fn serve(&self, hasher: &mut Hasher) {
        while let Some(entry) = self.next(hasher) {
            let Entry { lane, identifier, cost, task, .. } = entry;
            let started = now();
            let deliver = task.run(hasher);
            self.finish(lane, identifier, cost, started.elapsed(), hasher.take_spent());
            deliver();
        }
    }

    /// Waits for something to do; `None` when the pool has ended.
    fn next(&self, hasher: &mut Hasher) -> Option<Entry<Box<dyn Task>>> {
        let mut expired = Vec::new();
        let mut books = self.lock();
        loop {
            if books.stopped {
                return None;
            }
            let next = books.queue.pop(self.epoch.elapsed(), &mut expired);
            books.strike(&expired);
            // One step that ends can make two ready: a second of its identifier and a heavy one. Wake for the other.
            let more = next.is_some() && books.queue.waiting() > 0;
            if next.is_none() && expired.is_empty() && !hasher.is_dirty() {
                books = self.wake.wait(books).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(books);
            if more {
                self.wake.notify_one();
            }
            for entry in expired.drain(..) {
                entry.task.refuse(self.overloaded().into());
            }
            if next.is_some() {
                return next;
            }
            hasher.wipe();
            books = self.lock();
        }
    }

    fn finish(&self, lane: Lane, identifier: u64, cost: u64, took: Duration, spent: u64) {
        let mut books = self.lock();
        books.queue.finish(lane, identifier);
        books.ahead[lane.index()].less(cost);
        if spent > 0 {
            books.hashed += 1;
            books.learn(took, spent, self.unit.work);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Nothing that can panic runs under the lock, and nobody is better off without logins until a restart.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("threads", &self.limits.threads).field("unit", &self.unit).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long something waits and takes; decides no expiry")]
fn now() -> Instant {
    Instant::now()
}

/// Nice 10 for the calling thread: whatever else the process does goes first.
fn lower_priority() {
    // On Linux the priority belongs to the thread (sched(7)); elsewhere it would be that of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::warn!(%error, "a hashing thread keeps its normal priority; logins may slow down other requests");
    }
}
