//! Says an outage once.

use std::fmt::Display;

use crate::options::RedisOptions;

/// Says each outage once, and again when its cause changes.
pub(crate) struct Outage {
    consequence: &'static str,
    end: &'static str,
    cause: Option<String>,
}

impl Outage {
    /// What an outage means, and what its end means.
    pub(crate) const fn new(consequence: &'static str, end: &'static str) -> Self {
        Self { consequence, end, cause: None }
    }

    pub(crate) fn is_told(&mut self, redis: &RedisOptions, cause: &dyn Display) {
        let cause = cause.to_string();
        if self.cause.as_ref() != Some(&cause) {
            tracing::warn!(%redis, cause, "{}", self.consequence);
            self.cause = Some(cause);
        }
    }

    pub(crate) fn is_over(&mut self, redis: &RedisOptions) {
        if self.cause.take().is_some() {
            tracing::info!(%redis, "{}", self.end);
        }
    }
}
