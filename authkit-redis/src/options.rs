//! Which Redis, and how to sign in there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::{Clock, Entropy, OsEntropy, SystemClock};
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates};

use crate::address::{self, Address};

/// The most that a Redis which does not answer costs a request, once (SECURITY: 50 to 100 ms): after that nothing is asked of
/// it until it answers again.
const OPERATION_LIMIT: Duration = Duration::from_millis(75);
/// Where a sentinel listens when its URL names no port.
const SENTINEL_PORT: u16 = 26_379;

/// Why a URL names no Redis. The URL is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It names a database of a cluster, which has only one.
    #[error("a Redis Cluster has no numbered databases: leave the path out")]
    ClusterDatabase,
    /// It names sentinels and not what they watch.
    #[error("the URL names sentinels and no service: write redis+sentinel://host:26379/service")]
    NoService,
    /// It has a query or a fragment, with which the Redis client can be told not to check certificates.
    #[error("the URL has a query or a fragment")]
    Extras,
    /// It is something else.
    #[error(
        "the URL is not of the form redis://user:password@host:port/database, rediss://… for TLS, \
         redis+cluster://host:port,host:port for a cluster, or redis+sentinel://host:port,host:port/service"
    )]
    Malformed,
}

/// Which Redis, and how to sign in there. `Debug` and `Display` show neither the user nor the password.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) deployment: Deployment,
    sign_in: RedisConnectionInfo,
    tls: bool,
    root_certificates: Option<Vec<u8>>,
    pub(crate) operation_limit: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// How many servers there are, and who says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// One.
    Single(Address),
    /// A cluster, and some of its nodes: they know the others.
    Cluster(Vec<Address>),
    /// A master and its replicas, and sentinels that know which is the master.
    Sentinel { sentinels: Vec<Address>, service: String },
}

impl RedisOptions {
    /// Reads a URL:
    /// - `redis://user:password@host:port/database`, where only the host is required;
    /// - `redis+cluster://user:password@host:port,host:port` for a Redis Cluster: some of its nodes, they know the others;
    /// - `redis+sentinel://user:password@host:port,host:port/service/database` for a master that sentinels watch. User and
    ///   password are the master's; a sentinel that wants some is given the same.
    ///
    /// With `rediss` for `redis` the connection is encrypted. User and password are percent-encoded.
    ///
    /// # Errors
    /// See [`InvalidUrl`].
    ///
    /// # Security
    /// With `rediss` the certificate is checked against the roots of the web, or [the ones given](Self::root_certificates), and
    /// the name in the URL, always. The nodes of a cluster and the master of a service are checked against the name or address
    /// under which the cluster or the sentinel knows them.
    pub fn from_url(url: &str) -> Result<Self, InvalidUrl> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Malformed)?;
        let scheme = scheme.to_ascii_lowercase();
        let (base, kind) = scheme.split_once('+').unwrap_or((&scheme, "single"));
        if !matches!(base, "redis" | "rediss") || !matches!(kind, "single" | "cluster" | "sentinel") {
            return Err(InvalidUrl::Malformed);
        }
        if url.contains(['?', '#']) {
            return Err(InvalidUrl::Extras);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let (service, database) = match kind {
            "cluster" if !path.is_empty() => return Err(InvalidUrl::ClusterDatabase),
            "sentinel" => path.split_once('/').unwrap_or((path, "")),
            _ => ("", path),
        };
        if kind == "sentinel" && service.is_empty() {
            return Err(InvalidUrl::NoService);
        }
        if kind == "single" && hosts.contains(',') {
            return Err(InvalidUrl::Malformed);
        }
        let mut addresses = Vec::new();
        let mut sign_in = None;
        for host in hosts.split(',') {
            let at = if user.is_empty() { "" } else { "@" };
            let port = if kind == "sentinel" && !names_port(host) { format!(":{SENTINEL_PORT}") } else { String::new() };
            let one = format!("{base}://{user}{at}{host}{port}/{database}");
            let info = one.as_str().into_connection_info().map_err(|_| InvalidUrl::Malformed)?;
            addresses.push(Address::of_client(info.addr()).ok_or(InvalidUrl::Malformed)?);
            sign_in = Some(info.redis_settings().clone());
        }
        let deployment = match kind {
            "cluster" => Deployment::Cluster(addresses),
            "sentinel" => Deployment::Sentinel { sentinels: addresses, service: service.to_owned() },
            _ => Deployment::Single(addresses.pop().ok_or(InvalidUrl::Malformed)?),
        };
        // RESP3 carries what is pushed and what is answered on one connection; Redis has it since version 6.
        let sign_in = sign_in.ok_or(InvalidUrl::Malformed)?.set_protocol(ProtocolVersion::RESP3);
        Ok(Self {
            deployment,
            sign_in,
            tls: base == "rediss",
            root_certificates: None,
            operation_limit: OPERATION_LIMIT,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        })
    }

    /// Trusts the certificates that these (PEM) have signed, and no others: a private authority.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// How long Redis may take for an answer that a request waits for. Default: 75 ms, several times the slowest answer of a
    /// Redis that is well, and little beside the hash of a login.
    #[must_use]
    pub const fn operation_limit(mut self, limit: Duration) -> Self {
        self.operation_limit = limit;
        self
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

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether it is a Redis Cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.deployment, Deployment::Cluster(_))
    }

    /// The addresses that the URL names.
    pub(crate) fn addresses(&self) -> &[Address] {
        match &self.deployment {
            Deployment::Single(address) => std::slice::from_ref(address),
            Deployment::Cluster(addresses) | Deployment::Sentinel { sentinels: addresses, .. } => addresses,
        }
    }

    /// A client for the server at an address.
    pub(crate) fn client(&self, address: &Address) -> RedisResult<Client> {
        self.client_as(address, self.sign_in.clone())
    }

    /// A client for a sentinel, which may want no password, and knows no databases.
    pub(crate) fn sentinel_client(&self, address: &Address, signs_in: bool) -> RedisResult<Client> {
        let none = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        self.client_as(address, if signs_in { self.sign_in.clone().set_db(0) } else { none })
    }

    fn client_as(&self, address: &Address, sign_in: RedisConnectionInfo) -> RedisResult<Client> {
        // What is sent here is small: it must not wait for the acknowledgement of the one before.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = address.for_client(self.tls).into_connection_info()?.set_redis_settings(sign_in).set_tcp_settings(tcp);
        match &self.root_certificates {
            Some(pem) if self.tls => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })
            }
            _ => Client::open(info),
        }
    }
}

