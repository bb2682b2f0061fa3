//! The audit log.

use authkit_core::model::{Actor, AuditAction, AuditChange, AuditEvent, Outcome};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{AuditEventId, PageRequest, RequestId, SessionId, UserId};

use crate::aggregate::session;
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

macro_rules! select_events {
    ($condition:literal) => {
        concat!(
            "SELECT id, at, action, outcome, actor, actor_user_id, actor_session_id, subject_id, ip, user_agent, request_id, details \
             FROM authkit_audit_events",
            $condition,
            " ORDER BY id DESC LIMIT $1"
        )
    };
}

const ALL_FIRST: &str = select_events!("");
const ALL_NEXT: &str = select_events!(" WHERE id < $2");
const OF_SUBJECT_FIRST: &str = select_events!(" WHERE subject_id = $2");
const OF_SUBJECT_NEXT: &str = select_events!(" WHERE subject_id = $2 AND id < $3");

macro_rules! insert_into {
    () => {
        "INSERT INTO authkit_audit_events \
         (id, at, action, outcome, actor, actor_user_id, actor_session_id, subject_id, ip, user_agent, request_id, details)"
    };
}

/// The beginning of what appends an event, for a statement that does more than that.
pub(crate) const INSERT_INTO: &str = insert_into!();

/// How many values an event has.
pub(crate) const APPENDED: usize = 12;

const APPEND: &str =
    concat!(insert_into!(), " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING");

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_audit_events WHERE id IN \
     (SELECT e.id FROM authkit_audit_events e WHERE e.id < $1 ORDER BY e.id LIMIT $2)";

/// What another node is just forgetting is left to it. An array is always looked up by the index; an `IN` may be joined by a
/// scan of the whole table.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_audit_events WHERE id = ANY (ARRAY( \
     SELECT e.id FROM authkit_audit_events e WHERE e.id < $1 ORDER BY e.id LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// Reads a page of events, and one row more.
pub(crate) fn page(subject: Option<UserId>, page: PageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match (subject, page.cursor) {
        (None, None) => Query::new(ALL_FIRST, args![limit]),
        (None, Some(cursor)) => Query::new(ALL_NEXT, args![limit, cursor.id()]),
        (Some(subject), None) => Query::new(OF_SUBJECT_FIRST, args![limit, subject]),
        (Some(subject), Some(cursor)) => Query::new(OF_SUBJECT_NEXT, args![limit, subject, cursor.id()]),
    }
}

/// The event of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<AuditEvent, DecodeError> {
    Ok(AuditEvent {
        id: AuditEventId::from_uuid(fields.id()?),
        at: fields.time()?,
        action: fields.named("audit action", AuditAction::from_name)?,
        outcome: fields.named("audit outcome", Outcome::from_name)?,
        actor: actor(fields)?,
        subject: fields.optional_id()?.map(UserId::from_uuid),
        client: session::client(fields)?,
        request_id: fields.optional_parsed::<RequestId>("request id")?,
        details: fields.named("audit detail", |json| serde_json::from_str(json).ok())?,
    })
}

fn actor(fields: &mut Fields<'_>) -> Result<Actor, DecodeError> {
    let (name, user, session) = (fields.text()?, fields.optional_id()?, fields.optional_id()?);
    match (name.as_str(), user) {
        ("anonymous", None) => Ok(Actor::Anonymous),
        ("system", None) => Ok(Actor::System),
        ("user", Some(user)) => Ok(Actor::User(UserId::from_uuid(user), session.map(SessionId::from_uuid))),
        _ => Err(DecodeError::Unknown { what: "audit actor" }),
    }
}

/// Whether a statement appends an event, and does nothing else.
pub(crate) fn is_append(statement: &Statement) -> bool {
    statement.query.sql == APPEND
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &AuditChange) -> Result<Statement, StoreError> {
    match change {
        AuditChange::Append(event) => append(event),
        AuditChange::Purge { below, limit } => Ok(Statement::free(dialect.purge_events, args![*below, *limit]).purging()),
        _ => Err(unknown_change()),
    }
}

fn append(event: &AuditEvent) -> Result<Statement, StoreError> {
    let (actor, actor_user, actor_session) = match event.actor {
        Actor::Anonymous => ("anonymous", None, None),
        Actor::System => ("system", None, None),
        Actor::User(user, session) => ("user", Some(user), session),
        _ => return Err(unknown_change()),
    };
    let details = serde_json::to_string(&event.details).map_err(StoreError::failed)?;
    let args = args![
        event.id,
        event.at,
        event.action.as_str(),
        event.outcome.as_str(),
        actor,
        actor_user,
        actor_session,
        event.subject,
        session::ip(&event.client),
        session::user_agent(&event.client),
        event.request_id.as_ref().map(RequestId::as_str),
        details,
    ];
    Ok(Statement::guarded(APPEND, args, Conflict::DuplicateId))
}
