//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::plan::{Direction, NetworkFault, Plan};

/// How much is read at once.
const PIECE_BYTES: usize = 16 * 1_024;
/// In how many steps a throttled direction passes what it may in a second.
const STEPS_PER_SECOND: u32 = 20;

/// Carries one connection until it ends or is broken.
pub(super) async fn carry(mut client: TcpStream, upstream: SocketAddr, plan: Arc<watch::Sender<Plan>>) {
    let link = Link::new(plan);
    let mut resets = link.plan.subscribe();
    let before = resets.borrow().resets;
    let (reset, carried) = (resets.wait_for(|plan| plan.resets != before), both_ways(&mut client, upstream, &link));
    let server = tokio::select! {
        _ = reset => None,
        server = carried => server.ok(),
    };
    if server.is_none() {
        // What the server's end is, `both_ways` has seen to. Failing here means that there is nothing left to break.
        let _ = client.set_zero_linger();
    }
}

/// Returns the server's end when both directions have ended in order. Otherwise, or when it is dropped, that end is broken.
async fn both_ways(client: &mut TcpStream, upstream: SocketAddr, link: &Link) -> io::Result<TcpStream> {
    link.passes().await;
    let mut server = Breakable(Some(TcpStream::connect(upstream).await?));
    let stream = server.stream();
    // What comes in one piece goes out in one piece, at once.
    client.set_nodelay(true)?;
    stream.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), stream.split());
    tokio::try_join!(
        Pump::new(link, Direction::ToServer).run(from_client, to_server),
        Pump::new(link, Direction::ToClient).run(from_server, to_client),
    )?;
    Ok(server.in_order())
}

/// A stream that is broken (RST) unless it ended in order.
struct Breakable(Option<TcpStream>);

impl Breakable {
    fn stream(&mut self) -> &mut TcpStream {
        self.0.as_mut().expect("taken only by `in_order`")
    }

    fn in_order(mut self) -> TcpStream {
        self.0.take().expect("taken only here")
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            let _ = stream.set_zero_linger();
        }
    }
}

/// What both directions of a connection know.
struct Link {
    plan: Arc<watch::Sender<Plan>>,
    /// Set once a reply is to be lost: what ends it. That outlives the fault, since the request has passed.
    lost: OnceLock<Vec<u8>>,
}

impl Link {
    fn new(plan: Arc<watch::Sender<Plan>>) -> Self {
        plan.send_modify(|plan| plan.connections += 1);
        Self { plan, lost: OnceLock::new() }
    }

    /// Returns when bytes pass at all.
    async fn passes(&self) {
        let _ = self.plan.subscribe().wait_for(|plan| plan.fault != NetworkFault::BlackHole).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.plan.send_modify(|plan| plan.connections -= 1);
    }
}

/// One direction of a connection.
struct Pump<'a> {
    link: &'a Link,
    direction: Direction,
    plan: watch::Receiver<Plan>,
    half_closes: u64,
    /// Which change of the fault the two below belong to.
    change: u64,
    passed: u64,
    tail: Tail,
}

impl<'a> Pump<'a> {
    fn new(link: &'a Link, direction: Direction) -> Self {
        let plan = link.plan.subscribe();
        let half_closes = plan.borrow().half_closes.of(direction);
        Self { link, direction, plan, half_closes, change: 0, passed: 0, tail: Tail::default() }
    }

    /// Passes bytes on until their end. An error means that the whole connection is to be broken.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let (half_closes, direction) = (self.half_closes, self.direction);
            let is_closed = |plan: &Plan| plan.half_closes.of(direction) != half_closes;
            let next = self.plan.wait_for(|plan| plan.fault != NetworkFault::BlackHole || is_closed(plan)).await;
            if next.is_ok_and(|plan| is_closed(&plan)) {
                return to.shutdown().await;
            }
            let read = tokio::select! {
                _ = self.plan.changed() => continue,
                read = from.read(&mut piece) => read?,
            };
            if read == 0 {
                // The end of a reply that is to be lost is as lost as the rest of it.
                return if self.reply_is_lost() { self.lose() } else { to.shutdown().await };
            }
            self.pass(&piece[..read], &mut to).await?;
        }
    }

    async fn pass(&mut self, piece: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        // The piece may have been read in the moment in which a black hole opened.
        self.link.passes().await;
        let fault = self.fault();
        if let Some(end) = self.link.lost.get().filter(|_| self.direction == Direction::ToClient) {
            return if self.tail.holds(piece, end) { self.lose() } else { Ok(()) };
        }
        match fault {
            NetworkFault::Latency(latency) => sleep(latency).await,
            NetworkFault::Throttle { bytes_per_second } => return throttled(piece, bytes_per_second, to).await,
            NetworkFault::CutAfter { direction, bytes } if direction == self.direction => {
                let left = usize::try_from(bytes - self.passed).unwrap_or(usize::MAX);
                if piece.len() >= left {
                    to.write_all(&piece[..left]).await?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                self.passed += piece.len() as u64;
            }
            NetworkFault::LoseReply { request, reply }
                if self.direction == Direction::ToServer && self.tail.holds(piece, &request) =>
            {
                // Before the request passes: its reply must not be faster than this.
                let _ = self.link.lost.set(reply);
            }
            _ => {}
        }
        to.write_all(piece).await
    }

    /// The fault of this moment; what was counted for another one is forgotten.
    fn fault(&mut self) -> NetworkFault {
        let plan = self.plan.borrow();
        if self.change != plan.changes {
            (self.change, self.passed) = (plan.changes, 0);
            self.tail = Tail::default();
        }
        plan.fault.clone()
    }

    fn reply_is_lost(&self) -> bool {
        self.direction == Direction::ToClient && self.link.lost.get().is_some()
    }

    fn lose(&self) -> io::Result<()> {
        self.link.plan.send_modify(|plan| plan.lost_replies += 1);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

async fn throttled(piece: &[u8], bytes_per_second: u32, to: &mut WriteHalf<'_>) -> io::Result<()> {
    let bytes_per_second = bytes_per_second.max(1);
    let step = (bytes_per_second / STEPS_PER_SECOND).max(1) as usize;
    for part in piece.chunks(step) {
        to.write_all(part).await?;
        let bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
        sleep(Duration::from_secs(1) * bytes / bytes_per_second).await;
    }
    Ok(())
}

/// The last bytes that passed: what is looked for may be cut in two by the pieces.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Whether `wanted` has come with this piece.
    fn holds(&mut self, piece: &[u8], wanted: &[u8]) -> bool {
        if wanted.is_empty() {
            return true;
        }
        self.0.extend_from_slice(piece);
        let found = self.0.windows(wanted.len()).any(|window| window == wanted);
        let kept = if found { 0 } else { (wanted.len() - 1).min(self.0.len()) };
        self.0.drain(..self.0.len() - kept);
        found
    }
}
