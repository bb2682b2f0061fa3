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
const CHAINS: usize = 64;

/// Refreshes one session, over and over, each time with the token that came last.
struct Chain {
    account: Arc<Account>,
    connection: Connection,
}

impl Chain {
    fn new(account: Arc<Account>, address: SocketAddr) -> Self {
        Self { account, connection: Connection::new(address) }
    }
}

impl Worker for Chain {
    async fn step(&mut self) -> Outcome<()> {
        let presented = self.account.tokens().refresh_token;
        api::refresh(&mut self.connection, &presented).await.and_then(|fresh| {
            if fresh.refresh_token == presented {
                return Outcome::Unexpected { status: 200, excerpt: "the refresh token was not rotated".to_owned() };
            }
            self.account.keep(fresh);
            Outcome::Done(())
        })
    }
}

pub(super) async fn run(context: Arc<Context>) -> Result<Report, ScenarioError> {
    let accounts = context.accounts(CHAINS).await?;
    let address = context.address().await?;
    let workers = accounts.into_iter().map(|account| Chain::new(account, address)).collect();
    let mut measured = closed_loop(Plan::new(context.options().window()), workers).await;
    Ok(Report::new()
        .with("refresh_per_s", "refreshes by 64 chains", measured.per_second(), "/s")
        .with_percentile("p50_us", "p50, every chain busy", &mut measured.latencies, 50.0)
        .with_percentile("p99_us", "p99, every chain busy", &mut measured.latencies, 99.0)
        .counting(&measured))
}
