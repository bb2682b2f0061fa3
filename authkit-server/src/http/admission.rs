//! Who may open a connection: a cap for everybody together and one for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use authkit_core::primitives::client_network;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::client_address::TrustedProxies;
use super::limits::Limits;

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The service holds as many connections as it may.
    Full,
    /// This address holds as many connections as it may.
    AddressFull,
}

/// The count of the connections that are open.
#[derive(Debug)]
pub(crate) struct Admission {
    max_total: usize,
    max_per_address: usize,
    exempt: TrustedProxies,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, exempt: TrustedProxies) -> Self {
        let max_total = limits.max_connections.min(connections_by_file_limit());
        Self { max_total, max_per_address: limits.max_connections_per_address, exempt, open: Mutex::default() }
    }

    pub(crate) fn max_total(&self) -> usize {
        self.max_total
    }

    /// Counts a connection in, until the ticket is dropped.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Ticket, Refusal> {
        // SECURITY: all clients behind a proxy share its address, so a cap on it would let one of them lock out the rest.
        let exempt = peer.to_canonical().is_loopback() || self.exempt.contains(peer);
        let address = (!exempt).then(|| client_network(peer));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.max_total {
            return Err(Refusal::Full);
        }
        if let Some(address) = address {
            let held = open.per_address.entry(address).or_default();
            if *held >= self.max_per_address {
                return Err(Refusal::AddressFull);
            }
            *held += 1;
        }
        open.total += 1;
        Ok(Ticket { admission: Arc::clone(self), address })
    }
}

/// One admitted connection.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(address) = self.address {
            // An address is forgotten with its last connection, so the map is never larger than the number of connections.
            if let Some(held) = open.per_address.get_mut(&address) {
                *held -= 1;
                if *held == 0 {
                    open.per_address.remove(&address);
                }
            }
        }
    }
}

/// Lifts the soft limit on open files to the hard one and returns it.
///
/// Call it once at the start of the process. Many systems hand out 1024 for the sake of programs that use `select(2)`, which
/// this one does not.
pub fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files could not be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Connections that leave enough descriptors for the database, the log and the runtime: all but 128, and at least a half.
fn connections_by_file_limit() -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else { return usize::MAX };
    usize::try_from(files - (files / 2).min(128)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_address: usize) -> Arc<Admission> {
        let limits = Limits { max_connections: total, max_connections_per_address: per_address, ..Limits::default() };
        Arc::new(Admission::new(&limits, TrustedProxies::parse(["10.0.0.0/8"]).expect("a CIDR")))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let admission = admission(10, 2);
        let first = admission.admit(ip("192.0.2.1")).expect("fits");
        let _second = admission.admit(ip("::ffff:192.0.2.1")).expect("fits");
        assert_eq!(admission.admit(ip("192.0.2.1")).err(), Some(Refusal::AddressFull), "v4-mapped is the same address");
        admission.admit(ip("192.0.2.2")).expect("another address is not concerned");
        drop(first);
        admission.admit(ip("192.0.2.1")).expect("a closed connection makes room");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let admission = admission(10, 1);
        let _held = admission.admit(ip("2001:db8::1")).expect("fits");
        assert_eq!(admission.admit(ip("2001:db8::ffff:2")).err(), Some(Refusal::AddressFull));
        admission.admit(ip("2001:db8:0:1::1")).expect("another /64");
    }

    #[test]
    fn proxies_and_loopback_are_bounded_by_the_total_only() {
        let admission = admission(2, 1);
        let held = [admission.admit(ip("10.1.2.3")).expect("fits"), admission.admit(ip("10.1.2.3")).expect("fits")];
        assert_eq!(admission.admit(ip("127.0.0.1")).err(), Some(Refusal::Full));
        drop(held);
        assert!(admission.open.lock().expect("not poisoned").per_address.is_empty());
        assert_eq!(admission.open.lock().expect("not poisoned").total, 0);
    }
}
