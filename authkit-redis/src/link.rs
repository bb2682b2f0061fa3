//! One connection to Redis that is subscribed, with what arrives on it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authkit_core::model::Revocation;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::wire;

/// How long it may take to connect, sign in and subscribe, all together.
const OPEN_LIMIT: Duration = Duration::from_secs(1);
/// How long Redis may take to answer a sign of life before the connection is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// How many messages may wait for the keeper. What does not fit is reported as a gap: nobody fills our memory.
const QUEUE: usize = 4_096;

/// A connection that is signed in and subscribed. It is closed when its last handle is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) arrivals: Arrivals,
}

impl Link {
    /// Connects, signs in, subscribes, and publishes an empty message: whatever Redis refuses is known then.
    pub(crate) async fn open(client: &Client) -> RedisResult<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let overflowed = Arc::new(AtomicBool::new(false));
        let arrivals = Arrivals { queue, overflowed: Arc::clone(&overflowed) };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(OPEN_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT))
            .set_push_sender(move |info: PushInfo| {
                if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(info) {
                    overflowed.store(true, Ordering::Release);
                }
                Ok::<(), redis::aio::SendError>(())
            });
        let opened = timeout(OPEN_LIMIT, async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            connection.subscribe(wire::CHANNEL).await?;
            prove(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        });
        let connection = opened.await.map_err(|_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut)))??;
        Ok(Self { connection, arrivals })
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

/// Publishes a message that revokes nothing, to see that messages are taken.
pub(crate) async fn prove(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PUBLISH").arg(wire::CHANNEL).arg(wire::probe()).exec_async(connection).await
}

/// Asks for a sign of life.
pub(crate) async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(connection).await
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
