//! The audit log is sealed, batch by batch: what was there is signed, and each seal rests on the one before.
//!
//! Any node may seal, and the number of a seal is taken once: whoever loses has nothing to undo. Nothing of a login waits for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::audit::{canonical, sealing};
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditChange, AuditFilter, AuditLeaf, AuditSeal, ChangeSet};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{AuditEventId, Cursor, PageLimit, PageRequest, Timestamp};
use crate::token::KeyError;

/// How many events a seal covers at most. Its leaves are 48 KiB then.
const BATCH: usize = 1_000;
/// How many seals one round makes at most: a log that was never sealed is caught up with in rounds, and not in one long one.
const SEALS_PER_ROUND: u32 = 50;
/// How long after a seal the next one waits, unless it would be full: so that of many nodes, each with its own rhythm, one seals.
const PAUSE: Duration = Duration::from_secs(8);
/// How many seals are looked through for late events at most.
const LATE_SEALS: u64 = 2_000;

/// What a round has sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sealed {
    /// How many seals were made.
    pub seals: u32,
    /// How many events they cover.
    pub events: u64,
    /// How many of those had landed late.
    pub late: u64,
}

/// How the sealing of this node goes.
#[derive(Debug)]
pub(crate) struct SealBooks {
    /// The oldest event that should be sealed and is not, in microseconds; `i64::MAX` for none.
    owed_since: AtomicI64,
}

impl SealBooks {
    pub(crate) const fn new() -> Self {
        Self { owed_since: AtomicI64::new(i64::MAX) }
    }

    /// For how long an event has been waiting to be sealed, beyond the time that it has to.
    pub(crate) fn behind(&self, now: Timestamp) -> Duration {
        match self.owed_since.load(Ordering::Relaxed) {
            i64::MAX => Duration::ZERO,
            micros => now.since(Timestamp::from_unix_micros(micros)),
        }
    }

    fn owe(&self, since: Option<Timestamp>) {
        self.owed_since.store(since.map_or(i64::MAX, Timestamp::unix_micros), Ordering::Relaxed);
    }
}

/// Which events a round looks for, and how eagerly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// What has come since the last seal.
    Swift,
    /// And what has landed behind it.
    Thorough,
    /// All of it now, whoever has just sealed.
    Asked,
}

/// Seals what is old enough.
pub(crate) async fn seal(engine: &Engine, round: Round) -> Result<Sealed, Internal> {
    let now = engine.now();
    let mut last = engine.store.last_audit_seal().await?;
    let mut late = match &last {
        Some(last) if round != Round::Swift => late_events(engine, last, now).await?,
        _ => Vec::new(),
    };
    let until = AuditEventId::first_of(now - engine.config.audit.seal_after);
    let mut sealed = Sealed::default();
    while sealed.seals < SEALS_PER_ROUND {
        let from = last.as_ref().map_or(AuditEventId::from_uuid(uuid::Uuid::nil()), |last| last.through);
        let mut in_time = leaves(engine, from, until, BATCH + 1).await?;
        if in_time.is_empty() && late.is_empty() {
            engine.sealing.owe(None);
            break;
        }
        engine.sealing.owe(in_time.first().map(|leaf| leaf.id.instant() + engine.config.audit.seal_after));
        let just_sealed = last.as_ref().is_some_and(|last| now.since(last.sealed_at) < PAUSE);
        let is_full = in_time.len() > BATCH;
        if just_sealed && !is_full && late.is_empty() && sealed.seals == 0 && round != Round::Asked {
            break;
        }
        let through = in_time.get(BATCH).map_or(until.max(from), |next| next.id);
        in_time.truncate(BATCH);
        let now_late: Vec<AuditLeaf> = late.drain(..late.len().min(BATCH)).collect();
        let purged = last.as_ref().map_or(0, |last| last.purged);
        let (made, covered) = sign(engine, last, through, in_time, now_late, purged, now)?;
        let (number, count, late_count) = (made.number, made.count, made.late);
        let change = AuditChange::Seal { seal: Box::new(made.clone()), leaves: covered };
        match engine.commit(&ChangeSet::new().and(change)).await {
            Ok(_) => {}
            // Another node was faster, and sees the same events.
            Err(CommitError::Conflict(Conflict::AuditSealTaken)) => break,
            Err(error) => return Err(error.into()),
        }
        if late_count > 0 {
            tracing::warn!(seal = number, events = late_count, "audit events landed later than they were sealed");
        }
        sealed.seals += 1;
        sealed.events += u64::from(count);
        sealed.late += u64::from(late_count);
        last = Some(made);
    }
    Ok(sealed)
}

