//! How near a refresh comes to what PostgreSQL gives: the server with 64 chains, the store alone with 64 tasks, and `pgbench`
//! with 64 clients, all with the same statement, in the same database, in turn, on sessions that were begun alike; and whose
//! processor time it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use authkit_core::model::{Rotation, RotationOutcome, Session};
use authkit_core::ports::{SessionReads as _, Store as _};
use authkit_core::{Clock as _, Digest, PageLimit, PageRequest, SystemClock};
use authkit_sqlx::PgStore;
use sqlx::{Executor as _, Row as _};

use super::paired::{Paired, median};
use crate::api::Outcome;
use crate::closed_loop::{Measured, OnShed, Plan, Worker, run as closed_loop};
use crate::context::blocking;
use crate::report::Report;
use crate::scale::fill::connect;
use crate::scale::site::{Site, log_in};
use crate::scale::{Reports, Scale, ScaleError, cpu, pgbench};
use crate::scenario::refresh::{CHAINS, Chain};
use crate::stopwatch::now;

/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_hours(7 * 24);
/// As many clients as there are chains.
const CLIENTS: u64 = CHAINS as u64;

pub(super) async fn run(scale: Arc<Scale>) -> Result<Reports, ScaleError> {
    let (site, options) = (scale.large(), scale.options());
    let serving = site.serve(options.spawn.clone().ok_or(ScaleError::NoServer)?, options).await?;
    let stride = site.people().users / CLIENTS;
    // The sessions of the one and of the other were begun alike and a moment ago, so that their rows lie alike.
    let chains = log_in(serving.address(), (0..CLIENTS).map(|client| client * stride + 1).collect()).await?;
    log_in(serving.address(), (0..CLIENTS).map(|client| client * stride).collect()).await?;
    let bare = (0..CLIENTS).map(|client| client * stride + 2);
    log_in(serving.address(), bare.clone().collect()).await?;
    let store = StoreChain::begin(site, bare).await?;

    let postgres = postmaster(site).await?;
    let (us, window) = (std::process::id(), Duration::from_secs(options.seconds));
    let plan = Plan { warm_up: WARM_UP, window, on_shed: OnShed::Obey };
    let (mut over_http, mut over_store) = (Paired::default(), Paired::default());
    let (mut by_server, mut by_store, mut by_pgbench) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = Measured::default();
    for _ in 0..options.rounds {
        let clocks = Clocks::read(us, Some(serving.pid()), postgres)?;
        let workers = chains.iter().map(|account| Chain::new(vec![Arc::clone(account)], serving.address())).collect();
        let measured = closed_loop(plan, workers).await;
        by_server.push(Clocks::read(us, Some(serving.pid()), postgres)?.since(&clocks, measured.per_second()));
        all.tally.merge(&measured.tally);

        let clocks = Clocks::read(us, None, postgres)?;
        let bare = closed_loop(plan, store.iter().map(StoreChain::again).collect()).await;
        by_store.push(Clocks::read(us, None, postgres)?.since(&clocks, bare.per_second()));
        all.tally.merge(&bare.tally);

        let clocks = Clocks::read(us, None, postgres)?;
        let (url, seconds) = (site.url().to_owned(), options.seconds);
        let tps = blocking(move || pgbench::refreshes_per_second(&url, CLIENTS, stride, seconds)).await?;
        by_pgbench.push(Clocks::read(us, None, postgres)?.since(&clocks, tps));

        over_http.record(tps, measured.per_second());
        over_store.record(tps, bare.per_second());
    }
    let of = |spent: &[Spent], part: fn(&Spent) -> f64| median(&spent.iter().map(part).collect::<Vec<_>>());
    let report = Report::new()
        .with("refresh_per_s", "refreshes over HTTP, 64 chains", over_http.large(), "/s")
        .with("store_rotate_per_s", "rotations by the store alone, 64 tasks", over_store.large(), "/s")
        .with("pgbench_per_s", "the same statement by pgbench, 64 clients", over_http.small(), "/s")
        .with("refresh_over_pgbench", "refreshes / pgbench", over_http.ratio(), "")
        .with("store_over_pgbench", "rotations by the store / pgbench", over_store.ratio(), "")
        .with("http_postgres_us", "processor time of a refresh: PostgreSQL", of(&by_server, |spent| spent.postgres), "µs")
        .with("http_server_us", "processor time of a refresh: the server", of(&by_server, |spent| spent.server), "µs")
        .with("http_driver_us", "processor time of a refresh: the load driver", of(&by_server, |spent| spent.driver), "µs")
        .with(
            "store_postgres_us",
            "processor time of a rotation by the store: PostgreSQL",
            of(&by_store, |spent| spent.postgres),
            "µs",
        )
        .with(
            "store_driver_us",
            "processor time of a rotation by the store: the store",
            of(&by_store, |spent| spent.driver),
            "µs",
        )
        .with(
            "pgbench_postgres_us",
            "processor time of a turn of pgbench: PostgreSQL",
            of(&by_pgbench, |spent| spent.postgres),
            "µs",
        )
        .with("pgbench_client_us", "processor time of a turn of pgbench: pgbench", of(&by_pgbench, |spent| spent.children), "µs")
        .with("busy_cores", "cores kept busy over HTTP", of(&by_server, |spent| spent.cores), "")
        .counting(&all);
    Ok(vec![("limit", report)])
}

