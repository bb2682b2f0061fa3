//! AuthKit is authentication for a Rust application: accounts, sessions, tokens and passwords behind one handle.

pub mod config;
pub mod embedded;
pub mod model;
pub mod password;
pub mod ports;
pub mod primitives;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod token;

pub use config::Config;
pub use primitives::*;
