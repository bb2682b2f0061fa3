//! Settings against guessing: how many wrong passwords are let through, how fast, and until when.

use std::time::Duration;

/// Settings against guessing at one account from many addresses. They are counted in the store, so that a restart forgets
/// nothing and a shared limiter that is away changes nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuessingConfig {
    /// How many wrong passwords in a row are answered at once. Default 5: as many as a person tries who has several
    /// passwords in mind and one finger on the wrong key.
    pub free: u32,
    /// How long after the last of these the next one is evaluated; it doubles with each that follows. Default 1 s, which a
    /// person does not notice and a program does.
    pub first_delay: Duration,
    /// How long it is at most. Default 15 minutes: 96 guesses a day (OWASP ASVS 6.3.1).
    pub max_delay: Duration,
    /// After how many wrong passwords in a row no password is taken from an unknown device any more, until the owner has
    /// logged in on a known one, or by another way. Default 100, and never more (SP 800-63B-4 §3.2.2).
    ///
    /// With the delays it takes an attacker 22 hours to get there.
    pub at_most: u32,
    /// After how many wrong passwords in a row a device that was known is a stranger. Default 10: what is stolen with a
    /// device token is ten guesses (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
    pub per_device: u32,
    /// After how many wrong passwords in a row a session ends within which they were tried. Default 10: what is stolen with
    /// an access token is ten guesses (ASVS 6.2.3), and then it is worth nothing at all.
    pub per_session: u32,
}

impl GuessingConfig {
    /// How long after the last of so many wrong passwords the next one is evaluated.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).filter(|_| doublings < 32).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.max_delay)
    }
}

impl Default for GuessingConfig {
    fn default() -> Self {
        Self {
            free: 5,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(15),
            at_most: 100,
            per_device: 10,
            per_session: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_a_second_to_a_quarter_of_an_hour() {
        let guessing = GuessingConfig::default();
        let seconds = |failures| guessing.delay(failures).as_secs();
        assert_eq!([0, 1, 4].map(seconds), [0, 0, 0]);
        assert_eq!([5, 6, 7, 8, 14, 15, 16, 99].map(seconds), [1, 2, 4, 8, 512, 900, 900, 900]);
        assert_eq!([36, 37, 38, u32::MAX].map(seconds), [900; 4]);
        let until_closed: u64 = (0..100).map(seconds).sum();
        assert_eq!(until_closed / 3_600, 21, "hours");
    }
}
