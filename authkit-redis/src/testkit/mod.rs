//! Redis servers of a test's own, which it can kill, freeze and start again: one, a cluster of three, or a
//! master that a sentinel watches.

mod cluster;
mod existing;
mod sentinel;
mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub use cluster::RedisCluster;
pub use existing::SomeRedis;
pub use sentinel::RedisSentinel;
pub use server::RedisServer;

const POLL: Duration = Duration::from_millis(10);
/// How many polls a start may take on a machine that runs every other test as well: 30 s.
const START_POLLS: u32 = 3_000;

/// A port below 32,768, where no connection of our own can take it.
fn free_port() -> u16 {
    const FIRST: u16 = 10_240;
    const SPAN: u16 = 32_768 - FIRST;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests run in many processes at once: each begins to look elsewhere.
    let start = u16::try_from(std::process::id().wrapping_mul(6_133) % u32::from(SPAN)).expect("less than the span");
    (0..SPAN)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % SPAN) % SPAN)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port below 32768")
}
