//! The audit log is handed on to a receiver outside: as it grows, and never without the seals knowing how far.
//!
//! Two things together make it quick and complete. The *tail* is read every second, so that an event is outside a moment after its
//! commit; but an event gets its id before its transaction commits, so what is read in the order of ids can miss one that lands late.
//! The *seals* miss none, and come ninety seconds later. So the position that is kept is the number of a seal: when a seal is there,
//! those of its events that the tail has not handed over are, and then the position moves. Which ones the tail has handed over is
//! remembered by the node that did; after a crash the next one knows only the position, and hands over everything behind it again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditChange, AuditEvent, AuditFilter, AuditSeal, AuditStream, ChangeSet};
use crate::ports::{AuditSink, AuditSinkError, CommitError, Conflict};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{AuditEventId, Cursor, Entropy, PageLimit, PageRequest, Timestamp};

/// How often the node that hands over looks for new events.
const LOOK: Duration = Duration::from_secs(1);
/// How often the others look whether they have to take over.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(5);
/// For how long a node hands over without asking again. Longer than a delivery may take, so that two nodes do not both hand over.
const LEASE: Duration = Duration::from_secs(20);
/// How much of the lease has to be left before a delivery begins.
const LEASE_LEFT: Duration = Duration::from_secs(12);
/// How long a sink may take over a delivery.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause behind a failure doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How far the tail looks back behind the last event that it has seen: most transactions have landed by then.
const BEHIND_TAIL: Duration = Duration::from_secs(5);
/// How far it looks back every so many rounds: what two clocks may be apart, and a slow transaction.
const WIDE: Duration = Duration::from_secs(45);
const ROUNDS_PER_WIDE: u32 = 10;
/// How many events may be handed over ahead of the seals: where nobody seals, the tail waits for that. 16 bytes each.
const AHEAD_AT_MOST: usize = 200_000;
/// How long behind the last chance of being sealed an event is remembered as handed over.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Up to how many events of a range are looked up one by one.
const ONE_BY_ONE: usize = 8;

/// Why nothing more was handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditStreamError {
    /// The receiver does not take events now.
    #[error(transparent)]
    Sink(#[from] AuditSinkError),
    /// The receiver has not answered in ten seconds.
    #[error("the receiver of the audit log does not answer")]
    NoAnswer,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// How the handing on goes, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStreamHealth {
    /// Whether it is this node that hands over.
    pub is_here: bool,
    /// Whether the last attempt of this node failed.
    pub is_failing: bool,
    /// How old the oldest event is that was not handed over, as far as that is known here.
    pub behind: Duration,
    /// How many events this node has handed over, repetitions included.
    pub delivered: u64,
    /// How often the receiver has not taken what this node handed over.
    pub failures: u64,
}

/// The sink, and where this node stands with it.
#[derive(Debug)]
pub(crate) struct Streaming {
    sink: Option<Arc<dyn AuditSink>>,
    /// Held while this node hands over.
    turn: Mutex<Turn>,
    /// The oldest event that is not handed over, in microseconds; `i64::MAX` for none.
    owed_since: AtomicI64,
    is_here: AtomicBool,
    is_failing: AtomicBool,
    delivered: AtomicU64,
    failures: AtomicU64,
}

impl Streaming {
    pub(crate) fn new(sink: Option<Arc<dyn AuditSink>>, entropy: &dyn Entropy) -> Self {
        // Drawn anew for each process: one that takes the place of another is not taken for it.
        let node = random_bytes::<16>(entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            sink,
            turn: Mutex::new(Turn::new(node)),
            owed_since: AtomicI64::new(i64::MAX),
            is_here: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// How it goes; `None` where nothing is handed on.
    pub(crate) fn health(&self, now: Timestamp) -> Option<AuditStreamHealth> {
        self.sink.as_ref()?;
        let behind = match self.owed_since.load(Ordering::Relaxed) {
            i64::MAX => Duration::ZERO,
            micros => now.since(Timestamp::from_unix_micros(micros)),
        };
        Some(AuditStreamHealth {
            is_here: self.is_here.load(Ordering::Relaxed),
            is_failing: self.is_failing.load(Ordering::Relaxed),
            behind,
            delivered: self.delivered.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        })
    }

    fn owe(&self, since: Option<Timestamp>) {
        self.owed_since.store(since.map_or(i64::MAX, Timestamp::unix_micros), Ordering::Relaxed);
    }
}

/// Hands on until the engine is dropped.
pub(crate) async fn run(engine: Weak<Engine>) {
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let Some(engine) = engine.upgrade() else { return };
        if engine.streaming.sink.is_none() {
            return;
        }
        let failed_before = engine.streaming.is_failing.load(Ordering::Relaxed);
        let working = Arc::clone(&engine);
        // On a task of its own: a panic in a host's sink must not end the stream.
        let worked = tokio::spawn(async move { work(&working).await }).await;
        let has_failed = match worked {
            Ok(Ok(_)) => false,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the audit log was not handed on, it is tried again");
                true
            }
            Err(_) => {
                tracing::error!("handing on the audit log panicked, it is tried again");
                engine.streaming.is_failing.store(true, Ordering::Relaxed);
                true
            }
        };
        pause = match (has_failed, failed_before) {
            (true, true) => (pause * 2).min(LONGEST_PAUSE),
            (false, _) if !engine.streaming.is_here.load(Ordering::Relaxed) => LOOK_ELSEWHERE,
            _ => LOOK,
        };
    }
}

