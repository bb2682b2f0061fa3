//! Revocations over Redis pub/sub.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::model::Revocation;
use authkit_core::ports::{BusError, BusHealth, RevocationBus, RevocationSink};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::address::Address;
use crate::connections::{prepare, settle};
use crate::error::{CommandError, ConnectError};
use crate::keeper;
use crate::link::{self, Link};
use crate::options::RedisOptions;
use crate::wire::{self, Malformed, Message};

/// The most that a Redis which does not answer costs a logout, once: after that nothing is asked of it until it answers a
/// sign of life again.
const PUBLISH_LIMIT: Duration = Duration::from_millis(100);

/// Carries revocations between nodes over Redis pub/sub.
///
/// One connection publishes and is subscribed. A background task, which the first subscription starts, asks Redis for a sign
/// of life each second, opens the connection again for ever with growing, spread waits, and reports a gap after each time.
/// It ends within a second or two of the last sink.
///
/// In a cluster that connection is to any one node, another one for each of ours, and to the next when it fails: a cluster
/// carries what is published on one node to the subscribers of all. Channels of one slot (`SPUBLISH`) would spare the other
/// nodes the message, but they move with their slot, need Redis 7, and revocations are few.
///
/// **When Redis is down**, refuses or hangs: every use case works. A logout waits 100 ms for it at most, and from then on not
/// at all; the other nodes learn of the logout from the store within a second; [`health`](RevocationBus::health) says
/// `Degraded`. No token revives.
///
/// # Security
/// A message can only revoke, or have a node look into the store, some fifty times a second at most. Whoever can publish on this
/// Redis can log users out, but let nobody in and give nobody anything; bytes that are no
/// message are counted and ignored, and neither their number nor their content fills the memory of a node for longer than an
/// access token lives. Redis must not be public all the same.
#[derive(Clone)]
pub struct RedisRevocationBus {
    shared: Arc<Shared>,
}

