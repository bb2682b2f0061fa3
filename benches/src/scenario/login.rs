//! How many logins are done in a second, and how near that comes to what the hash alone gives.

use std::net::SocketAddr;
use std::sync::Arc;

use super::hash::baseline;
use crate::account::{Account, PASSWORD};
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::closed_loop::{Plan, Worker, run as closed_loop};
use crate::context::{Context, ScenarioError};
use crate::hash_baseline::cores;
use crate::report::Report;

/// Logs one account in, over and over.
pub(super) struct Login {
    account: Arc<Account>,
    connection: Connection,
}

impl Login {
    pub(super) fn new(account: Arc<Account>, address: SocketAddr) -> Self {
        Self { account, connection: Connection::new(address) }
    }
}

impl Worker for Login {
    async fn step(&mut self) -> Outcome<()> {
        api::login(&mut self.connection, self.account.email(), PASSWORD).await.map(|_| ())
    }
}

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    // Eight in flight for each core keep the hashing threads busy while others wait for the disk, and none is shed; each is an
    // account of its own.
    let accounts = context.accounts(cores() * 8).await?;
    let address = context.address().await?;
    let window = context.options().window();
    // The baseline is measured before and after: on a machine that others use too, its pace drifts.
    let before = baseline(&context, window / 2).await?;
    let workers = accounts.into_iter().map(|account| Login::new(account, address)).collect();
    let mut measured = closed_loop(Plan::new(window), workers).await;
    let after = baseline(&context, window / 2).await?;
    let hash = f64::midpoint(before, after);
    Ok(Report::new()
        .with("login_per_s", "logins", measured.per_second(), "/s")
        .with("hash_per_s", "argon2id on all cores, same run", hash, "/s")
        .with("login_per_hash", "logins / hashes", measured.per_second() / hash, "")
        .with_percentile("p50_us", "p50", &mut measured.latencies, 50.0)
        .with_percentile("p99_us", "p99", &mut measured.latencies, 99.0)
        .counting(&measured))
}
