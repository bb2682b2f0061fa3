//! A use case in flight: a future that runs from one port call to the next, and stops at each until the scheduler lets it on.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use authkit_core::SessionId;
use authkit_core::model::Rotation;
use authkit_core::testkit::Method;

use crate::clients::{Op, Outcome};
use crate::ledger::Row;

/// Where a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// The call has not reached the store.
    Request(Method),
    /// The store has answered, and the reply is on its way.
    Reply(Method),
    /// The store is in the middle of it: only where a mutant checks before it acts.
    Within,
    /// Before the bus.
    Publish,
    /// Before the custody of keys.
    Seal,
    /// Before the custody of keys.
    Open,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(method) => write!(f, "-> {method:?}"),
            Self::Reply(method) => write!(f, "<- {method:?}"),
            Self::Within => f.write_str("within the store"),
            Self::Publish => f.write_str("-> publish"),
            Self::Seal => f.write_str("-> seal"),
            Self::Open => f.write_str("-> open"),
        }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass,
    /// It is lost: a request before anything is done, a reply after everything is.
    Lose,
}

/// What the ports learn about the flow that calls them, and the oracle from the ports.
#[derive(Debug, Default)]
pub(crate) struct State {
    parked: Option<Point>,
    verdict: Option<Verdict>,
    /// Faults that were injected into its calls.
    pub(crate) faults: u32,
    /// Whether another flow that hashes was under way at the same node, at any moment of this one.
    pub(crate) met_rival: bool,
    /// Guards that did not hold.
    pub(crate) conflicts: u32,
    /// Change sets that the store has applied for it.
    pub(crate) commits: u32,
    /// Sessions that they ended, as far as the flow was told.
    pub(crate) ended: Vec<SessionId>,
    /// Its last rotation that was refused, and the row as it stood.
    pub(crate) refused: Option<(Rotation, Option<Row>)>,
    /// When it last looked at its clock, by the true time in microseconds.
    pub(crate) looked_at: i64,
}

/// One flow, as its ports see it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: u32,
    pub(crate) node: usize,
    pub(crate) op: Op,
    /// The session of the device that asks.
    pub(crate) session: Option<SessionId>,
    /// The step at which it began.
    pub(crate) began: u64,
    state: Mutex<State>,
}

impl Slot {
    pub(crate) fn new(id: u32, node: usize, op: Op, session: Option<SessionId>, began: u64) -> Arc<Self> {
        Arc::new(Self { id, node, op, session, began, state: Mutex::default() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    pub(crate) fn parked(&self) -> Option<Point> {
        self.state().parked
    }
}

thread_local! {
    /// The flow that is being polled on this thread.
    static CURRENT: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// The flow whose code runs; `None` outside of all of them.
pub(crate) fn current() -> Option<Arc<Slot>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Stops the calling flow at a point until the scheduler has decided about it.
pub(crate) fn pass(point: Point) -> Pass {
    Pass { slot: current().expect("ports are called by flows"), point, stands: false }
}

/// See [`pass`].
pub(crate) struct Pass {
    slot: Arc<Slot>,
    point: Point,
    stands: bool,
}

impl Future for Pass {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Verdict> {
        let this = &mut *self;
        let mut state = this.slot.state();
        if !this.stands {
            this.stands = true;
            state.parked = Some(this.point);
            return Poll::Pending;
        }
        match state.verdict.take() {
            None => Poll::Pending,
            Some(verdict) => {
                state.parked = None;
                Poll::Ready(verdict)
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Given up by a timeout: the flow stands somewhere else now.
        let mut state = self.slot.state();
        (state.parked, state.verdict) = (None, None);
    }
}

/// A flow and what drives it.
pub(crate) struct Flow {
    pub(crate) slot: Arc<Slot>,
    /// The bus does not answer it.
    pub(crate) stalled: bool,
    future: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    wake: Arc<Alarm>,
    waker: Waker,
}

impl Flow {
    pub(crate) fn new(slot: Arc<Slot>, future: impl Future<Output = Outcome> + Send + 'static) -> Self {
        let wake = Arc::new(Alarm { rung: AtomicBool::new(false), sleeper: thread::current() });
        let waker = Waker::from(Arc::clone(&wake));
        Self { slot, stalled: false, future: Box::pin(future), wake, waker }
    }

    /// Lets the flow on from where it stands, to its next port call or to its end.
    pub(crate) fn go_on(&mut self, verdict: Verdict) -> Option<Outcome> {
        {
            let mut state = self.slot.state();
            state.verdict = Some(verdict);
            state.faults += u32::from(verdict == Verdict::Lose);
        }
        self.run()
    }

    /// Runs the flow to its next port call or to its end. What hashes or generates keys on another thread is waited for, so
    /// that it makes no difference how long that takes.
    pub(crate) fn run(&mut self) -> Option<Outcome> {
        CURRENT.set(Some(Arc::clone(&self.slot)));
        let mut context = Context::from_waker(&self.waker);
        let outcome = loop {
            self.wake.rung.store(false, Ordering::SeqCst);
            match self.future.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => break Some(outcome),
                Poll::Pending if self.slot.parked().is_some() => break None,
                Poll::Pending => self.wake.sleep(&self.slot),
            }
        };
        CURRENT.set(None);
        outcome
    }
}

/// Wakes the scheduler's thread.
struct Alarm {
    rung: AtomicBool,
    sleeper: Thread,
}

impl Alarm {
    fn sleep(&self, slot: &Slot) {
        let mut turns = 0;
        while !self.rung.load(Ordering::SeqCst) {
            thread::park_timeout(Duration::from_secs(1));
            turns += 1;
            assert!(turns < 60, "flow {} ({}) waits for something that is neither a port nor a thread", slot.id, slot.op);
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.sleeper.unpark();
    }
}
