//! How much memory a server takes while 256 clients log in at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::idle_rss::mib;
use super::storm::Storm;
use crate::context::{Context, ScenarioError};
use crate::report::Report;
use crate::server::Memory;

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    if context.pid().await?.is_none() {
        return Ok(Report::skipped("needs --spawn or --server-pid"));
    }
    // On a fresh process, so that the peak is that of the storm; the accounts are made before.
    Storm::gather(&context).await?;
    context.restart().await?;
    let storm = Storm::gather(&context).await?;
    let Some(pid) = context.pid().await? else { return Ok(Report::skipped("the process is gone")) };

    let storm = tokio::spawn(storm.rage(context.options().window()));
    let mut sampled = 0;
    while !storm.is_finished() {
        sampled = sampled.max(Memory::of(pid)?.resident_kib);
        sleep(SAMPLE_EVERY).await;
    }
    let logins = storm.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
    Ok(Report::new()
        .with("login_rss_mib", "resident under 256 concurrent logins, peak sampled", mib(sampled), "MiB")
        .with("peak_rss_mib", "peak by the kernel's count", mib(Memory::of(pid)?.peak_kib), "MiB")
        .with("login_per_s", "logins done meanwhile", logins.per_second(), "/s")
        .counting(&logins))
}
