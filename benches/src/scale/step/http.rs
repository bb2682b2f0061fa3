//! What an operation costs over HTTP, small against large: one connection for the latency, many for the throughput.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::paired::Paired;
use crate::account::{Account, PASSWORD};
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::closed_loop::{Measured, OnShed, Plan, Worker, run as closed_loop};
use crate::hash_baseline::cores;
use crate::report::Report;
use crate::scale::population::{Population, scattered};
use crate::scale::site::{Serving, Site, log_in};
use crate::scale::{Reports, Scale, ScaleError};
use crate::scenario::refresh::{CHAINS, Chain};
use crate::stopwatch::now;

/// How many sessions are refreshed and how many profiles are read, evenly spread over the accounts.
const SESSIONS: u64 = 256;
/// How many connections read profiles at once.
const READERS: usize = 32;
/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Login,
    Refresh,
    Profile,
}

impl Operation {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Login, "http_login"), (Self::Refresh, "http_refresh"), (Self::Profile, "http_me")];

    /// How many at once keep the server busy.
    fn busy(self) -> usize {
        match self {
            Self::Login => cores() * 8,
            Self::Refresh => CHAINS,
            Self::Profile => READERS,
        }
    }
}

/// What was measured of one operation.
#[derive(Default)]
struct Figures {
    latency: Paired,
    throughput: Paired,
    all: Measured,
}

pub(super) async fn run(scale: Arc<Scale>) -> Result<Reports, ScaleError> {
    let mut small = Subject::prepare(&scale, scale.small()).await?;
    let mut large = Subject::prepare(&scale, scale.large()).await?;
    let window = Duration::from_secs(scale.options().seconds);
    let plan = Plan { warm_up: WARM_UP, window, on_shed: OnShed::Obey };
    let mut figures = [(); 3].map(|()| Figures::default());
    for round in 0..scale.options().rounds {
        for ((operation, _), figures) in Operation::ALL.into_iter().zip(&mut figures) {
            for connections in [1, operation.busy()] {
                let (ours, theirs) = if connections == 1 {
                    let (mut ours, mut theirs) = in_turn(operation, &mut small, &mut large, window).await;
                    let median = |measured: &mut Measured| measured.latencies.percentile(50.0).map_or(f64::NAN, f64::from);
                    figures.latency.record(median(&mut ours), median(&mut theirs));
                    (ours, theirs)
                } else {
                    let (ours, theirs) = if round % 2 == 0 {
                        let first = small.measure(plan, operation, connections).await;
                        (first, large.measure(plan, operation, connections).await)
                    } else {
                        let first = large.measure(plan, operation, connections).await;
                        (small.measure(plan, operation, connections).await, first)
                    };
                    figures.throughput.record(ours.per_second(), theirs.per_second());
                    (ours, theirs)
                };
                figures.all.tally.merge(&ours.tally);
                figures.all.tally.merge(&theirs.tally);
            }
        }
    }
    let bound = scale.options().bound;
    Ok(Operation::ALL.into_iter().zip(&figures).map(|((_, name), figures)| (name, report(figures, bound))).collect())
}

/// One request to the small database, one to the large, and so on: whatever slows the machine down meets both.
async fn in_turn(operation: Operation, small: &mut Subject, large: &mut Subject, window: Duration) -> (Measured, Measured) {
    let (mut ours, mut theirs) = (Measured::default(), Measured::default());
    let mut workers = [(small.alone(operation), &mut ours), (large.alone(operation), &mut theirs)];
    let start = now();
    while start.elapsed() < window * 2 + WARM_UP {
        let counts = start.elapsed() >= WARM_UP;
        for (worker, measured) in &mut workers {
            let sent = now();
            let outcome = worker.step().await;
            if counts && matches!(outcome, Outcome::Done(())) {
                measured.latencies.record(sent.elapsed());
            }
            measured.tally.record(&outcome);
        }
    }
    drop(workers);
    (ours, theirs)
}

fn report(figures: &Figures, bound: f64) -> Report {
    let Figures { latency, throughput, all } = figures;
    let mut report = Report::new()
        .with("small_p50_us", "p50, one connection, small", latency.small(), "µs")
        .with("large_p50_us", "p50, one connection, large", latency.large(), "µs")
        .with("p50_ratio", "p50, one connection, large / small", latency.ratio(), "×")
        .with("small_per_s", "throughput, small", throughput.small(), "/s")
        .with("large_per_s", "throughput, large", throughput.large(), "/s")
        .with("cost_ratio", "cost at full throughput, large / small", throughput.cost_ratio(), "×")
        .counting(all);
    for (what, ratio) in [("p50", latency.ratio()), ("cost", throughput.cost_ratio())] {
        // Not a number is beyond every bound.
        if ratio.is_nan() || ratio > bound {
            report = report.with_fault(format!("{what}: {ratio:.2} times that of the small database; the bound is {bound}"));
        }
    }
    report
}

