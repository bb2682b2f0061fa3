//! Whether every statement is an index lookup in the large database.

use std::sync::Arc;

use crate::report::Report;
use crate::scale::fill::connect;
use crate::scale::{Reports, Scale, ScaleError, plans};

pub(super) async fn run(scale: Arc<Scale>) -> Result<Reports, ScaleError> {
    let plans = plans::of_every_statement(&mut connect(scale.large().url()).await?).await?;
    let greatest = plans.iter().map(|plan| plan.cost).fold(0.0, f64::max);
    let count = u32::try_from(plans.len()).unwrap_or(u32::MAX);
    let mut report = Report::new().with("plans", "plans, custom and generic, of every statement", f64::from(count), "").with(
        "greatest_cost",
        "what the dearest is expected to cost; reading a page in order is 1",
        greatest,
        "",
    );
    for plan in &plans {
        for fault in &plan.faults {
            report = report.with_fault(format!("{fault} ({}): {}", plan.mode, plan.statement));
        }
    }
    Ok(vec![("plans", report)])
}