/// Hands over everything that is there and was not handed over, and says how many events that were. Where another node does it, and
/// where there is nobody to hand over to, none.
pub(crate) async fn work(engine: &Engine) -> Result<usize, AuditStreamError> {
    let Some(sink) = &engine.streaming.sink else { return Ok(0) };
    let mut turn = engine.streaming.turn.lock().await;
    let mut run = Run { engine, sink: &**sink, turn: &mut turn, handed_over: 0 };
    let ended = run.round().await;
    engine.streaming.is_failing.store(matches!(ended, Err(Stopped::Failed(_))), Ordering::Relaxed);
    match ended {
        Ok(()) | Err(Stopped::Elsewhere) => Ok(run.handed_over),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// Why a round ended early.
enum Stopped {
    /// Another node holds the lease.
    Elsewhere,
    Failed(AuditStreamError),
}

impl<E: Into<Internal>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(AuditStreamError::Internal(error.into()))
    }
}

/// What the node that hands over remembers from round to round.
#[derive(Debug)]
struct Turn {
    node: String,
    /// Until when this node holds the lease; `None` when it does not.
    lease_until: Option<Timestamp>,
    /// The last seal whose events were all handed over.
    position: u64,
    /// Where that seal ends.
    through: AuditEventId,
    /// What was handed over and belongs to no seal up to the position.
    ahead: BTreeSet<AuditEventId>,
    /// The greatest id that the tail has seen.
    tail: AuditEventId,
    rounds: u32,
}

const NIL: AuditEventId = AuditEventId::from_uuid(uuid::Uuid::nil());
const MAX: AuditEventId = AuditEventId::from_uuid(uuid::Uuid::max());

impl Turn {
    const fn new(node: String) -> Self {
        Self { node, lease_until: None, position: 0, through: NIL, ahead: BTreeSet::new(), tail: NIL, rounds: 0 }
    }
}

struct Run<'r> {
    engine: &'r Engine,
    sink: &'r dyn AuditSink,
    turn: &'r mut Turn,
    handed_over: usize,
}

