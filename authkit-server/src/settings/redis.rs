//! Where shared hot state lives.

use std::fmt;
use std::ops::Range;

use authkit_redis::{InvalidUrl, RedisOptions};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::parse;
use super::problem::Refusal;

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
    /// Reads the forms that [`RedisOptions::from_url`] reads.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = parse::line(text)?;
        let options = RedisOptions::from_url(text).map_err(|error| match error {
            InvalidUrl::ClusterDatabase => Refusal::new("names a database of a cluster, which has none", "leave the path out"),
            InvalidUrl::NoService => Refusal::new("names sentinels and no service", "write redis+sentinel://host:26379/service"),
            // SECURITY: the Redis client reads `#insecure` as "do not check the certificate" and passes query parameters on.
            InvalidUrl::Extras => Refusal::new("has a query or a fragment", "remove it"),
            _ => Refusal::new(
                "is not the URL of a Redis",
                "write it as in redis://:password@host:6379/0, rediss://… for TLS, redis+cluster://host:port,host:port, or \
                 redis+sentinel://host:port/service",
            ),
        })?;
        if let Some(password) = password_in(text) {
            parse::not_a_placeholder(&text[password])?;
        }
        Ok(Self::new(text, &options))
    }

    /// Puts a host, a port and a password together.
    pub(super) fn of_parts(host: &RedisHost, port: u16, password: Option<&SecretString>) -> Self {
        let mut url = Url::parse("redis://placeholder").expect("a constant URL");
        // A host that parsed as one is accepted here, and a URL with a host takes a port and a password.
        url.set_host(Some(&host.0)).expect("a host that was checked");
        url.set_port(Some(port)).expect("a URL with a host");
        url.set_password(password.map(ExposeSecret::expose_secret)).expect("a URL with a host");
        let options = RedisOptions::from_url(url.as_str()).expect("a URL with a host and a port");
        Self::new(url.as_str(), &options)
    }

    fn new(url: &str, options: &RedisOptions) -> Self {
        let mut redacted = url.to_owned();
        if let Some(password) = password_in(url) {
            redacted.replace_range(password, "***");
        }
        Self {
            url: url.to_owned().into(),
            redacted,
            address: options.to_string(),
            cluster: options.is_cluster(),
            tls: options.is_tls(),
        }
    }

    /// The URL with its password, for the Redis client alone.
    #[must_use]
    pub fn expose_url(&self) -> &str {
        self.url.expose_secret()
    }

    /// The hosts and the ports.
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

/// Where in a URL the password stands. With several hosts it is no URL that a URL parser takes.
fn password_in(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + 3;
    let authority = url[start..].split('/').next()?;
    let user = &authority[..authority.rfind('@')?];
    let colon = user.find(':')?;
    Some(start + colon + 1..start + user.len())
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
    fn tls_cluster_and_sentinel_are_told_by_the_scheme() {
        let read = |text| RedisEndpoint::parse(text).map(|e| (e.is_cluster(), e.is_tls(), e.address().to_owned()));
        assert_eq!(read("redis://r"), Ok((false, false, "r:6379".to_owned())));
        assert_eq!(read("rediss://u:p@r:6380/3"), Ok((false, true, "r:6380".to_owned())));
        assert_eq!(read("rediss+cluster://:p@r:7000,s:7001"), Ok((true, true, "r:7000,s:7001".to_owned())));
        assert_eq!(read("redis+sentinel://r,s/main/1"), Ok((false, false, "r:26379,s:26379".to_owned())));
        for text in [
            "r:6379",
            "http://r",
            "redis://",
            "rediss://r#insecure",
            "redis://r/x",
            "redis+cluster://r/1",
            "redis://r?a=b",
            "redis://r,s",
            "redis+sentinel://r",
            "redis+cluster://:your_redis_password@r",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_with_several_hosts_does_not_show() {
        for (url, shown) in [
            ("redis+cluster://u:can:ary@a:1,b:2", "redis+cluster://u:***@a:1,b:2"),
            ("redis+sentinel://:canary@a,b/main", "redis+sentinel://:***@a,b/main"),
            ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
            ("redis://user@a:1", "redis://user@a:1"),
        ] {
            assert_eq!(RedisEndpoint::parse(url).unwrap().to_string(), shown);
        }
    }
}