/// The process that all of PostgreSQL's are children of.
async fn postmaster(site: &Site) -> Result<u32, ScaleError> {
    let mut connection = connect(site.url()).await?;
    let backend: i32 = connection.fetch_one("SELECT pg_backend_pid()").await?.try_get(0)?;
    Ok(cpu::parent_of(backend.unsigned_abs())?)
}

/// What everybody has used so far.
struct Clocks {
    at: Instant,
    driver: Duration,
    children: Duration,
    server: Duration,
    postgres: Duration,
}

/// Processor time for one refresh, in µs.
struct Spent {
    driver: f64,
    children: f64,
    server: f64,
    postgres: f64,
    /// How many cores all of them kept busy.
    cores: f64,
}

impl Clocks {
    fn read(driver: u32, server: Option<u32>, postgres: u32) -> Result<Self, ScaleError> {
        Ok(Self {
            at: now(),
            driver: cpu::of_process(driver)?,
            children: cpu::of_ended_children(driver)?,
            server: server.map(cpu::of_process).transpose()?.unwrap_or_default(),
            postgres: cpu::of_family(postgres)?,
        })
    }

    /// What was used since `before`, at so many refreshes per second.
    fn since(&self, before: &Self, per_second: f64) -> Spent {
        let elapsed = (self.at - before.at).as_secs_f64();
        let cores = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / elapsed;
        let each = |now, before| cores(now, before) / per_second * 1e6;
        Spent {
            driver: each(self.driver, before.driver),
            children: each(self.children, before.children),
            server: each(self.server, before.server),
            postgres: each(self.postgres, before.postgres),
            cores: cores(self.driver, before.driver)
                + cores(self.children, before.children)
                + cores(self.server, before.server)
                + cores(self.postgres, before.postgres),
        }
    }
}

/// Rotates one session, over and over, without a server between.
struct StoreChain {
    store: PgStore,
    /// As the last rotation left it.
    session: Arc<Mutex<Session>>,
}

impl StoreChain {
    /// A chain for each account, of its newest session.
    async fn begin(site: &Site, numbers: impl Iterator<Item = u64>) -> Result<Vec<Self>, ScaleError> {
        let (store, people) = (site.store().await?, site.people());
        let newest = PageRequest { limit: PageLimit::new(1).unwrap_or_default(), ..PageRequest::default() };
        let mut chains = Vec::new();
        for number in numbers {
            let live = store.live_sessions(people.user(number).id, SystemClock.now(), newest).await?.items;
            let session = live.into_iter().next();
            let session = session.ok_or_else(|| ScaleError::Preparation(format!("account {number} has no session")))?;
            chains.push(Self { store: store.clone(), session: Arc::new(Mutex::new(session)) });
        }
        Ok(chains)
    }

    /// Another worker on the same session.
    fn again(&self) -> Self {
        Self { store: self.store.clone(), session: Arc::clone(&self.session) }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        // It is replaced whole.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker for StoreChain {
    async fn step(&mut self) -> Outcome<()> {
        let at = SystemClock.now();
        let session = self.session().clone();
        let rotation = Rotation {
            session_id: session.id,
            generation: session.generation,
            presented: session.secret,
            successor: Digest::of(session.secret.as_bytes()),
            at,
            idle_expires_at: at + IDLE,
            client: session.last_used_by,
        };
        match self.store.rotate(&rotation).await {
            Ok(RotationOutcome::Rotated(rotated)) => {
                *self.session() = rotated.session;
                Outcome::Done(())
            }
            Ok(refused) => Outcome::Unexpected { status: 0, excerpt: format!("not rotated: {refused:?}") },
            Err(error) => Outcome::Unexpected { status: 0, excerpt: error.to_string() },
        }
    }
}
