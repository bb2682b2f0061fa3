//! What only the inside can arrange: the plans of the statements.

use authkit_core::testkit::Fixtures;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::*;
use crate::statement::tests::every_text;
use crate::testkit::TestDatabase;
use crate::value::Value;

// A scan is a cost that grows with the table: fine on a handful of keys, and nowhere else.
#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let database = TestDatabase::fresh().await;
    let store = PgStore::open(database.options()).await.expect("opens");
    store.migrate().await.expect("migrates");
    let mut connection = database.connect().await;
    // The planner scans empty tables if it may; what it cannot do otherwise it does all the same.
    connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.expect("sets");
    for (number, query) in every_text(&dialect::POSTGRES, &Fixtures::new(2)).into_iter().enumerate() {
        let types: Vec<&str> = query.args.iter().map(type_of).collect();
        let nulls = vec!["NULL"; types.len()];
        let (types, nulls) = if types.is_empty() {
            (String::new(), String::new())
        } else {
            (format!("({})", types.join(", ")), format!("({})", nulls.join(", ")))
        };
        let text = store.worker.texts.of(query.sql);
        connection.execute(AssertSqlSafe(format!("PREPARE q{number}{types} AS {text}"))).await.expect("prepares");
        let explain = format!("EXPLAIN EXECUTE q{number}{nulls}");
        for step in connection.fetch_all(AssertSqlSafe(explain)).await.expect("a plan") {
            let step: String = step.get(0);
            assert!(!step.contains("Seq Scan") || step.contains("Seq Scan on server_keys"), "{step} in {text}");
        }
    }
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Int(_) => "bigint",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytea",
        Value::Id(_) => "uuid",
    }
}
