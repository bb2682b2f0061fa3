//! Settings of the audit log.

use std::time::Duration;

/// Settings of the audit log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditConfig {
    /// How old an event is before it is sealed. Default 90 seconds.
    ///
    /// An event is dated before it is committed, so it lands a moment after the instant it names, and by the clock of its node: two
    /// nodes may be 30 s away from the store's clock, one ahead and one behind, and a transaction takes some seconds. What is later
    /// than that is sealed all the same, and marked as late; the shorter this is, the more of that there is, and the longer it is,
    /// the longer an attacker who holds the database can change an event without a trace. At least a second.
    pub seal_after: Duration,
    /// How late an event may land and still be sealed. Default 15 minutes, at least `seal_after`.
    ///
    /// It is against events that somebody writes into the past: what turns up behind it is not sealed, and a verification names it as
    /// added. A transaction of the host's own that holds a change set for longer than this would be named, too.
    pub late_within: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { seal_after: Duration::from_secs(90), late_within: Duration::from_mins(15) }
    }
}
