//! A PostgreSQL server that belongs to one test, which can stop, freeze and restart it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::testkit::installation::Installation;

const POLL: Duration = Duration::from_millis(10);
/// How many polls a start may take on a machine that runs every other test as well: 60 s.
const START_POLLS: u32 = 6_000;
/// How often a port may be snatched away between finding and binding it.
const ATTEMPTS: u32 = 5;

/// A PostgreSQL server on a port of 127.0.0.1, with an empty cluster. Dropping it kills it and removes its files.
///
/// It syncs nothing to disk: it survives any death of its processes, and no power cut.
#[derive(Debug)]
pub struct PgServer {
    installation: Installation,
    home: TempDir,
    settings: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl PgServer {
    /// Makes a cluster, starts its server, and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be started. A test that needs PostgreSQL is never skipped.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with settings (`shared_buffers=1GB`) that go before those of a test.
    ///
    /// # Panics
    /// As [`start`](Self::start), and when it does not take a setting.
    pub async fn start_with(settings: &[String]) -> Self {
        let installation = Installation::find();
        let home = tempfile::Builder::new().prefix("authkit-postgres-").tempdir().expect("a temporary directory");
        installation.initialise(home.path());
        let mut server = Self { installation, home, settings: settings.to_vec(), port: 0, child: None };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            if server.launch().await {
                return server;
            }
        }
        panic!("PostgreSQL did not start; its log:\n{}", server.log());
    }

    /// The URL of its database, as the superuser, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await.expect("a private server takes connections")
    }

    /// Stops it at once, as a crash would: nobody is waited for, and the next start recovers from the log
    /// (SIGQUIT, `pg_ctl stop -m immediate`). Returns when it is gone.
    pub fn crash(&mut self) {
        self.end(Signal::QUIT);
    }

    /// Stops it in order: transactions under way are undone, clients are told, everything is written (SIGINT). Returns when
    /// it is gone.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Starts it again on the same port and the same data, and waits until it answers.
    ///
    /// # Panics
    /// When it runs, or cannot be started.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        assert!(self.launch().await, "PostgreSQL did not start; its log:\n{}", self.log());
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already; then there is nothing to stop.
            let _ = kill_process(Pid::from_child(&child), signal);
            drop(child.wait());
        }
    }

    /// Whether it answered; `false` when it ended before.
    async fn launch(&mut self) -> bool {
        let url = self.url();
        let mut command = self.installation.serve(self.home.path(), self.port);
        // Of two values of one setting the last one holds.
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        let child = self.child.insert(command.spawn().expect("postgres runs"));
        for _ in 0..START_POLLS {
            if child.try_wait().expect("our own child").is_some() {
                self.child = None;
                return false;
            }
            if connect(&url).await.is_ok() {
                return true;
            }
            sleep(POLL).await;
        }
        self.end(Signal::KILL);
        false
    }

    fn log(&self) -> String {
        log(self.home.path())
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

pub(super) fn log(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}

pub(super) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.disable_statement_logging().connect().await
}

/// A port below 32,768, where no connection of our own can take it.
pub(super) fn free_port() -> u16 {
    const FIRST: u16 = 10_240;
    const SPAN: u16 = 32_768 - FIRST;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests run in many processes at once: each begins to look elsewhere.
    let start = u16::try_from(std::process::id().wrapping_mul(4_517) % u32::from(SPAN)).expect("less than the span");
    (0..SPAN)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % SPAN) % SPAN)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port below 32768")
}
