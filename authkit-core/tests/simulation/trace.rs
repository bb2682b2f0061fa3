//! What happened, in the order in which it happened: a digest of all of it, and the end of it for a reader.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::clients::{Op, Summary};
use crate::flow::{Point, Verdict};

/// How many events are kept for the reader, unless `AUTHKIT_SIM_TAIL` says otherwise.
const TAIL: u64 = 120;

/// One step of the schedule, or what came of one.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Event {
    Begin { flow: u32, node: usize, op: Op },
    Call { flow: u32, node: usize, point: Point, verdict: Verdict },
    Stall { flow: u32 },
    Woken { flow: u32 },
    Drop { flow: u32, op: Op },
    End { flow: u32, op: Op, summary: Summary },
    Deliver { to: usize, sessions: usize, again: bool },
    Lose { to: usize, sessions: usize, told: bool },
    Advance { micros: u64 },
    Skew { node: usize, micros: i64 },
    Crash { node: usize },
    StoreDown(bool),
    BusDown(bool),
    Authenticate { node: usize, device: usize, accepted: bool },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { flow, node, op } => write!(f, "node {node}  flow {flow:<5} begins: {op}"),
            Self::Call { flow, node, point, verdict: Verdict::Pass } => write!(f, "node {node}  flow {flow:<5} {point}"),
            Self::Call { flow, node, point, verdict: Verdict::Lose } => write!(f, "node {node}  flow {flow:<5} {point}: LOST"),
            Self::Stall { flow } => write!(f, "        flow {flow:<5} the bus does not answer"),
            Self::Woken { flow } => write!(f, "        flow {flow:<5} gives up waiting"),
            Self::Drop { flow, op } => write!(f, "        flow {flow:<5} is dropped: {op}"),
            Self::End { flow, op, summary } => write!(f, "        flow {flow:<5} ends: {op}: {summary}"),
            Self::Deliver { to, sessions, again: false } => write!(f, "node {to}  hears of {sessions} revocations"),
            Self::Deliver { to, sessions, again: true } => {
                write!(f, "node {to}  hears of {sessions} revocations, not for the last time")
            }
            Self::Lose { to, sessions, told: true } => write!(f, "node {to}  is told of a gap; {sessions} revocations are LOST"),
            Self::Lose { to, sessions, told: false } => write!(f, "node {to}  {sessions} revocations are LOST without a word"),
            Self::Advance { micros } => write!(f, "{}.{:06} s pass", micros / 1_000_000, micros % 1_000_000),
            Self::Skew { node, micros } => write!(f, "node {node}  has a clock that is off by {micros} µs"),
            Self::Crash { node } => write!(f, "node {node}  CRASHES"),
            Self::StoreDown(down) => write!(f, "the store is {}", if *down { "AWAY" } else { "back" }),
            Self::BusDown(down) => write!(f, "the bus is {}", if *down { "AWAY" } else { "back" }),
            Self::Authenticate { node, device, accepted: true } => write!(f, "node {node}  accepts a token of device {device}"),
            Self::Authenticate { node, device, accepted: false } => write!(f, "node {node}  refuses a token of device {device}"),
        }
    }
}

/// How often what happened, by what was asked for and what came of it.
pub(crate) type Counts = BTreeMap<(&'static str, &'static str), u64>;

impl Event {
    const fn name(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::End { op, summary, .. } => (op.name(), summary.name()),
            Self::Call { point, verdict: Verdict::Lose, .. } => match point {
                Point::Request(_) => ("lost", "request"),
                Point::Reply(_) => ("lost", "reply"),
                Point::Publish => ("lost", "publication"),
                _ => ("lost", "seal"),
            },
            Self::Stall { .. } => ("bus", "stalls"),
            Self::Woken { .. } => ("bus", "given up"),
            Self::Drop { .. } => ("client", "hangs up"),
            Self::Deliver { again: false, .. } => ("message", "delivered"),
            Self::Deliver { again: true, .. } => ("message", "delivered twice"),
            Self::Lose { told: true, .. } => ("message", "lost, with a gap"),
            Self::Lose { told: false, .. } => ("message", "lost silently"),
            Self::Crash { .. } => ("node", "crashes"),
            Self::StoreDown(true) => ("store", "away"),
            Self::BusDown(true) => ("bus", "away"),
            Self::Skew { .. } => ("clock", "jumps"),
            Self::Authenticate { accepted: true, .. } => ("token", "accepted"),
            Self::Authenticate { accepted: false, .. } => ("token", "refused"),
            _ => return None,
        })
    }
}

/// The history of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    digest: DefaultHasher,
    tail: VecDeque<(u64, i64, Event)>,
    keep: usize,
    counts: Counts,
}

impl Trace {
    pub(crate) fn new() -> Self {
        let keep = usize::try_from(crate::setting("AUTHKIT_SIM_TAIL").unwrap_or(TAIL)).unwrap_or(usize::MAX);
        // Its keys are fixed, so that two runs can be compared.
        Self { digest: DefaultHasher::new(), tail: VecDeque::new(), keep, counts: Counts::new() }
    }

    pub(crate) fn note(&mut self, step: u64, at: i64, event: Event) {
        (step, at, &event).hash(&mut self.digest);
        if let Some(name) = event.name() {
            self.count(name);
        }
        if self.tail.len() >= self.keep {
            self.tail.pop_front();
        }
        self.tail.push_back((step, at, event));
    }

    /// Counts something that is no event of its own.
    pub(crate) fn count(&mut self, what: (&'static str, &'static str)) {
        self.count_many(what, 1);
    }

    /// Counts something that happened so many times.
    pub(crate) fn count_many(&mut self, what: (&'static str, &'static str), times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    /// How often what happened.
    pub(crate) fn into_counts(self) -> Counts {
        self.counts
    }

    /// The same for the same history.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The last events, one a line.
    pub(crate) fn tail(&self, start: i64) -> String {
        let line = |(step, at, event): &(u64, i64, Event)| {
            let since = at - start;
            format!("{step:>7}  {:>5}.{:06} s  {event}\n", since / 1_000_000, since % 1_000_000)
        };
        self.tail.iter().map(line).collect()
    }
}
