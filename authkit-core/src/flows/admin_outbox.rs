//! What administrators do with messages that could not be sent: look at them, have them tried again, remove them.

use crate::flows::authorize::{Administrator, Authority, AuthorizeError, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditAction, Change, ChangeSet, OutboxChange, OutboxMessage, OutboxState, Outcome, RequestContext};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{OutboxMessageId, Page, PageRequest};

/// What has to be held to see messages. What they say, and to whom, is sealed.
pub(crate) const OUTBOX_READ: &str = "outbox:read";
/// What has to be held to have messages tried again, or removed.
pub(crate) const OUTBOX_WRITE: &str = "outbox:write";

/// Why a message was not touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The caller may not, or is not logged in any more.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// There is no such message, or none in a state in which that can be done.
    #[error("there is no such message, or it cannot be sent any more")]
    NotFound,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl OutboxError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authorize(error) => error.code(),
            Self::NotFound => "outbox.not_found",
            Self::Internal(error) => error.code(),
        }
    }

    /// What failed below.
    pub(crate) const fn internal(&self) -> Option<&Internal> {
        match self {
            Self::Internal(error) | Self::Authorize(AuthorizeError::Internal(error)) => Some(error),
            _ => None,
        }
    }
}

/// The messages in a state, the youngest first.
pub(crate) async fn list(
    engine: &Engine,
    by: Administrator<'_>,
    state: OutboxState,
    page: PageRequest,
) -> Result<Page<OutboxMessage>, OutboxError> {
    authorize_administrator(engine, by, OUTBOX_READ, None).await?;
    Ok(engine.store.outbox_messages(state, page).await.map_err(Internal::from)?)
}

/// Has a message that was given up tried again, while what it says is still true.
pub(crate) async fn retry(
    engine: &Engine,
    by: Administrator<'_>,
    id: OutboxMessageId,
    context: &RequestContext,
) -> Result<(), OutboxError> {
    let change = OutboxChange::Retry { id, at: engine.now() };
    touch(engine, by, id, change, AuditAction::MessageRetried, context).await?;
    engine.outbox_wake.notify_one();
    Ok(())
}

/// Removes a message, whatever its state.
pub(crate) async fn discard(
    engine: &Engine,
    by: Administrator<'_>,
    id: OutboxMessageId,
    context: &RequestContext,
) -> Result<(), OutboxError> {
    touch(engine, by, id, OutboxChange::Discard { id }, AuditAction::MessageDiscarded, context).await
}

async fn touch(
    engine: &Engine,
    by: Administrator<'_>,
    id: OutboxMessageId,
    change: OutboxChange,
    action: AuditAction,
    context: &RequestContext,
) -> Result<(), OutboxError> {
    let authority: Authority = authorize_administrator(engine, by, OUTBOX_WRITE, None).await?;
    let message = engine.store.outbox_message(id).await.map_err(Internal::from)?.ok_or(OutboxError::NotFound)?;
    let event = engine.event(engine.now(), action, Outcome::Success, context).by(authority.actor());
    let event = event.with("message_id", id.to_string()).with("message", &message.subject);
    let event = match message.user_id {
        Some(user_id) => event.on(user_id),
        None => event,
    };
    let changes: ChangeSet = authority.guard().into_iter().chain([Change::from(change)]).collect();
    match engine.commit(&changes.and(event)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::MessageMoved)) => Err(OutboxError::NotFound),
        Err(error) => Err(Internal::from(error).into()),
    }
}
