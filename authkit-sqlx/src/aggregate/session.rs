//! Sessions, and the one statement that is hot: the rotation of a refresh token.

use authkit_core::model::{
    AuthMethod, Client, Impersonator, Revocation, RevocationReason, Rotation, Session, SessionChange, SessionWithUser,
};
use authkit_core::ports::{Conflict, RevocationMark, StoreError};
use authkit_core::{DeviceName, PageLimit, PageRequest, SessionId, Timestamp, UserAgent, UserId};

use crate::aggregate::user::{self, user_columns};
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

/// What [`decode`] reads, of a table that is called `s`.
macro_rules! session_columns {
    () => {
        "s.id, s.user_id, s.generation, s.secret, s.methods, s.authenticated_at, s.device_name, \
         s.created_ip, s.created_user_agent, s.last_used_ip, s.last_used_user_agent, \
         s.created_at, s.refreshed_at, s.idle_expires_at, s.expires_at, s.revoked_at, s.revoked_reason, \
         s.impersonator_id, s.impersonator_session_id"
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", ",
    user_columns!(),
    " FROM authkit_sessions s JOIN authkit_users u ON u.id = s.user_id WHERE s.id = $1 AND u.status <> 'closed'"
);

macro_rules! select_live {
    ($cursor:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            " FROM authkit_sessions s WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.idle_expires_at > $2 AND s.expires_at > $2 \
             AND EXISTS (SELECT 1 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed')",
            $cursor,
            " ORDER BY s.id DESC LIMIT $3"
        )
    };
}

const LIVE_FIRST: &str = select_live!("");
const LIVE_NEXT: &str = select_live!(" AND s.id < $4");

const REVOKED_FROM: &str = "SELECT id, revoked_at FROM authkit_sessions \
    WHERE revoked_at IS NOT NULL AND revoked_at >= $1 ORDER BY revoked_at, id LIMIT $2";
const REVOKED_AFTER: &str = "SELECT id, revoked_at FROM authkit_sessions \
    WHERE revoked_at IS NOT NULL AND (revoked_at, id) > ($1, $3) ORDER BY revoked_at, id LIMIT $2";

/// The guard on the account is part of the statement: a login that was checked against an older password writes nothing.
macro_rules! insert {
    ($lock:literal) => {
        concat!(
            "INSERT INTO authkit_sessions \
             (id, user_id, generation, secret, methods, authenticated_at, device_name, created_ip, created_user_agent, \
              last_used_ip, last_used_user_agent, created_at, refreshed_at, idle_expires_at, expires_at, \
              impersonator_id, impersonator_session_id) \
             SELECT $1, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $17, $18 \
             FROM authkit_users u WHERE u.id = $2 AND u.status = 'active' AND u.auth_epoch = $16",
            $lock,
            " ON CONFLICT DO NOTHING"
        )
    };
}

/// SQLite has one writer at a time: what the guard read stays true until the transaction ends.
pub(crate) const INSERT_SQLITE: &str = insert!("");

/// INVARIANT: the account stays locked until the transaction ends. Without the lock, a change of password that commits in
/// between would not see the session and leave it alive; and two logins at once would not see each other's session when
/// they count them for the cap. The lock lets others insert rows that refer to the account.
pub(crate) const INSERT_POSTGRES: &str = insert!(" FOR NO KEY UPDATE OF u");

const HAS_ACTIVE_USER: &str = "SELECT 1 FROM authkit_users WHERE id = $1 AND status = 'active' AND auth_epoch = $2";

const REVOKE: &str = "UPDATE authkit_sessions SET revoked_at = $3, revoked_reason = $2 \
    WHERE id = $1 AND revoked_at IS NULL RETURNING id, revoked_at";

const REVOKE_ALL: &str = "UPDATE authkit_sessions SET revoked_at = $4, revoked_reason = $3 \
    WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $2 RETURNING id, revoked_at";

const END_IMPERSONATIONS: &str = "UPDATE authkit_sessions SET revoked_at = $3, revoked_reason = $2 \
    WHERE impersonator_id = $1 AND revoked_at IS NULL RETURNING id, revoked_at";

const END_IMPERSONATIONS_OF: &str = "UPDATE authkit_sessions SET revoked_at = $3, revoked_reason = $2 \
    WHERE user_id = $1 AND impersonator_id IS NOT NULL AND revoked_at IS NULL RETURNING id, revoked_at";

