//! What the database holds, read beside the server: how a test knows that a refused request changed nothing.

use std::collections::BTreeMap;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::Server;

/// Every row of every table, as text.
pub(crate) type Rows = BTreeMap<String, Vec<String>>;

const TABLES: [&str; 5] =
    ["authkit_users", "authkit_password_credentials", "authkit_sessions", "authkit_server_keys", "authkit_audit_events"];

/// Reads everything.
pub(crate) async fn rows(server: &Server) -> Rows {
    let mut database = open(server).await;
    let mut rows = Rows::new();
    for table in TABLES {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&mut database)
            .await
            .expect("the table's columns");
        assert!(!columns.is_empty(), "there is no table {table}");
        let row = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join(" || '|' || ");
        let sql = sqlx::AssertSqlSafe(format!("SELECT {row} FROM {table} ORDER BY 1"));
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await.expect("the table's rows");
        rows.insert(table.to_owned(), found);
    }
    database.close().await.expect("closes");
    rows
}

/// How many audit events there are of an action and an outcome.
pub(crate) async fn events(server: &Server, action: &str, outcome: &str) -> i64 {
    let mut database = open(server).await;
    let count = sqlx::query_scalar("SELECT count(*) FROM authkit_audit_events WHERE action = $1 AND outcome = $2")
        .bind(action)
        .bind(outcome)
        .fetch_one(&mut database)
        .await
        .expect("a count");
    database.close().await.expect("closes");
    count
}

async fn open(server: &Server) -> SqliteConnection {
    let file = server.data_dir().join("authkit.sqlite3");
    SqliteConnectOptions::new().filename(file).create_if_missing(false).connect().await.expect("the database opens")
}
