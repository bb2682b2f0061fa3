//! Rate limits: what is counted, how much of it is allowed, and what a count says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Declares the scopes: each with its meaning and its stable name, once.
macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $scope:ident = $name:literal,)+) => {
        /// What is counted. Each scope counts apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum LimitScope {
            $($(#[doc = $doc])+ $scope,)+
        }

        impl LimitScope {
            /// Every scope.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$scope),+];

            /// The stable name, as in keys and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$scope => $name,)+
                }
            }
        }
    };
}

scopes! {
    /// Logins from one client network.
    LoginAddress = "login_address",
    /// Logins by unknown devices to one email address, whether it has an account or not.
    LoginAccount = "login_account",
    /// Registrations from one client network.
    RegistrationAddress = "registration_address",
    /// Links asked for by one client network.
    LinkAddress = "link_address",
    /// Links asked for on behalf of one email address, whether it has an account or not.
    LinkRecipient = "link_recipient",
    /// Refreshes of one session.
    RefreshSession = "refresh_session",
    /// Checks of the password of somebody who is logged in: a renewed proof of identity and a change of password together.
    PasswordAccount = "password_account",

    /// Codes of second factors that are sent for one account, by whatever way.
    CodeAccount = "code_account",
    /// Codes of second factors that are asked for by one client network.
    CodeAddress = "code_address",
    /// Text messages to one telephone, whatever the account.
    SmsNumber = "sms_number",
    /// Text messages to the numbers of one country.
    SmsCountry = "sms_country",
    /// Text messages in all.
    SmsTotal = "sms_total",

    // What is recorded of refusals.
    /// Recorded refusals of one kind about one subject.
    RefusalSubject = "refusal_subject",
    /// Recorded refusals about one session whose token is ours.
    RefusalSession = "refusal_session",
    /// Recorded refresh tokens that were made up, from one client network.
    RefusalNetwork = "refusal_network",
    /// Recorded refusals of one node that cost their senders nothing.
    RefusalNode = "refusal_node",
    /// Logins to one email address from one client network.
    LoginAddressAccount = "login_address_account",
    /// Logins by one known device.
    LoginDevice = "login_device",
    /// Logins by unknown devices on one node.
    LoginNode = "login_node",
    /// Registrations on one node.
    RegistrationNode = "registration_node",
    /// Passkey challenges asked for, and answered, from one client network without a login.
    PasskeyAddress = "passkey_address",
    /// Requests of any kind from one client network, on one node.
    RequestAddress = "request_address",
}

/// A quota that cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quota has a burst of 1 to 1000000, an interval of 1 ms to 1 day, and is full again within 30 days")]
pub struct InvalidQuota;

/// How much is allowed: `burst` at once, and one more for every `interval` that has passed since.
///
/// It is the generic cell rate algorithm (ITU-T I.371): a bucket is one instant, at which it is full again. How far that lies
/// in the future is what the bucket *owes*. A request that is allowed adds one interval to the debt, time pays it off, and
/// what would owe more than `burst` intervals is refused and adds nothing. There are no windows, so that nobody gets twice the
/// quota around the end of one, and a bucket that owes nothing need not be remembered.
///
/// ```
/// use authkit_core::model::Quota;
/// use std::time::Duration;
///
/// let quota = Quota::new(2, Duration::from_secs(10))?;
/// let first = quota.charge(Duration::ZERO);
/// let second = quota.charge(first.reset_after);
/// assert_eq!((first.remaining, second.remaining), (1, 0));
/// let refused = quota.charge(second.reset_after);
/// assert_eq!(refused.retry_after, Some(Duration::from_secs(10)));
/// # Ok::<(), authkit_core::model::InvalidQuota>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    interval: Duration,
}

impl Quota {
    /// The largest burst.
    pub const MAX_BURST: u32 = 1_000_000;
    /// The longest time that an empty bucket may take to be full again. In microseconds it is a whole number that a double
    /// keeps exactly, together with any date: limiters written in Lua count in doubles.
    pub const MAX_RESET: Duration = Duration::from_hours(24 * 30);

    /// A quota of `burst` at once and one more per `interval`.
    pub const fn new(burst: u32, interval: Duration) -> Result<Self, InvalidQuota> {
        let micros = interval.as_micros();
        let counts = burst >= 1
            && burst <= Self::MAX_BURST
            && micros >= 1_000
            && micros <= Duration::from_hours(24).as_micros()
            && micros * (burst as u128) <= Self::MAX_RESET.as_micros();
        if counts { Ok(Self { burst, interval }) } else { Err(InvalidQuota) }
    }