impl RedisRevocationBus {
    /// Connects to Redis, and shows that it lets us publish and subscribe. When it is away, or does not answer within a second,
    /// the bus starts degraded, with a warning in the log, and keeps trying as soon as it is subscribed to.
    ///
    /// # Errors
    /// What will not pass by waiting: a name that does not resolve, credentials, rights, a certificate, a database that is not
    /// there. That is for the operator to change.
    pub async fn connect(options: RedisOptions) -> Result<Self, ConnectError> {
        prepare(&options).await?;
        let (opened, result) = match Link::open(&options, &[]).await {
            Ok(link) => (Some(link), Ok(())),
            Err(error) => (None, Err(error)),
        };
        settle(&options, result)?;
        let shared = Shared {
            options,
            nodes: Mutex::default(),
            sinks: Mutex::default(),
            connection: Mutex::new(opened.as_ref().map(|link| link.connection.clone())),
            opened: Mutex::new(opened),
            is_answering: AtomicBool::new(true),
            malformed: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many messages arrived that were none. In a cluster of one version it stays 0.
    #[must_use]
    pub fn malformed_messages(&self) -> u64 {
        self.shared.malformed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl RevocationBus for RedisRevocationBus {
    async fn publish(&self, revocations: &[Revocation]) -> Result<(), BusError> {
        if revocations.is_empty() {
            return Ok(());
        }
        self.shared.publish(async |connection| link::publish(connection, revocations).await).await
    }

    async fn publish_access_change(&self) -> Result<(), BusError> {
        self.shared.publish(async |connection| link::publish_look(connection).await).await
    }

    /// # Panics
    /// Outside a tokio runtime, where the background task cannot run.
    fn subscribe(&self, sink: Arc<dyn RevocationSink>) {
        let mut sinks = self.shared.lock_sinks();
        sinks.alive.push(Arc::downgrade(&sink));
        if !std::mem::replace(&mut sinks.is_kept, true) {
            tokio::spawn(keeper::keep(Arc::clone(&self.shared)));
        }
    }

    fn health(&self) -> BusHealth {
        if self.shared.usable().is_some() { BusHealth::Connected } else { BusHealth::Degraded }
    }
}

impl fmt::Debug for RedisRevocationBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocationBus").field("redis", &self.shared.options).field("health", &self.health()).finish()
    }
}

/// What the handles of a bus and its keeper share.
pub(crate) struct Shared {
    pub(crate) options: RedisOptions,
    /// The nodes of the cluster that were last heard of.
    nodes: Mutex<Vec<Address>>,
    sinks: Mutex<Sinks>,
    /// The connection that is subscribed. INVARIANT: no lock is held across an await.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// What `connect` opened, until the keeper takes it over.
    opened: Mutex<Option<Link>>,
    /// The circuit breaker: a publish that failed opens it, a sign of life closes it.
    is_answering: AtomicBool,
    malformed: AtomicU64,
}

#[derive(Default)]
struct Sinks {
    alive: Vec<Weak<dyn RevocationSink>>,
    is_kept: bool,
}

impl Shared {
    /// The sinks that still live; `None` when there is none left, and then the keeper must end.
    pub(crate) fn sinks_or_end(&self) -> Option<Vec<Arc<dyn RevocationSink>>> {
        let mut sinks = self.lock_sinks();
        sinks.alive.retain(|sink| sink.strong_count() > 0);
        let alive: Vec<_> = sinks.alive.iter().filter_map(Weak::upgrade).collect();
        // Under the lock, so that a subscription either is seen here or starts a keeper of its own.
        sinks.is_kept = !alive.is_empty();
        (!alive.is_empty()).then_some(alive)
    }

    /// Hands every sink what arrived.
    pub(crate) fn deliver(&self, message: &[u8]) {
        match wire::decode(message, self.options.clock.now()) {
            Ok(Message::Revoked(revocations)) if revocations.is_empty() => {}
            Ok(Message::Revoked(revocations)) => self.alive().iter().for_each(|sink| sink.revoked(&revocations)),
            Ok(Message::Look) => self.alive().iter().for_each(|sink| sink.access_changed()),
            Err(Malformed) => {
                let count = self.malformed.fetch_add(1, Ordering::Relaxed) + 1;
                // Each doubling is worth a line: a log must not be filled from outside.
                if count.is_power_of_two() {
                    tracing::warn!(count, bytes = message.len(), "ignored what is no message on the revocation channel of Redis");
                }
            }
        }
    }

    /// Publishes over the connection, unless there is none or Redis did not answer of late.
    async fn publish(&self, send: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<()>) -> Result<(), BusError> {
        let Some(mut connection) = self.usable() else { return Err(BusError(Box::new(CommandError::Unreachable))) };
        let error = match timeout(PUBLISH_LIMIT, send(&mut connection)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => CommandError::Failed(Box::new(error)),
            Err(_) => CommandError::TimedOut,
        };
        self.is_answering.store(false, Ordering::Release);
        Err(BusError(Box::new(error)))
    }

    /// Tells every sink that messages may have been lost.
    pub(crate) fn report_gap(&self) {
        self.alive().iter().for_each(|sink| sink.gap());
    }

    /// From now on this connection publishes; `None`: none does.
    pub(crate) fn set_connection(&self, connection: Option<MultiplexedConnection>) {
        // Before the connection is there for all to see, so that no failure of it is overlooked.
        self.is_answering.store(true, Ordering::Release);
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    pub(crate) fn nodes(&self) -> Vec<Address> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_nodes(&self, nodes: Vec<Address>) {
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    pub(crate) fn take_opened(&self) -> Option<Link> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Acquire)
    }

    pub(crate) fn answers_again(&self) {
        self.is_answering.store(true, Ordering::Release);
    }

    /// The connection, unless there is none or Redis did not answer of late.
    fn usable(&self) -> Option<MultiplexedConnection> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        connection.filter(|_| self.is_answering())
    }

    fn alive(&self) -> Vec<Arc<dyn RevocationSink>> {
        // The lock is gone by the time a sink runs.
        self.lock_sinks().alive.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock_sinks(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
