//! Where the audit log is handed on to: a file of JSON lines, or a syslog.

mod file;
mod syslog;
mod tcp;
mod udp;
mod unix;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authkit_core::ports::AuditSink;
use url::{Host, Url};

use crate::cli::OperationError;

/// A receiver of the audit log, as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditTarget {
    /// A file that JSON lines are appended to.
    File {
        /// Where.
        path: PathBuf,
        /// Whether every delivery is synced to the disk before it counts.
        sync: bool,
    },
    /// The syslog of this machine, at a socket.
    Local {
        /// Where.
        path: PathBuf,
        /// Whether it is spoken to as RFC 5424 has it, and not as `syslog(3)` does.
        rfc5424: bool,
    },
    /// A syslog elsewhere.
    Remote {
        /// Over what.
        transport: Transport,
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// How a syslog elsewhere is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Datagrams (RFC 5426): what gets lost is lost.
    Udp,
    /// A connection, each message behind its length (RFC 6587 §3.4.1).
    Tcp,
    /// The same inside TLS (RFC 5425).
    Tls,
}

impl Transport {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Udp => "syslog+udp",
            Self::Tcp => "syslog+tcp",
            Self::Tls => "syslog+tls",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Udp => 514,
            Self::Tcp => 601,
            Self::Tls => 6_514,
        }
    }
}

/// Why a text names no receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditTargetError {
    /// It is of none of the forms.
    #[error("names no file and no syslog")]
    Form,
    /// A part that none of the forms has.
    #[error("has a part that it cannot have")]
    Parts,
    /// An option that there is not.
    #[error("has an option that there is not")]
    Option,
}

impl AuditTarget {
    /// Reads `file:/path`, `syslog:///dev/log`, `syslog+udp://host:514`, `syslog+tcp://host:601` or `syslog+tls://host:6514`.
    pub fn parse(text: &str) -> Result<Self, AuditTargetError> {
        if let Some(rest) = text.strip_prefix("file:") {
            let (path, option) = path_and_option(rest)?;
            let sync = match option {
                None | Some("sync=on") => true,
                Some("sync=off") => false,
                Some(_) => return Err(AuditTargetError::Option),
            };
            return Ok(Self::File { path, sync });
        }
        if let Some(rest) = text.strip_prefix("syslog:") {
            let (path, option) = path_and_option(rest)?;
            let rfc5424 = match option {
                None | Some("format=local") => false,
                Some("format=rfc5424") => true,
                Some(_) => return Err(AuditTargetError::Option),
            };
            return Ok(Self::Local { path, rfc5424 });
        }
        let url = Url::parse(text).map_err(|_| AuditTargetError::Form)?;
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let transport = transports.into_iter().find(|transport| transport.scheme() == url.scheme());
        let transport = transport.ok_or(AuditTargetError::Form)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(AuditTargetError::Parts);
        }
        // The host of a scheme that nobody knows is not looked at by the parser.
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(|_| AuditTargetError::Form)?;
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let port = url.port().unwrap_or(transport.default_port());
        if port == 0 { Err(AuditTargetError::Form) } else { Ok(Self::Remote { transport, host, port }) }
    }

    /// The same, a path being found from `directory` when it is relative.
    pub(crate) fn resolved(self, directory: &Path) -> Self {
        match self {
            Self::File { path, sync } => Self::File { path: directory.join(path), sync },
            Self::Local { path, rfc5424 } => Self::Local { path: directory.join(path), rfc5424 },
            remote @ Self::Remote { .. } => remote,
        }
    }

    /// Whether it is reached by TLS.
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Remote { transport: Transport::Tls, .. })
    }

    /// Whether what it is told can be read on a network.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        match self {
            Self::File { .. } | Self::Local { .. } | Self::Remote { transport: Transport::Tls, .. } => false,
            Self::Remote { host, .. } => {
                host != "localhost" && !host.parse().is_ok_and(|ip: std::net::IpAddr| ip.to_canonical().is_loopback())
            }
        }
    }

    /// Makes the sink. Nothing is opened yet but a file, whose place should be known to be wrong at the start. `authority` is the
    /// certificate (PEM) that signed that of the receiver; without one it is of the authorities of the web.
    pub(crate) fn open(&self, authority: Option<&[u8]>) -> Result<Arc<dyn AuditSink>, OperationError> {
        let name = self.to_string();
        Ok(match self {
            Self::File { path, sync } => Arc::new(file::FileSink::open(name, path.clone(), *sync)?),
            Self::Local { path, rfc5424 } => Arc::new(unix::UnixSink::new(name, path.clone(), *rfc5424)),
            Self::Remote { transport: Transport::Udp, host, port } => Arc::new(udp::UdpSink::new(name, host.clone(), *port)),
            Self::Remote { transport: Transport::Tcp, host, port } => {
                Arc::new(tcp::TcpSink::start(name, host.clone(), *port, None))
            }
            Self::Remote { transport: Transport::Tls, host, port } => {
                let tls = tcp::Tls::new(host, authority)?;
                Arc::new(tcp::TcpSink::start(name, host.clone(), *port, Some(tls)))
            }
        })
    }
}

