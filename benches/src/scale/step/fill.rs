//! How fast the databases were filled.

use std::sync::Arc;

use sqlx::{Executor as _, Row as _};

use crate::closed_loop::rate;
use crate::report::Report;
use crate::scale::fill::connect;
use crate::scale::site::Site;
use crate::scale::{Reports, Scale, ScaleError};

pub(super) async fn run(scale: Arc<Scale>) -> Result<Reports, ScaleError> {
    Ok(vec![("fill_small", report(scale.small()).await?), ("fill_large", report(scale.large()).await?)])
}

#[expect(clippy::cast_precision_loss, reason = "no run counts 2^52 rows")]
async fn report(site: &Site) -> Result<Report, ScaleError> {
    let Some(filled) = site.filled() else { return Ok(Report::skipped("an earlier run filled it")) };
    let measure = "SELECT pg_database_size(current_database())::float8 / 1048576";
    let mebibytes: f64 = connect(site.url()).await?.fetch_one(measure).await?.try_get(0)?;
    Ok(Report::new()
        .with("users", "accounts", site.people().users as f64, "")
        .with("sessions", "sessions", site.people().sessions as f64, "")
        .with("rows", "rows of all tables", filled.rows as f64, "")
        .with("copy_rows_per_s", "rows by COPY", rate(filled.rows, filled.copying), "/s")
        .with("rows_per_s", "rows, indexes and statistics included", rate(filled.rows, filled.copying + filled.indexing), "/s")
        .with("seconds", "in all", (filled.copying + filled.indexing).as_secs_f64(), "s")
        .with("database_mib", "size", mebibytes, "MiB"))
}
