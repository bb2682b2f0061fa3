//! The contract of [`RateLimiter`]: what every implementation promises, as checks that can fail.
//!
//! A limiter of one's own passes it with a few lines in a test file:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use authkit_core::embedded::LocalRateLimiter;
//! use authkit_core::ports::RateLimiter;
//! use authkit_core::testkit::FrozenClock;
//! use authkit_core::testkit::rate_limiter_contract::LimiterUnderTest;
//! use authkit_core::{Clock, Timestamp};
//!
//! struct Local(FrozenClock, Arc<LocalRateLimiter>);
//!
//! #[async_trait::async_trait]
//! impl LimiterUnderTest for Local {
//!     fn nodes(&self) -> Vec<Arc<dyn RateLimiter>> {
//!         vec![self.1.clone()]
//!     }
//!
//!     fn now(&self) -> Timestamp {
//!         self.0.now()
//!     }
//!
//!     async fn pass(&self, time: Duration) {
//!         self.0.advance(time);
//!     }
//!
//!     async fn buckets(&self) -> usize {
//!         self.1.sweep();
//!         self.1.len()
//!     }
//! }
//!
//! async fn fresh_limiter() -> Local {
//!     let clock = FrozenClock::new();
//!     Local(clock.clone(), Arc::new(LocalRateLimiter::new(Arc::new(clock))))
//! }
//!
//! authkit_core::rate_limiter_contract!(fresh_limiter);
//! # fn main() {}
//! ```
//!
//! Where time cannot be told to pass, `now` is the machine's clock and `pass` sleeps: no check waits for longer than a few
//! seconds, and none fails because the machine was slow.
//!
//! `AUTHKIT_CONTRACT_ROUNDS` (default 20) says how often each race is run.

#[doc(hidden)]
pub mod buckets;
#[doc(hidden)]
pub mod counting;
mod promises;
#[doc(hidden)]
pub mod time;
mod trial;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::rate_limiter::RateLimiter;
use crate::primitives::Timestamp;

pub use promises::{Promise, promises};

pub use super::promise::{assert_promise, run};

/// A limiter that holds nothing yet and is nobody else's, and the time that it lives in.
#[async_trait]
pub trait LimiterUnderTest: Send + Sync {
    /// The handles that count in the same buckets, as so many nodes would; at least one.
    fn nodes(&self) -> Vec<Arc<dyn RateLimiter>>;

    /// The time as the limiter sees it: only differences matter.
    fn now(&self) -> Timestamp;

    /// Returns when at least this much time has passed for the limiter.
    async fn pass(&self, time: Duration);

    /// How many buckets it holds state of.
    async fn buckets(&self) -> usize;
}

type Making = Pin<Box<dyn Future<Output = Arc<dyn LimiterUnderTest>> + Send>>;

/// Where a check gets its limiters from.
#[derive(Clone)]
pub struct Limiters(Arc<dyn Fn() -> Making + Send + Sync>);

impl Limiters {
    /// Limiters made by an async function or closure.
    pub fn new<F, Fresh, L>(fresh_limiter: F) -> Self
    where
        F: Fn() -> Fresh + Send + Sync + 'static,
        Fresh: Future<Output = L> + Send + 'static,
        L: LimiterUnderTest + 'static,
    {
        Self(Arc::new(move || {
            let making = fresh_limiter();
            Box::pin(async move { Arc::new(making.await) as Arc<dyn LimiterUnderTest> })
        }))
    }

    /// Makes one.
    pub async fn fresh(&self) -> Arc<dyn LimiterUnderTest> {
        (self.0)().await
    }
}

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiters").finish_non_exhaustive()
    }
}
