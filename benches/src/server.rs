//! A server process of our own, on a free port, with a data directory that goes away with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::port;
use crate::stopwatch::now;

/// How long a server may take to answer for the first time, its migrations included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to finish what is in flight.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Between two attempts to reach a starting server: fine enough to time a start of some milliseconds, and it leaves the cores
/// to the server.
const POLL: Duration = Duration::from_micros(250);
/// How often a port may be snatched away between finding and binding it.
const PORT_ATTEMPTS: usize = 5;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Its files could not be made, or the system refused the process.
    #[error("cannot run the server: {0}")]
    Io(#[from] io::Error),
    /// Every port below the ephemeral range is taken.
    #[error("no free port below 32768")]
    NoPort,
    /// It ended before it answered.
    #[error("the server ended before it answered; its log says:\n{log}")]
    Ended {
        /// What it wrote.
        log: String,
    },
    /// It did not answer in time.
    #[error("the server did not answer within {START_LIMIT:?}; its log says:\n{log}")]
    Silent {
        /// What it wrote.
        log: String,
    },
}

/// How to start a server; every start uses the same data.
#[derive(Debug)]
pub struct ServerSpec {
    binary: PathBuf,
    settings: Vec<(String, OsString)>,
    home: TempDir,
}

impl ServerSpec {
    /// A server from `binary` with `settings` beside those that this program needs.
    pub fn new(binary: PathBuf, settings: Vec<(String, OsString)>) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("authkit-load-").tempdir()?;
        fs::create_dir(home.path().join("data"))?;
        // The process starts in a directory of its own, so a relative path would mean another file.
        Ok(Self { binary: fs::canonicalize(binary)?, settings, home })
    }

    /// Starts the server and waits for its first answer. Blocks.
    pub fn start(&self) -> Result<Server, ServerError> {
        let mut attempt = 1;
        loop {
            match self.start_on(port::free().ok_or(ServerError::NoPort)?) {
                Err(ServerError::Ended { log }) if attempt < PORT_ATTEMPTS && log.to_lowercase().contains("in use") => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn start_on(&self, address: SocketAddr) -> Result<Server, ServerError> {
        let log_path = self.home.path().join("server.log");
        let log = File::create(&log_path)?;
        let mut command = Command::new(&self.binary);
        // Nothing is inherited: a DATABASE_URL of the caller's must not be filled with made-up accounts.
        command
            .env_clear()
            // The same accounts log in again and again, from one address, and the sessions of earlier scenarios must not make
            // room for them.
            .env("AUTHKIT_RATE_LIMITING", "off")
            .env("AUTHKIT_SESSION_MAX_PER_USER", "1000")
            .env("AUTHKIT_LOG", "warn")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("AUTHKIT_LISTEN", address.to_string())
            .env("AUTHKIT_DATA_DIR", self.home.path().join("data"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let exec = now();
        let mut server = Server { child: command.spawn()?, address, live_after: Duration::ZERO, ready_after: Duration::ZERO };
        let read_log = || fs::read_to_string(&log_path).unwrap_or_default();
        for (path, answered) in [("/health/live", Answer::Live), ("/health/ready", Answer::Ready)] {
            while !answers(address, path) {
                if server.child.try_wait()?.is_some() {
                    return Err(ServerError::Ended { log: read_log() });
                }
                if exec.elapsed() > START_LIMIT {
                    return Err(ServerError::Silent { log: read_log() });
                }
                thread::sleep(POLL);
            }
            match answered {
                Answer::Live => server.live_after = exec.elapsed(),
                Answer::Ready => server.ready_after = exec.elapsed(),
            }
        }
        Ok(server)
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Live,
    Ready,
}

/// Whether a GET of `path` is answered with 200.
fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    live_after: Duration,
    ready_after: Duration,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From exec to the first 200 of `/health/live`.
    #[must_use]
    pub const fn live_after(&self) -> Duration {
        self.live_after
    }

    /// From exec to the first 200 of `/health/ready`, which is asked after `/health/live` answered.
    #[must_use]
    pub const fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Asks it to end (SIGTERM) and waits; what does not end in time is killed. Whether it ended by itself and well. Blocks.
    pub fn stop(mut self) -> io::Result<bool> {
        let deadline: Instant = now() + STOP_LIMIT;
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        while now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill and only its status to collect.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What is resident now (`VmRSS`).
    pub resident_kib: u64,
    /// The most that ever was (`VmHWM`).
    pub peak_kib: u64,
}

impl Memory {
    /// The memory of the process `pid` on this machine, from `/proc`.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status"))?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no VmRSS in /proc: the process has ended"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self { resident_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t    4321 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(Memory::parse(status), Some(Memory { resident_kib: 1_234, peak_kib: 4_321 }));
        assert_eq!(Memory::parse("Name:\tzombie\n"), None);
        assert!(Memory::of(std::process::id()).is_ok_and(|memory| memory.resident_kib > 0));
    }

    #[test]
    fn a_server_that_ends_at_once_is_an_error_with_its_log() {
        let spec = ServerSpec::new("/bin/sh".into(), Vec::new()).expect("a temporary directory");
        assert!(matches!(spec.start(), Err(ServerError::Ended { .. })), "a shell without input ends");
    }
}
