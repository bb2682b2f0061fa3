//! How many profiles are read in a second.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::closed_loop::{Plan, Worker, run as closed_loop};
use crate::context::{Context, ScenarioError};
use crate::report::Report;

/// Reads one profile, over and over.
pub(super) struct ProfileReader {
    access_token: String,
    connection: Connection,
}

impl ProfileReader {
    pub(super) fn new(address: SocketAddr, access_token: String) -> Self {
        Self { access_token, connection: Connection::new(address) }
    }
}

impl Worker for ProfileReader {
    async fn step(&mut self) -> Outcome<()> {
        api::me(&mut self.connection, &self.access_token).await
    }
}

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let tokens = context.access_tokens(usize::from(context.options().connections)).await?;
    let address = context.address().await?;
    let workers = tokens.into_iter().map(|token| ProfileReader::new(address, token)).collect();
    let mut measured = closed_loop(Plan::new(context.options().window()), workers).await;
    Ok(Report::new()
        .with("me_per_s", "profiles", measured.per_second(), "/s")
        .with_percentile("p50_us", "p50, every connection busy", &mut measured.latencies, 50.0)
        .with_percentile("p99_us", "p99, every connection busy", &mut measured.latencies, 99.0)
        .counting(&measured))
}
