//! The shared hot state of AuthKit on Redis: what several nodes tell one another, and nothing that must survive.
//!
//! [`RedisRevocationBus`] carries revocations between nodes within milliseconds. The durable store stays the truth, so that
//! losing Redis loses no session and revives no token.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use authkit_core::{AuthKit, Config};
//! use authkit_redis::{RedisOptions, RedisRevocationBus};
//!
//! let bus = RedisRevocationBus::connect(RedisOptions::from_url("rediss://authkit:secret@redis.internal:6379")?).await?;
//! let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().revocation_bus(Arc::new(bus)).build().await?;
//! # drop(auth);
//! # Ok(()) }
//! ```
//!
//! # Security
//! **Redis must not be public.** Give it a password or an ACL user, a private network, and TLS (`rediss://`) where others share
//! that network. An ACL user needs `+publish +subscribe +ping +hello` and `&authkit:*`. Whoever can publish there can log users
//! out, because a message can only revoke; nobody can be let in that way, and nothing secret is ever sent.

mod address;
mod backoff;
mod bus;
mod cluster;
mod connection;
mod connections;
mod error;
mod keeper;
mod lane;
mod link;
mod options;
mod outage;
mod rate_limiter;
mod record_cache;
mod script;
mod slots;
#[cfg(feature = "testkit")]
pub mod testkit;
mod wire;

pub use bus::RedisRevocationBus;
pub use connections::RedisConnections;
pub use error::{CommandError, ConnectError, RefusalReason};
pub use options::{InvalidUrl, RedisOptions};
pub use rate_limiter::RedisRateLimiter;
pub use record_cache::RedisRecordCache;
