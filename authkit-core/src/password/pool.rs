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
use super::fairness::{HashOrigin, Ledger, Seat, Seats};
use super::hasher::Hasher;
use super::policy::PasswordPolicy;
use super::queue::{Entry, HashClass, Lane, Queue};

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
        for number in 0..shared.threads {
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
        if shared.lock().admit(class, &seat, shared) {
            Ok(Admission::new(Arc::clone(shared), class, seat))
        } else {
            Err(shared.overloaded())
        }
    }

    /// The figures of this moment, for metrics.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let shared = &self.0.0;
        let state = shared.lock();
        PoolStats {
            threads: shared.threads,
            admitted: state.admitted,
            queued: state.queue.waiting(),
            running: state.queue.running(),
            mean_hash_time: state.mean,
            predicted_wait: state.predicted_wait(HashClass::Login, shared.threads),
            hashed: state.hashed,
            expired: state.expired,
            abandoned: state.abandoned,
            shed: state.shed,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.lock();
            state.stopped = true;
            state.queue.drain()
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

/// The size of a new hash, the unit of costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// KiB written.
    pub(super) work: u64,
    /// KiB held.
    pub(super) blocks: usize,
}

/// What the threads, the pool and its admissions share.
pub(super) struct Shared {
    threads: usize,
    max_wait: Duration,
    max_admitted: usize,
    max_memory_kib: u32,
    unit: Unit,
    decoy: PasswordHash,
    policy: Arc<PasswordPolicy>,
    entropy: Arc<dyn Entropy>,
    seats: Seats,
    epoch: Instant,
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn new(hashing: &HashingConfig, passwords: &PasswordConfig, entropy: Arc<dyn Entropy>) -> Result<Self, HashError> {
        let hasher = Hasher::new(hashing, passwords, Arc::clone(&entropy))?;
        let params = new_hash_params(&passwords.params, hashing.max_memory_kib).ok_or(HashError::Unsupported)?;
        let unit = Unit { work: hasher.unit(), blocks: params.block_count() };
        Ok(Self {
            threads: hashing.threads.max(1),
            max_wait: hashing.max_wait,
            max_admitted: hashing.max_admitted.max(1),
            max_memory_kib: hashing.max_memory_kib,
            unit,
            decoy: hasher.decoy()?,
            policy: Arc::new(PasswordPolicy::new(passwords)),
            entropy,
            seats: Seats::default(),
            epoch: now(),
            state: Mutex::new(State::new(hashing.max_wait, unit)),
            wake: Condvar::new(),
        })
    }

    pub(super) fn decoy(&self) -> &PasswordHash {
        &self.decoy
    }

    pub(super) fn max_memory_kib(&self) -> u32 {
        self.max_memory_kib
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
        let mut state = self.lock();
        if let Some(fresh) = fresh {
            state.ahead[fresh.index()].less(1);
        }
        if state.stopped {
            return Err(HashError::Stopped);
        }
        state.last_id += 1;
        let id = state.last_id;
        state.ahead[lane.index()].more(cost);
        state.queue.push(Entry { id, lane, identifier, cost, queued_at, task });
        drop(state);
        self.wake.notify_one();
        Ok(id)
    }

    /// Takes a step out of the queue, if it still waits there.
    pub(super) fn withdraw(&self, lane: Lane, id: u64) {
        let mut state = self.lock();
        let Some(entry) = state.queue.withdraw(lane, id) else { return };
        state.ahead[lane.index()].less(entry.cost);
        state.abandoned += 1;
        drop(state);
        drop(entry);
    }

    /// Gives a place back.
    pub(super) fn leave(&self, fresh: Option<Lane>, seat: &Seat) {
        let mut state = self.lock();
        if let Some(fresh) = fresh {
            state.ahead[fresh.index()].less(1);
        }
        state.admitted -= 1;
        state.ledger.release(seat);
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
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let next = state.queue.pop(self.epoch.elapsed(), &mut expired);
            state.strike(&expired);
            // One step that ends can make two ready: a second of its identifier and a heavy one. Wake for the other.
            let more = next.is_some() && state.queue.waiting() > 0;
            if next.is_none() && expired.is_empty() && !hasher.is_dirty() {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
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
            state = self.lock();
        }
    }

