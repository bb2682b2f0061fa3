//! Old events of the audit log are forgotten, because somebody says so: no server does it by itself.

use std::time::Duration;

use crate::flows::audit_seal::sign;
use crate::flows::engine::{Engine, Internal};
use crate::model::{Actor, AuditAction, AuditChange, AuditSeal, ChangeSet, Outcome, RequestContext};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{AuditEventId, PageLimit, Timestamp};

/// How often a purge tries again when a node seals at the same time.
const ATTEMPTS: usize = 5;
/// What is younger than this is not purged.
const YOUNGEST: Duration = Duration::from_hours(24);

/// What is, or would be, purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditPurge {
    /// The last seal whose events go; 0 when none do.
    pub through_seal: u64,
    /// How many events those seals covered that were not purged before.
    pub sealed_events: u64,
    /// The instant up to which nothing is left; `None` when nothing goes.
    pub until: Option<Timestamp>,
    /// How many events were deleted; 0 in a dry run.
    pub deleted: u64,
}

/// Why nothing was purged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditPurgeError {
    /// What is younger than a day is never purged: it may not be sealed yet.
    #[error("events of the last 24 hours are not purged")]
    TooYoung,
    /// A part below failed. What was released to be purged stays so; do it again.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// Purges whole seals whose events are all older than `older_than`.
///
/// First a seal states that they may be gone, so that a verification can tell a purge from a theft, and a crash in between leaves
/// events that are there and may be; then the events go, a seal at a time. Seals stay for ever, so the chain stays whole.
pub(crate) async fn purge(engine: &Engine, older_than: Duration, dry_run: bool) -> Result<AuditPurge, AuditPurgeError> {
    if older_than < YOUNGEST {
        return Err(AuditPurgeError::TooYoung);
    }
    let now = engine.now();
    let cut = AuditEventId::first_of(now - older_than);
    for _ in 0..ATTEMPTS {
        let Some(last) = engine.store.last_audit_seal().await.map_err(Internal::from)? else {
            return Ok(AuditPurge::default());
        };
        let (mut plan, newest) = plan(engine, last.purged, cut).await?;
        if dry_run {
            return Ok(plan);
        }
        let already = last.purged;
        if newest > already && !release(engine, last, newest, older_than, &plan, now).await? {
            continue;
        }
        plan.deleted = delete(engine, already, newest.max(already)).await?;
        return Ok(plan);
    }
    Err(Internal::Conflict(Conflict::AuditSealTaken.into()).into())
}

/// What goes: the seals behind `already` whose events are all below `cut`.
async fn plan(engine: &Engine, already: u64, cut: AuditEventId) -> Result<(AuditPurge, u64), Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let (mut plan, mut newest) = (AuditPurge::default(), already);
    loop {
        let page = engine.store.audit_seals(newest, limit).await?;
        let old: Vec<&AuditSeal> = page.iter().take_while(|seal| seal.through <= cut).collect();
        for seal in &old {
            newest = seal.number;
            plan.through_seal = newest;
            plan.sealed_events += u64::from(seal.count);
            plan.until = Some(seal.through.instant());
        }
        if old.is_empty() || old.len() < page.len() {
            return Ok((plan, newest));
        }
    }
}

/// States in a seal that the events up to `newest` may be gone; `false` when another node sealed at the same time.
async fn release(
    engine: &Engine,
    last: AuditSeal,
    newest: u64,
    older_than: Duration,
    plan: &AuditPurge,
    now: Timestamp,
) -> Result<bool, Internal> {
    let through = last.through;
    let (seal, leaves) = sign(engine, Some(last), through, Vec::new(), Vec::new(), newest, now)?;
    let event = engine.event(now, AuditAction::AuditPurged, Outcome::Success, &RequestContext::default());
    let event = event.by(Actor::System).with("through_seal", newest.to_string());
    let event =
        event.with("events", plan.sealed_events.to_string()).with("older_than_hours", (older_than.as_secs() / 3_600).to_string());
    let changes = ChangeSet::new().and(AuditChange::Seal { seal: Box::new(seal), leaves }).and(event);
    match engine.commit(&changes).await {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict(Conflict::AuditSealTaken)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Deletes the events of the seals up to `newest`, and what an interrupted purge has left of those up to `already`.
async fn delete(engine: &Engine, already: u64, newest: u64) -> Result<u64, Internal> {
    // A purge goes upwards, so what one has left are the last seals of its range.
    let mut first = already;
    while first > 0 && engine.store.audit_leaves(first).await?.is_some() {
        first -= 1;
    }
    let mut deleted = 0;
    for seal in first + 1..=newest {
        deleted += engine.commit(&ChangeSet::new().and(AuditChange::PurgeSealed { seal })).await?.purged;
    }
    Ok(deleted)
}
