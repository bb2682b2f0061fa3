//! A TCP proxy that spoils what passes: the network between two processes, as it is on its worst day.

mod link;
mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::link::carry;
use self::plan::Plan;
pub use self::plan::{Direction, NetworkFault};

/// How many connections the kernel keeps for the proxy before it has accepted them.
const BACKLOG: u32 = 1_024;

/// A TCP proxy in front of one address, whose connections can be spoiled while they live. Dropping it resets them all.
///
/// It is the only way to lose the reply to a request that was carried out, the COMMIT of a transaction above all:
///
/// ```
/// use authkit_core::testkit::{FaultProxy, NetworkFault};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// # let database = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
/// let proxy = FaultProxy::start(database)?;
/// // … have the client connect to `proxy.address()`, and then:
/// proxy.set(NetworkFault::lost_reply("COMMIT")).await;
/// proxy.heal().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    plan: Arc<watch::Sender<Plan>>,
    /// Whether new connections are taken right now.
    listens: watch::Receiver<bool>,
    acceptor: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `upstream`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        // The port stays ours while nobody listens: a socket that is bound and no more refuses connections, and keeps others off.
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reserved.local_addr()?;
        let listener = socket(address)?.listen(BACKLOG)?;
        let plan = Arc::new(watch::Sender::new(Plan::default()));
        let (listening, listens) = watch::channel(true);
        let acceptor = Acceptor { address, upstream, plan: Arc::clone(&plan), listening, _reserved: reserved };
        let acceptor = tokio::spawn(acceptor.run(listener));
        Ok(Self { address, plan, listens, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets this happen from now on, to the connections that live as well. Returns when it does.
    pub async fn set(&self, fault: NetworkFault) {
        let refuses = fault == NetworkFault::Refuse;
        self.plan.send_modify(|plan| plan.change_to(fault));
        // The acceptor lives as long as `self`.
        let _ = self.listens.clone().wait_for(|listens| *listens != refuses).await;
    }

    /// Lets everything pass again: what a black hole has held back too, as when a network comes together again.
    pub async fn heal(&self) {
        self.set(NetworkFault::None).await;
    }

    /// Breaks every connection that lives (RST at both ends).
    pub fn reset_connections(&self) {
        self.plan.send_modify(|plan| plan.resets += 1);
    }

    /// Ends one direction of every connection that lives, in order (FIN); the other one goes on.
    pub fn half_close(&self, direction: Direction) {
        self.plan.send_modify(|plan| *plan.half_closes.of_mut(direction) += 1);
    }

    /// How many connections live.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.plan.borrow().connections
    }

    /// How many connections were broken in the place of a reply, by [`NetworkFault::LoseReply`].
    #[must_use]
    pub fn lost_replies(&self) -> u64 {
        self.plan.borrow().lost_replies
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.reset_connections();
    }
}

struct Acceptor {
    address: SocketAddr,
    upstream: SocketAddr,
    plan: Arc<watch::Sender<Plan>>,
    listening: watch::Sender<bool>,
    _reserved: TcpSocket,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut plan = self.plan.subscribe();
        let mut listener = Some(listener);
        loop {
            let refuses = plan.borrow_and_update().fault == NetworkFault::Refuse;
            if refuses {
                listener = None;
            } else if listener.is_none() {
                // The port is reserved, so this fails only when the machine is out of something; then it is tried again.
                listener = socket(self.address).and_then(|socket| socket.listen(BACKLOG)).ok();
            }
            self.listening.send_replace(listener.is_some());
            let Some(listening) = &listener else {
                if refuses {
                    // INVARIANT: the sender is ours, so this ends with a change.
                    let _ = plan.changed().await;
                } else {
                    tokio::task::yield_now().await;
                }
                continue;
            };
            tokio::select! {
                _ = plan.changed() => {}
                accepted = listening.accept() => if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, self.upstream, Arc::clone(&self.plan)));
                },
            }
        }
    }
}

/// A socket at an address that another socket of ours may hold as well.
fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
