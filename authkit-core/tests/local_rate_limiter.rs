//! The limiter of a single process keeps every promise.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::embedded::LocalRateLimiter;
use authkit_core::ports::RateLimiter;
use authkit_core::testkit::FrozenClock;
use authkit_core::testkit::rate_limiter_contract::LimiterUnderTest;
use authkit_core::{Clock, Timestamp};

struct Local {
    clock: FrozenClock,
    limiter: Arc<LocalRateLimiter>,
}

#[async_trait]
impl LimiterUnderTest for Local {
    fn nodes(&self) -> Vec<Arc<dyn RateLimiter>> {
        vec![self.limiter.clone()]
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn buckets(&self) -> usize {
        self.limiter.sweep();
        self.limiter.len()
    }
}

async fn fresh_limiter() -> Local {
    let clock = FrozenClock::new();
    Local { limiter: Arc::new(LocalRateLimiter::new(Arc::new(clock.clone()))), clock }
}

authkit_core::rate_limiter_contract!(fresh_limiter);
