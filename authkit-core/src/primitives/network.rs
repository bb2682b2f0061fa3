//! The network by which a client is counted.

use std::net::{IpAddr, Ipv6Addr};

/// The network by which the client at an address is counted: the IPv4 address, or the /64 of an IPv6 address, which is what
/// one subscriber gets.
///
/// # Security
/// `::ffff:192.0.2.1` is 192.0.2.1, and one host owns a whole /64; else either would be a way around whatever is bounded by
/// address.
///
/// ```
/// use authkit_core::primitives::client_network;
///
/// let network = |text: &str| client_network(text.parse().unwrap()).to_string();
/// assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
/// assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
/// ```
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}
