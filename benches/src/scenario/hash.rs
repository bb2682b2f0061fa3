//! How many passwords the machine hashes, without a server.

use std::sync::Arc;
use std::time::Duration;

use crate::context::{Context, ScenarioError, blocking};
use crate::hash_baseline::{BareArgon2, cores, per_second};
use crate::report::Report;

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let rate = baseline(&context, context.options().window()).await?;
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 cores")]
    let cores = cores() as f64;
    Ok(Report::new().with("hash_per_s", "argon2id on all cores", rate, "/s").with("cores", "cores", cores, ""))
}

/// Hashes per second, one thread a core, at the server's cost.
pub(super) async fn baseline(context: &Context, window: Duration) -> Result<f64, ScenarioError> {
    let params = context.options().hash_params();
    let hashers = (0..cores()).map(|_| BareArgon2::new(params)).collect::<Result<Vec<_>, _>>()?;
    Ok(blocking(move || per_second(hashers, window)).await)
}
