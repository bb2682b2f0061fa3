//! What this node has done with messages, and what it last saw waiting.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::flows::engine::{Engine, Internal};
use crate::model::OutboxState;
use crate::primitives::{PageLimit, PageRequest, Timestamp};

/// What this node has done with messages since it started, and what it last saw waiting, once a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxStats {
    /// How many it has sent, or worked off.
    pub delivered: u64,
    /// How often it could not send one, which is tried again.
    pub deferred: u64,
    /// How many it has given up.
    pub given_up: u64,
    /// How many were no longer true when their turn came.
    pub expired: u64,
    /// How many wait, on all nodes together: counted up to [`SEEN_AT_MOST`](Self::SEEN_AT_MOST).
    pub waiting: u64,
    /// How many were given up and are still kept, on all nodes together: counted up to the same number.
    pub dead: u64,
    /// For how long the one of those that has been due the longest has been so; nothing where none is.
    pub overdue: Duration,
}

impl OutboxStats {
    /// How far messages are counted that wait or were given up.
    pub const SEEN_AT_MOST: u64 = 200;

    /// Whether somebody should look: a message was given up, or what is due does not leave.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.dead > 0 || self.overdue > Duration::from_mins(5)
    }
}

/// The figures of a node.
#[derive(Debug, Default)]
pub(crate) struct OutboxBooks {
    pub(crate) delivered: AtomicU64,
    pub(crate) deferred: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) expired: AtomicU64,
    waiting: AtomicU64,
    dead: AtomicU64,
    overdue_micros: AtomicU64,
    looked_at: AtomicI64,
    /// Held while messages are worked off: whoever asks for that and is done knows that none is in the hands of another task of this
    /// process, which might end with it.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// How often a node looks at what waits.
const LOOK: Duration = Duration::from_mins(1);

impl OutboxBooks {
    pub(crate) fn stats(&self) -> OutboxStats {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        OutboxStats {
            delivered: read(&self.delivered),
            deferred: read(&self.deferred),
            given_up: read(&self.given_up),
            expired: read(&self.expired),
            waiting: read(&self.waiting),
            dead: read(&self.dead),
            overdue: Duration::from_micros(read(&self.overdue_micros)),
        }
    }
}

/// Counts one more.
pub(crate) fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

/// Looks at what waits, once a minute.
pub(crate) async fn look(engine: &Engine) -> Result<(), Internal> {
    let (books, now) = (&engine.outbox_books, engine.now());
    let last = books.looked_at.load(Ordering::Relaxed);
    if last != 0 && now.since(Timestamp::from_unix_micros(last)) < LOOK {
        return Ok(());
    }
    books.looked_at.store(now.unix_micros(), Ordering::Relaxed);
    let all = || PageRequest { limit: PageLimit::new(PageLimit::MAX).unwrap_or_default(), cursor: None };
    let waiting = engine.store.outbox_messages(OutboxState::Pending, all()).await?.items;
    let dead = engine.store.outbox_messages(OutboxState::Dead, all()).await?.items;
    let overdue = waiting.iter().map(|message| now.since(message.due_at)).max().unwrap_or_default();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    books.waiting.store(number(waiting.len()), Ordering::Relaxed);
    books.dead.store(number(dead.len()), Ordering::Relaxed);
    books.overdue_micros.store(u64::try_from(overdue.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    Ok(())
}
