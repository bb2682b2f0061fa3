//! The database as it is, read without a server.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::{HALF_MADE, for_postgres};

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) auth_epoch: i64,
    pub(crate) sessions: i64,
    /// The sessions that were logged out of.
    pub(crate) logged_out: i64,
    /// How often any of its sessions was rotated.
    pub(crate) rotations: i64,
}

/// By address: how often the password was changed, sessions, those that were logged out of, rotations.
const ACCOUNTS: &str = "SELECT u.email_normal, u.auth_epoch,
        (SELECT count(*) FROM authkit_sessions s WHERE s.user_id = u.id),
        (SELECT count(*) FROM authkit_sessions s WHERE s.user_id = u.id AND s.revoked_reason = 'logout'),
        (SELECT CAST(coalesce(sum(s.generation), 0) AS bigint) FROM authkit_sessions s WHERE s.user_id = u.id)
     FROM authkit_users u WHERE u.status = 'active'";

type Row = (String, i64, i64, i64, i64);

/// What was found.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// What is half-made, and how often.
    pub(crate) half_made: Vec<(&'static str, i64)>,
}

impl Ledger {
    /// Reads the tables, as they are in one moment.
    pub(crate) async fn read(mut database: PgConnection) -> Self {
        let mut moment = database.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.expect("a snapshot");
        let mut half_made = Vec::new();
        for (what, sql) in HALF_MADE {
            let sql = AssertSqlSafe(for_postgres(sql));
            let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut *moment).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            half_made.push((*what, found));
        }
        let sql = AssertSqlSafe(for_postgres(ACCOUNTS));
        let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&mut *moment).await.expect("accounts are readable");
        moment.rollback().await.expect("nothing was changed");
        database.close().await.expect("closes");
        Self::new(rows, half_made)
    }

    fn new(rows: Vec<Row>, mut half_made: Vec<(&'static str, i64)>) -> Self {
        half_made.retain(|(_, found)| *found != 0);
        let account = |(email, auth_epoch, sessions, logged_out, rotations)| {
            (email, Account { auth_epoch, sessions, logged_out, rotations })
        };
        Self { accounts: rows.into_iter().map(account).collect(), half_made }
    }
}