    /// A quota that was written down in this crate; the test of the defaults holds it against [`Quota::new`].
    pub(crate) const fn of(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// How much is allowed at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// How long it takes until one more is allowed.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// One of `parts` equal parts, for so many limiters that count apart what one should count: together they allow about as
    /// much as the whole, and each at least one at a time.
    #[must_use]
    pub fn part_of(&self, parts: u32) -> Self {
        let parts = parts.max(1);
        let burst = (self.burst / parts).max(1);
        Self { burst, interval: self.interval.saturating_mul(parts).min(Self::MAX_RESET / burst) }
    }

    /// Charges one request to a bucket that owes `debt`. [`Reading::reset_after`] is what it owes then.
    ///
    /// All of the arithmetic is here, so that a limiter only has to keep the debt, and to do both at once.
    #[must_use]
    pub fn charge(&self, debt: Duration) -> Reading {
        let full = self.interval.saturating_mul(self.burst);
        let after = debt.saturating_add(self.interval);
        let retry_after = after.checked_sub(full).filter(|beyond| !beyond.is_zero());
        let reset_after = if retry_after.is_some() { debt } else { after };
        let remaining = full.saturating_sub(reset_after).as_nanos() / self.interval.as_nanos().max(1);
        let remaining = if retry_after.is_some() { 0 } else { u32::try_from(remaining).unwrap_or(self.burst) };
        Reading { limit: self.burst, remaining, reset_after, retry_after }
    }
}

/// What a bucket says to a request that was charged to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// How much is allowed at once.
    pub limit: u32,
    /// How much of that is left now.
    pub remaining: u32,
    /// How long it takes, without further requests, until all of it is there again.
    pub reset_after: Duration,
    /// `None`: the request is allowed. `Some`: it is refused, and after this time one is allowed.
    pub retry_after: Option<Duration>,
}

impl Reading {
    /// Whether the request is allowed.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.retry_after.is_none()
    }
}

/// What a bucket said to a request: a flow writes it down, and the host reads it for its `RateLimit-*` headers,
/// whatever became of the request. Clones are one report.
#[derive(Debug, Clone, Default)]
pub struct RateLimitReport(Arc<Mutex<Option<Reading>>>, Arc<Mutex<Option<&'static str>>>);

impl RateLimitReport {
    /// What the bucket said that refused the request, or the one that may be shown; `None` when nothing was counted.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what the buckets of a request said: the one that refused it, or the one with the least left.
    pub(crate) fn note(&self, readings: &[Reading]) {
        let tightest = readings.iter().min_by_key(|reading| (reading.is_allowed(), reading.remaining));
        let Some(tightest) = tightest else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(*tightest);
    }

    /// Writes down what turned the request away.
    pub(crate) fn refuse(&self, scope: &'static str) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(scope);
    }

    /// What turned the request away.
    pub(crate) fn refused_by(&self) -> Option<&'static str> {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_per_interval() {
        let quota = Quota::of(3, SECOND);
        let mut debt = Duration::ZERO;
        for remaining in [2, 1, 0] {
            let reading = quota.charge(debt);
            assert_eq!((reading.remaining, reading.retry_after), (remaining, None));
            debt = reading.reset_after;
        }
        let refused = quota.charge(debt);
        assert_eq!((refused.retry_after, refused.reset_after), (Some(SECOND), debt), "a refusal adds no debt");
        let waited = quota.charge(2 * SECOND);
        assert!(waited.is_allowed() && !quota.charge(waited.reset_after).is_allowed(), "one interval is one request");
        let almost = quota.charge(2 * SECOND + Duration::from_micros(1));
        assert_eq!(almost.retry_after, Some(Duration::from_micros(1)));
    }

    #[test]
    fn the_debt_of_a_larger_quota_is_paid_off_under_a_smaller_one() {
        let reading = Quota::of(2, SECOND).charge(Duration::from_secs(100));
        assert_eq!((reading.remaining, reading.retry_after), (0, Some(Duration::from_secs(99))));
        assert!(!Quota::of(1, SECOND).charge(Duration::MAX).is_allowed(), "and nothing overflows");
    }

    #[test]
    fn parts_of_a_quota_add_up_to_it() {
        let quota = Quota::of(30, SECOND);
        assert_eq!(quota.part_of(3), Quota::of(10, 3 * SECOND));
        assert_eq!(quota.part_of(0), quota);
        assert_eq!(quota.part_of(1_000), Quota::of(1, 1_000 * SECOND));
        let long = Quota::of(1, Duration::from_hours(24)).part_of(u32::MAX);
        assert_eq!(long.interval(), Quota::MAX_RESET);
    }

    #[test]
    fn what_cannot_be_counted_is_no_quota() {
        assert!(Quota::new(1, Duration::from_millis(1)).is_ok() && Quota::new(30, Duration::from_hours(24)).is_ok());
        for (burst, interval) in [
            (0, SECOND),
            (Quota::MAX_BURST + 1, Duration::from_millis(1)),
            (1, Duration::ZERO),
            (1, Duration::from_micros(999)),
            (1, Duration::from_hours(25)),
            (31, Duration::from_hours(24)),
        ] {
            assert_eq!(Quota::new(burst, interval), Err(InvalidQuota), "{burst} {interval:?}");
        }
    }

    #[test]
    fn the_tightest_bucket_is_reported() {
        let report = RateLimitReport::default();
        assert_eq!(report.reading(), None);
        let (wide, narrow) = (Quota::of(10, SECOND).charge(Duration::ZERO), Quota::of(2, SECOND).charge(Duration::ZERO));
        let refused = Quota::of(5, SECOND).charge(Duration::from_secs(5));
        report.note(&[wide, narrow]);
        assert_eq!(report.clone().reading(), Some(narrow));
        let empty = Quota::of(1, SECOND).charge(Duration::ZERO);
        report.note(&[empty, refused]);
        assert_eq!(report.reading(), Some(refused), "what was refused, even where another has nothing left");
    }
}
