//! Settings of second factors.

use std::time::Duration;

/// Settings of second factors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MfaConfig {
    /// What the service is called in authenticator apps. Default `None`: the host of the issuer.
    pub service_name: Option<String>,
    /// How long somebody who has passed the first factor has time for the second. Default 10 minutes, and never more (ASVS 6.5.5).
    pub challenge_lifetime: Duration,
    /// How many codes can be tried in one login. Default 10.
    pub challenge_attempts: u32,
    /// How long a new secret waits to be confirmed. Default an hour: time enough to find the phone and an app.
    pub enrolment_lifetime: Duration,
    /// How many wrong codes of an account in a row are answered at once. Default 5, as many as there may be in one time step:
    /// three of a million codes are right at any time, so that each guess hits with a probability of 1 : 333,333.
    pub free_guesses: u32,
    /// How long after the last of these the next one is evaluated; it doubles with each that follows. Default 30 s, one time step.
    pub first_delay: Duration,
    /// How long it is at most. Default 15 minutes.
    pub max_delay: Duration,
    /// After how many wrong codes in a row no code of an app is taken any more, until the owner has come in with a recovery
    /// code or an administrator has reset the factor. Default 100, and never more (SP 800-63B-4 §3.2.2): until then an attacker who knows the
    /// password has come in with a probability of 1 : 3,333.
    ///
    /// Recovery codes are not counted: 80 random bits cannot be guessed, and they are the owner's way in while others guess.
    pub at_most: u32,
}

impl MfaConfig {
    /// How long after the last of so many wrong codes the next one is evaluated.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free_guesses) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.max_delay)
    }
}

impl Default for MfaConfig {
    fn default() -> Self {
        Self {
            service_name: None,
            challenge_lifetime: Duration::from_mins(10),
            challenge_attempts: 10,
            enrolment_lifetime: Duration::from_hours(1),
            free_guesses: 5,
            first_delay: Duration::from_secs(30),
            max_delay: Duration::from_mins(15),
            at_most: 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_a_time_step_to_a_quarter_of_an_hour() {
        let seconds = |failures| MfaConfig::default().delay(failures).as_secs();
        assert_eq!([0, 4, 5, 6, 7, 9, 10, 37, 99, u32::MAX].map(seconds), [0, 0, 30, 60, 120, 480, 900, 900, 900, 900]);
    }
}
