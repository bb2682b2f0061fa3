//! The loader: fills a database by `COPY`.

use std::time::Duration;

use authkit_core::model::{Actor, AuditEvent, Session, User};
use authkit_core::{DeviceName, PasswordHash, Timestamp, UserAgent};
use authkit_sqlx::{PgOptions, PgStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _};

use super::ScaleError;
use super::copy::CopyBuffer;
use super::population::Population;
use crate::stopwatch::now;

/// The schema of the store, where no other is named.
pub const SCHEMA: &str = "authkit";
/// How much is written in one message.
const CHUNK_BYTES: usize = 256 * 1024;

/// A table that is filled.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    /// How many rows it gets.
    rows: fn(&Population) -> u64,
    /// Writes the columns of the row `number`.
    encode: fn(&mut CopyBuffer, &Population, &str, u64),
}

/// The tables, in the order of their references.
const TABLES: [Table; 4] = [
    Table {
        name: "users",
        columns: &[
            "id",
            "email_normal",
            "email",
            "email_verified_at",
            "full_name",
            "locale",
            "status",
            "auth_epoch",
            "second_factors",
            "created_at",
            "updated_at",
        ],
        rows: |people| people.users,
        encode: |rows, people, _, number| user(rows, &people.user(number)),
    },
    Table {
        name: "password_credentials",
        columns: &["user_id", "hash", "created_at", "updated_at"],
        rows: |people| people.users,
        encode: |rows, people, hash, number| {
            let user = people.user(number);
            let created_at = user.created_at.unix_micros();
            rows.bytes(user.id.as_uuid().as_bytes()).text(hash).int(created_at).int(created_at);
        },
    },
    Table {
        name: "sessions",
        columns: &[
            "id",
            "user_id",
            "generation",
            "secret",
            "methods",
            "authenticated_at",
            "device_name",
            "created_ip",
            "created_user_agent",
            "last_used_ip",
            "last_used_user_agent",
            "created_at",
            "refreshed_at",
            "idle_expires_at",
            "expires_at",
            "revoked_at",
            "revoked_reason",
        ],
        rows: |people| people.sessions,
        encode: |rows, people, _, number| session(rows, &people.session(number)),
    },
    Table {
        name: "audit_events",
        columns: &[
            "id",
            "at",
            "action",
            "outcome",
            "actor",
            "actor_user_id",
            "actor_session_id",
            "subject_id",
            "ip",
            "user_agent",
            "request_id",
            "details",
        ],
        rows: |people| people.sessions,
        encode: |rows, people, _, number| event(rows, &people.login(number)),
    },
];

/// What was filled, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// How many rows of all tables.
    pub rows: u64,
    /// For the rows.
    pub copying: Duration,
    /// For the indexes, which are made when their table is full, and the statistics.
    pub indexing: Duration,
}

/// Migrates the database and fills it, which must hold no account yet, with a population that has this password. The user has
/// to be a superuser: references are not checked row by row, because they hold by construction.
pub async fn fill(url: &str, people: &Population, hash: &PasswordHash) -> Result<Filled, ScaleError> {
    let store = PgStore::open(url.parse::<PgOptions>()?).await?;
    store.migrate().await?;
    store.close().await;
    let mut connection = connect(url).await?;
    let occupied = connection.fetch_one("SELECT EXISTS (SELECT FROM authkit.users)").await?;
    if occupied.try_get(0)? {
        return Err(ScaleError::Occupied);
    }
    let start = now();
    // What is written in the transaction that made a table empty is frozen as it is written: no later reader has to mark it.
    connection
        .execute(
            "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL maintenance_work_mem = '512MB'; \
             TRUNCATE authkit.users, authkit.audit_events CASCADE",
        )
        .await?;
    let indexes = take_indexes(&mut connection).await?;
    let mut rows = 0;
    for table in &TABLES {
        let statement = format!("COPY {SCHEMA}.{} ({}) FROM STDIN (FORMAT binary, FREEZE)", table.name, table.columns.join(", "));
        let width = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
        let mut stream = connection.copy_in_raw(&statement).await?;
        let mut buffer = CopyBuffer::begin();
        for number in 0..(table.rows)(people) {
            (table.encode)(buffer.row(width), people, hash.expose(), number);
            if buffer.pending().len() >= CHUNK_BYTES {
                stream.send(buffer.pending()).await?;
                buffer.sent();
            }
        }
        buffer.end();
        stream.send(buffer.pending()).await?;
        rows += stream.finish().await?;
    }
    let copying = start.elapsed();
    for index in indexes {
        connection.execute(AssertSqlSafe(index)).await?;
    }
    // A later run finds out by it how old the rows are.
    let comment = format!("COMMENT ON SCHEMA {SCHEMA} IS '{}'", people.at.unix_micros());
    connection.execute(AssertSqlSafe(comment)).await?;
    connection.execute("COMMIT").await?;
    connection.execute("ANALYZE").await?;
    // What the rows left to be written does not fall into a measurement.
    connection.execute("CHECKPOINT").await?;
    Ok(Filled { rows, copying, indexing: start.elapsed().saturating_sub(copying) })
}