/// The index of those in which somebody acts as somebody else is small, and walked whole.
macro_rules! end_impersonations_by_role {
    ($roles:literal) => {
        concat!(
            "UPDATE authkit_sessions SET revoked_at = $3, revoked_reason = $2 \
             WHERE impersonator_id IS NOT NULL AND revoked_at IS NULL AND EXISTS (SELECT 1 FROM authkit_role_assignments a \
                WHERE a.user_id IN (authkit_sessions.impersonator_id, authkit_sessions.user_id) AND a.role IN (SELECT w.value FROM ",
            $roles,
            ")) RETURNING id, revoked_at"
        )
    };
}

pub(crate) const END_BY_ROLE_SQLITE: &str = end_impersonations_by_role!("json_each($1) w");
pub(crate) const END_BY_ROLE_POSTGRES: &str = end_impersonations_by_role!("jsonb_array_elements_text($1::jsonb) w(value)");

/// `OFFSET` without `LIMIT` is PostgreSQL's alone, `LIMIT -1` is SQLite's; the greatest bigint is everybody's.
///
/// That the session was not revoked is asked twice: a rival that revokes it in between is what the outer question sees.
const ENFORCE_CAP: &str = "UPDATE authkit_sessions SET revoked_at = $3, revoked_reason = $4 WHERE revoked_at IS NULL AND id IN ( \
        SELECT s.id FROM authkit_sessions s \
        WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.idle_expires_at > $3 AND s.expires_at > $3 \
        AND s.impersonator_id IS NULL \
        ORDER BY s.refreshed_at DESC, s.id DESC LIMIT 9223372036854775807 OFFSET $2 \
    ) RETURNING id, revoked_at";

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_sessions WHERE id IN (SELECT s.id FROM authkit_sessions s \
     WHERE s.expires_at < $1 OR (s.revoked_at IS NOT NULL AND s.revoked_at < $1) LIMIT $2)";

/// What another node is just forgetting, or a straggler is just using, is left alone: nobody waits for anybody.
///
/// Each half walks its own index and stops; one `OR` over both is planned as a scan of the whole table as soon as the
/// planner does not know how many rows are asked for. The same holds for an `IN`, which it may join by a scan, where an array
/// is always looked up.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_sessions WHERE id = ANY (ARRAY( \
        SELECT ended.id FROM ( \
            SELECT expired.id FROM (SELECT s.id FROM authkit_sessions s WHERE s.expires_at < $1 \
                ORDER BY s.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) expired \
            UNION ALL \
            SELECT revoked.id FROM (SELECT s.id FROM authkit_sessions s \
                WHERE s.revoked_at IS NOT NULL AND s.revoked_at < $1 AND s.expires_at >= $1 \
                ORDER BY s.revoked_at, s.id LIMIT $2 FOR UPDATE SKIP LOCKED) revoked \
        ) ended LIMIT $2))";

const REAUTHENTICATE: &str = "UPDATE authkit_sessions SET authenticated_at = $3, methods = coalesce($4, methods) \
    WHERE id = $1 AND revoked_at IS NULL AND idle_expires_at > $3 AND expires_at > $3 AND EXISTS ( \
        SELECT 1 FROM authkit_users u WHERE u.id = authkit_sessions.user_id AND u.status = 'active' AND u.auth_epoch = $2)";

macro_rules! account_column {
    ($column:literal) => {
        concat!("(SELECT u.", $column, " FROM authkit_users u WHERE u.id = authkit_sessions.user_id)")
    };
}

/// SQLite cannot return columns of a joined table from an `UPDATE`, but it can return what a subquery finds.
///
/// SECURITY: every guard stands in the `WHERE`: of any number of holders of one token, the first moves the row on and
/// all others match nothing (RFC 9700 §4.14.2).
pub(crate) const ROTATE_SQLITE: &str = concat!(
    "UPDATE authkit_sessions SET generation = generation + 1, secret = $4, refreshed_at = $5, \
        idle_expires_at = min($6, expires_at), last_used_ip = $7, last_used_user_agent = $8 \
     WHERE id = $1 AND generation = $2 AND secret = $3 \
        AND revoked_at IS NULL AND idle_expires_at > $5 AND expires_at > $5 \
        AND EXISTS (SELECT 1 FROM authkit_users u WHERE u.id = authkit_sessions.user_id AND u.status = 'active') \
     RETURNING id, user_id, generation, secret, methods, authenticated_at, device_name, created_ip, created_user_agent, \
        last_used_ip, last_used_user_agent, created_at, refreshed_at, idle_expires_at, expires_at, revoked_at, revoked_reason, \
        impersonator_id, impersonator_session_id, user_id, ",
    account_column!("email_normal"),
    ", ",
    account_column!("email"),
    ", ",
    account_column!("email_verified_at"),
    ", ",
    account_column!("full_name"),
    ", ",
    account_column!("locale"),
    ", ",
    account_column!("status"),
    ", ",
    account_column!("auth_epoch"),
    ", ",
    account_column!("second_factors"),
    ", ",
    account_column!("access_version"),
    ", ",
    account_column!("assignments"),
    ", ",
    account_column!("version"),
    ", ",
    account_column!("created_at"),
    ", ",
    account_column!("updated_at"),
);

