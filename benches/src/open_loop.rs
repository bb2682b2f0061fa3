//! The open loop: requests are due at a constant rate, whatever the server does. It finds the latency at a given load.
//!
//! A latency counts from the instant at which its request was due, not from that at which it was sent. When the server stalls
//! for a second, the requests that were due in that second waited too; a client that counts from sending would leave them out
//! (coordinated omission) and report a p99 that no user has seen.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::api::{self, Outcome};
use crate::client::{Connection, REQUEST_TIMEOUT};
use crate::closed_loop::Measured;
use crate::latency::Latencies;
use crate::stopwatch::now;
use crate::tally::Tally;

/// Requests on each connection before anything is counted.
const WARM_UP_REQUESTS: usize = 20;

/// What is asked of the server.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// Requests per second over all connections.
    pub per_second: u32,
    /// For how long.
    pub window: Duration,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Paced {
    /// Outcomes, and latencies from the instant at which each request was due.
    pub measured: Measured,
    /// How late requests were sent. Where this comes near the latencies, the sender is what was measured: its timer, its share
    /// of the cores, or a connection that still waited for the answer before.
    pub lag: Latencies,
}

impl Paced {
    /// Adds another run at the same rate.
    pub fn merge(&mut self, other: &Self) {
        self.measured.tally.merge(&other.measured.tally);
        self.measured.latencies.merge(&other.measured.latencies);
        self.measured.window += other.measured.window;
        self.lag.merge(&other.lag);
    }
}

/// Reads the profiles behind `access_tokens` at a constant rate, one connection for each token, taking turns.
///
/// Every connection is a thread with a runtime of its own: a thread's sleep is exact to some 50 µs where a timer of tokio's
/// is exact to a millisecond, and no request waits for a worker that serves another. Blocks until the end, which comes one
/// request limit after the window at the latest.
pub fn read_profiles(address: SocketAddr, offer: Offer, access_tokens: &[String]) -> std::io::Result<Paced> {
    let threads = access_tokens.len();
    let barrier = Arc::new(Barrier::new(threads));
    let start = Arc::new(OnceLock::new());
    let senders = access_tokens.iter().enumerate().map(|(turn, token)| {
        let (barrier, start) = (Arc::clone(&barrier), Arc::clone(&start));
        let schedule = Schedule { offer, turn, turns: threads };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (token, mut connection) = (token.clone(), Connection::new(address));
        Ok(move || {
            let mut warm_up = Tally::default();
            for _ in 0..WARM_UP_REQUESTS {
                warm_up.record(&runtime.block_on(api::me(&mut connection, &token)));
            }
            barrier.wait();
            let start = *start.get_or_init(now);
            let mut share = schedule.send(start, || runtime.block_on(api::me(&mut connection, &token)));
            if !warm_up.is_clean() {
                share.measured.tally.merge(&warm_up);
            }
            share
        })
    });
    // Every runtime is made before the first thread waits at the barrier: a thread that is missing there would hang the others.
    let senders: Vec<_> = senders.collect::<std::io::Result<_>>()?;
    let mut total = Paced::default();
    thread::scope(|scope| {
        let threads: Vec<_> = senders.into_iter().map(|sender| scope.spawn(sender)).collect();
        for thread in threads {
            total.merge(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    total.measured.window = offer.window;
    Ok(total)
}

/// The turns of one connection: the requests `turn`, `turn + turns`, `turn + 2 · turns`, … of the offer.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    offer: Offer,
    turn: usize,
    turns: usize,
}

impl Schedule {
    /// When each request is due, after the start.
    fn due(self) -> impl Iterator<Item = Duration> {
        let Self { offer, turn, turns } = self;
        let interval = Duration::from_secs(1) / offer.per_second.max(1);
        let nth = move |n: usize| interval.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        (turn..).step_by(turns.max(1)).map(nth).take_while(move |due| *due < offer.window)
    }

    /// Sends every request when it is due, or as soon after that as the answer before is there.
    fn send(self, start: Instant, mut request: impl FnMut() -> Outcome<()>) -> Paced {
        let mut share = Paced::default();
        let last = start + self.offer.window + REQUEST_TIMEOUT;
        for (sent_before, due) in self.due().enumerate() {
            let due = start + due;
            let before = now();
            if before > last {
                share.measured.tally.give_up((self.due().count() - sent_before) as u64);
                break;
            }
            thread::sleep(due.saturating_duration_since(before));
            share.lag.record(now().saturating_duration_since(due));
            let outcome = request();
            if matches!(outcome, Outcome::Done(())) {
                share.measured.latencies.record(now().saturating_duration_since(due));
            }
            share.measured.tally.record(&outcome);
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turns_of_all_connections_make_the_whole_offer() {
        let offer = Offer { per_second: 500, window: Duration::from_secs(2) };
        let mut due: Vec<_> = (0..3).flat_map(|turn| Schedule { offer, turn, turns: 3 }.due()).collect();
        due.sort_unstable();
        assert_eq!(due.len(), 1_000);
        assert!(due.iter().zip((0..).step_by(2)).all(|(due, millis)| *due == Duration::from_millis(millis)));
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_in_it() {
        let schedule = Schedule { offer: Offer { per_second: 100, window: Duration::from_millis(200) }, turn: 0, turns: 1 };
        let mut first = true;
        let mut paced = schedule.send(now(), || {
            if std::mem::replace(&mut first, false) {
                thread::sleep(Duration::from_millis(100));
            }
            Outcome::Done(())
        });
        assert_eq!(paced.measured.tally.ok, 20);
        // One stall of 100 ms, and the nine requests that were due in it waited for the rest of it: were latencies counted from
        // sending, only one in twenty would be long.
        assert!(paced.measured.latencies.percentile(70.0).is_some_and(|micros| micros >= 30_000));
        assert!(
            paced.lag.percentile(70.0).is_some_and(|micros| micros >= 30_000),
            "and the report says that they were sent late"
        );
    }
}