/// Whether there is a port behind the host. The colons of a bare IPv6 address are in brackets.
fn names_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, rest)| rest).contains(':')
}

impl fmt::Display for RedisOptions {
    /// Shows the hosts and the ports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address::join(self.addresses()))
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SECURITY: the fields are named one by one, so that the password cannot come along.
        f.debug_struct("RedisOptions")
            .field("deployment", &self.deployment)
            .field("tls", &self.tls)
            .field("database", &self.sign_in.db())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_port_and_database_are_read_and_the_password_never_shows() {
        let options = RedisOptions::from_url("rediss://app-user:p%40ss-canary@[::1]:6380/3").unwrap();
        let sign_in = &options.sign_in;
        assert_eq!((sign_in.username(), sign_in.password(), sign_in.db()), (Some("app-user"), Some("p@ss-canary"), 3));
        assert!(options.is_tls());
        let shown = format!("{options} {options:?}");
        assert!(shown.contains("[::1]:6380") && !shown.contains("canary") && !shown.contains("app-user"), "{shown}");
        assert_eq!(RedisOptions::from_url("redis://r").unwrap().to_string(), "r:6379");
    }

    #[test]
    fn a_cluster_and_sentinels_are_named_by_several_addresses() {
        let cluster = RedisOptions::from_url("rediss+cluster://:p@a:7000,[::1]:7001,c").unwrap();
        assert!(cluster.is_tls() && cluster.is_cluster());
        assert_eq!((cluster.to_string().as_str(), cluster.sign_in.password()), ("a:7000,[::1]:7001,c:6379", Some("p")));

        let sentinel = RedisOptions::from_url("redis+sentinel://u:p@a,[::1],c:5000/main/2").unwrap();
        let Deployment::Sentinel { service, .. } = &sentinel.deployment else { panic!("{sentinel:?}") };
        assert_eq!((service.as_str(), sentinel.sign_in.db(), sentinel.is_tls()), ("main", 2, false));
        assert_eq!(sentinel.to_string(), "a:26379,[::1]:26379,c:5000");
    }

    #[test]
    fn what_names_no_redis_is_refused() {
        let refusal = |url| RedisOptions::from_url(url).expect_err(url);
        assert_eq!(refusal("redis+cluster://a:7000/1"), InvalidUrl::ClusterDatabase);
        assert_eq!(refusal("redis+sentinel://a:7000"), InvalidUrl::NoService);
        for url in ["rediss://r#insecure", "redis://r?protocol=resp2", "redis+cluster://a,b#insecure"] {
            assert_eq!(refusal(url), InvalidUrl::Extras);
        }
        for url in
            ["", "r:6379", "http://r", "unix:///run/redis.sock", "redis://", "redis://r/x", "redis+unix:///r", "redis://a,b"]
        {
            assert_eq!(refusal(url), InvalidUrl::Malformed, "{url}");
        }
        for url in ["redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a:x", "redis+sentinel://a/main/x"] {
            assert_eq!(refusal(url), InvalidUrl::Malformed, "{url}");
        }
    }
}
