//! For the tests of stores, limiters, caches and hosts: their contracts, a frozen clock, seeded entropy, ready-made rows, injected
//! faults, stores that are wrong on purpose, a TCP proxy that spoils what passes.
//!
//! Nothing here is safe or meant for production. Enable the feature `testkit` in `[dev-dependencies]` only.

pub mod audit_receiver;
pub mod audit_rule;
pub mod bus_contract;
pub mod clock;
pub mod entropy;
pub mod fault_proxy;
pub mod faults;
pub mod fixtures;
pub mod mailbox;
pub mod mutant_store;
pub mod outage;
pub mod promise;
pub mod rate_limiter_contract;
pub mod record_cache_contract;
#[cfg(all(feature = "passkeys", feature = "aws-lc-rs"))]
pub mod soft_authenticator;
pub mod store_contract;
mod totp_secret;

pub use audit_receiver::AuditReceiver;
pub use clock::FrozenClock;
pub use entropy::SeededEntropy;
pub use fault_proxy::{Direction, FaultProxy, NetworkFault};
pub use faults::{Fault, FaultyStore, Gate, Method};
pub use fixtures::Fixtures;
pub use mailbox::Mailbox;
pub use mutant_store::{Bug, MutantStore};
pub use outage::Outage;
#[cfg(all(feature = "passkeys", feature = "aws-lc-rs"))]
pub use soft_authenticator::{Conduct, SoftAuthenticator};
pub use totp_secret::totp_secret;