/// A path, with `//` in front or not, and what stands behind a question mark.
fn path_and_option(text: &str) -> Result<(PathBuf, Option<&str>), AuditTargetError> {
    let text = text.strip_prefix("//").unwrap_or(text);
    let (path, option) = text.split_once('?').map_or((text, None), |(path, option)| (path, Some(option)));
    if path.is_empty() || path.contains(char::is_control) { Err(AuditTargetError::Form) } else { Ok((path.into(), option)) }
}

impl fmt::Display for AuditTarget {
    /// The name under which it is kept how far the receiver is: what changes only how it is written to is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "file:{}", path.display()),
            Self::Local { path, .. } => write!(f, "syslog:{}", path.display()),
            Self::Remote { transport, host, port } if host.contains(':') => {
                write!(f, "{}://[{host}]:{port}", transport.scheme())
            }
            Self::Remote { transport, host, port } => write!(f, "{}://{host}:{port}", transport.scheme()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown() {
        for (text, shown) in [
            ("file:/var/log/authkit/audit.jsonl", "file:/var/log/authkit/audit.jsonl"),
            ("file:///var/log/audit.jsonl?sync=off", "file:/var/log/audit.jsonl"),
            ("syslog:///dev/log", "syslog:/dev/log"),
            ("syslog:/run/collector?format=rfc5424", "syslog:/run/collector"),
            ("syslog+udp://logs.example", "syslog+udp://logs.example:514"),
            ("syslog+tcp://logs.example:1601", "syslog+tcp://logs.example:1601"),
            ("syslog+tcp://LOGS.example", "syslog+tcp://logs.example:601"),
            ("syslog+tls://[2001:db8::1]", "syslog+tls://[2001:db8::1]:6514"),
        ] {
            assert_eq!(AuditTarget::parse(text).map(|target| target.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert!(matches!(AuditTarget::parse("file:/a?sync=off"), Ok(AuditTarget::File { sync: false, .. })));
    }

    #[test]
    fn what_is_none_is_refused() {
        use AuditTargetError::{Form, Option, Parts};
        for (text, error) in [
            ("", Form),
            ("file:", Form),
            ("file://", Form),
            ("/var/log/audit.jsonl", Form),
            ("syslog:", Form),
            ("syslog+udp://", Form),
            ("syslog+quic://host", Form),
            ("https://host", Form),
            ("syslog+tcp://a b", Form),
            ("syslog+tcp://host:0", Form),
            ("syslog+tcp://host:65536", Form),
            ("syslog+tcp://user:password@host", Parts),
            ("syslog+tcp://host/path", Parts),
            ("syslog+tls://host?verify=off", Parts),
            ("file:/a?sync=sometimes", Option),
            ("syslog:/dev/log?format=xml", Option),
            ("file:/a\nb", Form),
        ] {
            assert_eq!(AuditTarget::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_what_crosses_a_network_in_the_clear_is_exposed() {
        let exposed = |text| AuditTarget::parse(text).expect("a target").is_exposed();
        assert!(exposed("syslog+udp://10.0.0.1") && exposed("syslog+tcp://logs.example"));
        for text in
            ["syslog+tcp://127.0.0.1", "syslog+udp://[::1]", "syslog+tcp://localhost", "syslog+tls://logs.example", "file:/a"]
        {
            assert!(!exposed(text), "{text}");
        }
    }
}
