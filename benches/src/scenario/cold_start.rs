//! How long from exec to the first answer, on a database that exists.

use std::sync::Arc;
use std::time::Duration;

use crate::context::{Context, ScenarioError};
use crate::report::Report;

/// An odd number, so that the median is one of them.
const STARTS: usize = 9;

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    // Something to open: an account, its session, the keys.
    context.accounts(1).await?;
    let (mut live, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let Some((live_after, ready_after)) = context.restart().await? else {
            return Ok(Report::skipped("needs --spawn"));
        };
        live.push(live_after);
        ready.push(ready_after);
    }
    live.sort_unstable();
    ready.sort_unstable();
    let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    Ok(Report::new()
        .with("first_200_median_ms", "exec to first 200, median", millis(live[STARTS / 2]), "ms")
        .with("first_200_min_ms", "exec to first 200, best", millis(live[0]), "ms")
        .with("first_200_max_ms", "exec to first 200, worst", millis(live[STARTS - 1]), "ms")
        .with("ready_median_ms", "exec to ready, median", millis(ready[STARTS / 2]), "ms"))
}
