//! One connection to Redis that is subscribed, with what arrives on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use authkit_core::model::Revocation;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisError, RedisResult};
use tokio::sync::mpsc;

use crate::address::Address;
use crate::connection::{self, config, master, within_limit};
use crate::error::RefusalReason;
use crate::options::RedisOptions;
use crate::slots::read_slots;
use crate::wire;

/// How many messages may wait for the keeper. What does not fit is reported as a gap: nobody fills our memory.
const QUEUE: usize = 4_096;

/// A connection that is signed in and subscribed. It is closed when its last handle is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) arrivals: Arrivals,
    /// The nodes of the cluster, as this one knows them; none where there is no cluster.
    pub(crate) nodes: Vec<Address>,
}

impl Link {
    /// Connects, signs in, subscribes, and publishes an empty message: whatever Redis refuses is known then.
    ///
    /// In a cluster any node will do, because what is published on one of them reaches the subscribers of all. Each of our nodes
    /// begins with another one, and `known` are those that were heard of before.
    pub(crate) async fn open(options: &RedisOptions, known: &[Address]) -> RedisResult<Self> {
        if !options.is_cluster() {
            return within_limit(Self::open_at(options, &master(options).await?)).await;
        }
        let mut start = [0];
        options.entropy.fill(&mut start);
        let candidates: Vec<_> = known.iter().chain(options.addresses()).collect();
        let mut last = None;
        for index in 0..candidates.len() {
            let address = candidates[(usize::from(start[0]) + index) % candidates.len()];
            match within_limit(Self::open_at(options, address)).await {
                Err(error) if RefusalReason::of(&error).is_none() => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| (redis::ErrorKind::InvalidClientConfig, "a cluster without nodes").into()))
    }

    async fn open_at(options: &RedisOptions, address: &Address) -> RedisResult<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let overflowed = Arc::new(AtomicBool::new(false));
        let arrivals = Arrivals { queue, overflowed: Arc::clone(&overflowed) };
        let config = config().set_push_sender(move |info: PushInfo| {
            if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(info) {
                overflowed.store(true, Ordering::Release);
            }
            Ok::<(), redis::aio::SendError>(())
        });
        let mut connection = connection::open(options, address, &config).await?;
        let mut nodes = Vec::new();
        if options.is_cluster() {
            let answer = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
            nodes.extend(read_slots(&answer, address).into_iter().flatten().map(|range| range.master));
            see_cluster(&mut connection).await?;
        }
        connection.subscribe(wire::CHANNEL).await?;
        prove(&mut connection).await?;
        Ok(Self { connection, arrivals, nodes })
    }
}

/// Publishes revocations.
pub(crate) async fn publish(connection: &mut MultiplexedConnection, revocations: &[Revocation]) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for message in wire::encode(revocations) {
        pipe.cmd("PUBLISH").arg(wire::CHANNEL).arg(message).ignore();
    }
    pipe.exec_async(connection).await
}

/// Publishes that roles have changed.
pub(crate) async fn publish_look(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PUBLISH").arg(wire::CHANNEL).arg(wire::look()).exec_async(connection).await
}

/// Publishes a message that revokes nothing, to see that messages are taken.
pub(crate) async fn prove(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PUBLISH").arg(wire::CHANNEL).arg(wire::probe()).exec_async(connection).await
}

/// Asks for a sign of life.
pub(crate) async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(connection).await
}

/// Asks a node whether its cluster works: one that is cut off from the others answers and carries no messages to them.
pub(crate) async fn see_cluster(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(connection).await?;
    if info.contains("cluster_state:ok") {
        return Ok(());
    }
    Err(RedisError::from((redis::ErrorKind::Server(redis::ServerErrorKind::ClusterDown), "the node is cut off from its cluster")))
}

/// What Redis sent without being asked.
#[derive(Debug)]
pub(crate) struct Arrivals {
    queue: mpsc::Receiver<PushInfo>,
    overflowed: Arc<AtomicBool>,
}

/// One thing that arrived.
pub(crate) enum Arrival {
    /// A message, as somebody published it.
    Message(Vec<u8>),
    /// Messages arrived faster than they were read, and some were dropped.
    Overflow,
}

impl Arrivals {
    /// Waits for the next one; `None` when the subscription is over.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        loop {
            if self.overflowed.swap(false, Ordering::AcqRel) {
                return Some(Arrival::Overflow);
            }
            let pushed = self.queue.recv().await?;
            match pushed.kind {
                PushKind::Message => {
                    let message = redis::Msg::from_push_info(pushed)?;
                    return Some(Arrival::Message(message.get_payload_bytes().to_vec()));
                }
                // Nobody here unsubscribes: an ACL that was changed does.
                PushKind::Disconnection | PushKind::Unsubscribe => return None,
                _ => {}
            }
        }
    }
}
