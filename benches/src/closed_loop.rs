//! The closed loop: every connection asks again as soon as it has its answer. It finds the throughput.
//!
//! Its latencies are those of a server that is kept busy: under saturation they say how long the queue is. How a server
//! answers at a given load is the question of [`crate::open_loop`].

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api::Outcome;
use crate::latency::Latencies;
use crate::stopwatch::now;
use crate::tally::Tally;

/// How long a worker pauses after no answer, so that a dead server is not asked a million times.
const PAUSE_AFTER_LOSS: Duration = Duration::from_millis(50);

/// What one connection does over and over.
pub trait Worker: Send + 'static {
    /// One request and its answer.
    fn step(&mut self) -> impl Future<Output = Outcome<()>> + Send;
}

/// What a worker does when the server sheds its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShed {
    /// Comes back when the server said.
    Obey,
    /// Comes back after this pause, whatever the server said: a storm does not listen.
    Insist(Duration),
}

/// How long, and in what manner.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What passes before anything is counted, so that the window sees a steady state: at 20 ms a login, an empty pipeline at
    /// the start of a short window would show.
    pub warm_up: Duration,
    /// What is counted.
    pub window: Duration,
    /// What follows a refusal.
    pub on_shed: OnShed,
}

impl Plan {
    /// One second of warm-up, then `window`, by clients that come back when they are told to.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        Self { warm_up: Duration::from_secs(1), window, on_shed: OnShed::Obey }
    }

    /// The same, by clients that do not listen to `Retry-After`.
    #[must_use]
    pub const fn insisting(self, pause: Duration) -> Self {
        Self { on_shed: OnShed::Insist(pause), ..self }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// What became of the requests that ended within the window. Failures count from the first request on.
    pub tally: Tally,
    /// How long those took that were done.
    pub latencies: Latencies,
    /// The window.
    pub window: Duration,
}

impl Measured {
    /// What was done in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        rate(self.tally.ok, self.window)
    }
}

/// `count` in `window`, per second; 0 for an empty window.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no run counts 2^52 requests")]
pub fn rate(count: u64, window: Duration) -> f64 {
    if window.is_zero() { 0.0 } else { count as f64 / window.as_secs_f64() }
}

/// Runs every worker in a task of its own. Ends one request limit after the window at the latest.
pub async fn run<W: Worker>(plan: Plan, workers: Vec<W>) -> Measured {
    let count_from = now() + plan.warm_up;
    let end = count_from + plan.window;
    let mut tasks: JoinSet<_> = workers.into_iter().map(|worker| drive(plan.on_shed, count_from, end, worker)).collect();
    let mut total = Measured { window: plan.window, ..Measured::default() };
    while let Some(share) = tasks.join_next().await {
        match share {
            Ok((tally, latencies)) => {
                total.tally.merge(&tally);
                total.latencies.merge(&latencies);
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    total
}

async fn drive<W: Worker>(on_shed: OnShed, count_from: Instant, end: Instant, mut worker: W) -> (Tally, Latencies) {
    let (mut tally, mut latencies) = (Tally::default(), Latencies::default());
    loop {
        let sent = now();
        if sent >= end {
            return (tally, latencies);
        }
        let outcome = worker.step().await;
        let answered = now();
        let in_window = answered >= count_from && answered < end;
        let pause = match &outcome {
            Outcome::Done(()) => {
                if in_window {
                    latencies.record(answered - sent);
                }
                Duration::ZERO
            }
            Outcome::Shed { retry_after } => match on_shed {
                OnShed::Obey => *retry_after,
                OnShed::Insist(pause) => pause,
            },
            Outcome::Unexpected { .. } => Duration::ZERO,
            Outcome::Lost(_) => PAUSE_AFTER_LOSS,
        };
        if in_window || matches!(outcome, Outcome::Unexpected { .. } | Outcome::Lost(_)) {
            tally.record(&outcome);
        }
        if !pause.is_zero() {
            sleep(pause.min(end.saturating_duration_since(now()))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does one step in 5 ms, and sheds every other one.
    struct Alternating(bool);

    impl Worker for Alternating {
        async fn step(&mut self) -> Outcome<()> {
            self.0 = !self.0;
            sleep(Duration::from_millis(5)).await;
            if self.0 { Outcome::Done(()) } else { Outcome::Shed { retry_after: Duration::from_millis(5) } }
        }
    }

    #[tokio::test]
    async fn only_what_was_done_is_throughput_and_retry_after_is_obeyed() {
        let plan = Plan { warm_up: Duration::from_millis(20), ..Plan::new(Duration::from_millis(300)) };
        let mut measured = run(plan, vec![Alternating(false), Alternating(false)]).await;
        assert!(measured.tally.is_clean());
        // 15 ms for a success, a refusal and its pause: at most 20 rounds each in the window, fewer on a busy machine.
        assert!((1..=42).contains(&measured.tally.ok), "{:?}", measured.tally);
        assert!(measured.tally.shed >= 1);
        assert_eq!(measured.latencies.len() as u64, measured.tally.ok);
        assert!(measured.latencies.percentile(0.0).is_some_and(|micros| micros >= 5_000));
        assert!((measured.per_second() - rate(measured.tally.ok, Duration::from_millis(300))).abs() < f64::EPSILON);
    }

    /// Fails while warming up, and never after.
    struct FailsOnce(bool);

    impl Worker for FailsOnce {
        async fn step(&mut self) -> Outcome<()> {
            sleep(Duration::from_millis(1)).await;
            if std::mem::replace(&mut self.0, true) {
                Outcome::Done(())
            } else {
                Outcome::Unexpected { status: 500, excerpt: String::new() }
            }
        }
    }

    #[tokio::test]
    async fn a_failure_while_warming_up_is_not_forgotten() {
        let plan = Plan { warm_up: Duration::from_millis(50), ..Plan::new(Duration::from_millis(50)) };
        assert!(!run(plan, vec![FailsOnce(false)]).await.tally.is_clean());
    }
}
