//! Free ports for servers that this program starts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port that is tried, above the well-known services.
const FIRST: u16 = 10_240;
/// Linux gives ports from 32,768 to clients by default: a port below that is not taken by a connection of our own.
const END: u16 = 32_768;

/// A port on which nobody listens right now. Another process may still take it first: whoever starts a server on it is
/// ready to ask again.
#[must_use]
pub fn free() -> Option<SocketAddr> {
    // Each process begins elsewhere, and goes on where it stopped: two at once seldom try the same port.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = END - FIRST;
    let start = u16::try_from(std::process::id().wrapping_mul(7_919) % u32::from(span)).unwrap_or(0);
    (0..span).find_map(|_| {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % span;
        let port = FIRST + (start % span + offset) % span;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address).ok().map(|_| address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_is_not_handed_out_twice_in_a_row() {
        let (first, second) = (free().expect("a free port"), free().expect("another"));
        assert_ne!(first, second);
        assert!((FIRST..END).contains(&first.port()));
        TcpListener::bind(first).expect("it is free");
    }
}
