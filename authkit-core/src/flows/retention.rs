//! What is long over is forgotten, a little at a time.

use crate::flows::engine::{Engine, Internal};
use crate::model::PasskeyChange;
use crate::model::{Change, ChangeSet, GuessChange, SessionChange};
use crate::model::{OneTimeTokenChange, OutboxChange};
use crate::primitives::Timestamp;

/// How many rows one transaction removes: some milliseconds of work, so that nobody waits for it.
const BATCH: u32 = 500;
/// How many transactions one round may make, on each node: up to 10,000 rows a minute.
const BATCHES: u32 = 20;

/// Forgets ended sessions, wrong passwords of long ago, expired links and messages that are done with. The audit log is not touched: its retention is for a person to decide, see `audit_purge`.
pub(crate) async fn purge(engine: &Engine) -> Result<(), Internal> {
    let now = engine.now();
    let ended_before = now - engine.config.retention.ended_sessions;
    let sessions = in_batches(engine, SessionChange::Purge { ended_before, limit: BATCH }.into()).await?;
    let guesses = guesses(engine, now).await?;
    let tokens = in_batches(engine, OneTimeTokenChange::Purge { expired_before: now, limit: BATCH }.into()).await?;
    let finished_before = now - engine.config.mail.keep_finished;
    let messages = in_batches(engine, OutboxChange::Purge { finished_before, limit: BATCH }.into()).await?;
    let challenges = in_batches(engine, PasskeyChange::PurgeChallenges { expired_before: now, limit: BATCH }.into()).await?;
    let tokens = tokens + challenges;
    if sessions + guesses + tokens + messages > 0 {
        tracing::debug!(sessions, guesses, tokens, messages, "forgot what is long over");
    }
    Ok(())
}

/// Forgets counts of wrong guesses: low ones soon, those of devices and sessions that are used up when their tokens are long over,
/// and never one that has closed the way of passwords, because that is opened by its owner alone.
async fn guesses(engine: &Engine, now: Timestamp) -> Result<u64, Internal> {
    let (config, guessing) = (&engine.config, &engine.config.limits.guessing);
    let used_up = guessing.per_device.min(guessing.per_session).min(guessing.at_most);
    let tokens = config.sessions.device_lifetime.max(config.sessions.absolute_timeout);
    let soon = GuessChange::Purge { last_before: now - config.retention.wrong_guesses, below: used_up, limit: BATCH };
    let late = GuessChange::Purge {
        last_before: now - config.retention.wrong_guesses.max(tokens),
        below: guessing.at_most,
        limit: BATCH,
    };
    Ok(in_batches(engine, soon.into()).await? + in_batches(engine, late.into()).await?)
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
