//! What runs in the background of every node: revocations and changes of roles are read from the store, keys rotated, and what is over forgotten.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::flows::audit_seal::{self, Round};
use crate::flows::audit_stream::AuditStreamHealth;
use crate::flows::engine::{Engine, Internal};
use crate::flows::{access_book, keys, retention};
use crate::ports::{BusHealth, CacheHealth, LimiterHealth, RevocationMark};
use crate::primitives::{PageLimit, Timestamp};
use crate::token::RevokedSessions;

/// How often revocations are read from the store: what a lost message of the bus costs at most. Twice a second, so that a logout is
/// known everywhere within a second also without a bus; it is a look into an index that is empty most of the time.
const POLL: Duration = Duration::from_millis(500);
/// How old what was read may be before the node is degraded.
const LATE: Duration = Duration::from_secs(10);
/// How soon a poll that failed is repeated, once: a connection that broke is no reason to be a second behind.
const RETRY: Duration = Duration::from_millis(250);
/// How long a node that was told of a change of roles waits for the next one before it looks.
const BURST: Duration = Duration::from_millis(20);
/// How many polls lie between two looks at the keys.
const POLLS_PER_ROUND: u32 = 120;
/// How many polls lie between two looks for what is to be sealed: ten seconds.
const POLLS_PER_SEAL: u32 = 20;
/// How far a poll looks back behind the last one, beyond the difference that clocks may have: a transaction lands after the
/// instant it names.
const OVERLAP: Duration = RevokedSessions::LANDING;
/// How far the first poll of a round looks back, for what was slower still.
const WIDE_OVERLAP: Duration = Duration::from_mins(2);

/// How long events may wait for their seal before the node is degraded.
const UNSEALED: Duration = Duration::from_mins(5);
/// How long they may wait to be handed on before it is.
const UNSTREAMED: Duration = Duration::from_mins(5);

/// How far the clocks of a node and of the store may be apart: as much as a token's leeway allows by default.
const MAX_SKEW: Duration = Duration::from_secs(30);

/// How well a node works right now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store can be read and written.
    pub store: bool,
    /// How well revocations travel between nodes.
    pub bus: BusHealth,
    /// How well the rate limits work: degraded while each node counts by itself.
    pub limiter: LimiterHealth,
    /// How well the cache works: degraded while every read goes to the store.
    pub cache: CacheHealth,
    /// How long ago revocations were last read from the store; `None` when they never were.
    pub revocations_age: Option<Duration>,
    /// How far the clocks of this node and of the store are apart, looked at once a minute; `None` where the store has no clock
    /// of its own.
    pub clock_skew: Option<Duration>,
    /// For how long an event of the audit log has been waiting to be sealed, beyond the time that it has to; as this node sees it.
    pub unsealed_for: Duration,
    /// How handing on the audit log goes; `None` where it is not handed on.
    pub audit_stream: Option<AuditStreamHealth>,
}

impl Health {
    /// Whether every use case can be served. A node whose clock is more than 30 s from the store's is not ready: its tokens would
    /// be refused elsewhere, and it would judge the sessions of others by a time that is not theirs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store && self.is_on_time()
    }

    /// Whether the clock of this node is near enough to the store's.
    #[must_use]
    pub fn is_on_time(&self) -> bool {
        is_on_time(self.clock_skew)
    }

    /// Whether a part works less well than it should: then revocations may take longer to arrive, or the quotas of the nodes
    /// add up to a little more or less than they should, or the store has more to do.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        let is_late = self.revocations_age.is_none_or(|age| age > LATE);
        !self.is_ready()
            || self.bus == BusHealth::Degraded
            || self.limiter == LimiterHealth::Degraded
            || self.cache == CacheHealth::Degraded
            || is_late
            || self.is_audit_late()
    }
}

impl Health {
    /// Whether events of the audit log wait for their seal, or to be handed on, for more than five minutes.
    #[must_use]
    pub fn is_audit_late(&self) -> bool {
        self.unsealed_for > UNSEALED || self.audit_stream.is_some_and(|stream| stream.behind > UNSTREAMED)
    }
}

