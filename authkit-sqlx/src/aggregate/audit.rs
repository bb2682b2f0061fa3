//! The audit log.

use authkit_core::model::{
    Actor, AuditAction, AuditChange, AuditEvent, AuditFilter, AuditLeaf, AuditOrder, AuditSeal, AuditStream, KeyId, Outcome,
};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{AuditEventId, PageLimit, PageRequest, RequestId, SessionId, UserId};

use crate::aggregate::session;
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::{Value, args};

macro_rules! select_events {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT id, at, action, outcome, actor, actor_user_id, actor_session_id, subject_id, ip, user_agent, request_id, details \
             FROM authkit_audit_events WHERE id >= $2 AND id < $3",
            $condition,
            " ORDER BY id ",
            $order,
            " LIMIT $1"
        )
    };
}

/// Both orders of a list.
macro_rules! in_both_orders {
    ($condition:literal) => {
        [select_events!($condition, "DESC"), select_events!($condition, "ASC")]
    };
}

// One text for each member of a filter that finds its events by an index; what else is named is looked at in those alone. A single
// text for all of them would let the database choose an index before it knows which of them is named.
const EVERY: [&str; 2] = in_both_orders!("");
const OF_REQUEST: [&str; 2] = in_both_orders!(
    " AND request_id = $8 AND ($4 IS NULL OR subject_id = $4) AND ($5 IS NULL OR actor_user_id = $5) \
     AND ($6 IS NULL OR action = $6) AND ($7 IS NULL OR outcome = $7)"
);
const OF_SUBJECT: [&str; 2] = in_both_orders!(
    " AND subject_id = $4 AND ($5 IS NULL OR actor_user_id = $5) \
     AND ($6 IS NULL OR action = $6) AND ($7 IS NULL OR outcome = $7)"
);
const OF_ACTOR: [&str; 2] =
    in_both_orders!(" AND actor_user_id = $4 AND ($5 IS NULL OR action = $5) AND ($6 IS NULL OR outcome = $6)");
const OF_ACTION: [&str; 2] = in_both_orders!(" AND action = $4 AND ($5 IS NULL OR outcome = $5)");
const OF_OUTCOME: [&str; 2] = in_both_orders!(" AND outcome = $4");

const COUNT: &str = "SELECT count(*) FROM authkit_audit_events WHERE id >= $1 AND id < $2";

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

/// The events of a seal, by the ids in its leaves.
pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_audit_events WHERE id IN ( \
     WITH RECURSIVE leaf(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM leaf \
     WHERE n + 1 < (SELECT length(m.leaves) / 48 FROM authkit_audit_leaves m WHERE m.seal = $1)) \
     SELECT substr(l.leaves, n * 48 + 1, 16) FROM authkit_audit_leaves l, leaf WHERE l.seal = $1)";

/// An array is always looked up by the index; an `IN` may be joined by a scan of the whole table.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_audit_events WHERE id = ANY (ARRAY( \
     SELECT encode(substring(l.leaves FROM n * 48 + 1 FOR 16), 'hex')::uuid \
     FROM authkit_audit_leaves l, generate_series(0, length(l.leaves) / 48 - 1) n WHERE l.seal = $1))";

const PURGE_LEAVES: &str = "DELETE FROM authkit_audit_leaves WHERE seal = $1";

macro_rules! select_seals {
    ($condition:literal) => {
        concat!(
            "SELECT number, previous, through, events, late, root, purged, sealed_at, key_id, digest, signature \
             FROM authkit_audit_seals ",
            $condition
        )
    };
}

const SEALS: &str = select_seals!("WHERE number > $1 ORDER BY number LIMIT $2");
const LAST_SEAL: &str = select_seals!("WHERE number >= 1 ORDER BY number DESC LIMIT 1");
const LEAVES: &str = "SELECT leaves FROM authkit_audit_leaves WHERE seal = $1";

/// Two that add the same number at once are told apart by the key; one that forked before is told by the digest.
const SEAL: &str = "INSERT INTO authkit_audit_seals \
     (number, previous, through, events, late, root, purged, sealed_at, key_id, digest, signature) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE CASE WHEN $1 = 1 \
     THEN NOT EXISTS (SELECT 1 FROM authkit_audit_seals o WHERE o.number >= 1) \
     ELSE EXISTS (SELECT 1 FROM authkit_audit_seals p WHERE p.number = $1 - 1 AND p.digest = $2) END \
     ON CONFLICT DO NOTHING";
const SEAL_LEAVES: &str = "INSERT INTO authkit_audit_leaves (seal, leaves) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const STREAM: &str = "SELECT name, holder, lease_until, seal FROM authkit_audit_streams WHERE name = $1";
const CLAIM: &str = "INSERT INTO authkit_audit_streams AS s (name, holder, lease_until, seal) VALUES ($1, $2, $3, 0) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until \
     WHERE s.holder = excluded.holder OR s.lease_until <= $4";
const ADVANCE: &str =
    "UPDATE authkit_audit_streams SET seal = $4, lease_until = $5 WHERE name = $1 AND holder = $2 AND seal = $3";

