//! `health`: asks the server that runs under these settings how it is, for container engines and scripts.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::args::HealthArgs;
use crate::settings::Settings;

/// How long the server may take to accept, and then to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest answer that is read: the server's own is a few hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// What the server said.
pub(super) struct Answer {
    /// Whether it is well: the status is 200.
    pub(super) is_well: bool,
    /// The body of its reply.
    pub(super) body: String,
}

/// Asks for the readiness of the server that listens where the settings say, or only whether it answers.
pub(super) fn ask(settings: &Settings, args: &HealthArgs) -> io::Result<Answer> {
    let path = if args.live { "/health/live" } else { "/health/ready" };
    let mut stream = TcpStream::connect_timeout(&reachable(settings.listen), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("what listens there does not speak HTTP"))?;
    Ok(Answer { is_well: head.split(' ').nth(1) == Some("200"), body: body.to_owned() })
}

/// Where a listener can be reached from its own machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listen, asked) in [("0.0.0.0:8000", "127.0.0.1:8000"), ("[::]:80", "[::1]:80"), ("10.0.0.7:1", "10.0.0.7:1")] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
