//! The database as it is, read without a server.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::HALF_MADE;

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
const ACCOUNTS: &str = "SELECT u.email_normal, CAST(u.auth_epoch AS bigint),
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
    /// Reads a SQLite file.
    pub(crate) async fn of_sqlite(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(false);
        let mut database: SqliteConnection = options.connect().await.expect("the database opens");
        let mut half_made = Vec::new();
        for (what, sql) in HALF_MADE {
            let found: i64 = sqlx::query_scalar(*sql).fetch_one(&mut database).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            half_made.push((*what, found));
        }
        let rows: Vec<Row> = sqlx::query_as(ACCOUNTS).fetch_all(&mut database).await.expect("accounts are readable");
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
