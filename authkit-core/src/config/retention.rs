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
    /// How long wrong passwords in a row are counted on after the last of them. Default 30 days: whoever guesses so slowly that he
    /// starts anew each time gets some dozen guesses a year. At least a day.
    ///
    /// Counts of a device or a session that are used up stay as long as its token could be valid, and that of an account that
    /// takes no passwords from strangers any more stays until the owner has logged in.
    pub wrong_guesses: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        let month = Duration::from_hours(24 * 30);
        Self { ended_sessions: month, wrong_guesses: month }
    }
}
