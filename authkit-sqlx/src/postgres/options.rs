//! Where the database is, and how it is used.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::mutant::Mutation;
use crate::postgres::texts::SchemaName;

/// A URL that does not name a PostgreSQL database. It never shows the URL, which holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PgUrlError {
    /// It has another form.
    #[error("a PostgreSQL database is named by postgresql://user:password@host:port/database")]
    Malformed,
    /// It has a parameter that is not known here.
    #[error("the parameter {name:?} of the URL is not known; there are {}", KNOWN_PARAMETERS.join(", "))]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// The value of a parameter cannot be used.
    #[error("the parameter {name:?} of the URL has a value that cannot be used")]
    BadParameter {
        /// Its name.
        name: &'static str,
    },
}

/// The parameters of a URL; the names are libpq's (PostgreSQL manual §34.1.2).
const KNOWN_PARAMETERS: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "application_name"];

/// The values of `sslmode` (PostgreSQL manual §34.18.4).
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// A name that cannot be that of a schema here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a schema has 1 to 63 of the characters a-z, 0-9 and _, and begins with a letter")]
pub struct SchemaNameError;

/// Where a PostgreSQL database is, and how it is used.
///
/// ```
/// use authkit_sqlx::PgOptions;
///
/// let options: PgOptions = "postgresql://app:secret@db.internal/app?sslmode=verify-full".parse()?;
/// let options = options.connections(8);
/// assert_eq!(options.address(), "db.internal:5432/app");
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), authkit_sqlx::PgUrlError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PgOptions {
    pub(super) connect: PgConnectOptions,
    pub(super) schema: SchemaName,
    pub(super) connections: u32,
    pub(super) acquire_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) operation_timeout: Duration,
    pub(super) mutation: Mutation,
}

impl PgOptions {
    /// How many connections are open at most, at least one. Default: 16. They are opened when they are needed; all nodes
    /// together must stay below `max_connections` of the database (100 by default).
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = if connections == 0 { 1 } else { connections };
        self
    }

    /// The schema that holds our tables. Default: `authkit`. It is made by the migration when it is missing.
    pub fn schema(mut self, name: &str) -> Result<Self, SchemaNameError> {
        self.schema = SchemaName::parse(name).ok_or(SchemaNameError)?;
        Ok(self)
    }

    /// How long a caller waits for a free connection. Default: 1 s, so that an overload is answered and not piled up.
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long opening a connection may take. Default: 2 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long PostgreSQL may work on one statement (`statement_timeout`). Default: 3 s; every statement here is an index
    /// lookup.
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement may wait for a row that another transaction holds (`lock_timeout`), before its transaction is undone
    /// and begun anew. Default: 400 ms, well below the second after which PostgreSQL itself looks for a deadlock.
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How long a read or a write may take in all, its wait for a connection included, before the store counts as unavailable:
    /// what bounds the answer when the network swallows everything. Default: 4 s.
    pub const fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// The host, the port and the database, for people.
    #[must_use]
    pub fn address(&self) -> String {
        let database = self.connect.get_database().unwrap_or_else(|| self.connect.get_username());
        match self.connect.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{}:{}/{database}", self.connect.get_host(), self.connect.get_port()),
        }
    }

    /// Whether what crosses the network to the database can be read or changed there by others: it leaves this machine, and the
    /// server's certificate is not verified (`sslmode=verify-full`).
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let host = self.connect.get_host().trim_matches(['[', ']']);
        let is_local = self.connect.get_socket().is_some()
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        !is_local && !matches!(self.connect.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa)
    }

    /// Breaks the store on purpose, to show that the contract notices.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub const fn mutant(mut self, mutant: crate::mutant::Mutant) -> Self {
        self.mutation = Mutation::of(mutant);
        self
    }

    /// What PostgreSQL is told at the start of every connection that works on requests.
    pub(super) fn working(&self) -> PgConnectOptions {
        let millis = |timeout: Duration| timeout.as_millis().to_string();
        self.connect.clone().options([
            // Every statement is over before it could be compiled.
            ("jit", "off".to_owned()),
            ("statement_timeout", millis(self.statement_timeout)),
            ("lock_timeout", millis(self.lock_timeout)),
            // INVARIANT: the guards rely on it: a statement that waited for a row sees what its rival has committed. A snapshot of the
            // whole transaction would let a session of an old password slip past the revocations behind a lock that is held.
            ("default_transaction_isolation", "read committed".to_owned()),
            // A transaction of ours never waits for its client: one that does has lost it.
            ("idle_in_transaction_session_timeout", millis(self.operation_timeout)),
        ])
    }
}

impl FromStr for PgOptions {
    type Err = PgUrlError;

