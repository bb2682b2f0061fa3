//! What is long over is forgotten, a little at a time.

use crate::flows::engine::{Engine, Internal};
use crate::model::{Change, ChangeSet, SessionChange};

/// How many rows one transaction removes: some milliseconds of work, so that nobody waits for it.
const BATCH: u32 = 500;
/// How many transactions one round may make, on each node: up to 10,000 rows a minute.
const BATCHES: u32 = 20;

/// Forgets ended sessions. The audit log is not touched: its retention is for a person to decide, see `audit_purge`.
pub(crate) async fn purge(engine: &Engine) -> Result<(), Internal> {
    let ended_before = engine.now() - engine.config.retention.ended_sessions;
    let sessions = in_batches(engine, SessionChange::Purge { ended_before, limit: BATCH }.into()).await?;
    if sessions > 0 {
        tracing::debug!(sessions, "forgot what is long over");
    }
    Ok(())
}

async fn in_batches(engine: &Engine, change: Change) -> Result<u64, Internal> {
    let changes = ChangeSet::new().and(change);
    let mut purged = 0;
    for _ in 0..BATCHES {
        let batch = engine.commit(&changes).await?.purged;
        purged += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    Ok(purged)
}
