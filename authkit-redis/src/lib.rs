//! The shared hot state of AuthKit on Redis: what several nodes tell one another, and nothing that must survive.
//!
//! - [`RedisRevocationBus`] carries revocations between nodes within milliseconds.
//! - [`RedisRateLimiter`] counts what is tried, for all nodes together.
//! - [`RedisRecordCache`] keeps accounts that are only shown, for 30 seconds at most.
//!
//! The durable store stays the truth, so that losing Redis loses no session, revives no token and lifts no limit.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use authkit_core::{AuthKit, Config};
//! use authkit_redis::{RedisConnections, RedisOptions, RedisRateLimiter, RedisRecordCache, RedisRevocationBus};
//!
//! let options = RedisOptions::from_url("rediss+cluster://authkit:secret@redis-1.internal:6379,redis-2.internal:6379")?;
//! let connections = RedisConnections::connect(options.clone()).await?;
//! let auth = AuthKit::builder(Config::new("https://app.example"))
//!     .in_memory()
//!     .revocation_bus(Arc::new(RedisRevocationBus::connect(options).await?))
//!     .rate_limiter(Arc::new(RedisRateLimiter::new(&connections)))
//!     .record_cache(Arc::new(RedisRecordCache::new(&connections)))
//!     .build()
//!     .await?;
//! # drop(auth);
//! # Ok(()) }
//! ```
//!
//! # When Redis is away
//! It may be gone, hang, be full or refuse: for a request it is all the same. The first one waits 75 ms for it (a logout 100 ms),
//! the later ones not at all; a background task tries each second, and what works again is used again without a restart.
//!
//! | | meanwhile | after a loss of all data |
//! |---|---|---|
//! | revocations | other nodes read them from the store, within a second; no token revives | as before: they are in the store |
//! | limits | each node counts by itself, its part of each quota; nothing is unlimited, nobody is shut out | every bucket has its burst once more |
//! | records | read from the store | read from the store |
//! | health | degraded | as before |
//!
//! In a cluster that is so for the keys of the nodes that are away, and the others go on; where `cluster-require-full-coverage`
//! is on, as it is by default, the whole cluster stops with one of its nodes.
//!
//! # Connections
//! Two to each Redis that is alone: one that is subscribed, and one for everything else, which all requests share. A flood of
//! messages holds no answer up that way. In a cluster it is one to each master, and one to any node for the subscription. The
//! cluster's map is kept by this crate and not by the client's own cluster connection, which holds every request up while it
//! looks for the slots anew: here each node has a circuit breaker of its own, and the others do not notice.
//!
//! Every key carries a hash tag in braces, and a script touches keys of one slot.
//!
//! # Security
//! **Redis must not be public.** Give it a password or an ACL user, a private network, and TLS (`rediss://`) where others share
//! that network. An ACL user needs the keys and channels `~authkit:* &authkit:*` and the commands
//! `+hello +ping +publish +subscribe +eval +evalsha +time +get +set +del`, and in a cluster
//! `+cluster|slots +cluster|info +asking`. Sentinels need `+sentinel|get-master-addr-by-name`.
//!
//! What is in Redis: digests of addresses and accounts that were counted, and in plain text the email address, name and language
//! of whoever looked at her own profile within the last 30 seconds. No password, hash or token ever is. Whoever can write there
//! can log users out, lift limits, and show somebody other data about herself; nobody can be let in that way.

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