pub(crate) async fn health(engine: &Engine) -> Health {
    let store = engine.store.ping().await;
    if let Err(error) = &store {
        tracing::warn!(error = error as &dyn std::error::Error, "the store does not answer");
    }
    Health {
        store: store.is_ok(),
        bus: engine.bus.health(),
        limiter: engine.throttle.health(),
        cache: engine.accounts.health(),
        revocations_age: engine.revoked.read_at().map(|at| engine.now().since(at)),
        clock_skew: engine.skew.get(),
        unsealed_for: engine.sealing.behind(engine.now()),
        audit_stream: engine.streaming.health(engine.now()),
    }
}

/// Whether a clock that is that far from the store's is near enough; a store without a clock of its own has nothing against it.
fn is_on_time(skew: Option<Duration>) -> bool {
    skew.is_none_or(|skew| skew <= MAX_SKEW)
}

/// Compares the clock with the store's.
pub(crate) async fn compare_clocks(engine: &Engine) -> Result<(), Internal> {
    let before = engine.now();
    let Some(store) = engine.store.clock().await? else { return Ok(()) };
    engine.skew.found(before, store, engine.now());
    let skew = engine.skew.get();
    if !is_on_time(skew) {
        tracing::error!(
            ?skew,
            "the clocks of this node and of the store are apart: set them, this node takes no requests until then"
        );
    }
    Ok(())
}

/// Reads every revocation that matters to a token that may still be valid: a node does this before it serves.
pub(crate) async fn catch_up(engine: &Engine) -> Result<(), Internal> {
    let now = engine.now();
    let since = now - engine.revoked.sessions.retention();
    read_revocations(engine, since).await?;
    access_book::read_news(engine, since).await?;
    engine.revoked.caught_up(now);
    Ok(())
}

/// Runs until the engine is dropped. One failed round is logged and the next one tries again.
pub(crate) async fn run(engine: Weak<Engine>) {
    let Some(revoked) = engine.upgrade().map(|engine| Arc::clone(&engine.revoked)) else { return };
    let mut polls: u32 = 0;
    let mut pause = POLL;
    let mut housekeeping: Option<JoinHandle<()>> = None;
    let mut auditing: Option<JoinHandle<()>> = None;
    loop {
        let gap = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = revoked.gap_reported() => true,
            () = revoked.look_asked_for() => {
                // Changes of roles come in bursts: one look for all of them.
                tokio::time::sleep(BURST).await;
                false
            }
        };
        let Some(engine) = engine.upgrade() else { return };
        polls = (polls + 1) % POLLS_PER_ROUND;
        let wide = polls == 0;
        let reading = Arc::clone(&engine);
        let has_read = attend(async move { read(&reading, gap, wide).await }).await;
        pause = if has_read || pause == RETRY { POLL } else { RETRY };
        // What was sealed last and is handed on later, in the same breath; and never twice at once.
        if polls.is_multiple_of(POLLS_PER_SEAL) && auditing.as_ref().is_none_or(JoinHandle::is_finished) {
            let engine = Arc::clone(&engine);
            auditing = Some(tokio::spawn(async move {
                attend(async move { seal(&engine, wide).await }).await;
            }));
        }
        // Beside the polling and never twice at once: a store or a custody that is slow must not delay what is known of logouts.
        if wide && housekeeping.as_ref().is_none_or(JoinHandle::is_finished) {
            housekeeping = Some(tokio::spawn(async move {
                attend(async move { keep_house(&engine).await }).await;
            }));
        }
    }
}

/// Runs a piece of work to its end, whatever that is, and tells whether it succeeded.
///
/// SECURITY: on a task of its own, because a panic in a host's port must not end the polling: revocations of other nodes would be
/// missed from then on, without a word.
async fn attend(work: impl Future<Output = Result<(), Internal>> + Send + 'static) -> bool {
    match tokio::spawn(work).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "background maintenance failed, it is tried again");
            false
        }
        // What the panic says may hold what the port worked on; the panic hook has told where it was.
        Err(_) => {
            tracing::error!("background maintenance panicked, it is tried again");
            false
        }
    }
}

