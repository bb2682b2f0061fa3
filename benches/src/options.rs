//! The command line of the load driver.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use authkit_core::config::Argon2Params;
use clap::Parser;

/// Measures an AuthKit server over HTTP and prints one JSON line per scenario.
///
/// Driver and server share this machine's cores, so every number is a lower bound.
#[derive(Debug, Clone, Parser)]
#[command(name = "load", version)]
pub struct Options {
    /// Start this server binary on a free port with a data directory of its own, and stop it afterwards.
    #[arg(long, value_name = "BINARY", required_unless_present_any = ["url", "list"], conflicts_with = "url")]
    pub spawn: Option<PathBuf>,
    /// Measure a running server on this machine instead. It is filled with made-up accounts.
    #[arg(long, value_name = "http://127.0.0.1:8000")]
    pub url: Option<Loopback>,
    /// The process of that server, for the scenarios that read its memory.
    #[arg(long, value_name = "PID", requires = "url")]
    pub server_pid: Option<u32>,
    /// Which scenarios, separated by commas; all when none is named.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// How many seconds each scenario counts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// How many connections read profiles in the closed loop.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub connections: u16,
    /// How many profiles per second the open loop reads, idle and under the storm.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// A setting of the started server; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "spawn")]
    pub server_env: Vec<Setting>,
    /// The database of the started server: `private` starts a PostgreSQL for it, whose files go away with it; a URL names one,
    /// which is filled with made-up accounts. A SQLite file of its own otherwise.
    #[arg(long, value_name = "private|postgresql://…", conflicts_with = "url")]
    pub database: Option<Service>,
    /// The Redis of the started server, likewise; none otherwise.
    #[arg(long, value_name = "private|redis://…", conflicts_with = "url")]
    pub redis: Option<Service>,
    /// The memory of a hash in KiB: that of the baseline, and of a started server. With --url, say what that server uses.
    #[arg(long, default_value_t = Argon2Params::OWASP.memory_kib)]
    pub hash_memory_kib: u32,
    /// The passes of a hash, likewise.
    #[arg(long, default_value_t = Argon2Params::OWASP.iterations)]
    pub hash_iterations: u32,
    /// After the last scenario, print a table in Markdown on standard error.
    #[arg(long)]
    pub summary: bool,
    /// Name the scenarios and end.
    #[arg(long)]
    pub list: bool,
}

impl Options {
    /// How long each scenario counts.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The settings of a started server: those of the command line, and the cost of a hash, so that server and baseline agree.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, OsString)> {
        let cost = [
            ("AUTHKIT_ARGON2_MEMORY_KIB", self.hash_memory_kib.to_string()),
            ("AUTHKIT_ARGON2_ITERATIONS", self.hash_iterations.to_string()),
        ];
        let cost = cost.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        cost.chain(self.server_env.iter().map(|setting| (setting.name.clone(), setting.value.clone()))).collect()
    }

    /// The cost of a hash.
    #[must_use]
    pub const fn hash_params(&self) -> Argon2Params {
        Argon2Params { memory_kib: self.hash_memory_kib, iterations: self.hash_iterations, parallelism: 1 }
    }
}

/// A service that the started server uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// One that is started for this run.
    Private,
    /// One that runs.
    At(String),
}

impl FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "private" => Ok(Self::Private),
            url if url.contains("://") => Ok(Self::At(url.to_owned())),
            _ => Err("expected a URL, or the word private"),
        }
    }
}

/// Why a URL is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoopbackError {
    /// Another scheme or form.
    #[error("expected http://HOST:PORT without a path")]
    Form,
    /// Another machine. A load driver fills a server with accounts and its cores with hashes: only a server of one's own.
    #[error("only a server on this machine is measured: 127.0.0.1, [::1] or localhost")]
    NotLoopback,
}

/// The address of a server on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loopback(SocketAddr);

impl Loopback {
    /// The address.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Loopback {
    type Err = LoopbackError;

    fn from_str(url: &str) -> Result<Self, LoopbackError> {
        let authority = url.strip_prefix("http://").ok_or(LoopbackError::Form)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or(LoopbackError::Form)?;
        let port = port.parse().map_err(|_| LoopbackError::Form)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // `localhost` is not looked up: a resolver might answer with anything.
        let ip = match host {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.parse().map_err(|_| LoopbackError::NotLoopback)?,
        };
        if ip.is_loopback() { Ok(Self(SocketAddr::new(ip, port))) } else { Err(LoopbackError::NotLoopback) }
    }
}

/// A setting of the started server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub name: String,
    /// Its value.
    pub value: OsString,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.into() }),
            _ => Err("expected NAME=VALUE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
        assert!(Options::try_parse_from(["load"]).is_err(), "a server has to be named");
        assert!(Options::try_parse_from(["load", "--spawn", "x", "--url", "http://127.0.0.1:1"]).is_err(), "and only one");
        assert!(Options::try_parse_from(["load", "--url", "http://127.0.0.1:1", "--redis", "private"]).is_err(), "a spawned one");
        assert!(Options::try_parse_from(["load", "--spawn", "x", "--database", "privat"]).is_err(), "a word too few");
        let at =
            Options::try_parse_from(["load", "--spawn", "x", "--database", "private", "--redis", "redis://h"]).expect("parses");
        assert_eq!((at.database, at.redis), (Some(Service::Private), Some(Service::At("redis://h".to_owned()))));
        let options = Options::try_parse_from(["load", "--spawn", "x", "--scenario", "me,login", "--server-env", "A=b=c"]);
        let options = options.expect("parses");
        assert_eq!(options.scenario, ["me", "login"]);
        assert_eq!(options.server_env, [Setting { name: "A".to_owned(), value: "b=c".into() }]);
    }

    #[test]
    fn only_a_server_on_this_machine_is_measured() {
        for url in ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000", "http://127.1.2.3:1"] {
            assert!(url.parse::<Loopback>().is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1:8000", "http://example.com:80", "http://[2001:db8::1]:80", "http://0.0.0.0:80"] {
            assert_eq!(url.parse::<Loopback>(), Err(LoopbackError::NotLoopback), "{url}");
        }
        for url in ["https://127.0.0.1:1", "127.0.0.1:8000", "http://127.0.0.1", "http://127.0.0.1:1/path", "http://127.0.0.1:x"]
        {
            assert!(url.parse::<Loopback>().is_err(), "{url}");
        }
    }
}