/// As of when the database was filled, if it was.
pub async fn filled_at(connection: &mut PgConnection) -> Result<Option<Timestamp>, sqlx::Error> {
    let comment = "SELECT obj_description(oid, 'pg_namespace')::bigint FROM pg_namespace WHERE nspname = 'authkit'";
    let row = connection.fetch_optional(comment).await?;
    let micros: Option<i64> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(micros.map(Timestamp::from_unix_micros))
}

/// A connection without the bounds of requests.
pub async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.disable_statement_logging().connect().await
}

/// Drops the indexes that are no constraint's, and returns the statements that make them again: an index that is made at once
/// is faster than one that grows, and as dense as one that was just rebuilt.
async fn take_indexes(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let indexes = "SELECT pg_get_indexdef(i.indexrelid), 'DROP INDEX ' || i.indexrelid::regclass \
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
         WHERE t.relnamespace = 'authkit'::regnamespace \
         AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid) ORDER BY i.indexrelid";
    let mut definitions = Vec::new();
    for row in connection.fetch_all(indexes).await? {
        definitions.push(row.try_get(0)?);
        connection.execute(AssertSqlSafe(row.try_get::<String, _>(1)?)).await?;
    }
    Ok(definitions)
}

fn user(rows: &mut CopyBuffer, user: &User) {
    rows.bytes(user.id.as_uuid().as_bytes())
        .text(user.email.normal())
        .text(user.email.spelling())
        .int(user.email_verified_at.map(Timestamp::unix_micros))
        .null()
        .null()
        .text(user.status.as_str())
        .int(i64::from(user.auth_epoch))
        .int(i64::from(user.second_factors.bits()))
        .int(user.created_at.unix_micros())
        .int(user.updated_at.unix_micros());
}

fn session(rows: &mut CopyBuffer, session: &Session) {
    let methods: Vec<_> = session.methods.iter().map(|method| method.as_str()).collect();
    let (created_ip, last_used_ip) = (session.created_by.ip, session.last_used_by.ip);
    rows.bytes(session.id.as_uuid().as_bytes())
        .bytes(session.user_id.as_uuid().as_bytes())
        .int(i64::from(session.generation))
        .bytes(session.secret.as_bytes())
        .text(methods.join(" ").as_str())
        .int(session.authenticated_at.unix_micros())
        .text(session.device_name.as_ref().map(DeviceName::as_str))
        .text(created_ip.map(|ip| ip.to_string()).as_deref())
        .text(session.created_by.user_agent.as_ref().map(UserAgent::as_str))
        .text(last_used_ip.map(|ip| ip.to_string()).as_deref())
        .text(session.last_used_by.user_agent.as_ref().map(UserAgent::as_str))
        .int(session.created_at.unix_micros())
        .int(session.refreshed_at.unix_micros())
        .int(session.idle_expires_at.unix_micros())
        .int(session.expires_at.unix_micros())
        .int(session.revoked.map(|(at, _)| at.unix_micros()))
        .text(session.revoked.map(|(_, reason)| reason.as_str()));
}

fn event(rows: &mut CopyBuffer, event: &AuditEvent) {
    rows.bytes(event.id.as_uuid().as_bytes())
        .int(event.at.unix_micros())
        .text(event.action.as_str())
        .text(event.outcome.as_str());
    match event.actor {
        Actor::User(user, session) => {
            rows.text("user").bytes(user.as_uuid().as_bytes());
            match session {
                Some(session) => rows.bytes(session.as_uuid().as_bytes()),
                None => rows.null(),
            }
        }
        _ => rows.text("system").null().null(),
    };
    match event.subject {
        Some(subject) => rows.bytes(subject.as_uuid().as_bytes()),
        None => rows.null(),
    };
    rows.text(event.client.ip.map(|ip| ip.to_string()).as_deref())
        .text(event.client.user_agent.as_ref().map(UserAgent::as_str))
        .null()
        .text(serde_json::to_string(&event.details).unwrap_or_default().as_str());
}