    /// Reads `postgresql://user:password@host:port/database`, or `postgres://…`, with the parameters `sslmode`, `sslrootcert`,
    /// `sslcert`, `sslkey`, `host` (a directory for a Unix socket) and `application_name` of libpq.
    ///
    /// A password that the URL leaves out is taken from `PGPASSWORD` or the password file, as libpq does. Nothing that decides where
    /// a connection leads, or how well it is protected, is taken from the environment.
    fn from_str(text: &str) -> Result<Self, PgUrlError> {
        if !["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(PgUrlError::Malformed);
        }
        if let Some((_, query)) = text.split_once('?') {
            // SECURITY: a `?` in a password that was not encoded: what stands behind it is a part of the password, and is not shown.
            if query.contains('@') {
                return Err(PgUrlError::Malformed);
            }
            for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
                let name = parameter.split('=').next().unwrap_or_default();
                let Some(known) = KNOWN_PARAMETERS.into_iter().find(|known| *known == name) else {
                    return Err(PgUrlError::UnknownParameter { name: name.to_owned() });
                };
                if known == "sslmode" && !SSL_MODES.contains(&parameter.split_once('=').unwrap_or_default().1) {
                    return Err(PgUrlError::BadParameter { name: known });
                }
            }
        }
        // SECURITY: the driver's own error may repeat the URL.
        let connect: PgConnectOptions = text.parse().map_err(|_| PgUrlError::Malformed)?;
        let url = Url::parse(text).map_err(|_| PgUrlError::Malformed)?;
        let says = |name: &str| url.query_pairs().any(|(known, _)| known == name);
        if url.username().is_empty() || (url.host_str().is_none_or(str::is_empty) && !says("host")) {
            return Err(PgUrlError::Malformed);
        }
        // The driver has filled in from the environment what the URL does not say.
        let mut connect = connect.port(url.port().unwrap_or(5432));
        if !says("sslmode") {
            connect = connect.ssl_mode(PgSslMode::Prefer);
        }
        if !says("application_name") {
            connect = connect.application_name("authkit");
        }
        if url.path().trim_start_matches('/').is_empty() {
            let user = connect.get_username().to_owned();
            connect = connect.database(&user);
        }
        Ok(Self {
            connect: sqlx::ConnectOptions::disable_statement_logging(connect),
            schema: SchemaName::default(),
            connections: 16,
            acquire_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_millis(400),
            operation_timeout: Duration::from_secs(4),
            mutation: Mutation::NONE,
        })
    }
}

impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("address", &self.address())
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> PgUrlError {
        url.parse::<PgOptions>().expect_err(url)
    }

    #[test]
    fn a_url_names_a_database() {
        for (url, address) in [
            ("postgresql://app:s@db.internal:5433/accounts", "db.internal:5433/accounts"),
            ("postgres://app@[::1]/accounts?sslmode=disable", "[::1]:5432/accounts"),
            ("postgresql://app@localhost/accounts?host=/run/postgresql", "/run/postgresql/accounts"),
        ] {
            assert_eq!(url.parse::<PgOptions>().expect("a database").address(), address, "{url}");
        }
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_its_password() {
        for url in [
            "",
            "mysql://u:hunter2@h/d",
            "postgresql:/u:hunter2@h",
            "postgresql://u:hunter2@h:port/d",
            "postgresql://u:hunt?hunter2@h/d",
            "postgresql://h/d",
            "postgresql://u:hunter2@/d",
        ] {
            let error = error(url);
            assert_eq!(error, PgUrlError::Malformed, "{url}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let unknown = error("postgresql://u:p@h/d?sslmod=require");
        assert_eq!(unknown, PgUrlError::UnknownParameter { name: "sslmod".to_owned() });
        assert_eq!(error("postgresql://u:p@h/d?sslmode=on"), PgUrlError::BadParameter { name: "sslmode" });
    }

    #[test]
    fn what_crosses_a_network_unverified_is_known() {
        for (url, is_exposed) in [
            ("postgresql://u@db.internal/d", true),
            ("postgresql://u@10.0.0.7/d?sslmode=require", true),
            ("postgresql://u@db.internal/d?sslmode=verify-full", false),
            ("postgresql://u@localhost/d", false),
            ("postgresql://u@127.0.0.1/d?sslmode=disable", false),
            ("postgresql://u@[::1]/d", false),
            ("postgresql://u@ignored/d?host=/run/postgresql", false),
        ] {
            assert_eq!(url.parse::<PgOptions>().expect("a database").is_exposed(), is_exposed, "{url}");
        }
    }

    #[test]
    fn only_a_plain_name_is_a_schema() {
        let options: PgOptions = "postgresql://u@h/d".parse().expect("a database");
        for name in ["", "1a", "Auth", "a-b", "a\"; DROP SCHEMA public", &"x".repeat(64)] {
            assert_eq!(options.clone().schema(name).err(), Some(SchemaNameError), "{name}");
        }
        assert!(options.schema("auth_2").is_ok());
    }
}
