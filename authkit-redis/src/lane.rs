//! The commands to one Redis server: one connection, a circuit breaker, and the task that keeps both.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::backoff::Backoff;
use crate::connection::{self, config, within_limit};
use crate::error::CommandError;
use crate::options::RedisOptions;
use crate::outage::Outage;
use crate::slots::{SlotRange, slot_of};

/// How often Redis is asked for a sign of life, also while it failed: the one attempt per second of an open breaker.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Writes a key that is gone a second later. It needs all that the scripts of the limiter and the cache need: a master, memory
/// that is not full, the right to run scripts and to write.
const PROBE: &str = "redis.call('TIME') return redis.call('SET', KEYS[1], '', 'PX', 1000)";
/// The probe's keys where one server has every key: a cluster's node refuses keys of two slots.
const PROBE_KEYS: [&str; 2] = ["authkit:probe:{0}", "authkit:probe:{1}"];

/// Which server.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// The one that takes writes, where there is one for all keys.
    Master,
    /// A node of a cluster, and a key that is its own.
    Node(Address, String),
}

/// The commands to one server. A command that fails in any way but its own opens the breaker: from then on nothing is asked of
/// the server, and nobody waits for it, until the background task has seen it take a write again.
pub(crate) struct Lane {
    options: Arc<RedisOptions>,
    place: Place,
    probe: Cmd,
    /// INVARIANT: no lock is held across an await.
    connection: Mutex<Option<MultiplexedConnection>>,
    is_answering: AtomicBool,
    /// Told when the connection is gone, so that nobody has to wait for the next sign of life.
    lost: Arc<Notify>,
}

impl Lane {
    /// Connects, and starts the task that stays connected; what the first attempt said comes along. The task ends, within
    /// seconds, when the lane is dropped.
    pub(crate) async fn open(options: &Arc<RedisOptions>, place: Place) -> (Arc<Self>, RedisResult<()>) {
        let (opened, result) = match open(options, &place, &place.probe()).await {
            Ok(connection) => (Some(connection), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let lane = Arc::new(Self {
            options: Arc::clone(options),
            probe: place.probe(),
            place,
            connection: Mutex::new(opened.clone()),
            is_answering: AtomicBool::new(true),
            lost: Arc::default(),
        });
        tokio::spawn(keep(Arc::downgrade(&lane), opened));
        (lane, result)
    }

    /// Whether the probe's key is still the server's own, once it has these slots.
    pub(crate) fn is_for(&self, ranges: &[&SlotRange]) -> bool {
        let Place::Node(_, key) = &self.place else { return true };
        ranges.iter().any(|range| range.contains(slot_of(key)))
    }

    /// Whether the server is asked at all.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable().is_some()
    }

    /// Runs commands in one round trip. What the server says to each, an error of the command's own included, is in its value.
    pub(crate) async fn run(&self, commands: &Pipeline) -> Result<Vec<Value>, CommandError> {
        let Some(mut connection) = self.usable() else { return Err(CommandError::Unreachable) };
        match timeout(self.options.operation_limit, connection.send_packed_commands(commands, 0, commands.len())).await {
            Ok(Ok(values)) => Ok(values),
            Ok(Err(error)) => {
                if error.is_connection_dropped() {
                    self.lost.notify_one();
                }
                self.doubt();
                Err(CommandError::Failed(Box::new(error)))
            }
            Err(_) => {
                self.doubt();
                Err(CommandError::TimedOut)
            }
        }
    }

    /// Opens the breaker: the server does not do what it should.
    pub(crate) fn doubt(&self) {
        self.is_answering.store(false, Ordering::Release);
    }

    /// The connection, unless there is none or the breaker is open.
    fn usable(&self) -> Option<MultiplexedConnection> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        connection.filter(|_| self.is_answering.load(Ordering::Acquire))
    }

    fn set_connection(&self, connection: Option<MultiplexedConnection>) {
        // Before the connection is there for all to see, so that no failure of it is overlooked.
        self.is_answering.store(true, Ordering::Release);
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// Asks for a sign of life; after a failure, for a write within the time that a request would have waited.
    async fn check(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        if self.is_answering.load(Ordering::Acquire) {
            return redis::cmd("PING").exec_async(connection).await;
        }
        match timeout(self.options.operation_limit, self.probe.exec_async(connection)).await {
            Ok(Ok(())) => {
                self.is_answering.store(true, Ordering::Release);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("place", &self.place).field("is_usable", &self.is_usable()).finish_non_exhaustive()
    }
}

impl Place {
    fn probe(&self) -> Cmd {
        let mut probe = redis::cmd("EVAL");
        probe.arg(PROBE);
        match self {
            Self::Master => probe.arg(PROBE_KEYS.len()).arg(&PROBE_KEYS),
            Self::Node(_, key) => probe.arg(1).arg(key),
        };
        probe
    }
}

/// Connects, signs in and writes: whatever Redis refuses is known then.
async fn open(options: &RedisOptions, place: &Place, probe: &Cmd) -> RedisResult<MultiplexedConnection> {
    let address = match place {
        Place::Master => connection::master(options).await?,
        Place::Node(address, _) => address.clone(),
    };
    within_limit(async {
        let mut connection = connection::open(options, &address, &config()).await?;
        probe.exec_async(&mut connection).await?;
        Ok(connection)
    })
    .await
}

/// Keeps the lane connected until it is dropped. It is held for no longer than a look at it takes.
async fn keep(lane: Weak<Lane>, mut opened: Option<MultiplexedConnection>) {
    let mut backoff = Backoff::new();
    let mut outage = Outage::new(
        "Redis is not usable: limits are counted by each node for itself, and nothing is cached",
        "Redis is usable again: limits are counted by all nodes together",
    );
    loop {
        let Some((options, place, probe)) =
            lane.upgrade().map(|lane| (lane.options.clone(), lane.place.clone(), lane.probe.clone()))
        else {
            return;
        };
        let connected = match opened.take() {
            Some(connection) => Ok(connection),
            None => open(&options, &place, &probe).await,
        };
        match connected {
            Ok(connection) => {
                outage.is_over(&options);
                let Some(error) = watch(&lane, connection, &mut backoff).await else { return };
                outage.is_told(&options, &error);
            }
            Err(error) => outage.is_told(&options, &error),
        }
        sleep(backoff.next(&*options.entropy)).await;
    }
}

/// Lets the lane use a connection until it fails; the error is why. `None`: the lane is gone.
async fn watch(lane: &Weak<Lane>, mut connection: MultiplexedConnection, backoff: &mut Backoff) -> Option<RedisError> {
    let lost = {
        let lane = lane.upgrade()?;
        lane.set_connection(Some(connection.clone()));
        Arc::clone(&lane.lost)
    };
    loop {
        // Whichever is first. What a lost connection says is asked of the connection itself.
        drop(timeout(HEARTBEAT, lost.notified()).await);
        let lane = lane.upgrade()?;
        match lane.check(&mut connection).await {
            // A Redis that takes us and drops us at once must not be asked in a tight loop: only a second of peace counts.
            Ok(()) => backoff.reset(),
            Err(error) => {
                lane.set_connection(None);
                return Some(error);
            }
        }
    }
}
