//! How many accounts are made in a second.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::account::PASSWORD;
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::closed_loop::{Plan, Worker, run as closed_loop};
use crate::context::{Context, ScenarioError};
use crate::hash_baseline::cores;
use crate::report::Report;

struct Registrar {
    context: Arc<Context>,
    connection: Connection,
}

impl Registrar {
    fn new(context: &Arc<Context>, address: SocketAddr) -> Self {
        Self { context: Arc::clone(context), connection: Connection::new(address) }
    }
}

impl Worker for Registrar {
    async fn step(&mut self) -> Outcome<()> {
        api::register(&mut self.connection, &self.context.fresh_email(), PASSWORD).await.map(|_| ())
    }
}

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let address = context.address().await?;
    // Two in flight for each core keep the hashing threads busy without being shed.
    let workers = (0..cores() * 2).map(|_| Registrar::new(&context, address)).collect();
    let mut measured = closed_loop(Plan::new(context.options().window()), workers).await;
    Ok(Report::new()
        .with("register_per_s", "registrations", measured.per_second(), "/s")
        .with_percentile("p50_us", "p50", &mut measured.latencies, 50.0)
        .with_percentile("p99_us", "p99", &mut measured.latencies, 99.0)
        .counting(&measured))
}
