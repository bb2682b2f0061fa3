//! Which Redis, and how to sign in there.

use std::fmt;
use std::sync::Arc;

use authkit_core::{Clock, Entropy, OsEntropy, SystemClock};
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

/// Why a URL names no Redis. The URL is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It names a cluster.
    #[error("a Redis Cluster is not supported by this version; name a single Redis, as redis://… or rediss://…")]
    Cluster,
    /// It has a query or a fragment, with which the Redis client can be told not to check certificates.
    #[error("the URL has a query or a fragment")]
    Extras,
    /// It is something else.
    #[error("the URL is not of the form redis://user:password@host:port/database, or rediss://… for TLS")]
    Malformed,
}

/// Which Redis, and how to sign in there. `Debug` and `Display` show neither the user nor the password.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) connection: ConnectionInfo,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl RedisOptions {
    /// Reads `redis://user:password@host:port/database`, where only the host is required, or `rediss://…` for TLS. User and
    /// password are percent-encoded.
    ///
    /// # Errors
    /// See [`InvalidUrl`].
    ///
    /// # Security
    /// With `rediss://` the certificate is checked against the roots of the web and the name in the URL, always.
    pub fn from_url(url: &str) -> Result<Self, InvalidUrl> {
        let url = url.trim();
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("redis" | "rediss") => {}
            Some("redis+cluster" | "rediss+cluster") => return Err(InvalidUrl::Cluster),
            _ => return Err(InvalidUrl::Malformed),
        }
        if url.contains(['?', '#']) {
            return Err(InvalidUrl::Extras);
        }
        let connection = url.into_connection_info().map_err(|_| InvalidUrl::Malformed)?;
        // RESP3 carries what is pushed and what is answered on one connection; Redis has it since version 6.
        let sign_in = connection.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // A revocation is one small packet: it must not wait for the acknowledgement of the one before.
        let tcp = TcpSettings::default().set_nodelay(true);
        let connection = connection.set_redis_settings(sign_in).set_tcp_settings(tcp);
        Ok(Self { connection, clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) })
    }

    /// Takes the time from another clock: for tests and simulations.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes the spread of reconnections from another source of randomness: for tests and simulations.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    pub(crate) fn address(&self) -> String {
        match self.connection.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            address => address.to_string(),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.connection.addr(), ConnectionAddr::TcpTls { .. })
    }
}

impl fmt::Display for RedisOptions {
    /// Shows the host and the port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SECURITY: the fields are named one by one, so that the password cannot come along.
        f.debug_struct("RedisOptions")
            .field("address", &self.address())
            .field("tls", &self.is_tls())
            .field("database", &self.connection.redis_settings().db())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_port_and_database_are_read_and_the_password_never_shows() {
        let options = RedisOptions::from_url("rediss://app-user:p%40ss-canary@[::1]:6380/3").unwrap();
        let sign_in = options.connection.redis_settings();
        assert_eq!((sign_in.username(), sign_in.password(), sign_in.db()), (Some("app-user"), Some("p@ss-canary"), 3));
        assert!(options.is_tls());
        let shown = format!("{options} {options:?}");
        assert!(shown.contains("[::1]:6380") && !shown.contains("canary") && !shown.contains("app-user"), "{shown}");
        assert_eq!(RedisOptions::from_url("redis://r").unwrap().address(), "r:6379");
    }

    #[test]
    fn what_is_no_single_redis_is_refused() {
        let refusal = |url| RedisOptions::from_url(url).expect_err(url);
        assert_eq!(refusal("redis+cluster://a:7000"), InvalidUrl::Cluster);
        for url in ["rediss://r#insecure", "redis://r?protocol=resp2"] {
            assert_eq!(refusal(url), InvalidUrl::Extras);
        }
        for url in ["", "r:6379", "http://r", "unix:///run/redis.sock", "redis://", "redis://r/x", "redis+unix:///r"] {
            assert_eq!(refusal(url), InvalidUrl::Malformed, "{url}");
        }
    }
}
