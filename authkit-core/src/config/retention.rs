//! How long what is over is kept.

use std::time::Duration;

/// How long what is over is kept. Every node forgets a little each minute, in short transactions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// How long a session is kept after it has ended: revoked, or past its absolute end. Default 30 days: long enough to look into
    /// what happened, and no longer than needed (GDPR article 5(1)(e)). At least an hour, and longer than an access token is
    /// valid, or a revocation would be forgotten before it has done its work.
    pub ended_sessions: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { ended_sessions: Duration::from_hours(24 * 30) }
    }
}
