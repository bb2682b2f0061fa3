//! Who holds how many places, so that one account or one network cannot hold them all.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

use crate::primitives::client_network;

use super::queue::HashClass;

/// The most places of one identifier in one class: one that hashes, one that waits.
const PER_IDENTIFIER: usize = 2;
/// The least bound of an address, whatever the queue holds: a household or a small office at once.
const MIN_PER_ADDRESS: usize = 16;
/// The least bound of a subnet.
const MIN_PER_SUBNET: usize = 32;

/// Where a request for a hash comes from.
#[derive(Debug, Clone, Copy)]
pub struct HashOrigin<'a> {
    ip: Option<IpAddr>,
    identifier: &'a str,
}

impl<'a> HashOrigin<'a> {
    /// Takes the client's address, where it is known, and whom the password is for: the normalised email address, or the
    /// id of the account. The identifier is kept as a keyed hash only.
    #[must_use]
    pub const fn new(ip: Option<IpAddr>, identifier: &'a str) -> Self {
        Self { ip, identifier }
    }
}

/// A network that shares a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    Client(IpAddr),
    V4Subnet(u32),
    V6Site(u128),
}

/// The client and its subnet: a /24 or a /48. `None` for loopback: there the host itself is the client, or a balancer beside it.
fn networks(ip: IpAddr) -> Option<(Network, Network)> {
    if ip.to_canonical().is_loopback() {
        return None;
    }
    let client = client_network(ip);
    let subnet = match client {
        IpAddr::V4(ip) => Network::V4Subnet(ip.to_bits() >> 8),
        IpAddr::V6(ip) => Network::V6Site(ip.to_bits() >> 80),
    };
    Some((Network::Client(client), subnet))
}

/// What one place counts against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    /// A keyed hash of class and identifier.
    pub(super) identifier: u64,
    networks: Option<(Network, Network)>,
}

/// Makes seats; the key is this process's own.
#[derive(Debug, Default)]
pub(super) struct Seats(RandomState);

impl Seats {
    pub(super) fn of(&self, class: HashClass, origin: &HashOrigin<'_>) -> Seat {
        Seat { identifier: self.0.hash_one((class, origin.identifier)), networks: origin.ip.and_then(networks) }
    }
}

/// The places that are taken. Holds one number per identifier and network that has any.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    identifiers: HashMap<u64, usize>,
    networks: HashMap<Network, usize>,
}

impl Ledger {
    /// Takes a place in a queue that holds about `capacity`, or says no and changes nothing.
    pub(super) fn take(&mut self, seat: &Seat, capacity: usize) -> bool {
        let held = |count: Option<&usize>| count.copied().unwrap_or(0);
        if held(self.identifiers.get(&seat.identifier)) >= PER_IDENTIFIER {
            return false;
        }
        if let Some((address, subnet)) = &seat.networks {
            let per_address = (capacity / 4).max(MIN_PER_ADDRESS);
            let per_subnet = (capacity / 2).max(MIN_PER_SUBNET);
            if held(self.networks.get(address)) >= per_address || held(self.networks.get(subnet)) >= per_subnet {
                return false;
            }
            *self.networks.entry(*address).or_default() += 1;
            *self.networks.entry(*subnet).or_default() += 1;
        }
        *self.identifiers.entry(seat.identifier).or_default() += 1;
        true
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.identifiers.is_empty() && self.networks.is_empty()
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, seat: &Seat) {
        lower(&mut self.identifiers, &seat.identifier);
        if let Some((address, subnet)) = &seat.networks {
            lower(&mut self.networks, address);
            lower(&mut self.networks, subnet);
        }
    }
}

fn lower<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ips: impl Iterator<Item = String>, capacity: usize) -> usize {
        let (seats, mut ledger) = (Seats::default(), Ledger::default());
        ips.enumerate()
            .filter(|(index, ip)| {
                let identifier = format!("user-{index}");
                let origin = HashOrigin::new(Some(ip.parse().expect("an address")), &identifier);
                ledger.take(&seats.of(HashClass::Login, &origin), capacity)
            })
            .count()
    }

    #[test]
    fn an_identifier_has_two_places_in_each_class() {
        let (seats, mut ledger) = (Seats::default(), Ledger::default());
        let seat = |class| seats.of(class, &HashOrigin::new(None, "user@example.com"));
        assert!(ledger.take(&seat(HashClass::Login), 100) && ledger.take(&seat(HashClass::Login), 100));
        assert!(!ledger.take(&seat(HashClass::Login), 100));
        // Strangers who guess cannot shut out the client that is known.
        assert!(ledger.take(&seat(HashClass::KnownClient), 100));
        ledger.release(&seat(HashClass::Login));
        assert!(ledger.take(&seat(HashClass::Login), 100));
    }

    #[test]
    fn a_network_has_its_share_and_cannot_widen_it() {
        let repeat = |ip: &str| std::iter::repeat_n(ip.to_owned(), 1_000);
        assert_eq!(taken(repeat("192.0.2.1"), 400), 100);
        assert_eq!(taken(repeat("192.0.2.1"), 0), MIN_PER_ADDRESS);
        assert_eq!(taken(repeat("192.0.2.1").zip(repeat("::ffff:192.0.2.1")).flat_map(|(a, b)| [a, b]), 400), 100);
        assert_eq!(taken((0..1_000).map(|host| format!("2001:db8:1:2::{host:x}")), 400), 100);
        assert_eq!(taken((0..1_000).map(|net| format!("2001:db8:1:{net:x}::1")), 400), 200);
        assert_eq!(taken((0..1_000).map(|host| format!("192.0.2.{}", host % 256)), 400), 200);
        assert_eq!(taken((0..1_000).map(|net| format!("10.{}.{}.1", net / 250, net % 250)), 400), 1_000);
    }

    #[test]
    fn loopback_and_unknown_addresses_are_not_bounded() {
        for ip in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(taken(std::iter::repeat_n(ip.to_owned(), 1_000), 4), 1_000, "{ip}");
        }
    }

    #[test]
    fn what_is_given_back_leaves_nothing_behind() {
        let (seats, mut ledger) = (Seats::default(), Ledger::default());
        for index in 0..100_u8 {
            let identifier = index.to_string();
            let seat = seats.of(HashClass::Login, &HashOrigin::new(Some(IpAddr::from([192, 0, 2, index])), &identifier));
            assert!(ledger.take(&seat, 10_000));
            ledger.release(&seat);
        }
        assert!(ledger.is_empty());
    }
}