/// PostgreSQL returns the account that it joined for the guard. The guards are those of [`ROTATE_SQLITE`]; a rival that waited
/// for the row finds them checked again on what the first one left (READ COMMITTED, PostgreSQL manual §13.2.1).
pub(crate) const ROTATE_POSTGRES: &str = concat!(
    "UPDATE authkit_sessions s SET generation = s.generation + 1, secret = $4, refreshed_at = $5, \
        idle_expires_at = least($6, s.expires_at), last_used_ip = $7, last_used_user_agent = $8 \
     FROM authkit_users u \
     WHERE s.id = $1 AND s.generation = $2 AND s.secret = $3 \
        AND s.revoked_at IS NULL AND s.idle_expires_at > $5 AND s.expires_at > $5 \
        AND u.id = s.user_id AND u.status = 'active' \
     RETURNING ",
    session_columns!(),
    ", ",
    user_columns!(),
);

/// Reads a session and its account.
pub(crate) fn by_id(id: SessionId) -> Query {
    Query::new(BY_ID, args![id])
}

/// Reads a page of the live sessions of a user, and one row more.
pub(crate) fn live(user_id: UserId, now: Timestamp, page: PageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match page.cursor {
        None => Query::new(LIVE_FIRST, args![user_id, now, limit]),
        Some(cursor) => Query::new(LIVE_NEXT, args![user_id, now, limit, cursor.id()]),
    }
}

/// Reads the revocations behind a mark.
pub(crate) fn revoked_after(mark: RevocationMark, limit: PageLimit) -> Query {
    let limit = u32::from(limit.value());
    match mark.session_id {
        None => Query::new(REVOKED_FROM, args![mark.at, limit]),
        Some(id) => Query::new(REVOKED_AFTER, args![mark.at, limit, id]),
    }
}

/// Moves a session to its next refresh token; returns the session and its account, or no row when a guard did not hold.
pub(crate) fn rotation(dialect: &Dialect, rotation: &Rotation) -> Query {
    let args = args![
        rotation.session_id,
        rotation.generation,
        rotation.presented,
        rotation.successor,
        rotation.at,
        rotation.idle_expires_at,
        ip(&rotation.client),
        user_agent(&rotation.client),
    ];
    Query::new(dialect.rotate, args)
}

/// The session of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Session, DecodeError> {
    Ok(Session {
        id: SessionId::from_uuid(fields.id()?),
        user_id: UserId::from_uuid(fields.id()?),
        generation: fields.number()?,
        secret: fields.digest()?,
        methods: fields.named("authentication method", parse_methods)?,
        authenticated_at: fields.time()?,
        device_name: fields.optional_text()?.map(DeviceName::from_stored),
        created_by: client(fields)?,
        last_used_by: client(fields)?,
        created_at: fields.time()?,
        refreshed_at: fields.time()?,
        idle_expires_at: fields.time()?,
        expires_at: fields.time()?,
        revoked: revoked(fields)?,
        impersonator: impersonator(fields)?,
    })
}

/// The session and its account of the next columns of a row.
pub(crate) fn decode_with_user(fields: &mut Fields<'_>) -> Result<SessionWithUser, DecodeError> {
    Ok(SessionWithUser { session: decode(fields)?, user: user::decode(fields)? })
}

/// The revocation of the next columns of a row.
pub(crate) fn decode_revocation(fields: &mut Fields<'_>) -> Result<Revocation, DecodeError> {
    Ok(Revocation { session_id: SessionId::from_uuid(fields.id()?), at: fields.time()? })
}

/// A client, of an address and a user agent.
pub(crate) fn client(fields: &mut Fields<'_>) -> Result<Client, DecodeError> {
    Ok(Client { ip: fields.optional_parsed("address")?, user_agent: fields.optional_text()?.map(UserAgent::from_stored) })
}

