//! How much memory a server takes that does nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::me::ProfileReader;
use crate::closed_loop::{Plan, run as closed_loop};
use crate::context::{Context, ScenarioError};
use crate::report::Report;

/// How long a server is left alone before it is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// How long, and by how many, it is used in between.
const USE: Duration = Duration::from_secs(1);
const READERS: usize = 8;

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    if context.pid().await?.is_none() {
        return Ok(Report::skipped("needs --spawn or --server-pid"));
    }
    let fresh = context.restart().await?.is_some();
    sleep(SETTLE).await;
    let before = context.memory().await?;

    let address = context.address().await?;
    let tokens = context.access_tokens(READERS).await?;
    let measured =
        closed_loop(Plan::new(USE), tokens.into_iter().map(|token| ProfileReader::new(address, token)).collect()).await;
    sleep(SETTLE).await;
    let after = context.memory().await?;

    let mut report = Report::new().counting(&measured);
    // A server that somebody else started may have worked for hours: its first number is no fresh one.
    if let Some(memory) = before.filter(|_| fresh) {
        report = report.with("idle_rss_mib", "resident, fresh and idle", mib(memory.resident_kib), "MiB");
    }
    if let Some(memory) = after {
        report = report.with("used_idle_rss_mib", "resident, idle after some use", mib(memory.resident_kib), "MiB").with(
            "peak_rss_mib",
            "peak until then",
            mib(memory.peak_kib),
            "MiB",
        );
    }
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 KiB")]
pub(super) fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