/// Makes a seal behind `previous` and signs it.
pub(crate) fn sign(
    engine: &Engine,
    previous: Option<AuditSeal>,
    through: AuditEventId,
    in_time: Vec<AuditLeaf>,
    late: Vec<AuditLeaf>,
    purged: u64,
    now: Timestamp,
) -> Result<(AuditSeal, Vec<AuditLeaf>), Internal> {
    let keyring = engine.keyring.load();
    let key = keyring.current_seal(now).ok_or(KeyError::WrongPurpose)?;
    let statement = sealing::Statement { previous, through, in_time, late, purged, sealed_at: now, key_id: key.id().clone() };
    let (mut seal, leaves) = statement.into_seal();
    seal.signature = key.sign(&sealing::bytes(&seal))?;
    Ok((seal, leaves))
}

/// The leaves of the events between two ids, in order, at most `most`.
async fn leaves(engine: &Engine, from: AuditEventId, below: AuditEventId, most: usize) -> Result<Vec<AuditLeaf>, Internal> {
    let filter = AuditFilter::new().between(from, below).oldest_first();
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let (mut leaves, mut cursor): (Vec<AuditLeaf>, Option<Cursor>) = (Vec::new(), None);
    while leaves.len() < most {
        let page = engine.store.audit_events(&filter, PageRequest { limit, cursor }).await?;
        leaves.extend(page.items.iter().map(canonical::leaf));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    leaves.truncate(most);
    Ok(leaves)
}

/// What has landed behind the seals of the last while, and is in none of them.
///
/// It counts first: as long as there are as many events as were sealed, nothing was late.
async fn late_events(engine: &Engine, last: &AuditSeal, now: Timestamp) -> Result<Vec<AuditLeaf>, Internal> {
    let earliest = AuditEventId::first_of(now - engine.config.audit.late_within);
    let (window, from) = seals_since(engine, last, earliest).await?;
    let sealed: u64 = window.iter().map(|seal| u64::from(seal.count)).sum();
    let found = engine.store.audit_event_count(from, last.through).await?;
    if found == sealed {
        return Ok(Vec::new());
    }
    let mut known: HashSet<AuditEventId> = HashSet::new();
    for seal in &window {
        let leaves = engine.store.audit_leaves(seal.number).await?.unwrap_or_default();
        known.extend(leaves.iter().map(|leaf| leaf.id));
    }
    if found < sealed {
        // Some of the sealed ones may lie in front of the window, because they were late. The rest is for a verification to name.
        let missing = known.iter().filter(|id| **id >= from).count() as u64;
        if found < missing {
            tracing::error!(sealed = missing, found, "sealed audit events are missing: run authkit-server audit verify");
        }
    }
    let mut late = leaves(engine, from.max(earliest), last.through, usize::MAX).await?;
    late.retain(|leaf| !known.contains(&leaf.id));
    Ok(late)
}

/// The seals whose events reach behind `earliest`, and the first id of theirs.
async fn seals_since(
    engine: &Engine,
    last: &AuditSeal,
    earliest: AuditEventId,
) -> Result<(Vec<AuditSeal>, AuditEventId), Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut window: Vec<AuditSeal> = Vec::new();
    let mut end = last.number;
    while end > 0 && (window.len() as u64) < LATE_SEALS {
        let after = end.saturating_sub(u64::from(PageLimit::MAX));
        let mut page = engine.store.audit_seals(after, limit).await?;
        page.retain(|seal| seal.number <= end);
        page.append(&mut window);
        window = page;
        if window.first().is_none_or(|first| first.through < earliest) {
            break;
        }
        end = after;
    }
    // The last one that lies in front of the window says where it begins.
    let before = window.iter().rposition(|seal| seal.through < earliest);
    let from = match before {
        Some(position) => window[position].through,
        None if window.first().is_none_or(|first| first.number == 1) => AuditEventId::from_uuid(uuid::Uuid::nil()),
        None => window.first().map_or(last.through, |first| first.through),
    };
    let skip = before.map_or_else(|| usize::from(window.first().is_some_and(|first| first.number != 1)), |position| position + 1);
    window.drain(..skip.min(window.len()));
    Ok((window, from))
}
