//! What the service tells about itself: its log and its metrics.

mod log;
mod metrics;
mod writer;

pub use log::{LogError, LogFormat, LogGuard, init_log, log_panics};
pub use metrics::{ConnectionGuard, InFlightGuard, Metrics};