/// A server on one of the databases, and sessions there.
struct Subject {
    serving: Serving,
    people: Population,
    accounts: Vec<Arc<Account>>,
    /// Tells the logins of one measurement from those before.
    measurements: u64,
}

impl Subject {
    async fn prepare(scale: &Scale, site: &Site) -> Result<Self, ScaleError> {
        let binary = scale.options().spawn.clone().ok_or(ScaleError::NoServer)?;
        let serving = site.serve(binary, scale.options()).await?;
        let people = *site.people();
        let numbers = (0..SESSIONS).map(|place| place * people.users / SESSIONS).collect();
        let accounts = log_in(serving.address(), numbers).await?;
        Ok(Self { serving, people, accounts, measurements: 0 })
    }

    /// A worker that has all accounts to itself.
    fn alone(&mut self, operation: Operation) -> Alone {
        self.measurements += 1;
        let address = self.serving.address();
        match operation {
            Operation::Login => Alone::Login(Login::new(self.people, self.measurements << 16, address)),
            Operation::Refresh => Alone::Refresh(Chain::new(self.accounts.clone(), address)),
            Operation::Profile => Alone::Profile(Reader::new(&self.accounts, address)),
        }
    }

    async fn measure(&mut self, plan: Plan, operation: Operation, connections: usize) -> Measured {
        self.measurements += 1;
        let address = self.serving.address();
        // Each connection has accounts of its own.
        let share = |worker: usize| self.accounts.iter().skip(worker).step_by(connections).cloned().collect::<Vec<_>>();
        match operation {
            Operation::Login => {
                let seed = |worker: usize| self.measurements << 16 | worker as u64;
                closed_loop(plan, (0..connections).map(|worker| Login::new(self.people, seed(worker), address)).collect()).await
            }
            Operation::Refresh => {
                closed_loop(plan, (0..connections).map(|worker| Chain::new(share(worker), address)).collect()).await
            }
            Operation::Profile => {
                closed_loop(plan, (0..connections).map(|worker| Reader::new(&share(worker), address)).collect()).await
            }
        }
    }
}

/// The worker of any operation.
enum Alone {
    Login(Login),
    Refresh(Chain),
    Profile(Reader),
}

impl Alone {
    async fn step(&mut self) -> Outcome<()> {
        match self {
            Self::Login(worker) => worker.step().await,
            Self::Refresh(worker) => worker.step().await,
            Self::Profile(worker) => worker.step().await,
        }
    }
}

/// Logs in, each time into another account of them all.
struct Login {
    people: Population,
    seed: u64,
    done: u64,
    connection: Connection,
}

impl Login {
    fn new(people: Population, seed: u64, address: SocketAddr) -> Self {
        Self { people, seed, done: 0, connection: Connection::new(address) }
    }
}

impl Worker for Login {
    async fn step(&mut self) -> Outcome<()> {
        self.done += 1;
        let email = Population::email(scattered(self.seed, self.done, self.people.users));
        api::login(&mut self.connection, &email, PASSWORD).await.map(|_| ())
    }
}

/// Reads one profile after the other.
struct Reader {
    access_tokens: Vec<String>,
    turn: usize,
    connection: Connection,
}

impl Reader {
    fn new(accounts: &[Arc<Account>], address: SocketAddr) -> Self {
        let access_tokens = accounts.iter().map(|account| account.tokens().access_token).collect();
        Self { access_tokens, turn: 0, connection: Connection::new(address) }
    }
}

impl Worker for Reader {
    async fn step(&mut self) -> Outcome<()> {
        self.turn = (self.turn + 1) % self.access_tokens.len();
        api::me(&mut self.connection, &self.access_tokens[self.turn]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(latency: f64, cost: f64) -> String {
        let mut figures = Figures::default();
        figures.latency.record(100.0, 100.0 * latency);
        figures.throughput.record(500.0 * cost, 500.0);
        let report = report(&figures, 1.2);
        assert_eq!(report.is_clean(), latency <= 1.2 && cost <= 1.2, "{latency} {cost}");
        report.to_rows("http")
    }

    #[test]
    fn what_costs_more_than_the_bound_fails() {
        assert!(!verdict(1.1, 1.15).contains("bound"));
        assert!(verdict(1.3, 1.0).contains("p50: 1.30 times"));
        assert!(verdict(1.0, 1.25).contains("cost: 1.25 times"));
        assert!(report(&Figures::default(), 1.2).to_rows("http").contains("p50: NaN"), "nothing was measured");
    }
}
