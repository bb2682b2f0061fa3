//! The address of the client: the one function that decides it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use poem::http::HeaderMap;
use poem::http::header::FORWARDED;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a network in CIDR notation, such as 10.0.0.0/8")]
pub struct NetworkError;

/// The networks whose word about the client's address is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Takes networks.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().map(canonical_network).collect())
    }

    /// Reads networks (`10.0.0.0/8`) and single addresses (`::1`).
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, NetworkError> {
        let read = |text: &str| {
            let text = text.trim();
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| NetworkError)
        };
        Ok(Self::new(texts.into_iter().map(read).collect::<Result<Vec<_>, _>>()?))
    }

    /// Whether an address lies in one of the networks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// `::ffff:10.0.0.0/104` and `10.0.0.0/8` are one network.
fn canonical_network(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

/// The address of the client behind `peer`.
///
/// The peer itself, unless it lies in a trusted network. Then `X-Forwarded-For` or `Forwarded` (RFC 7239) is walked from the
/// right, the end that our own proxies wrote, over the hops that are trusted, to the first that is not.
///
/// # Security
/// - What a client sends is to the left of what our proxies append, so it is never reached.
/// - An entry that cannot be read ends the walk at the last trusted hop. There is always an address: garbage cannot switch
///   off a limit that is kept by address.
/// - A proxy writes one of the two headers and hands on the other as the client sent it. Where both are present and
///   disagree, neither is believed.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let classic = headers.contains_key(X_FORWARDED_FOR).then(|| walk(peer, x_forwarded_for(headers), trusted));
    let standard = headers.contains_key(FORWARDED).then(|| walk(peer, forwarded(headers), trusted));
    match (classic, standard) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// Goes from hop to hop, nearest first; `None` is a hop that cannot be read.
fn walk(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> IpAddr {
    let mut last = peer;
    for hop in hops {
        let Some(address) = hop else { return last };
        last = address;
        if !trusted.contains(address) {
            return address;
        }
    }
    last
}

/// The entries of `X-Forwarded-For`, nearest first; several header lines are one list (RFC 9110 §5.3).
fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(parse_node)
}

/// The `for=` of the elements of `Forwarded`, nearest first.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    // Neither an address nor a quoted port contains a comma, so a comma always ends an element of ours. One that a client
    // hid in a quoted string makes its own element unreadable, and that ends the walk.
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(for_of_element)
}

fn for_of_element(element: &str) -> Option<IpAddr> {
    let mut nodes = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    // Twice `for` in one element is forbidden (RFC 7239 §4): no guess which one is meant.
    let (node, None) = (nodes.next()?, nodes.next()) else { return None };
    let unquoted = node.strip_prefix('"').map_or(Some(node), |rest| rest.strip_suffix('"'))?;
    parse_node(unquoted)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

#[cfg(test)]
#[path = "client_address/tests.rs"]
mod tests;
