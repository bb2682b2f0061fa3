//! Free ports below the ephemeral range, where no connection of our own can take them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_240;
/// Linux hands ports from 32,768 to clients: a server there can find its port taken by nobody's listener.
const END: u16 = 32_768;

/// An address on which nobody listens right now. Another test may take it first, so a start must be ready to ask again.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = END - FIRST;
    // Tests run in many processes at once: each begins to look elsewhere.
    let start = u16::try_from(std::process::id().wrapping_mul(7_919) % u32::from(span)).expect("less than the span");
    (0..span)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % span) % span)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port below 32768")
}
