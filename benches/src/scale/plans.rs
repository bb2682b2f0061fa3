//! Whether every statement finds its rows by an index, on a database with the statistics of its size.

use authkit_sqlx::testkit::SentStatement;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use super::ScaleError;
use super::fill::SCHEMA;

/// Tables of a handful of rows, whatever the number of accounts.
const SMALL_TABLES: [&str; 4] = ["server_keys", "migrations", "roles", "role_graph"];
/// How PostgreSQL plans: for the arguments at hand, or once for all (it does the one at first, and later what is cheaper).
const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

/// The plan of one statement.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The statement.
    pub statement: String,
    /// `force_custom_plan` or `force_generic_plan`.
    pub mode: &'static str,
    /// What it is expected to cost, in the planner's units; reading a page in order is 1.
    pub cost: f64,
    /// The steps that grow with the table. None should.
    pub faults: Vec<String>,
}

/// The plans of every statement that a store sends.
pub async fn of_every_statement(connection: &mut PgConnection) -> Result<Vec<Plan>, ScaleError> {
    let mut plans = Vec::new();
    for (number, statement) in SentStatement::every(SCHEMA)?.iter().enumerate() {
        let name = format!("scale_{number}");
        connection.execute(AssertSqlSafe(statement.prepare(&name))).await?;
        for mode in MODES {
            connection.execute(AssertSqlSafe(format!("SET plan_cache_mode = {mode}"))).await?;
            let explain = format!("EXPLAIN (FORMAT JSON) {}", statement.execute(&name));
            let row = connection.fetch_one(AssertSqlSafe(explain)).await?;
            let plan: Value = serde_json::from_str(row.try_get_unchecked(0)?)?;
            let top = &plan[0]["Plan"];
            let mut faults = Vec::new();
            look_for_scans(top, false, &mut faults);
            let cost = top["Total Cost"].as_f64().unwrap_or(f64::INFINITY);
            plans.push(Plan { statement: statement.text().to_owned(), mode, cost, faults });
        }
        connection.execute(AssertSqlSafe(format!("DEALLOCATE {name}"))).await?;
    }
    Ok(plans)
}

/// Collects the steps that read a whole table, or a whole index with nobody above who stops after some rows.
fn look_for_scans(step: &Value, is_limited: bool, faults: &mut Vec<String>) {
    let kind = step["Node Type"].as_str().unwrap_or_default();
    let relation = step["Relation Name"].as_str().or_else(|| step["Index Name"].as_str()).unwrap_or_default();
    let is_table_scan = kind.ends_with("Seq Scan") && !SMALL_TABLES.contains(&relation);
    let is_index_scan = ["Index Scan", "Index Only Scan", "Bitmap Index Scan"].contains(&kind);
    if is_table_scan || (is_index_scan && step["Index Cond"].is_null() && !is_limited) {
        faults.push(format!("{kind} on {relation}"));
    }
    // A sort or a hash reads all of its input before it gives out the first row, whatever is asked of it.
    let passes_limit = !["Sort", "Hash", "Aggregate"].contains(&kind);
    let is_limited = kind == "Limit" || (is_limited && passes_limit);
    for below in step["Plans"].as_array().into_iter().flatten() {
        look_for_scans(below, is_limited, faults);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(plan: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        look_for_scans(plan, false, &mut faults);
        faults
    }

    #[test]
    fn what_grows_with_a_table_is_a_fault() {
        let table = json!({ "Node Type": "Seq Scan", "Relation Name": "users" });
        let index = json!({ "Node Type": "Index Only Scan", "Relation Name": "sessions", "Index Name": "i" });
        let sorted = json!({ "Node Type": "Limit", "Plans": [{ "Node Type": "Sort", "Plans": [index] }] });
        let limited_table = json!({ "Node Type": "Limit", "Plans": [table] });
        assert_eq!(faults(&limited_table), ["Seq Scan on users"]);
        assert_eq!(faults(&sorted), ["Index Only Scan on sessions"]);
    }

    #[test]
    fn a_lookup_a_page_of_an_index_and_a_handful_of_keys_are_none() {
        let lookup = json!({ "Node Type": "Index Scan", "Relation Name": "users", "Index Cond": "(id = $1)" });
        let index = json!({ "Node Type": "Index Scan", "Relation Name": "audit_events" });
        let page = json!({ "Node Type": "Limit", "Plans": [index] });
        let keys = json!({ "Node Type": "Seq Scan", "Relation Name": "server_keys" });
        let all = json!({ "Node Type": "Nested Loop", "Plans": [lookup, page, keys] });
        assert_eq!(faults(&all), Vec::<String>::new());
    }
}
