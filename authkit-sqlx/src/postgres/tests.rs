//! What only the inside can arrange: the plans of the statements.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::*;
use crate::testkit::{SentStatement, TestDatabase};

// A scan is a cost that grows with the table: fine on a handful of keys, and nowhere else.
#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let database = TestDatabase::fresh().await;
    let store = PgStore::open(database.options()).await.expect("opens");
    store.migrate().await.expect("migrates");
    let mut connection = database.connect().await;
    // The planner scans empty tables if it may; what it cannot do otherwise it does all the same.
    connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.expect("sets");
    let statements = SentStatement::every(database.schema()).expect("a schema");
    assert!(statements.len() > 30, "only {} statements were looked at", statements.len());
    for (number, statement) in statements.iter().enumerate() {
        let name = format!("q{number}");
        connection.execute(AssertSqlSafe(statement.prepare(&name))).await.expect("prepares");
        let (explain, text) = (format!("EXPLAIN {}", statement.execute(&name)), statement.text());
        for step in connection.fetch_all(AssertSqlSafe(explain)).await.expect("a plan") {
            let step: String = step.get(0);
            let handful =
                ["server_keys", "roles", "role_graph"].iter().any(|table| step.contains(&format!("Seq Scan on {table} ")));
            assert!(!step.contains("Seq Scan") || handful, "{step} in {text}");
        }
    }
}
