//! Whose word about a client's address is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::problem::Refusal;

/// Reads comma-separated networks (CIDR) or single addresses; an empty text is none.
///
/// # Security
/// A network of everybody is refused: any client could then choose the address that limits and logs see.
pub(super) fn parse(text: &str) -> Result<Vec<IpNet>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|part| network(part.trim())).collect()
}

fn network(text: &str) -> Result<IpNet, Refusal> {
    const FORM: &str = "write networks as in 10.0.0.0/8, 192.168.1.7, fd00::/8";
    let single = text.parse::<IpAddr>().ok().map(IpNet::from);
    let Some(net) = single.or_else(|| text.parse::<IpNet>().ok()) else {
        return Err(Refusal::new("contains something that is neither a network nor an address", FORM));
    };
    if net.prefix_len() == 0 {
        return Err(Refusal::new("contains a network of everybody, so that any client could forge its address", FORM));
    }
    if net.trunc() != net {
        return Err(Refusal::new(
            "contains a network with bits set beyond its prefix",
            format!("for that network write {}", net.trunc()),
        ));
    }
    if net.network() == mapped() || matches!(net, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
        return Err(Refusal::new("contains an IPv4 network in IPv6 form, which no peer ever matches", FORM));
    }
    Ok(net)
}

fn mapped() -> IpAddr {
    IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped())
}

/// Writes networks as `AUTHKIT_TRUSTED_PROXIES` reads them.
#[must_use]
pub fn show(networks: &[IpNet]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Whether the proxies include this machine, as they do for a proxy beside the server.
#[must_use]
pub fn covers_loopback(networks: &[IpNet]) -> bool {
    let local = [IpNet::V4(Ipv4Net::from(Ipv4Addr::LOCALHOST)), IpNet::V6(Ipv6Net::from(Ipv6Addr::LOCALHOST))];
    networks.iter().any(|net| local.iter().any(|ip| net.contains(ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_read_and_shown() {
        let read = parse("10.0.0.0/8, 192.168.1.7 ,fd00::/8,::1").unwrap();
        assert_eq!(show(&read), "10.0.0.0/8,192.168.1.7/32,fd00::/8,::1/128");
        assert!(covers_loopback(&read));
        assert_eq!(parse(" ").unwrap(), []);
    }

    #[test]
    fn what_would_believe_everybody_or_nobody_is_refused() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0.0/8,", "proxy.local", "::ffff:10.0.0.0/104"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
