//! Settings of links that are mailed, and of the outbox.

use std::time::Duration;

/// Settings of links that are mailed, and of the outbox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MailConfig {
    /// How long a link that proves an address is good. Default 24 hours (SP 800-63B-4 §4.2.1.2, for mail).
    pub verify_email_lifetime: Duration,
    /// How long a link that sets a new password is good. Default 30 minutes: long enough for mail that is late, and less than the
    /// 24 hours that SP 800-63B-4 §4.2.1.2 allows.
    pub reset_password_lifetime: Duration,
    /// How long a link that logs in is good. Default 10 minutes (ASVS 6.5.5).
    pub magic_link_lifetime: Duration,
    /// How long a link that takes a change of the address back is good. Default 7 days: who is robbed of an account may be on a journey.
    pub undo_email_change_lifetime: Duration,
    /// How long an invitation is good. Default 3 days: over a weekend, and it can be sent again.
    pub invitation_lifetime: Duration,
    /// How long a link is good by which an administrator has somebody set a new password. Default 24 hours, the most that SP 800-63B-4
    /// §4.2.1.2 allows: nobody waits for it.
    pub admin_password_reset_lifetime: Duration,
    /// How often the delivery of a message is tried before it is given up. Default 12, which with the growing pauses fills 24 hours.
    pub max_attempts: u32,
    /// How long a message that was delivered, given up or dropped is kept, without what it said unless it was given up. Default 7
    /// days.
    pub keep_finished: Duration,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            verify_email_lifetime: Duration::from_hours(24),
            reset_password_lifetime: Duration::from_mins(30),
            magic_link_lifetime: Duration::from_mins(10),
            undo_email_change_lifetime: Duration::from_hours(24 * 7),
            invitation_lifetime: Duration::from_hours(24 * 3),
            admin_password_reset_lifetime: Duration::from_hours(24),
            max_attempts: 12,
            keep_finished: Duration::from_hours(24 * 7),
        }
    }
}
