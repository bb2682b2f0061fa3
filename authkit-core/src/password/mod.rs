//! Passwords: what one must be, how it is hashed, and the pool that hashes without hurting anything else.
//!
//! # Why a pool of its own
//!
//! One hash takes 19 MiB and about 15 ms on purpose, so whoever may start hashes without bound owns the machine: 500
//! logins at once would take 9.5 GiB, and running more of them than there are cores serves nobody sooner (two cores
//! gave 18 hashes a second with 2 threads and 12 with 8). [`HashPool`] therefore hashes on a fixed number of named
//! operating system threads:
//!
//! - each has **its own block of memory**, allocated at its first hash and reused from then on. Reuse gave 1.55 to 1.65
//!   times the throughput of allocating per hash on two cores, and the memory of hashing is threads × 19 MiB, never
//!   more. Memory is wiped before a thread goes idle; under load the next hash overwrites all of it anyway;
//! - each runs at **low priority** (nice 10 on Linux). As many threads as cores use the whole machine for logins, and
//!   still the verification of an access token, microseconds at normal priority, does not notice a storm;
//! - none is shared with the async runtime or with file I/O, so neither starves the other.
//!
//! # Why admission comes first
//!
//! A flow asks for its place ([`HashPool::admit`]) before it looks at the account. Being refused then says nothing about
//! whether the account exists, costs microseconds, and touches no database. A place is refused when:
//!
//! - the **predicted wait** is beyond `max_wait`: what is ahead in the queue × the moving average of a hash ÷ threads.
//!   Everybody who is let in is therefore served in time, and a queue never grows into one in which nobody is;
//! - the **identifier** already has two places in its class. One hash runs at a time per identifier, so that 500
//!   connections that guess at one account take one thread at most. Classes count apart: guesses from strange clients
//!   cannot shut a known one out;
//! - the **network** has its share: a quarter of the queue for an IPv4 address or an IPv6 /64, half for a /24 or /48,
//!   and never less than 16 and 32. It is generous, because offices and carriers share addresses; rates per address
//!   are the rate limiter's work. Loopback and unknown addresses have no such bound: there the host is the balancer.
//!
//! Inside, deficit round robin serves the classes of [`HashClass`] 8 : 4 : 2 : 1, so that a storm of logins by strangers
//! leaves eight fifteenths to people who are already in. Within a class it is first come, first served; once somebody has
//! waited longer than `max_wait`, which means that hashing became slower than predicted, the newest is served first, so
//! that some are answered in time. Nobody is hashed for half a `max_wait` later than that, and whoever hangs up leaves the
//! queue at once.
//!
//! Stored hashes that need more memory than a new one (imports) run one at a time, in memory that is freed afterwards,
//! and weigh as much as they cost. Beyond `max_memory_kib`, 10 passes or 8 lanes they are refused.
//!
//! # Why an unknown account costs a hash
//!
//! [`Admission::verify`] without a stored hash verifies against one that was drawn at random with the parameters of the
//! day: the same queue, memory and work as a wrong password, so that time tells nobody who has an account.
//!
//! # Sources
//!
//! Parameters: OWASP Password Storage, RFC 9106. Policy: NIST SP 800-63B-4 §3.1.1.2, OWASP ASVS 5.0 §6.2. Bounded work:
//! ASVS 15.2.2. The figures are measurements on two shared cores with argon2 0.5 (threads) and 0.6 (reuse).

mod admission;
mod argon2;
mod books;
mod fairness;
mod hasher;
mod legacy;
mod pending;
mod policy;
mod pool;
mod queue;
mod stored;
mod weakness;
mod wrap;

/// Whether a text names a format that [`PasswordConfig::imitated_hash`](crate::config::PasswordConfig::imitated_hash) takes, within these
/// limits.
#[must_use]
pub fn is_imitable(format: &str, hashing: &crate::config::HashingConfig) -> bool {
    let limits = legacy::ForeignLimits { max_memory_kib: u64::from(hashing.max_memory_kib) };
    legacy::ForeignHash::imitated(format, limits).is_some()
}

pub use admission::{Admission, HashError, Overloaded, SetPasswordError};
pub use fairness::HashOrigin;
pub use hasher::{Hasher, Verdict};
pub use legacy::HashRefusal;
pub(crate) use pending::{pending, ready};
pub use policy::{PasswordPolicy, PolicyContext};
pub use pool::{HashPool, PoolStats};
pub use queue::HashClass;
pub use stored::HashSecrets;
pub use weakness::{Weakness, WeaknessReason};