impl Run<'_> {
    async fn round(&mut self) -> Result<(), Stopped> {
        self.hold().await?;
        let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
        loop {
            let seals = self.engine.store.audit_seals(self.turn.position, limit).await?;
            let Some(first) = seals.first() else { break };
            self.engine.streaming.owe(Some(first.sealed_at));
            for seal in &seals {
                self.seal(seal).await?;
            }
        }
        self.tail().await?;
        self.engine.streaming.owe(None);
        Ok(())
    }

    /// Makes sure that the lease is this node's, and lasts for the next delivery.
    async fn hold(&mut self) -> Result<(), Stopped> {
        let (now, name) = (self.engine.now(), self.sink.name());
        let is_held = self.turn.lease_until.is_some_and(|until| now < until);
        if is_held && self.turn.lease_until.is_some_and(|until| now + LEASE_LEFT <= until) {
            return Ok(());
        }
        if !is_held {
            // A look before the question: the others ask every few seconds, and a write is dear.
            let found = self.engine.store.audit_stream(name).await?;
            if let Some(stream) = found.filter(|stream| stream.holder != self.turn.node && stream.lease_until > now) {
                return self.elsewhere(Some(&stream)).await;
            }
        }
        let until = now + LEASE;
        let claim = AuditChange::ClaimStream { name: name.to_owned(), holder: self.turn.node.clone(), at: now, until };
        match self.engine.commit(&ChangeSet::new().and(claim)).await {
            Ok(_) => {}
            Err(CommitError::Conflict(Conflict::AuditStreamHeld)) => return self.elsewhere(None).await,
            Err(error) => return Err(error.into()),
        }
        self.turn.lease_until = Some(until);
        self.engine.streaming.is_here.store(true, Ordering::Relaxed);
        if is_held { Ok(()) } else { self.begin().await }
    }

    /// The lease was not this node's a moment ago: where the receiver is, is in the store.
    async fn begin(&mut self) -> Result<(), Stopped> {
        let found = self.engine.store.audit_stream(self.sink.name()).await?;
        let position = found.map_or(0, |stream| stream.position);
        // Nobody else has moved it: then what this node remembers is still true.
        if position != self.turn.position {
            self.turn.ahead.clear();
            self.turn.position = position;
            self.turn.through = NIL;
            if position > 0 {
                let one = PageLimit::new(1).unwrap_or_default();
                let seal = self.engine.store.audit_seals(position - 1, one).await?.into_iter().next();
                self.turn.through = seal.filter(|seal| seal.number == position).map_or(NIL, |seal| seal.through);
            }
        }
        self.turn.tail = self.turn.through;
        Ok(())
    }

    /// Another node hands over: what it has not done yet is all that is to be known here.
    async fn elsewhere(&mut self, stream: Option<&AuditStream>) -> Result<(), Stopped> {
        self.turn.lease_until = None;
        // SECURITY: of two nodes that write to files of one name on two machines, each remembers only its own.
        self.turn.ahead.clear();
        (self.turn.position, self.turn.through) = (0, NIL);
        self.engine.streaming.is_here.store(false, Ordering::Relaxed);
        if let Some(stream) = stream {
            let one = PageLimit::new(1).unwrap_or_default();
            let waiting = self.engine.store.audit_seals(stream.position, one).await?;
            self.engine.streaming.owe(waiting.first().map(|seal| seal.sealed_at));
        }
        Err(Stopped::Elsewhere)
    }

    /// Hands over what the tail has left of a seal, and moves the position behind it.
    async fn seal(&mut self, seal: &AuditSeal) -> Result<(), Stopped> {
        // Purged: nobody can hand it over any more.
        let leaves = self.engine.store.audit_leaves(seal.number).await?.unwrap_or_default();
        let in_time = leaves.len().saturating_sub(usize::try_from(seal.late).unwrap_or(usize::MAX));
        let (in_time, late) = leaves.split_at(in_time);
        let ids = |leaves: &[crate::model::AuditLeaf]| -> Vec<AuditEventId> {
            leaves.iter().map(|leaf| leaf.id).filter(|id| !self.turn.ahead.contains(id)).collect()
        };
        let (in_time, late) = (ids(in_time), ids(late));
        let mut missing = 0;
        if in_time.len() <= ONE_BY_ONE {
            missing += self.one_by_one(&in_time).await?;
        } else {
            missing += self.walk(&in_time).await?;
        }
        missing += self.one_by_one(&late).await?;
        if missing > 0 {
            tracing::error!(
                seal = seal.number,
                events = missing,
                "sealed audit events are gone and cannot be handed on: run authkit-server audit verify"
            );
        }
        self.hold().await?;
        let until = self.engine.now() + LEASE;
        let advance = AuditChange::AdvanceStream {
            name: self.sink.name().to_owned(),
            holder: self.turn.node.clone(),
            from: self.turn.position,
            to: seal.number,
            until,
        };
        match self.engine.commit(&ChangeSet::new().and(advance)).await {
            Ok(_) => {}
            Err(CommitError::Conflict(Conflict::AuditStreamHeld)) => return self.elsewhere(None).await,
            Err(error) => return Err(error.into()),
        }
        self.turn.lease_until = Some(until);
        self.turn.position = seal.number;
        self.turn.through = seal.through;
        for leaf in &leaves {
            self.turn.ahead.remove(&leaf.id);
        }
        Ok(())
    }

    /// Hands over events that are looked up by their ids; says how many are not there.
    async fn one_by_one(&mut self, ids: &[AuditEventId]) -> Result<usize, Stopped> {
        let mut events = Vec::with_capacity(ids.len().min(usize::from(PageLimit::MAX)));
        let mut missing = 0;
        for id in ids {
            let filter = AuditFilter::new().between(*id, id.next());
            match self.engine.store.audit_events(&filter, PageRequest::default()).await?.items.pop() {
                Some(event) => events.push(event),
                None => missing += 1,
            }
            if events.len() == usize::from(PageLimit::MAX) {
                self.deliver(&std::mem::take(&mut events)).await?;
            }
        }
        self.deliver(&events).await?;
        Ok(missing)
    }

    /// Hands over the events of a range that are among `wanted`, which is in order; says how many are not there.
    async fn walk(&mut self, wanted: &[AuditEventId]) -> Result<usize, Stopped> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(0) };
        let filter = AuditFilter::new().between(*first, last.next()).oldest_first();
        let mut found = 0;
        let mut pages = Pages::new(&filter);
        while let Some(mut events) = pages.next(self.engine).await? {
            events.retain(|event| wanted.binary_search(&event.id).is_ok());
            found += events.len();
            self.deliver(&events).await?;
        }
        Ok(wanted.len().saturating_sub(found))
    }

    /// Hands over what has come since the last look.
    async fn tail(&mut self) -> Result<(), Stopped> {
        let now = self.engine.now();
        let turn = &mut *self.turn;
        turn.rounds = turn.rounds.wrapping_add(1);
        let forgotten = AuditEventId::first_of(now - self.engine.config.audit.late_within - REMEMBERED);
        if turn.ahead.first().is_some_and(|oldest| *oldest < forgotten) {
            turn.ahead = turn.ahead.split_off(&forgotten);
        }
        if turn.ahead.len() >= AHEAD_AT_MOST {
            return Ok(());
        }
        let looks_back = |by: Duration| AuditEventId::first_of(turn.tail.instant().min(now) - by).max(turn.through);
        let narrow = if turn.tail == NIL { turn.through } else { looks_back(BEHIND_TAIL) };
        let wide = looks_back(WIDE);
        let mut from = narrow;
        if turn.rounds.is_multiple_of(ROUNDS_PER_WIDE) && wide < narrow {
            // It counts first: as long as there are as many as were handed over, none was missed.
            let handed_over = turn.ahead.range(wide..narrow).count() as u64;
            if self.engine.store.audit_event_count(wide, narrow).await? != handed_over {
                from = wide;
            }
        }
        let filter = AuditFilter::new().between(from, MAX).oldest_first();
        let mut pages = Pages::new(&filter);
        while let Some(mut events) = pages.next(self.engine).await? {
            let last = events.last().map_or(NIL, |event| event.id);
            events.retain(|event| !self.turn.ahead.contains(&event.id));
            self.deliver(&events).await?;
            self.turn.tail = self.turn.tail.max(last);
            if self.turn.ahead.len() >= AHEAD_AT_MOST {
                break;
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, events: &[AuditEvent]) -> Result<(), Stopped> {
        let Some(first) = events.first() else { return Ok(()) };
        self.hold().await?;
        let streaming = &self.engine.streaming;
        streaming.owe(Some(first.at));
        let delivered = match tokio::time::timeout(PATIENCE, self.sink.deliver(events)).await {
            Ok(delivered) => delivered.map_err(AuditStreamError::from),
            Err(_) => Err(AuditStreamError::NoAnswer),
        };
        if let Err(error) = delivered {
            streaming.failures.fetch_add(1, Ordering::Relaxed);
            return Err(Stopped::Failed(error));
        }
        streaming.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
        self.handed_over += events.len();
        self.turn.ahead.extend(events.iter().map(|event| event.id));
        Ok(())
    }
}

/// The pages of a list, one after the other.
struct Pages<'f> {
    filter: &'f AuditFilter,
    cursor: Option<Cursor>,
    is_over: bool,
}

impl<'f> Pages<'f> {
    const fn new(filter: &'f AuditFilter) -> Self {
        Self { filter, cursor: None, is_over: false }
    }

    async fn next(&mut self, engine: &Engine) -> Result<Option<Vec<AuditEvent>>, Internal> {
        if self.is_over {
            return Ok(None);
        }
        let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
        let page = engine.store.audit_events(self.filter, PageRequest { limit, cursor: self.cursor }).await?;
        self.cursor = page.next;
        self.is_over = page.next.is_none();
        Ok(Some(page.items))
    }
}
