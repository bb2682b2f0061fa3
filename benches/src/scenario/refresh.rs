//! How many refresh tokens are rotated in a second.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::account::Account;
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::closed_loop::{Plan, Worker, run as closed_loop};
use crate::context::{Context, ScenarioError};
use crate::report::Report;

/// How many sessions refresh at once.
pub(crate) const CHAINS: usize = 64;

/// Refreshes one session after the other, over and over, each time with the token that came last.
pub(crate) struct Chain {
    accounts: Vec<Arc<Account>>,
    turn: usize,
    connection: Connection,
}

impl Chain {
    /// A chain over the sessions of these accounts, of which there is one at least.
    pub(crate) fn new(accounts: Vec<Arc<Account>>, address: SocketAddr) -> Self {
        Self { accounts, turn: 0, connection: Connection::new(address) }
    }
}

impl Worker for Chain {
    async fn step(&mut self) -> Outcome<()> {
        self.turn = (self.turn + 1) % self.accounts.len();
        let account = &self.accounts[self.turn];
        let presented = account.tokens().refresh_token;
        api::refresh(&mut self.connection, &presented).await.and_then(|fresh| {
            if fresh.refresh_token == presented {
                return Outcome::Unexpected { status: 200, excerpt: "the refresh token was not rotated".to_owned() };
            }
            account.keep(fresh);
            Outcome::Done(())
        })
    }
}

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let accounts = context.accounts(CHAINS).await?;
    let address = context.address().await?;
    let workers = accounts.into_iter().map(|account| Chain::new(vec![account], address)).collect();
    let mut measured = closed_loop(Plan::new(context.options().window()), workers).await;
    Ok(Report::new()
        .with("refresh_per_s", "refreshes by 64 chains", measured.per_second(), "/s")
        .with_percentile("p50_us", "p50, every chain busy", &mut measured.latencies, 50.0)
        .with_percentile("p99_us", "p99, every chain busy", &mut measured.latencies, 99.0)
        .counting(&measured))
}
