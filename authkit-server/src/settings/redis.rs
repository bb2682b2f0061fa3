//! Where shared hot state lives.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::parse;
use super::problem::Refusal;

/// The port of a Redis whose URL names none.
const DEFAULT_PORT: u16 = 6379;

/// A Redis that several servers share.
#[derive(Clone)]
pub struct RedisEndpoint {
    url: SecretString,
    redacted: String,
    address: String,
    cluster: bool,
    tls: bool,
}

impl RedisEndpoint {
    /// Reads `redis://`, `rediss://` (TLS) or `redis+cluster://` with an optional user, password, port and database.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write it as in redis://:password@host:6379/0, rediss://… for TLS, redis+cluster://… for a cluster";
        let url = Url::parse(parse::line(text)?).map_err(|_| Refusal::new("is not a URL", FORM))?;
        let (cluster, tls) = match url.scheme() {
            "redis" => (false, false),
            "rediss" => (false, true),
            "redis+cluster" => (true, false),
            _ => return Err(Refusal::new("has another scheme than redis, rediss or redis+cluster", FORM)),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Refusal::new("names no host", FORM));
        }
        // SECURITY: the Redis client reads `#insecure` as "do not check the certificate" and passes query parameters on.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::new("has a query or a fragment", "remove it"));
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && (cluster || parse::number(database, 0, 65_535).is_err()) {
            return Err(Refusal::new("has a path that is not the number of a database, or a database on a cluster", FORM));
        }
        if let Some(password) = url.password() {
            parse::not_a_placeholder(password)?;
        }
        Ok(Self::new(&url, cluster, tls))
    }

    /// Puts a host, a port and a password together.
    pub(super) fn of_parts(host: &RedisHost, port: u16, password: Option<&SecretString>) -> Self {
        let mut url = Url::parse("redis://placeholder").expect("a constant URL");
        // A host that parsed as one is accepted here, and a URL with a host takes a port and a password.
        url.set_host(Some(&host.0)).expect("a host that was checked");
        url.set_port(Some(port)).expect("a URL with a host");
        url.set_password(password.map(ExposeSecret::expose_secret)).expect("a URL with a host");
        Self::new(&url, false, false)
    }

    fn new(url: &Url, cluster: bool, tls: bool) -> Self {
        let mut shown = url.clone();
        if shown.password().is_some() {
            shown.set_password(Some("***")).expect("a URL that had a password");
        }
        let address = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(DEFAULT_PORT));
        Self { url: url.as_str().to_owned().into(), redacted: shown.into(), address, cluster, tls }
    }

    /// The URL with its password, for the Redis client alone.
    #[must_use]
    pub fn expose_url(&self) -> &str {
        self.url.expose_secret()
    }

    /// The host and the port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is a Redis Cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Display for RedisEndpoint {
    /// Shows the URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted)
    }
}

impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisEndpoint({self})")
    }
}

/// The name or address of a Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RedisHost(String);

impl RedisHost {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let refusal = || Refusal::new("is not a host name or address", "write only the host; the port goes into REDIS_PORT");
        let text = parse::line(text)?;
        let host = if text.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() };
        let mut url = Url::parse("redis://placeholder").expect("a constant URL");
        url.set_host(Some(&host)).map_err(|_| refusal())?;
        // The URL parser cuts at the characters that end a host; a host that was cut was none.
        if url.host_str() == Some(host.as_str()) { Ok(Self(host)) } else { Err(refusal()) }
    }
}

/// The password of a Redis server. An empty one is none.
pub(super) fn password(text: &str) -> Result<Option<SecretString>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    parse::not_a_placeholder(parse::line(text)?)?;
    Ok(Some(text.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_survives_its_url_and_never_shows() {
        let host = RedisHost::parse("::1").unwrap();
        let endpoint = RedisEndpoint::of_parts(&host, 6380, Some(&"p@ss/wörd#1".to_owned().into()));
        assert_eq!(endpoint.expose_url(), "redis://:p%40ss%2Fw%C3%B6rd%231@[::1]:6380");
        assert_eq!(endpoint.address(), "[::1]:6380");
        assert_eq!(RedisEndpoint::parse("rediss://user:p@host/1").unwrap().address(), "host:6379");
        assert_eq!(format!("{endpoint} {endpoint:?}"), "redis://:***@[::1]:6380 RedisEndpoint(redis://:***@[::1]:6380)");
    }

    #[test]
    fn tls_and_cluster_are_told_by_the_scheme() {
        let read = |text| RedisEndpoint::parse(text).map(|e| (e.is_cluster(), e.is_tls()));
        assert_eq!(read("redis://r"), Ok((false, false)));
        assert_eq!(read("rediss://u:p@r:6380/3"), Ok((false, true)));
        assert_eq!(read("redis+cluster://r:7000"), Ok((true, false)));
        for text in
            ["r:6379", "http://r", "redis://", "rediss://r#insecure", "redis://r/x", "redis+cluster://r/1", "redis://r?a=b"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
