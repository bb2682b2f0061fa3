//! The URL under which clients reach the server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::parse;
use super::problem::Refusal;

/// The URL that links and token issuers say: `http` or `https`, without query and fragment, without a slash at the end.
///
/// # Security
/// It is configured and never taken from a request: a forged `Host` must not put an attacker's address into a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
    text: String,
}

impl PublicUrl {
    /// Reads a URL. Plain `http` is accepted for hosts of one's own machine or network and refused for public names.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write it as in https://auth.my-company.com";
        let text = parse::line(text)?;
        let url = Url::parse(text).map_err(|_| Refusal::new("is not a URL", FORM))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::new("is not an http or https URL", FORM));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new("contains a user name or password, which every client would see", FORM));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::new("has a query or a fragment, which an issuer must not have (RFC 8414 §2)", FORM));
        }
        let this = Self { text: url.as_str().trim_end_matches('/').to_owned(), url };
        if this.address().is_some_and(|ip| ip.is_unspecified()) {
            return Err(Refusal::new("is an address to listen on, not one that clients can open", FORM));
        }
        if !this.is_https() && !this.is_local() {
            let what = "is plain http on a public host: passwords and tokens would cross the network in the clear";
            return Err(Refusal::new(what, "use https:// (a proxy in front may end TLS)"));
        }
        Ok(this)
    }

    /// The default: this machine, on the port of the listener.
    pub(super) fn of_listener(listen: SocketAddr) -> Self {
        let text = match listen.port() {
            // Port 0 is chosen by the system later; tests use it, and no client is told.
            0 | 80 => "http://localhost".to_owned(),
            port => format!("http://localhost:{port}"),
        };
        let url = Url::parse(&text).expect("a host and a port make a URL");
        Self { url, text }
    }

    /// The URL, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name or address of the host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether clients speak TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether only this machine can open it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            _ => self.address().is_some_and(|ip| ip.is_loopback()),
        }
    }

    /// Whether it names this machine or a network of one's own: a loopback or private address, a name without a dot
    /// (as containers have), or one under a top-level domain that is never public (RFC 6762, RFC 8375, ICANN's `internal`).
    #[must_use]
    pub fn is_local(&self) -> bool {
        const LOCAL: [&str; 4] = [".local", ".internal", ".home.arpa", ".test"];
        match self.url.host() {
            Some(Host::Domain(name)) => self.is_loopback() || !name.contains('.') || LOCAL.iter().any(|end| name.ends_with(end)),
            Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
            None => false,
        }
    }

    fn address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_last_slash_and_keeps_its_path() {
        for (text, shown) in [
            ("https://auth.shop.com/", "https://auth.shop.com"),
            ("https://shop.com/auth/", "https://shop.com/auth"),
            ("HTTPS://Shop.COM:443", "https://shop.com"),
            ("http://[::1]:9000", "http://[::1]:9000"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().as_str(), shown);
        }
    }

    #[test]
    fn plain_http_is_for_ones_own_machine_and_network() {
        for text in
            ["http://localhost:8000", "http://127.0.0.1", "http://10.1.2.3:80", "http://authkit:8000", "http://a.internal"]
        {
            assert!(PublicUrl::parse(text).is_ok(), "{text}");
        }
        for text in ["http://auth.shop.com", "http://8.8.8.8", "http://localhost.shop.com", "http://[2001:db8::1]"] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }
}
