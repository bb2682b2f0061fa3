//! The connections: lent to one piece of work at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use authkit_core::ports::StoreError;
use sqlx::{Connection, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::postgres::connect;
use crate::postgres::options::PgOptions;
use crate::unreachable::Unreachable;

/// A connection that rested longer than this is asked for a sign of life before it is used: its server may be gone. Under
/// load none rests that long, so that the question costs nothing there.
const TRUSTED_REST: Duration = Duration::from_millis(500);
/// How long a sign of life may take.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);
/// A connection that nobody needed for this long is closed.
const LONGEST_REST: Duration = Duration::from_mins(5);
/// A connection is closed at this age, so that a database that moved is found again and its memory per connection stays small.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// How long nobody tries after a connection could not be opened.
const PAUSE: Duration = Duration::from_millis(250);

/// A bounded number of connections, opened when they are needed.
///
/// (sqlx's pool sends a message and waits for its answer after every use, which doubles the round trips of a refresh. Here
/// only work that came to its end gives its connection back, so that there is nothing to find out.)
#[derive(Debug)]
pub(super) struct Pool {
    options: PgOptions,
    permits: Arc<Semaphore>,
    /// How many pieces of work may come back at once that rivals undid. INVARIANT: taken before a connection, so that a row that
    /// somebody holds for long takes a part of the connections at most.
    pub(super) returns: Semaphore,
    /// The longest rested first. INVARIANT: no lock is held across an await.
    idle: Mutex<VecDeque<Resting>>,
    /// Raised when a connection is found dead: those opened before are probably dead too.
    era: AtomicU64,
    /// While the database is away: when the next attempt to open a connection is due.
    away: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Resting {
    lent: Lent,
    since: Instant,
}

#[derive(Debug)]
struct Lent {
    connection: PgConnection,
    opened: Instant,
    era: u64,
}

/// A connection on loan. Dropping it closes the connection: what was going on there is unknown, and the database undoes it.
#[derive(Debug)]
pub(super) struct Lease {
    lent: Lent,
    /// Whether the connection was used before, and may have died since.
    pub(super) reused: bool,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) const fn connection(&mut self) -> &mut PgConnection {
        &mut self.lent.connection
    }

    /// Gives the connection back: its work has come to an end, and no transaction is open.
    pub(super) fn give_back(self) {
        let Self { lent, pool, .. } = self;
        pool.rest(lent);
    }

    /// The connection turned out to be dead, or to lead to a server that takes no writes.
    pub(super) fn bury(self) {
        self.pool.distrust(self.lent.era);
    }
}

impl Pool {
    pub(super) fn new(options: PgOptions, first: PgConnection) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(usize::try_from(options.connections).unwrap_or(1)));
        let returns = Semaphore::new(usize::try_from(options.connections / 4).unwrap_or(1).max(1));
        let pool = Self { options, permits, returns, idle: Mutex::default(), era: AtomicU64::new(0), away: Mutex::default() };
        pool.rest(Lent { connection: first, opened: Instant::now(), era: 0 });
        Arc::new(pool)
    }

    pub(super) const fn options(&self) -> &PgOptions {
        &self.options
    }

    /// Lends a connection, a rested one if there is one that lives.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let waiting = timeout(self.options.acquire_timeout, Arc::clone(&self.permits).acquire_owned());
        let permit = waiting.await.map_err(|_| Unreachable::Stalled)?.map_err(|_| Unreachable::Closed)?;
        while let Some(resting) = self.youngest() {
            let mut lent = resting.lent;
            if resting.since.elapsed() > TRUSTED_REST
                && !matches!(timeout(SIGN_OF_LIFE, lent.connection.ping()).await, Ok(Ok(())))
            {
                self.distrust(lent.era);
                continue;
            }
            return Ok(Lease { lent, reused: true, pool: Arc::clone(self), _permit: permit });
        }
        let era = self.era.load(Ordering::Acquire);
        let connection = self.open().await?;
        let lent = Lent { connection, opened: Instant::now(), era };
        Ok(Lease { lent, reused: false, pool: Arc::clone(self), _permit: permit })
    }

    /// Lets the work under way finish, refuses new work, and closes the connections.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.options.connections).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for resting in idle {
            if let Err(error) = resting.lent.connection.close().await {
                tracing::debug!(%error, "a connection did not close cleanly");
            }
        }
    }

    /// Refuses new work from now on, whatever is still under way.
    pub(super) fn refuse(&self) {
        self.permits.close();
    }

    /// Opens a connection, unless that failed a moment ago. While the database is away only one caller at a time tries.
    async fn open(&self) -> Result<PgConnection, StoreError> {
        {
            let mut away = self.away();
            if let Some(due) = *away {
                if Instant::now() < due {
                    return Err(StoreError::unavailable(Unreachable::Away));
                }
                *away = Some(Instant::now() + self.options.connect_timeout);
            }
        }
        let opened = connect::working(&self.options).await;
        let mut away = self.away();
        match &opened {
            Ok(_) => {
                if away.take().is_some() {
                    tracing::info!(database = %self.options.address(), "the database is back");
                }
            }
            Err(error) => {
                if away.replace(Instant::now() + PAUSE).is_none() {
                    let error = error as &dyn std::error::Error;
                    tracing::error!(database = %self.options.address(), error, "no connection to the database");
                }
            }
        }
        opened
    }

    /// From now on no connection of this era or an older one is used.
    fn distrust(&self, era: u64) {
        if self.era.compare_exchange(era, era + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // Dropped outside of the lock.
            let dead = std::mem::take(&mut *self.idle());
            drop(dead);
        }
    }

    fn rest(&self, lent: Lent) {
        if lent.era != self.era.load(Ordering::Acquire) || lent.opened.elapsed() > LONGEST_LIFE {
            return;
        }
        let mut idle = self.idle();
        // One a time is enough: each return looks at the one that rested longest.
        let spare = idle.front().is_some_and(|oldest| oldest.since.elapsed() > LONGEST_REST).then(|| idle.pop_front());
        idle.push_back(Resting { lent, since: Instant::now() });
        drop(idle);
        drop(spare);
    }

    fn youngest(&self) -> Option<Resting> {
        self.idle().pop_back()
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Resting>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
