//! What the server says when it starts: what it uses, where that is, and what to open.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::settings::Settings;
use crate::telemetry::LogFormat;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The facts of a start.
#[derive(Debug)]
pub struct Banner<'a> {
    settings: &'a Settings,
    bound: SocketAddr,
}

impl<'a> Banner<'a> {
    /// The facts of a server that listens on `bound`: with port 0 in the settings, the port that the system chose.
    #[must_use]
    pub const fn new(settings: &'a Settings, bound: SocketAddr) -> Self {
        Self { settings, bound }
    }

    /// Says them once: in words on a terminal, and as fields of log events everywhere else. Warnings are always log events
    /// where the log goes to a program, so that an alert can be set on them.
    pub fn announce(&self) {
        let for_people = self.settings.log_format == LogFormat::Pretty && std::io::stderr().is_terminal();
        if for_people {
            // Nobody reads a banner on a closed stderr; that must not stop the server.
            let _ = write!(std::io::stderr().lock(), "{self}");
            return;
        }
        let Settings { public_url, database, algorithm, data_dir, warnings, .. } = self.settings;
        tracing::info!(
            version = VERSION,
            listen = %self.bound,
            %public_url,
            %database,
            hot_state = hot_state(self.settings),
            algorithm = algorithm.as_str(),
            data_dir = %data_dir.display(),
            "authkit-server is listening"
        );
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The URL at which this machine reaches the server.
    #[must_use]
    pub fn local_url(&self) -> String {
        let ip = match self.bound.ip() {
            // An address to listen on is none to open.
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        let address = SocketAddr::new(ip, self.bound.port());
        if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            format!("http://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        }
    }
}

/// Where what need not survive is kept.
fn hot_state(settings: &Settings) -> String {
    match &settings.redis {
        Some(redis) => {
            let kind = if redis.is_cluster() { "Redis Cluster" } else { "Redis" };
            format!("revocations, limits and records over {kind} at {}", redis.address())
        }
        None => "in this process".to_owned(),
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { database, algorithm, data_dir, public_url, warnings, .. } = self.settings;
        let url = self.local_url();
        let docs = if self.settings.docs_are_open() { format!("{url}/docs") } else { "closed (AUTHKIT_EXPOSE_DOCS)".to_owned() };
        let keys = if self.settings.master_keys.is_some() { "AUTHKIT_MASTER_KEYS" } else { "master.key in the data directory" };
        let mut text = String::new();
        writeln!(text, "\n  authkit-server {VERSION}\n")?;
        for (name, value) in [
            ("open", url),
            ("docs", docs),
            ("listening on", self.bound.to_string()),
            ("public URL", public_url.to_string()),
            ("database", database.to_string()),
            ("hot state", hot_state(self.settings)),
            ("tokens", format!("signed with {}", algorithm.as_str())),
            ("data", data_dir.display().to_string()),
            ("sealed under", keys.to_owned()),
        ] {
            writeln!(text, "  {name:<14}{value}")?;
        }
        for warning in warnings {
            writeln!(text, "\n  warning: {warning}")?;
        }
        writeln!(f, "{text}")
    }
}
