//! Settings of second factors.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{FactorKind, FactorSet};

/// Of whom a second factor is demanded, whatever roles say beside it: nobody of these begins a session before she has turned one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MfaPolicy {
    /// Of whoever has a role that demands it, and of nobody else.
    #[default]
    Roles,
    /// Of whoever holds everything (`*`) as well, by whatever role.
    Administrators,
    /// Of everybody.
    Everybody,
}

/// Settings of second factors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MfaConfig {
    /// Of whom a second factor is demanded. Default of whoever has a role that demands it. It is asked for at the next login: sessions
    /// that have begun go on.
    pub policy: MfaPolicy,
    /// Which factors can be turned on. Default authenticator apps and codes by mail; passkeys have settings of their own.
    ///
    /// Codes by text message have to be named: messages can be read by whoever has a number moved to another card, and each costs
    /// money that a stranger can have spent (ASVS 6.6.1, SP 800-63B-4 §3.1.3.3). What is on already stays in force when it is not
    /// named any more.
    pub factors: FactorSet,
    /// How long a code that was sent is good. Default 10 minutes, and never more (ASVS 6.5.5, SP 800-63B-4 §3.1.3.2).
    pub code_lifetime: Duration,
    /// How many codes are compared with one that was sent. Default 5.
    pub code_attempts: u32,
    /// How long after a code was sent none is sent again for the same use. Default 30 s.
    pub resend_after: Duration,
    /// How long a device is trusted. Default 30 days.
    pub trust_lifetime: Duration,
    /// The calling codes of the countries to which text messages are sent, e.g. 49. Default empty: to all of them.
    pub sms_countries: BTreeSet<u16>,
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
            policy: MfaPolicy::default(),
            factors: FactorSet::NONE.with(FactorKind::Totp).with(FactorKind::Email),
            code_lifetime: Duration::from_mins(10),
            code_attempts: 5,
            resend_after: Duration::from_secs(30),
            trust_lifetime: Duration::from_hours(24 * 30),
            sms_countries: BTreeSet::new(),
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