/// The address of a client, as it is stored.
pub(crate) fn ip(client: &Client) -> Option<String> {
    client.ip.map(|ip| ip.to_string())
}

/// The user agent of a client, as it is stored.
pub(crate) fn user_agent(client: &Client) -> Option<&str> {
    client.user_agent.as_ref().map(UserAgent::as_str)
}

fn revoked(fields: &mut Fields<'_>) -> Result<Option<(Timestamp, RevocationReason)>, DecodeError> {
    let unknown = DecodeError::Unknown { what: "revocation" };
    match (fields.optional_time()?, fields.optional_text()?) {
        (None, None) => Ok(None),
        (Some(at), Some(reason)) => RevocationReason::from_name(&reason).map(|reason| Some((at, reason))).ok_or(unknown),
        _ => Err(unknown),
    }
}

fn impersonator(fields: &mut Fields<'_>) -> Result<Option<Impersonator>, DecodeError> {
    match (fields.optional_id()?, fields.optional_id()?) {
        (None, None) => Ok(None),
        (Some(user), Some(session)) => {
            Ok(Some(Impersonator { user_id: UserId::from_uuid(user), session_id: SessionId::from_uuid(session) }))
        }
        _ => Err(DecodeError::Unknown { what: "impersonator" }),
    }
}

fn parse_methods(text: &str) -> Option<Vec<AuthMethod>> {
    text.split_ascii_whitespace().map(AuthMethod::from_name).collect()
}

fn names(methods: &[AuthMethod]) -> String {
    methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" ")
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &SessionChange) -> Result<Statement, StoreError> {
    Ok(match change {
        SessionChange::Insert { session, auth_epoch } => insert(dialect, session, *auth_epoch),
        SessionChange::Revoke { id, reason, at } => {
            Statement::guarded(REVOKE, args![*id, reason.as_str(), *at], Conflict::SessionEnded).revoking()
        }
        SessionChange::RevokeAll { user_id, except, reason, at } => {
            Statement::free(REVOKE_ALL, args![*user_id, *except, reason.as_str(), *at]).revoking()
        }
        SessionChange::EndImpersonations { by, at } => {
            let reason = RevocationReason::ImpersonationEnded.as_str();
            Statement::free(END_IMPERSONATIONS, args![*by, reason, *at]).revoking()
        }
        SessionChange::EndImpersonationsOf { user_id, at } => {
            let reason = RevocationReason::ImpersonationEnded.as_str();
            Statement::free(END_IMPERSONATIONS_OF, args![*user_id, reason, *at]).revoking()
        }
        SessionChange::EndImpersonationsByRole { roles, at } => {
            let reason = RevocationReason::ImpersonationEnded.as_str();
            // Names always serialise.
            let roles = serde_json::to_string(roles).unwrap_or_else(|_| "[]".to_owned());
            Statement::free(dialect.end_impersonations_by_role, args![roles, reason, *at]).revoking()
        }
        SessionChange::EnforceCap { user_id, keep, at } => {
            let reason = RevocationReason::SessionCap.as_str();
            Statement::free(ENFORCE_CAP, args![*user_id, *keep, *at, reason]).revoking()
        }
        SessionChange::Purge { ended_before, limit } => {
            Statement::free(dialect.purge_sessions, args![*ended_before, *limit]).purging()
        }
        SessionChange::Reauthenticate { id, auth_epoch, methods, at } => {
            let methods = methods.as_deref().map(names);
            Statement::guarded(REAUTHENTICATE, args![*id, *auth_epoch, *at, methods], Conflict::SessionEnded)
        }
        _ => return Err(unknown_change()),
    })
}

fn insert(dialect: &Dialect, session: &Session, auth_epoch: u32) -> Statement {
    let args = args![
        session.id,
        session.user_id,
        session.generation,
        session.secret,
        names(&session.methods),
        session.authenticated_at,
        session.device_name.as_ref().map(DeviceName::as_str),
        ip(&session.created_by),
        user_agent(&session.created_by),
        ip(&session.last_used_by),
        user_agent(&session.last_used_by),
        session.created_at,
        session.refreshed_at,
        session.idle_expires_at,
        session.expires_at,
        auth_epoch,
        session.impersonator.map(|impersonator| impersonator.user_id),
        session.impersonator.map(|impersonator| impersonator.session_id),
    ];
    let probe = Query::new(HAS_ACTIVE_USER, args![session.user_id, auth_epoch]);
    Statement::probed(dialect.insert_session, args, probe, (Conflict::DuplicateId, Conflict::UserChanged))
}
