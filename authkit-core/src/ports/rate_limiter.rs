//! Counting: how often something may be tried.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::model::{LimitScope, Quota, Reading};

/// The limiter could not count.
#[derive(Debug, thiserror::Error)]
#[error("the rate limiter is unavailable")]
pub struct RateLimiterError(#[source] pub Box<dyn Error + Send + Sync>);

impl RateLimiterError {
    /// The limiter cannot be used right now, for this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// How well the limiter works right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimiterHealth {
    /// It counts for every node that should count together.
    Working,
    /// The nodes count apart.
    Degraded,
}

/// Names a bucket: what is counted, and of whom.
///
/// # Security
/// The subject is kept as 128 bits of a SHA-256: what clients write costs the same memory however long it is, and a
/// limiter's memory shows no addresses. It is no secret: whoever can read that memory can try addresses out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey {
    scope: LimitScope,
    subject: [u8; 16],
}

impl BucketKey {
    /// The bucket of a subject, such as the normal form of an email address.
    #[must_use]
    pub fn new(scope: LimitScope, subject: &[u8]) -> Self {
        // The scope goes in as well, so that the same subject in two scopes shows no more than two subjects do.
        let digest = Sha256::new().chain_update(scope.as_str()).chain_update([0]).chain_update(subject).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self { scope, subject: key }
    }

    /// What is counted.
    #[must_use]
    pub const fn scope(&self) -> LimitScope {
        self.scope
    }

    /// Of whom, as a digest.
    #[must_use]
    pub const fn subject(&self) -> &[u8; 16] {
        &self.subject
    }
}

/// `login_account:` and the subject in hexadecimal digits: a key for a store of texts.
impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:032x}", self.scope.as_str(), u128::from_be_bytes(self.subject))
    }
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketKey({}:{:02x}{:02x}…)", self.scope.as_str(), self.subject[0], self.subject[1])
    }
}

/// One bucket that a request is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Which.
    pub key: BucketKey,
    /// How much it holds.
    pub quota: Quota,
}

/// Counts requests in buckets. Whoever writes one runs `authkit_core::rate_limiter_contract!` against it.
///
/// [`Quota::charge`] is the whole arithmetic: a limiter keeps what each bucket owes, lets time pay it off, and forgets the
/// bucket when it owes nothing. Time is the limiter's own, the same for every node that shares it.
///
/// **When it is down** nothing becomes unlimited and nobody is locked out: each node goes on with a limiter of its own, which
/// gives its part of every quota, and the health endpoint says that the service is degraded. That is why a failure must be
/// told and told soon: a limiter that cannot count returns an error, within 100 ms or at once where it knows already. It
/// neither makes up a reading nor tries again.
#[async_trait]
pub trait RateLimiter: fmt::Debug + Send + Sync {
    /// Charges one request to its buckets, in their order, up to the first that refuses; the readings are of those. The
    /// request is allowed when there is a reading for every charge and the last one is allowed too.
    ///
    /// A bucket is read and charged at once: of a thousand calls at the same time exactly its burst is allowed.
    ///
    /// A refused request has charged the buckets in front of the one that refused it, and none behind that. So the order is a
    /// rule of security: what belongs to the client, its address, stands in front of what belongs to its victim, the
    /// account. An attacker whose address is used up cannot use up the account as well, and one who hammers at an account
    /// that is used up pays with his address. A bucket that refuses is not charged, so that hammering at it does not keep it
    /// shut.
    ///
    /// The cost is one round trip where all buckets live in one place; a limiter that spreads them may take one for each.
    async fn charge(&self, charges: &[Charge]) -> Result<Vec<Reading>, RateLimiterError>;

    /// How well it works. It answers at once, from what the last calls have shown.
    fn health(&self) -> LimiterHealth;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_of_its_scope_and_shows_nothing() {
        let key = |scope, subject: &str| BucketKey::new(scope, subject.as_bytes());
        let account = key(LimitScope::LoginAccount, "jane@example.com");
        assert_eq!(account, key(LimitScope::LoginAccount, "jane@example.com"));
        assert_ne!(account.subject(), key(LimitScope::LoginAccount, "john@example.com").subject());
        assert_ne!(account.subject(), key(LimitScope::LoginAddress, "jane@example.com").subject());
        // printf 'login_account\0jane@example.com' | sha256sum: nodes of every version must agree on it.
        assert_eq!(account.to_string(), "login_account:f68982584ba2c1640b429a5ee6101199");
        assert!(!format!("{account:?}").contains("jane"));
    }
}
