//! Whether somebody who is logged in notices that others log in.
//!
//! The same profiles are read at the same constant rate, idle before, under the storm, and idle after; latency counts from the
//! instant at which a request was due.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::sleep;

use super::storm::Storm;
use crate::closed_loop::Plan;
use crate::context::{Context, ScenarioError, blocking};
use crate::open_loop::{Offer, Paced, read_profiles};
use crate::report::Report;

/// How many connections take turns. At the default rate each is asked every 16 ms: none waits for the answer before.
const READERS: usize = 8;

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let storm = Storm::gather(&context).await?;
    let tokens: Arc<[String]> = context.access_tokens(READERS).await?.into();
    let address = context.address().await?;
    let window = context.options().window();
    let offer = Offer { per_second: context.options().rate, window };

    // The idle half before and the idle half after together are as long as the storm.
    let half = Offer { window: window / 2, ..offer };
    let mut idle = paced(address, half, &tokens).await?;
    let logins = tokio::spawn(storm.rage(window));
    sleep(Plan::new(window).warm_up).await;
    let mut stormy = paced(address, offer, &tokens).await?;
    let logins = logins.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
    idle.merge(&paced(address, half, &tokens).await?);

    let mut report = Report::new()
        .with("offered_per_s", "profiles offered, constant rate", f64::from(offer.per_second), "/s")
        .with_percentile("idle_p50_us", "p50, idle", &mut idle.measured.latencies, 50.0)
        .with_percentile("idle_p99_us", "p99, idle", &mut idle.measured.latencies, 99.0)
        .with_percentile("storm_p50_us", "p50, under the storm", &mut stormy.measured.latencies, 50.0)
        .with_percentile("storm_p99_us", "p99, under the storm", &mut stormy.measured.latencies, 99.0);
    if let (Some(idle), Some(stormy)) = (idle.measured.latencies.percentile(99.0), stormy.measured.latencies.percentile(99.0)) {
        report = report.with("p99_ratio", "p99 under the storm / idle", f64::from(stormy) / f64::from(idle.max(1)), "×");
    }
    Ok(report
        .with_percentile("idle_lag_p99_us", "sent late by, p99, idle", &mut idle.lag, 99.0)
        .with_percentile("storm_lag_p99_us", "sent late by, p99, under the storm", &mut stormy.lag, 99.0)
        .with("storm_login_per_s", "logins done in the storm", logins.per_second(), "/s")
        .with("storm_shed_per_s", "logins shed in the storm", crate::closed_loop::rate(logins.tally.shed, logins.window), "/s")
        .counting(&idle.measured)
        .counting(&stormy.measured)
        .counting(&logins))
}

async fn paced(address: SocketAddr, offer: Offer, tokens: &Arc<[String]>) -> Result<Paced, ScenarioError> {
    let tokens = Arc::clone(tokens);
    Ok(blocking(move || read_profiles(address, offer, &tokens)).await?)
}
