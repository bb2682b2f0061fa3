//! The books of the pool: who is in, what is ahead of whoever comes next, and how fast hashing is at the moment.

use std::time::Duration;

use super::admission::Task;
use super::fairness::{Ledger, Seat};
use super::queue::{Entry, HashClass, Lane, Queue};

/// How much is let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) threads: usize,
    pub(super) max_wait: Duration,
    pub(super) max_admitted: usize,
}

/// The size of a new hash, the unit of costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// KiB written.
    pub(super) work: u64,
    /// KiB held.
    pub(super) blocks: usize,
}

/// Work that is ahead of whoever comes next in one lane.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    pub(super) steps: u64,
    pub(super) cost: u64,
}

impl Ahead {
    pub(super) fn more(&mut self, cost: u64) {
        self.steps += 1;
        self.cost += cost;
    }

    pub(super) fn less(&mut self, cost: u64) {
        debug_assert!(self.steps >= 1 && self.cost >= cost, "what goes has come");
        self.steps = self.steps.saturating_sub(1);
        self.cost = self.cost.saturating_sub(cost);
    }
}

pub(super) struct Books {
    pub(super) queue: Queue<Box<dyn Task>>,
    pub(super) ledger: Ledger,
    /// Per lane: places that have not taken a step yet, steps that wait, steps that are computed.
    pub(super) ahead: [Ahead; HashClass::ALL.len() + 1],
    /// The moving average of one new hash.
    pub(super) mean: Duration,
    pub(super) admitted: usize,
    pub(super) last_id: u64,
    pub(super) hashed: u64,
    pub(super) expired: u64,
    pub(super) abandoned: u64,
    pub(super) shed: [u64; HashClass::ALL.len()],
    pub(super) stopped: bool,
}

impl Books {
    pub(super) fn new(max_wait: Duration, unit: Unit) -> Self {
        Self {
            queue: Queue::new(max_wait),
            ledger: Ledger::default(),
            ahead: Default::default(),
            // A guess until the first hash was measured: 0.5 µs for each KiB written, 19 ms with the default parameters.
            mean: Duration::from_nanos(500 * unit.work),
            admitted: 0,
            last_id: 0,
            hashed: 0,
            expired: 0,
            abandoned: 0,
            shed: [0; HashClass::ALL.len()],
            stopped: false,
        }
    }

    pub(super) fn admit(&mut self, class: HashClass, seat: &Seat, limits: &Limits) -> bool {
        let reserved =
            if class == HashClass::StepUp { 0 } else { (limits.max_admitted / 16).max(1).min(limits.max_admitted - 1) };
        let admitted = self.admitted < limits.max_admitted - reserved
            && self.predicted_wait(class, limits.threads) <= limits.max_wait
            && self.ledger.take(seat, self.capacity(limits));
        if admitted {
            self.admitted += 1;
            self.ahead[class.lane().index()].more(1);
        } else {
            self.shed[class.lane().index()] += 1;
        }
        admitted
    }

    /// How many places the queue has about, at the speed of the moment.
    fn capacity(&self, limits: &Limits) -> usize {
        let waiting = limits.max_wait.as_nanos() * limits.threads as u128 / self.mean.as_nanos().max(1);
        usize::try_from(waiting).unwrap_or(usize::MAX).saturating_add(limits.threads).min(limits.max_admitted)
    }

    /// How long somebody who comes now waits: for all that is ahead, or less where the weight of the class goes before it.
    pub(super) fn predicted_wait(&self, class: HashClass, threads: usize) -> Duration {
        let threads = threads as u64;
        if self.ahead.iter().map(|ahead| ahead.steps).sum::<u64>() < threads {
            return Duration::ZERO;
        }
        let all: u64 = self.ahead.iter().map(|ahead| ahead.cost).sum();
        let own = class.lane().index();
        let active: u64 = (0..self.ahead.len())
            .filter(|lane| *lane == own || self.ahead[*lane].steps > 0)
            .map(|lane| Lane::WEIGHTS[lane])
            .sum();
        let share = ((self.ahead[own].cost + 1) * active).div_ceil(Lane::WEIGHTS[own]);
        let turns = all.min(share).saturating_sub(threads) + 1;
        let nanos = self.mean.as_nanos() * u128::from(turns) / u128::from(threads);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Takes expired entries off the books.
    pub(super) fn strike(&mut self, expired: &[Entry<Box<dyn Task>>]) {
        for entry in expired {
            self.ahead[entry.lane.index()].less(entry.cost);
            self.expired += 1;
        }
    }

    /// Moves the average by an eighth (the gain of RFC 6298 §2.3 for another moving average of times).
    pub(super) fn learn(&mut self, took: Duration, spent: u64, unit: u64) {
        let sample = took.as_nanos() * u128::from(unit) / u128::from(spent);
        let mean = self.mean.as_nanos();
        // One sample may be a laptop that slept: no step of more than four times.
        let next = (mean * 7 + sample.min(mean * 4)) / 8;
        self.mean = Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_learnt_and_one_strange_sample_does_not_close_the_door() {
        let mut state = Books::new(Duration::from_secs(2), Unit { work: 100, blocks: 100 });
        for _ in 0..100 {
            state.learn(Duration::from_millis(30), 300, 100);
        }
        // Ten milliseconds for each unit, within the rounding of the average.
        assert!((9_999..=10_000).contains(&state.mean.as_micros()), "{:?}", state.mean);
        state.learn(Duration::from_hours(1), 100, 100);
        assert!(state.mean < Duration::from_millis(14));
    }
}
