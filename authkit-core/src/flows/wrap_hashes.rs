//! Hashing the hashes of accounts that do not log in, so that a copy of the database is worth nothing to whoever guesses.

use crate::flows::engine::{Engine, Internal};
use crate::model::{Actor, AuditAction, ChangeSet, CredentialChange, Outcome, RequestContext, StoredPassword};
use crate::password::{HashClass, HashError, HashOrigin};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Cursor, PageLimit, PageRequest};

/// What became of one page of stored hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WrappedPage {
    /// How many hashes were looked at.
    pub examined: u64,
    /// How many were hashed once more; in a dry run, how many would be.
    pub wrapped: u64,
    /// How many their owners replaced in the same moment, by a login or a change: theirs stand.
    pub overtaken: u64,
    /// How many are of no known format or beyond the limits, and cannot be verified either.
    pub unsupported: u64,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

/// Hashes the foreign hashes of one page once more, one after the other, each in a change set of its own.
///
/// It takes places of the lowest class in the pool, and gives way to everybody who waits there: a job beside a busy server
/// slows nobody down.
pub(crate) async fn wrap_page(
    engine: &Engine,
    after: Option<Cursor>,
    dry_run: bool,
    context: &RequestContext,
) -> Result<WrappedPage, Internal> {
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let page = engine.store.password_hashes(PageRequest { limit, cursor: after }).await?;
    let mut result = WrappedPage { next: page.next, ..WrappedPage::default() };
    for stored in page.items {
        result.examined += 1;
        if engine.pool.examine(&stored.hash).is_err() {
            result.unsupported += 1;
            continue;
        }
        // The others are ours, or wrapped before.
        if engine.pool.is_foreign(&stored.hash) {
            let wrapped = dry_run || wrap(engine, stored, context).await?;
            result.wrapped += u64::from(wrapped);
            result.overtaken += u64::from(!wrapped);
        }
    }
    Ok(result)
}

/// Whether the hash was replaced by its wrapped form; not when somebody else was faster.
async fn wrap(engine: &Engine, stored: StoredPassword, context: &RequestContext) -> Result<bool, Internal> {
    let StoredPassword { user_id, hash: from } = stored;
    let identifier = user_id.to_string();
    let wrapped = loop {
        let mut admission = match engine.pool.admit(HashClass::Registration, &HashOrigin::new(None, &identifier)) {
            Ok(admission) => admission,
            Err(overloaded) => {
                tokio::time::sleep(overloaded.retry_after).await;
                continue;
            }
        };
        match admission.wrap(from.clone()).await {
            Ok(wrapped) => break wrapped,
            Err(HashError::Overloaded(overloaded)) => {
                drop(admission);
                tokio::time::sleep(overloaded.retry_after).await;
            }
            Err(HashError::Stopped) => return Err(Internal::HashingStopped),
            Err(_) => return Err(Internal::HashingFailed),
        }
    };
    let Some(to) = wrapped else { return Ok(false) };
    let at = engine.now();
    let event = engine.event(at, AuditAction::PasswordHashWrapped, Outcome::Success, context).by(Actor::System).on(user_id);
    // The guard is the hash that was read: what a login or a change has put there since stays.
    let changes = ChangeSet::new().and(CredentialChange::ReplacePassword { user_id, from, to, at }).and(event);
    match engine.commit(&changes).await {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict(Conflict::PasswordChanged)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
