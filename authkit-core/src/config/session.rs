//! Settings of sessions and refresh tokens.

use std::time::Duration;

/// What happens when a refresh token comes back that was already used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReusePolicy {
    /// The session ends at once (RFC 9700 §4.14.2). A client that loses a reply is logged out.
    Strict,
    /// The immediate predecessor gets the same successor again, for this long and while that successor is unused.
    /// Everything else ends the session. A lost reply or a second tab logs nobody out, and there is still one lineage.
    Grace(Duration),
}

/// Settings of sessions and refresh tokens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How long a session lives without being refreshed. Default 7 days (SP 800-63B-4 §2.1.3 allows 30 at AAL1).
    pub idle_timeout: Duration,
    /// How long a session lives in any case. Default 30 days (SP 800-63B-4 §2.1.3).
    pub absolute_timeout: Duration,
    /// How many sessions a user may have; the longest unused one makes room. Default 50.
    pub max_per_user: u32,
    /// What happens when a used refresh token comes back. Default a grace of 10 s.
    pub reuse: ReusePolicy,
    /// How recent a proof of identity must be for what cannot be undone. Default 5 minutes (ASVS 7.5.1).
    pub recent_authentication: Duration,
    /// How long a device is known on which somebody has logged in: its next login is not held up by strangers who guess at the
    /// account. Default 180 days, from the last login there. It is forgotten before that when the password changes.
    pub device_lifetime: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_hours(24 * 7),
            absolute_timeout: Duration::from_hours(24 * 30),
            max_per_user: 50,
            reuse: ReusePolicy::Grace(Duration::from_secs(10)),
            recent_authentication: Duration::from_mins(5),
            device_lifetime: Duration::from_hours(24 * 180),
        }
    }
}
