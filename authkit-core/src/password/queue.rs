//! The order in which hashes are computed: classes by weight, one at a time per identifier, nobody too late.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// How much a request for a hash matters when there is not enough time for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashClass {
    /// Somebody with a live session proves again who he is. Weight 8, and a sixteenth of the places is kept for it.
    StepUp,
    /// A login from a client that is known: a device cookie, a network with a recent success. Weight 4.
    KnownClient,
    /// Any other login. Weight 2.
    Login,
    /// What can wait a little: registration, a change or reset of a password, an import. Weight 1.
    Registration,
}

impl HashClass {
    /// All classes, the most important first.
    pub const ALL: [Self; 4] = [Self::StepUp, Self::KnownClient, Self::Login, Self::Registration];

    /// The name for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepUp => "step_up",
            Self::KnownClient => "known_client",
            Self::Login => "login",
            Self::Registration => "registration",
        }
    }

    pub(super) const fn lane(self) -> Lane {
        Lane(self as usize)
    }
}

/// The queue of a class, or the one of stored hashes that need more memory than a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane(usize);

const LANES: usize = 5;

impl Lane {
    /// Served one at a time, so that the pool's memory stays within its bound.
    pub(super) const HEAVY: Self = Self(4);

    /// What each lane is credited a round.
    pub(super) const WEIGHTS: [u64; LANES] = [8, 4, 2, 1, 1];

    pub(super) const fn index(self) -> usize {
        self.0
    }
}

/// What waits. `T` is what will be done.
pub(super) struct Entry<T> {
    pub(super) id: u64,
    pub(super) lane: Lane,
    /// No two entries with the same are computed at a time.
    pub(super) identifier: u64,
    /// The expected work, in new hashes.
    pub(super) cost: u64,
    pub(super) queued_at: Duration,
    pub(super) task: T,
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// The waiting entries of all lanes. Time is handed in as what has passed since some fixed moment.
///
/// Deficit round robin (Shreedhar and Varghese, 1995): when its turn comes, a lane is credited its weight, and is served
/// while its credit covers the cost of what it serves.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lanes: [VecDeque<Entry<T>>; LANES],
    credit: [u64; LANES],
    turn: usize,
    running: HashSet<u64>,
    heavy_running: bool,
    pub(super) max_wait: Duration,
}

impl<T> Queue<T> {
    pub(super) fn new(max_wait: Duration) -> Self {
        Self { lanes: Default::default(), credit: [0; LANES], turn: 0, running: HashSet::new(), heavy_running: false, max_wait }
    }