    fn finish(&self, lane: Lane, identifier: u64, cost: u64, took: Duration, spent: u64) {
        let mut state = self.lock();
        state.queue.finish(lane, identifier);
        state.ahead[lane.index()].less(cost);
        if spent > 0 {
            state.hashed += 1;
            state.learn(took, spent, self.unit.work);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock, and nobody is better off without logins until a restart.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("threads", &self.threads).field("unit", &self.unit).finish_non_exhaustive()
    }
}

/// Work that is ahead of whoever comes next in one lane.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    steps: u64,
    cost: u64,
}

impl Ahead {
    fn more(&mut self, cost: u64) {
        self.steps += 1;
        self.cost += cost;
    }

    fn less(&mut self, cost: u64) {
        self.steps -= 1;
        self.cost -= cost;
    }
}

struct State {
    queue: Queue<Box<dyn Task>>,
    ledger: Ledger,
    /// Per lane: places that have not taken a step yet, steps that wait, steps that are computed.
    ahead: [Ahead; HashClass::ALL.len() + 1],
    /// The moving average of one new hash.
    mean: Duration,
    admitted: usize,
    last_id: u64,
    hashed: u64,
    expired: u64,
    abandoned: u64,
    shed: [u64; HashClass::ALL.len()],
    stopped: bool,
}

impl State {
    fn new(max_wait: Duration, unit: Unit) -> Self {
        Self {
            queue: Queue::new(max_wait),
            ledger: Ledger::default(),
            ahead: Default::default(),
            // A guess until the first hash was measured: 0.5 µs for each KiB written, 19 ms with the default parameters.
            mean: Duration::from_nanos(500 * unit.work),
            admitted: 0,
            last_id: 0,
            hashed: 0,
            expired: 0,
            abandoned: 0,
            shed: [0; HashClass::ALL.len()],
            stopped: false,
        }
    }

    fn admit(&mut self, class: HashClass, seat: &Seat, shared: &Shared) -> bool {
        let reserved =
            if class == HashClass::StepUp { 0 } else { (shared.max_admitted / 16).max(1).min(shared.max_admitted - 1) };
        let admitted = self.admitted < shared.max_admitted - reserved
            && self.predicted_wait(class, shared.threads) <= shared.max_wait
            && self.ledger.take(seat, self.capacity(shared));
        if admitted {
            self.admitted += 1;
            self.ahead[class.lane().index()].more(1);
        } else {
            self.shed[class.lane().index()] += 1;
        }
        admitted
    }

    /// How many places the queue has about, at the speed of the moment.
    fn capacity(&self, shared: &Shared) -> usize {
        let waiting = shared.max_wait.as_nanos() * shared.threads as u128 / self.mean.as_nanos().max(1);
        usize::try_from(waiting).unwrap_or(usize::MAX).saturating_add(shared.threads).min(shared.max_admitted)
    }

    /// How long somebody who comes now waits: for all that is ahead, or less where the weight of the class goes before it.
    fn predicted_wait(&self, class: HashClass, threads: usize) -> Duration {
        let threads = threads as u64;
        if self.ahead.iter().map(|ahead| ahead.steps).sum::<u64>() < threads {
            return Duration::ZERO;
        }
        let all: u64 = self.ahead.iter().map(|ahead| ahead.cost).sum();
        let own = class.lane().index();
        let active: u64 = (0..self.ahead.len())
            .filter(|lane| *lane == own || self.ahead[*lane].steps > 0)
            .map(|lane| Lane::WEIGHTS[lane])
            .sum();
        let share = ((self.ahead[own].cost + 1) * active).div_ceil(Lane::WEIGHTS[own]);
        let turns = all.min(share).saturating_sub(threads) + 1;
        let nanos = self.mean.as_nanos() * u128::from(turns) / u128::from(threads);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Takes expired entries off the books.
    fn strike(&mut self, expired: &[Entry<Box<dyn Task>>]) {
        for entry in expired {
            self.ahead[entry.lane.index()].less(entry.cost);
            self.expired += 1;
        }
    }

    /// Moves the average by an eighth (the gain of RFC 6298 §2.3 for another moving average of times).
    fn learn(&mut self, took: Duration, spent: u64, unit: u64) {
        let sample = took.as_nanos() * u128::from(unit) / u128::from(spent);
        let mean = self.mean.as_nanos();
        // One sample may be a laptop that slept: no step of more than four times.
        let next = (mean * 7 + sample.min(mean * 4)) / 8;
        self.mean = Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX).max(1));
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