/// One turn of what [`run`] repeats, now: for a simulation, which decides itself when time passes.
#[cfg(feature = "testkit")]
pub(crate) async fn turn(engine: &Engine, wide: bool) -> Result<(), Internal> {
    let gap = tokio::select! {
        biased;
        () = engine.revoked.gap_reported() => true,
        () = std::future::ready(()) => false,
    };
    read(engine, gap, wide).await?;
    if wide { keep_house(engine).await } else { Ok(()) }
}

/// Reads which sessions were revoked since the last look, and forgets with `wide` what no valid token needs any more.
async fn read(engine: &Engine, gap: bool, wide: bool) -> Result<(), Internal> {
    let now = engine.now();
    match engine.revoked.read_at() {
        // SECURITY: a clock that ran ahead has forgotten what it took for old, and asked for what others had not yet revoked.
        // Once it is set right, the tokens are valid again and their revocations must be too: everything is read anew.
        Some(read_at) if !gap && read_at <= now => {
            let since = read_at - engine.config.tokens.leeway - if wide { WIDE_OVERLAP } else { OVERLAP };
            read_revocations(engine, since).await?;
            access_book::read_news(engine, since).await?;
            engine.revoked.caught_up(now);
        }
        _ => {
            // Until it has succeeded it is owed: a failure is no reason to go on as if nothing were missing.
            engine.revoked.owe_catch_up();
            catch_up(engine).await?;
        }
    }
    if wide {
        // SECURITY: by the reading that dates this round, however long it took. Were the clock set back behind a later one and
        // not behind this one, what was forgotten would not be read anew.
        engine.revoked.sessions.purge(now);
        engine.access.purge(now, engine.revoked.sessions.retention());
    }
    Ok(())
}

/// Seals what is old enough, and once a minute what had landed late.
async fn seal(engine: &Engine, thorough: bool) -> Result<(), Internal> {
    // SECURITY: a node whose clock runs ahead would seal up to an instant that the others have not reached, and everything that they
    // write would be late.
    if !is_on_time(engine.skew.get()) {
        return Ok(());
    }
    audit_seal::seal(engine, if thorough { Round::Thorough } else { Round::Swift }).await?;
    Ok(())
}

/// What is done once a minute: the clock is compared, what is over is forgotten, keys are read and made.
async fn keep_house(engine: &Engine) -> Result<(), Internal> {
    let compared = compare_clocks(engine).await;
    // SECURITY: what is deleted stays deleted. A node whose clock runs years ahead takes everything for over; one that cannot tell
    // how its clock stands does not delete either.
    let may_forget = compared.is_ok() && is_on_time(engine.skew.get());
    let forgotten = if may_forget { forget(engine).await } else { Ok(()) };
    // A store that takes no writes is no reason to be ignorant of keys that others have made.
    keys::reload(engine).await?;
    index_users(engine).await?;
    engine.verified.retain(&engine.keyring.load(), &engine.config.tokens, engine.now());
    compared?;
    forgotten
}

/// Forgets keys that nothing can need, and then what is long over.
async fn forget(engine: &Engine) -> Result<(), Internal> {
    let purged = keys::purge(engine).await;
    retention::purge(engine).await?;
    purged?;
    Ok(())
}

/// How many batches of accounts are prepared for the search in one round, so that a round ends.
const INDEX_BATCHES: usize = 100;

/// Prepares for the search what was written without it: after an upgrade all accounts, and otherwise none.
async fn index_users(engine: &Engine) -> Result<(), Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut indexed = 0;
    for _ in 0..INDEX_BATCHES {
        match engine.store.index_users(limit).await? {
            0 => break,
            some => indexed += some,
        }
    }
    if indexed > 0 {
        tracing::info!(accounts = indexed, "accounts were prepared for the search");
    }
    Ok(())
}

async fn read_revocations(engine: &Engine, since: Timestamp) -> Result<(), Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut mark = RevocationMark { at: since, session_id: None };
    loop {
        let read = engine.store.revocations_after(mark, limit).await?;
        engine.revoked.sessions.insert(&read);
        match read.last() {
            Some(last) if read.len() == usize::from(limit.value()) => {
                mark = RevocationMark { at: last.at, session_id: Some(last.session_id) };
            }
            _ => return Ok(()),
        }
    }
}
