//! The outbox.

use authkit_core::model::{MessageKind, OutboxChange, OutboxMessage, OutboxState};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{OutboxMessageId, PageRequest, Sealed, UserId};

use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

/// What [`decode`] reads.
macro_rules! columns {
    () => {
        "id, kind, subject, user_id, payload, state, attempts, due_at, expires_at, created_at, finished_at, last_error"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM authkit_outbox WHERE id = $1");

macro_rules! select_page {
    ($cursor:literal) => {
        concat!("SELECT ", columns!(), " FROM authkit_outbox WHERE state = $2", $cursor, " ORDER BY id DESC LIMIT $1")
    };
}

const PAGE_FIRST: &str = select_page!("");
const PAGE_NEXT: &str = select_page!(" AND id < $3");

macro_rules! insert_into {
    () => {
        "INSERT INTO authkit_outbox (id, kind, subject, user_id, payload, due_at, expires_at, created_at, state, attempts)"
    };
}

macro_rules! constants {
    () => {
        ", 'pending', 0"
    };
}

/// The beginning of what adds a message, for a statement that does more than that.
pub(crate) const INSERT_INTO: &str = insert_into!();

/// How many values of a message are bound.
pub(crate) const ENQUEUED: usize = 8;

/// The values behind them: every message begins as one that waits.
pub(crate) const CONSTANTS: &str = constants!();

const ENQUEUE: &str =
    concat!(insert_into!(), " VALUES ($1, $2, $3, $4, $5, $6, $7, $8", constants!(), ") ON CONFLICT DO NOTHING");

macro_rules! claim {
    ($due:literal, $index:literal, $lock:literal) => {
        concat!(
            "UPDATE authkit_outbox SET attempts = attempts + 1, due_at = $2 WHERE ",
            $due,
            " (SELECT m.id FROM authkit_outbox m",
            $index,
            " WHERE m.state = 'pending' AND m.due_at <= $1 ORDER BY m.due_at, m.id LIMIT $3",
            $lock,
            ") RETURNING ",
            columns!()
        )
    };
}

pub(crate) const CLAIM_SQLITE: &str = claim!("id IN", " INDEXED BY authkit_outbox_due", "");

/// What another worker is just taking is left to it: nobody waits, and no message is taken by two. An array is always looked up
/// by the index; an `IN` may be joined by a scan of the whole table.
pub(crate) const CLAIM_POSTGRES: &str = claim!("id = ANY (ARRAY", "", " FOR UPDATE SKIP LOCKED)");

/// SECURITY: what is delivered is forgotten at once: it holds a link that may still be good.
const DELIVER: &str = "UPDATE authkit_outbox SET state = 'delivered', payload = NULL, last_error = NULL, finished_at = $3 \
    WHERE id = $1 AND state = 'pending' AND attempts = $2";

const DEFER: &str =
    "UPDATE authkit_outbox SET due_at = $3, last_error = $4 WHERE id = $1 AND state = 'pending' AND attempts = $2";

const BURY: &str = "UPDATE authkit_outbox SET state = 'dead', finished_at = $3, last_error = $4 \
    WHERE id = $1 AND state = 'pending' AND attempts = $2";

const EXPIRE: &str = "UPDATE authkit_outbox SET state = 'expired', payload = NULL, finished_at = $3 \
    WHERE id = $1 AND state = 'pending' AND attempts = $2";

const RETRY: &str = "UPDATE authkit_outbox SET state = 'pending', attempts = 0, finished_at = NULL, due_at = $2 \
    WHERE id = $1 AND state = 'dead' AND expires_at > $2";

const DISCARD: &str = "DELETE FROM authkit_outbox WHERE id = $1";

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_outbox WHERE id IN \
     (SELECT m.id FROM authkit_outbox m WHERE m.finished_at IS NOT NULL AND m.finished_at < $1 ORDER BY m.finished_at LIMIT $2)";

/// What another node is just forgetting is left to it.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_outbox WHERE id = ANY (ARRAY( \
     SELECT m.id FROM authkit_outbox m WHERE m.finished_at IS NOT NULL AND m.finished_at < $1 \
     ORDER BY m.finished_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// Reads the message with an id.
pub(crate) fn by_id(id: OutboxMessageId) -> Query {
    Query::new(BY_ID, args![id])
}

/// Reads a page of the messages in a state, and one row more.
pub(crate) fn page(state: OutboxState, page: PageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match page.cursor {
        None => Query::new(PAGE_FIRST, args![limit, state.as_str()]),
        Some(cursor) => Query::new(PAGE_NEXT, args![limit, state.as_str(), cursor.id()]),
    }
}

/// The message of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<OutboxMessage, DecodeError> {
    Ok(OutboxMessage {
        id: OutboxMessageId::from_uuid(fields.id()?),
        kind: fields.named("message kind", MessageKind::from_name)?,
        subject: fields.text()?,
        user_id: fields.optional_id()?.map(UserId::from_uuid),
        payload: fields.optional_bytes()?.map(Sealed::from_bytes),
        state: fields.named("outbox state", OutboxState::from_name)?,
        attempts: fields.number()?,
        due_at: fields.time()?,
        expires_at: fields.time()?,
        created_at: fields.time()?,
        finished_at: fields.optional_time()?,
        last_error: fields.optional_text()?,
    })
}

/// Whether a statement adds a message, and does nothing else.
pub(crate) fn is_enqueue(statement: &Statement) -> bool {
    statement.query.sql == ENQUEUE
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &OutboxChange) -> Result<Statement, StoreError> {
    let moved = Conflict::MessageMoved;
    Ok(match change {
        OutboxChange::Enqueue(message) => enqueue(message),
        OutboxChange::Claim { at, lease_until, limit } => {
            Statement::free(dialect.claim_messages, args![*at, *lease_until, *limit]).claiming()
        }
        OutboxChange::Deliver { id, attempt, at } => Statement::guarded(DELIVER, args![*id, *attempt, *at], moved),
        OutboxChange::Defer { id, attempt, due_at, error } => {
            Statement::guarded(DEFER, args![*id, *attempt, *due_at, error.as_str()], moved)
        }
        OutboxChange::Bury { id, attempt, at, error } => {
            Statement::guarded(BURY, args![*id, *attempt, *at, error.as_str()], moved)
        }
        OutboxChange::Expire { id, attempt, at } => Statement::guarded(EXPIRE, args![*id, *attempt, *at], moved),
        OutboxChange::Retry { id, at } => Statement::guarded(RETRY, args![*id, *at], moved),
        OutboxChange::Discard { id } => Statement::guarded(DISCARD, args![*id], moved),
        OutboxChange::Purge { finished_before, limit } => {
            Statement::free(dialect.purge_messages, args![*finished_before, *limit]).purging()
        }
        _ => return Err(unknown_change()),
    })
}

fn enqueue(message: &OutboxMessage) -> Statement {
    let args = args![
        message.id,
        message.kind.as_str(),
        message.subject.as_str(),
        message.user_id,
        message.payload.as_ref().map(Sealed::as_bytes),
        message.due_at,
        message.expires_at,
        message.created_at,
    ];
    Statement::guarded(ENQUEUE, args, Conflict::DuplicateId)
}
