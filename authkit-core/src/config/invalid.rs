//! Settings that contradict themselves or a standard.

use std::time::Duration;

use crate::config::{Config, ReusePolicy};

/// A setting that cannot be used, and what it would have to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {expected}")]
#[non_exhaustive]
pub struct InvalidConfig {
    /// The setting, e.g. `tokens.lifetime`.
    pub setting: &'static str,
    /// What it would have to be.
    pub expected: &'static str,
}

impl Config {
    /// Checks every setting against the others.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    #[expect(clippy::too_many_lines, reason = "one table, a line a setting")]
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let (tokens, sessions, passwords) = (&self.tokens, &self.sessions, &self.passwords);
        let params = passwords.params;
        let mfa = &self.mfa;
        let passkeys = &self.passkeys;
        let guessing = &self.limits.guessing;
        let issuer_ok = tokens.issuer.starts_with("https://") || tokens.issuer.starts_with("http://");
        let grace_ok = match sessions.reuse {
            ReusePolicy::Strict => true,
            ReusePolicy::Grace(window) => window <= Duration::from_mins(1),
        };
        let checks = [
            (
                issuer_ok && !tokens.issuer.contains(['?', '#']),
                "tokens.issuer",
                "must be an http or https URL without query and fragment (RFC 9068 §2.2)",
            ),
            (!tokens.audience.is_empty(), "tokens.audience", "must not be empty (RFC 9068 §2.2)"),
            (tokens.lifetime >= Duration::from_secs(10), "tokens.lifetime", "must be at least 10 seconds"),
            (tokens.lifetime <= Duration::from_hours(24), "tokens.lifetime", "must be at most 24 hours"),
            (
                tokens.impersonation_lifetime >= Duration::from_mins(1)
                    && tokens.impersonation_lifetime <= Duration::from_hours(1),
                "tokens.impersonation_lifetime",
                "must be 1 to 60 minutes",
            ),
            (
                mfa.code_lifetime >= Duration::from_mins(1) && mfa.code_lifetime <= Duration::from_mins(10),
                "mfa.code_lifetime",
                "must be 1 to 10 minutes (SP 800-63B-4 §3.1.3.2)",
            ),
            (mfa.code_attempts >= 1 && mfa.code_attempts <= 10, "mfa.code_attempts", "must be 1 to 10"),
            (mfa.resend_after <= mfa.code_lifetime, "mfa.resend_after", "must not be longer than mfa.code_lifetime"),
            (
                mfa.trust_lifetime >= Duration::from_hours(1) && mfa.trust_lifetime <= Duration::from_hours(24 * 90),
                "mfa.trust_lifetime",
                "must be an hour to 90 days",
            ),
            (tokens.leeway <= Duration::from_mins(1), "tokens.leeway", "must be at most 60 seconds"),
            (
                tokens.key_lifetime >= tokens.key_lead.saturating_mul(2),
                "tokens.key_lifetime",
                "must be at least twice tokens.key_lead",
            ),
            (tokens.key_lifetime <= Duration::from_hours(24 * 3_653), "tokens.key_lifetime", "must be at most ten years"),
            // Each node reads the keys once a minute; a key that signs before that is unknown to the others.
            (tokens.key_lead >= Duration::from_mins(2), "tokens.key_lead", "must be at least two minutes"),
            (sessions.idle_timeout >= Duration::from_mins(1), "sessions.idle_timeout", "must be at least a minute"),
            (
                sessions.absolute_timeout >= sessions.idle_timeout,
                "sessions.absolute_timeout",
                "must not be shorter than sessions.idle_timeout",
            ),
            (
                sessions.absolute_timeout <= Duration::from_hours(24 * 400),
                "sessions.absolute_timeout",
                "must be at most 400 days",
            ),
            (sessions.max_per_user >= 1, "sessions.max_per_user", "must be at least 1"),
            (
                sessions.recent_authentication <= Duration::from_hours(24),
                "sessions.recent_authentication",
                "must be at most 24 hours",
            ),
            (
                self.retention.ended_sessions >= Duration::from_hours(1)
                    // What a revocation is remembered for, and what clocks may differ beside it.
                    && self.retention.ended_sessions
                        > tokens.longest_lifetime().saturating_add(tokens.leeway.saturating_mul(2)).saturating_add(Duration::from_mins(1)),
                "retention.ended_sessions",
                "must be at least an hour, and longer than tokens.lifetime by some minutes",
            ),
            (
                (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&self.audit.seal_after),
                "audit.seal_after",
                "must be a second to an hour",
            ),
            (
                self.audit.late_within >= self.audit.seal_after && self.audit.late_within <= Duration::from_hours(24),
                "audit.late_within",
                "must be at least audit.seal_after, and at most 24 hours",
            ),
            (grace_ok, "sessions.reuse", "must have a grace of at most 60 seconds"),
            (passwords.min_score <= 4, "passwords.min_score", "must be 0 to 4, the scale of zxcvbn"),
            ((1..=10).contains(&params.iterations), "passwords.params.iterations", "must be 1 to 10"),
            ((1..=8).contains(&params.parallelism), "passwords.params.parallelism", "must be 1 to 8"),
            (
                params.memory_kib >= params.parallelism.saturating_mul(8),
                "passwords.params.memory_kib",
                "must be at least 8 times the parallelism (RFC 9106 §3.1)",
            ),
            (
                params.memory_kib <= self.hashing.max_memory_kib,
                "passwords.params.memory_kib",
                "must not exceed hashing.max_memory_kib",
            ),
            ((1..=1024).contains(&self.hashing.threads), "hashing.threads", "must be 1 to 1024"),
            ((1..=1_000).contains(&self.limits.nodes), "limits.nodes", "must be 1 to 1000"),
            (
                mfa.service_name.as_ref().is_none_or(|name| !name.contains(':') && name.chars().count() <= 100),
                "mfa.service_name",
                "must have at most 100 characters and no colon",
            ),
            (
                (Duration::from_mins(1)..=Duration::from_mins(10)).contains(&mfa.challenge_lifetime),
                "mfa.challenge_lifetime",
                "must be 1 to 10 minutes (ASVS 6.5.5)",
            ),
            ((1..=10).contains(&mfa.challenge_attempts), "mfa.challenge_attempts", "must be 1 to 10"),
            (
                (Duration::from_mins(1)..=Duration::from_hours(24)).contains(&mfa.enrolment_lifetime),
                "mfa.enrolment_lifetime",
                "must be a minute to a day",
            ),
            ((1..=100).contains(&mfa.at_most), "mfa.at_most", "must be 1 to 100 (SP 800-63B-4 §3.2.2)"),
            ((1..=mfa.at_most).contains(&mfa.free_guesses), "mfa.free_guesses", "must be 1 to mfa.at_most"),
            (
                Duration::from_secs(1) <= mfa.first_delay && mfa.first_delay <= mfa.max_delay,
                "mfa.first_delay",
                "must be at least a second and at most mfa.max_delay",
            ),
            (mfa.max_delay <= Duration::from_hours(24), "mfa.max_delay", "must be at most a day"),
            (
                (Duration::from_secs(30)..=Duration::from_mins(5)).contains(&passkeys.challenge_lifetime),
                "passkeys.challenge_lifetime",
                "must be 30 seconds to 5 minutes (WebAuthn Level 3 §15.1)",
            ),
            ((1..=100).contains(&passkeys.per_account), "passkeys.per_account", "must be 1 to 100"),
            ((1..=100).contains(&guessing.at_most), "limits.guessing.at_most", "must be 1 to 100 (SP 800-63B-4 §3.2.2)"),
            ((1..=guessing.at_most).contains(&guessing.free), "limits.guessing.free", "must be 1 to limits.guessing.at_most"),
            (guessing.first_delay >= Duration::from_secs(1), "limits.guessing.first_delay", "must be at least a second"),
            (
                guessing.first_delay <= guessing.max_delay && guessing.max_delay <= Duration::from_hours(24),
                "limits.guessing.max_delay",
                "must not be shorter than limits.guessing.first_delay, and at most a day",
            ),
            ((1..=100).contains(&guessing.per_device), "limits.guessing.per_device", "must be 1 to 100"),
            ((1..=100).contains(&guessing.per_session), "limits.guessing.per_session", "must be 1 to 100"),
            (sessions.device_lifetime <= Duration::from_hours(24 * 400), "sessions.device_lifetime", "must be at most 400 days"),
            (self.retention.wrong_guesses >= Duration::from_hours(24), "retention.wrong_guesses", "must be at least a day"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, setting, expected)) => Err(InvalidConfig { setting, expected }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_contradictions_are_named() {
        let config = Config::new("https://auth.example");
        assert_eq!(config.validate(), Ok(()));
        let broken = |change: &dyn Fn(&mut Config)| {
            let mut config = config.clone();
            change(&mut config);
            config.validate().expect_err("contradicts itself").setting
        };
        assert_eq!(broken(&|c| c.tokens.issuer = "auth.example".into()), "tokens.issuer");
        assert_eq!(broken(&|c| c.tokens.issuer.push_str("?x=1")), "tokens.issuer");
        assert_eq!(broken(&|c| c.tokens.leeway = Duration::from_mins(5)), "tokens.leeway");
        assert_eq!(broken(&|c| c.sessions.absolute_timeout = Duration::from_mins(5)), "sessions.absolute_timeout");
        assert_eq!(broken(&|c| c.sessions.reuse = ReusePolicy::Grace(Duration::from_mins(5))), "sessions.reuse");
        assert_eq!(broken(&|c| c.passwords.params.memory_kib = 4), "passwords.params.memory_kib");
        assert_eq!(broken(&|c| c.passwords.params.parallelism = u32::MAX), "passwords.params.parallelism");
        assert_eq!(broken(&|c| c.tokens.key_lead = Duration::MAX), "tokens.key_lifetime");
        assert_eq!(broken(&|c| c.tokens.key_lead = Duration::from_secs(30)), "tokens.key_lead");
        assert_eq!(broken(&|c| c.tokens.key_lifetime = Duration::MAX), "tokens.key_lifetime");
        assert_eq!(broken(&|c| c.sessions.recent_authentication = Duration::MAX), "sessions.recent_authentication");
        assert_eq!(broken(&|c| c.tokens.impersonation_lifetime = Duration::from_mins(61)), "tokens.impersonation_lifetime");
        assert_eq!(broken(&|c| c.limits.nodes = 0), "limits.nodes");
        assert_eq!(broken(&|c| c.mfa.service_name = Some("a:b".to_owned())), "mfa.service_name");
        assert_eq!(broken(&|c| c.mfa.challenge_lifetime = Duration::from_mins(11)), "mfa.challenge_lifetime");
        assert_eq!(broken(&|c| c.mfa.challenge_attempts = 11), "mfa.challenge_attempts");
        assert_eq!(broken(&|c| c.mfa.enrolment_lifetime = Duration::MAX), "mfa.enrolment_lifetime");
        assert_eq!(broken(&|c| c.mfa.at_most = 101), "mfa.at_most");
        assert_eq!(broken(&|c| c.mfa.free_guesses = 0), "mfa.free_guesses");
        assert_eq!(broken(&|c| c.mfa.first_delay = Duration::ZERO), "mfa.first_delay");
        assert_eq!(broken(&|c| c.mfa.max_delay = Duration::MAX), "mfa.max_delay");
        assert_eq!(broken(&|c| c.passkeys.challenge_lifetime = Duration::from_mins(6)), "passkeys.challenge_lifetime");
        assert_eq!(broken(&|c| c.passkeys.per_account = 0), "passkeys.per_account");
        assert_eq!(broken(&|c| c.limits.guessing.at_most = 101), "limits.guessing.at_most");
        assert_eq!(broken(&|c| c.limits.guessing.free = 101), "limits.guessing.free");
        assert_eq!(broken(&|c| c.limits.guessing.free = 0), "limits.guessing.free");
        assert_eq!(broken(&|c| c.limits.guessing.first_delay = Duration::ZERO), "limits.guessing.first_delay");
        assert_eq!(broken(&|c| c.limits.guessing.max_delay = Duration::from_millis(500)), "limits.guessing.max_delay");
        assert_eq!(broken(&|c| c.limits.guessing.per_session = 0), "limits.guessing.per_session");
        assert_eq!(broken(&|c| c.sessions.device_lifetime = Duration::MAX), "sessions.device_lifetime");
        assert_eq!(broken(&|c| c.retention.wrong_guesses = Duration::ZERO), "retention.wrong_guesses");
    }
}