/// Reads a page of events, and one row more; `None` where the bounds leave nothing.
pub(crate) fn page(filter: &AuditFilter, page: PageRequest) -> Option<Query> {
    let (from, below) = filter.bounds(page)?;
    let limit = u32::from(page.limit.value()) + 1;
    let at = match filter.order {
        AuditOrder::NewestFirst => 0,
        AuditOrder::OldestFirst => 1,
    };
    let (subject, actor) = (filter.subject, filter.actor);
    let (action, outcome) = (filter.action.map(AuditAction::as_str), filter.outcome.map(Outcome::as_str));
    Some(if let Some(request) = &filter.request_id {
        Query::new(OF_REQUEST[at], args![limit, from, below, subject, actor, action, outcome, request.as_str()])
    } else if subject.is_some() {
        Query::new(OF_SUBJECT[at], args![limit, from, below, subject, actor, action, outcome])
    } else if actor.is_some() {
        Query::new(OF_ACTOR[at], args![limit, from, below, actor, action, outcome])
    } else if action.is_some() {
        Query::new(OF_ACTION[at], args![limit, from, below, action, outcome])
    } else if outcome.is_some() {
        Query::new(OF_OUTCOME[at], args![limit, from, below, outcome])
    } else {
        Query::new(EVERY[at], args![limit, from, below])
    })
}

/// Counts the events between two ids.
pub(crate) fn count(from: AuditEventId, below: AuditEventId) -> Query {
    Query::new(COUNT, args![from, below])
}

/// Reads the seals behind a number.
pub(crate) fn seals(after: u64, limit: PageLimit) -> Query {
    Query::new(SEALS, args![after, u32::from(limit.value())])
}

/// Reads the last seal.
pub(crate) fn last_seal() -> Query {
    Query::new(LAST_SEAL, args![])
}

/// Reads the leaves of a seal.
pub(crate) fn leaves(seal: u64) -> Query {
    Query::new(LEAVES, args![seal])
}

/// Reads how far a receiver is.
pub(crate) fn stream(name: &str) -> Query {
    Query::new(STREAM, args![name])
}

/// The seal of the next columns of a row.
pub(crate) fn decode_seal(fields: &mut Fields<'_>) -> Result<AuditSeal, DecodeError> {
    Ok(AuditSeal {
        number: fields.count()?,
        previous: fields.digest()?,
        through: AuditEventId::from_uuid(fields.id()?),
        count: fields.number()?,
        late: fields.number()?,
        root: fields.digest()?,
        purged: fields.count()?,
        sealed_at: fields.time()?,
        key_id: fields.named("key id", KeyId::parse)?,
        digest: fields.digest()?,
        signature: fields.text()?,
    })
}

/// The leaves of the next column of a row.
pub(crate) fn decode_leaves(fields: &mut Fields<'_>) -> Result<Vec<AuditLeaf>, DecodeError> {
    AuditLeaf::from_bytes(&fields.bytes()?).ok_or(DecodeError::Unknown { what: "list of sealed events" })
}

/// The receiver of the next columns of a row.
pub(crate) fn decode_stream(fields: &mut Fields<'_>) -> Result<AuditStream, DecodeError> {
    Ok(AuditStream { name: fields.text()?, holder: fields.text()?, lease_until: fields.time()?, position: fields.count()? })
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

/// The statements of a change.
pub(crate) fn statements(dialect: &Dialect, change: &AuditChange, into: &mut Vec<Statement>) -> Result<(), StoreError> {
    let taken = Conflict::AuditSealTaken;
    match change {
        AuditChange::Append(event) => into.push(append(event)?),
        AuditChange::Seal { seal, leaves } => {
            into.push(Statement::guarded(SEAL, sealing(seal), taken));
            into.push(Statement::guarded(SEAL_LEAVES, args![seal.number, AuditLeaf::to_bytes(leaves).as_slice()], taken));
        }
        AuditChange::PurgeSealed { seal } => {
            into.push(Statement::free(dialect.purge_sealed_events, args![*seal]).purging());
            into.push(Statement::free(PURGE_LEAVES, args![*seal]));
        }
        AuditChange::ClaimStream { name, holder, at, until } => {
            let args = args![name.as_str(), holder.as_str(), *until, *at];
            into.push(Statement::guarded(CLAIM, args, Conflict::AuditStreamHeld));
        }
        AuditChange::AdvanceStream { name, holder, from, to, until } => {
            let args = args![name.as_str(), holder.as_str(), *from, *to, *until];
            into.push(Statement::guarded(ADVANCE, args, Conflict::AuditStreamHeld));
        }
        _ => return Err(unknown_change()),
    }
    Ok(())
}

fn sealing(seal: &AuditSeal) -> Vec<Value> {
    args![
        seal.number,
        seal.previous,
        seal.through,
        seal.count,
        seal.late,
        seal.root,
        seal.purged,
        seal.sealed_at,
        seal.key_id.as_str(),
        seal.digest,
        seal.signature.as_str(),
    ]
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