    pub(super) fn waiting(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn push(&mut self, entry: Entry<T>) {
        self.lanes[entry.lane.0].push_back(entry);
    }

    /// Takes out an entry that nobody waits for any more; `None` when it no longer waits.
    pub(super) fn withdraw(&mut self, lane: Lane, id: u64) -> Option<Entry<T>> {
        let at = self.lanes[lane.0].iter().position(|entry| entry.id == id)?;
        self.lanes[lane.0].remove(at)
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Entry<T>> {
        self.lanes.iter_mut().flat_map(std::mem::take).collect()
    }

    /// Takes out the next to compute; [`finish`](Self::finish) must follow. What is too late goes to `expired`.
    pub(super) fn pop(&mut self, now: Duration, expired: &mut Vec<Entry<T>>) -> Option<Entry<T>> {
        let mut next = [None; LANES];
        for (lane, next) in next.iter_mut().enumerate() {
            self.expire(lane, now, expired);
            *next = self.next_of(lane, now);
            if self.lanes[lane].is_empty() {
                self.credit[lane] = 0;
            }
        }
        if next.iter().all(Option::is_none) {
            return None;
        }
        // Ends: some lane has a next, and is credited at least 1 in each round.
        loop {
            let lane = self.turn;
            if let Some(at) = next[lane] {
                let cost = self.lanes[lane][at].cost;
                if let Some(left) = self.credit[lane].checked_sub(cost) {
                    self.credit[lane] = left;
                    return self.start(lane, at);
                }
            }
            self.turn = (lane + 1) % LANES;
            if next[self.turn].is_some() {
                self.credit[self.turn] += Lane::WEIGHTS[self.turn];
            }
        }
    }

    /// Says that what [`pop`](Self::pop) gave is done.
    pub(super) fn finish(&mut self, lane: Lane, identifier: u64) {
        self.running.remove(&identifier);
        if lane == Lane::HEAVY {
            self.heavy_running = false;
        }
    }

    fn start(&mut self, lane: usize, at: usize) -> Option<Entry<T>> {
        let entry = self.lanes[lane].remove(at)?;
        self.running.insert(entry.identifier);
        self.heavy_running |= entry.lane == Lane::HEAVY;
        Some(entry)
    }

    // Within a lane entries are in the order of their coming, so that the late ones are in front.
    fn expire(&mut self, lane: usize, now: Duration, expired: &mut Vec<Entry<T>>) {
        let limit = self.max_wait + self.max_wait / 2;
        while let Some(entry) = self.lanes[lane].pop_front_if(|entry| entry.queued_at + limit < now) {
            expired.push(entry);
        }
    }

    /// The first that may run; the last one, when the first has already waited longer than anybody was to wait.
    fn next_of(&self, lane: usize, now: Duration) -> Option<usize> {
        if Lane(lane) == Lane::HEAVY && self.heavy_running {
            return None;
        }
        let waiting = &self.lanes[lane];
        let overdue = waiting.front().is_some_and(|entry| entry.queued_at + self.max_wait < now);
        // At most two entries share an identifier, so this skips no more entries than there are threads.
        let free = |entry: &Entry<T>| !self.running.contains(&entry.identifier);
        if overdue { waiting.iter().rposition(free) } else { waiting.iter().position(free) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn queue() -> Queue<()> {
        Queue::new(Duration::from_secs(2))
    }

    fn entry(id: u64, lane: Lane) -> Entry<()> {
        Entry { id, lane, identifier: id, cost: 1, queued_at: NOW, task: () }
    }

    fn pop(queue: &mut Queue<()>, now: Duration) -> Option<u64> {
        queue.pop(now, &mut Vec::new()).map(|entry| entry.id)
    }

    #[test]
    fn classes_are_served_by_weight_and_none_starves() {
        let mut queue = queue();
        for id in 0..400 {
            let lane = HashClass::ALL[usize::try_from(id % 4).unwrap()].lane();
            queue.push(entry(id, lane));
        }
        let mut served = [0; 4];
        for _ in 0..150 {
            let next = queue.pop(NOW, &mut Vec::new()).unwrap();
            served[next.lane.index()] += 1;
            queue.finish(next.lane, next.identifier);
        }
        assert_eq!(served, [80, 40, 20, 10]);
    }

    #[test]
    fn a_costly_hash_uses_up_the_share_of_its_class() {
        let mut queue = queue();
        for id in 0..100 {
            queue.push(entry(id, HashClass::Login.lane()));
            queue.push(Entry { cost: 10, ..entry(1_000 + id, Lane::HEAVY) });
        }
        let mut heavy = 0;
        for _ in 0..63 {
            let next = queue.pop(NOW, &mut Vec::new()).unwrap();
            heavy += usize::from(next.lane == Lane::HEAVY);
            queue.finish(next.lane, next.identifier);
        }
        // Weights 2 and 1, costs 1 and 10: 20 of the one for each of the other.
        assert_eq!(heavy, 3);
    }

    #[test]
    fn one_identifier_is_computed_once_at_a_time_and_blocks_nobody() {
        let mut queue = queue();
        for id in 0..500 {
            queue.push(Entry { identifier: 7, ..entry(id, HashClass::Login.lane()) });
        }
        queue.push(entry(1_000, HashClass::Login.lane()));
        assert_eq!(pop(&mut queue, NOW), Some(0));
        assert_eq!(pop(&mut queue, NOW), Some(1_000));
        assert_eq!(pop(&mut queue, NOW), None);
        queue.finish(HashClass::Login.lane(), 7);
        assert_eq!(pop(&mut queue, NOW), Some(1));
    }

    #[test]
    fn heavy_hashes_run_one_at_a_time() {
        let mut queue = queue();
        queue.push(entry(1, Lane::HEAVY));
        queue.push(entry(2, Lane::HEAVY));
        queue.push(entry(3, HashClass::Login.lane()));
        let first_two = [pop(&mut queue, NOW), pop(&mut queue, NOW)];
        assert!(first_two.contains(&Some(1)) && first_two.contains(&Some(3)));
        assert_eq!(pop(&mut queue, NOW), None);
        queue.finish(Lane::HEAVY, 1);
        assert_eq!(pop(&mut queue, NOW), Some(2));
    }

    #[test]
    fn nobody_is_hashed_for_too_late() {
        let mut queue = queue();
        queue.push(entry(1, HashClass::Login.lane()));
        queue.push(Entry { queued_at: NOW + Duration::from_secs(3), ..entry(2, HashClass::Login.lane()) });
        let mut expired = Vec::new();
        let next = queue.pop(NOW + Duration::from_millis(3_001), &mut expired);
        assert_eq!(next.map(|entry| entry.id), Some(2));
        assert_eq!(expired.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_newest_is_first_once_the_prediction_has_failed() {
        let mut queue = queue();
        for id in 0..3 {
            queue.push(entry(id, HashClass::Login.lane()));
        }
        assert_eq!(pop(&mut queue, NOW + Duration::from_secs(2)), Some(0));
        assert_eq!(pop(&mut queue, NOW + Duration::from_millis(2_001)), Some(2));
        assert_eq!(pop(&mut queue, NOW + Duration::from_millis(2_001)), Some(1));
    }

    #[test]
    fn whoever_leaves_frees_the_place_at_once() {
        let mut queue = queue();
        queue.push(entry(1, HashClass::Login.lane()));
        assert!(queue.withdraw(HashClass::Login.lane(), 1).is_some());
        assert!(queue.withdraw(HashClass::Login.lane(), 1).is_none());
        assert_eq!((queue.waiting(), pop(&mut queue, NOW)), (0, None));
    }
}
