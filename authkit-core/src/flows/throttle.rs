//! Counting what is tried, before anything else is done about it: a refusal costs no look-up, no hash and no write.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::config::LimitConfig;
use crate::model::{LimitScope, Reading, RequestContext};
use crate::ports::{BucketKey, Charge, LimiterHealth, RateLimiter, RateLimiterError};
use crate::primitives::PhoneNumber;
use crate::primitives::{Clock, Email, SessionId, UserId, client_network};
use crate::token::KnownDevice;

/// How long a flow waits for the limiter that the nodes share. A limiter gives up sooner by itself; this is for one that does not.
const PATIENCE: Duration = Duration::from_millis(150);
/// How long a failure of the shared limiter shows in the health of this node when nothing is counted after it.
const FAILURE_SHOWS_FOR: Duration = Duration::from_secs(10);
/// How often a scope's refusals are told to the log at most. A flood must fill neither the log nor the store.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Too many were tried. Nothing was looked up, hashed or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttled {
    pub(crate) retry_after: Duration,
}

impl Throttled {
    /// The stable code of a flow's `Throttled`.
    pub(crate) const CODE: &'static str = "rate_limit.exceeded";
}

/// What the rate limits of a node have done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStats {
    refused: [u64; LimitScope::ALL.len()],
    /// How often this node counted by itself because the shared limiter could not.
    pub fallbacks: u64,
    /// How many passwords were not evaluated because wrong ones had come before, and have to wait.
    pub delayed: u64,
    /// How many passwords were not evaluated because too many wrong ones had come before.
    pub stopped: u64,
}

/// Why a guess has to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeldUp {
    /// The last wrong one was not long enough ago.
    Delayed,
    /// No more are taken from where it comes from.
    Stopped,
}

/// Too many requests came from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests, retry in {retry_after:?}")]
#[non_exhaustive]
pub struct TooManyRequests {
    /// When to try again.
    pub retry_after: Duration,
}

impl TooManyRequests {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Throttled::CODE
    }
}

impl From<Throttled> for TooManyRequests {
    fn from(throttled: Throttled) -> Self {
        Self { retry_after: throttled.retry_after }
    }
}

impl RateLimitStats {
    /// How many requests were refused in a scope.
    #[must_use]
    pub const fn refused(&self, scope: LimitScope) -> u64 {
        self.refused[scope as usize]
    }
}

/// Counts for the flows.
///
/// INVARIANT: a limiter that fails opens nothing. When the shared one cannot count, this node counts by itself, its part of
/// every quota; when that fails too, the request is refused.
#[derive(Debug)]
pub(crate) struct Throttle {
    limits: LimitConfig,
    clock: Arc<dyn Clock>,
    /// The limiter that the nodes share; `None`: there are no others.
    shared: Option<Arc<dyn RateLimiter>>,
    /// This node's own.
    own: Arc<dyn RateLimiter>,
    /// When the shared limiter failed, in microseconds; `i64::MIN` when it has counted since.
    failed_at: AtomicI64,
    fallbacks: AtomicU64,
    delayed: AtomicU64,
    stopped: AtomicU64,
    scopes: [ScopeBooks; LimitScope::ALL.len()],
}

#[derive(Debug)]
struct ScopeBooks {
    refused: AtomicU64,
    /// When the log was last told, in microseconds.
    told_at: AtomicI64,
}

impl Default for ScopeBooks {
    fn default() -> Self {
        Self { refused: AtomicU64::new(0), told_at: AtomicI64::new(i64::MIN) }
    }
}

impl Throttle {
    pub(crate) fn new(
        limits: LimitConfig,
        clock: Arc<dyn Clock>,
        shared: Option<Arc<dyn RateLimiter>>,
        own: Arc<dyn RateLimiter>,
    ) -> Self {
        let failed_at = AtomicI64::new(i64::MIN);
        let (fallbacks, delayed, stopped) = Default::default();
        Self { limits, clock, shared, own, failed_at, fallbacks, delayed, stopped, scopes: Default::default() }
    }

    /// Counts a login, of whatever account and whether there is one or not. `device` has shown a token of the account.
    pub(crate) async fn login(
        &self,
        email: &Email,
        device: Option<&KnownDevice>,
        context: &RequestContext,
    ) -> Result<(), Throttled> {
        // SECURITY: the address in front of the account: an address that is used up cannot use up somebody's account.
        let mut charges: Vec<Charge> = self.address(LimitScope::LoginAddress, context).into_iter().collect();
        // SECURITY: what is left of the account's quota would tell who asks that somebody else has tried it.
        let shown = charges.len();
        match device {
            // A known device is not counted with strangers, so that these cannot keep the owner out.
            Some(device) => charges.push(self.charge(LimitScope::LoginDevice, device.id())),
            None => charges.extend(self.strangers(email, context)),
        }
        self.count(charges, shown, context).await?;
        if device.is_some() { Ok(()) } else { self.node(LimitScope::LoginNode, context).await }
    }

    /// Counts a login with the strangers' after all, whose device is not known any more.
    pub(crate) async fn stranger(&self, email: &Email, context: &RequestContext) -> Result<(), Throttled> {
        self.count(self.strangers(email, context), 0, context).await?;
        self.node(LimitScope::LoginNode, context).await
    }

    fn strangers(&self, email: &Email, context: &RequestContext) -> Vec<Charge> {
        let account = email.normal().as_bytes();
        let from_here = self.network(context).map(|network| {
            let subject = [network.as_slice(), &[0], account].concat();
            self.charge(LimitScope::LoginAddressAccount, &subject)
        });
        from_here.into_iter().chain([self.charge(LimitScope::LoginAccount, account)]).collect()
    }

    /// Counts a registration.
    pub(crate) async fn registration(&self, context: &RequestContext) -> Result<(), Throttled> {
        self.count(self.address(LimitScope::RegistrationAddress, context), 1, context).await?;
        if context.client.ip.is_none() { Ok(()) } else { self.node(LimitScope::RegistrationNode, context).await }
    }

    /// Counts a request for a mailed link; `false` says that the recipient has had enough, which the answer must not tell.
    pub(crate) async fn link_request(&self, email: &Email, context: &RequestContext) -> Result<bool, Throttled> {
        self.count(self.address(LimitScope::LinkAddress, context), 1, context).await?;
        Ok(self.recipient(email).await)
    }

    /// Counts a mail that somebody who is not logged in causes; `false` says that the recipient has had enough, which nobody is told.
    pub(crate) async fn recipient(&self, email: &Email) -> bool {
        let recipient = [self.charge(LimitScope::LinkRecipient, email.normal().as_bytes())];
        self.count(recipient, 0, &RequestContext::default()).await.is_ok()
    }

    /// Counts a code that is to be sent for an account, to a telephone where it is not to its mailbox; `false` says that somebody or
    /// something has had enough, which the answer must not tell.
    pub(crate) async fn code(&self, user_id: UserId, phone: Option<&PhoneNumber>, context: &RequestContext) -> bool {
        // SECURITY: the narrower in front: who is used up herself uses nothing up for others.
        let mut charges: Vec<Charge> = self.address(LimitScope::CodeAddress, context).into_iter().collect();
        charges.push(self.charge(LimitScope::CodeAccount, user_id.as_uuid().as_bytes()));
        if let Some(phone) = phone {
            charges.push(self.charge(LimitScope::SmsNumber, phone.expose().as_bytes()));
            charges.push(self.charge(LimitScope::SmsCountry, &phone.country().to_be_bytes()));
            charges.push(self.charge(LimitScope::SmsTotal, &[]));
        }
        self.count(charges, 0, &RequestContext::default()).await.is_ok()
    }

    /// Counts a passkey challenge that is asked for or answered.
    #[cfg(feature = "passkeys")]
    pub(crate) async fn passkey(&self, context: &RequestContext) -> Result<(), Throttled> {
        self.count(self.address(LimitScope::PasskeyAddress, context), 1, context).await
    }

    /// Counts a request that checks no secret, on this node alone.
    pub(crate) async fn request(&self, context: &RequestContext) -> Result<(), Throttled> {
        // There the host is the client, or a balancer that nobody has named: all of its clients would be one.
        if context.client.ip.is_some_and(|ip| ip.to_canonical().is_loopback()) {
            return Ok(());
        }
        self.count_here(self.address(LimitScope::RequestAddress, context), 0, context).await
    }

    /// Counts against what this node can do, whoever asks.
    async fn node(&self, scope: LimitScope, context: &RequestContext) -> Result<(), Throttled> {
        self.count_here([self.charge(scope, &[])], 0, context).await
    }

    /// Counts a check of the password of somebody who is logged in.
    pub(crate) async fn password_check(&self, user_id: UserId, context: &RequestContext) -> Result<(), Throttled> {
        self.count([self.charge(LimitScope::PasswordAccount, user_id.as_uuid().as_bytes())], 1, context).await
    }

    /// Counts a refresh, on this node alone: nothing can be guessed there, so it is worth no round trip.
    pub(crate) async fn refresh(&self, session_id: SessionId, context: &RequestContext) -> Result<(), Throttled> {
        self.count_here([self.charge(LimitScope::RefreshSession, session_id.as_uuid().as_bytes())], 1, context).await
    }

    /// Notes that a guess has to wait, for a reason that the store knows. It is told like a quota that is used up.
    pub(crate) fn hold_up(&self, held_up: HeldUp, retry_after: Duration, context: &RequestContext) -> Throttled {
        let (counter, why) = match held_up {
            HeldUp::Delayed => (&self.delayed, "delayed"),
            HeldUp::Stopped => (&self.stopped, "stopped"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        context.rate_limit.refuse(why);
        tracing::debug!(why, ?retry_after, "a password is not evaluated");
        let limit = self.limits.guessing.free;
        context.rate_limit.note(&[Reading { limit, remaining: 0, reset_after: retry_after, retry_after: Some(retry_after) }]);
        Throttled { retry_after }
    }

    /// How well the limits work.
    pub(crate) fn health(&self) -> LimiterHealth {
        let Some(shared) = self.shared.as_ref().filter(|_| self.limits.enabled) else { return LimiterHealth::Working };
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        let failed = failed_at != i64::MIN && self.micros().saturating_sub(failed_at) < micros(FAILURE_SHOWS_FOR);
        if failed { LimiterHealth::Degraded } else { shared.health() }
    }

    pub(crate) fn stats(&self) -> RateLimitStats {
        RateLimitStats {
            refused: std::array::from_fn(|index| self.scopes[index].refused.load(Ordering::Relaxed)),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            delayed: self.delayed.load(Ordering::Relaxed),
            stopped: self.stopped.load(Ordering::Relaxed),
        }
    }

    fn charge(&self, scope: LimitScope, subject: &[u8]) -> Charge {
        Charge { key: BucketKey::new(scope, subject), quota: self.limits.quota(scope) }
    }

    /// The bucket of the client's network. A request without an address is one of the host's own.
    fn address(&self, scope: LimitScope, context: &RequestContext) -> Option<Charge> {
        Some(self.charge(scope, &self.network(context)?))
    }

    /// The client's network as bytes.
    #[expect(clippy::unused_self, reason = "reads as one of the things that are counted")]
    fn network(&self, context: &RequestContext) -> Option<Vec<u8>> {
        Some(match client_network(context.client.ip?) {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        })
    }

    /// Counts together with the other nodes. Of what is allowed, the first `shown` readings may be seen by the client.
    async fn count(
        &self,
        charges: impl IntoIterator<Item = Charge> + Send,
        shown: usize,
        context: &RequestContext,
    ) -> Result<(), Throttled> {
        if !self.limits.enabled {
            return Ok(());
        }
        let charges: Vec<Charge> = charges.into_iter().collect();
        if charges.is_empty() {
            return Ok(());
        }
        let Some(shared) = &self.shared else {
            return self.conclude(&charges, &self.count_alone(&charges).await, shown, context);
        };
        if let Some(readings) = self.count_together(&**shared, &charges).await {
            return self.conclude(&charges, &readings, shown, context);
        }
        let part = |charge: &Charge| Charge { quota: charge.quota.part_of(self.limits.nodes), ..*charge };
        let parts: Vec<Charge> = charges.iter().map(part).collect();
        self.conclude(&parts, &self.count_alone(&parts).await, shown, context)
    }

    /// Counts on this node alone.
    async fn count_here(
        &self,
        charges: impl IntoIterator<Item = Charge> + Send,
        shown: usize,
        context: &RequestContext,
    ) -> Result<(), Throttled> {
        let charges: Vec<Charge> = charges.into_iter().collect();
        if !self.limits.enabled || charges.is_empty() {
            return Ok(());
        }
        self.conclude(&charges, &self.count_alone(&charges).await, shown, context)
    }

    /// Asks the shared limiter; `None` when it could not count.
    async fn count_together(&self, shared: &dyn RateLimiter, charges: &[Charge]) -> Option<Vec<Reading>> {
        let cause = match tokio::time::timeout(PATIENCE, shared.charge(charges)).await {
            Ok(Ok(readings)) if is_answer(&readings, charges) => {
                self.failed_at.store(i64::MIN, Ordering::Relaxed);
                return Some(readings);
            }
            Ok(Ok(_)) => RateLimiterError::new("an answer for other buckets than were charged"),
            Ok(Err(error)) => error,
            Err(_) => RateLimiterError::new("no answer in time"),
        };
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        if self.failed_at.swap(self.micros(), Ordering::Relaxed) == i64::MIN {
            tracing::warn!(
                error = &cause as &dyn std::error::Error,
                "the shared rate limiter failed, this node counts by itself"
            );
        }
        None
    }

    async fn count_alone(&self, charges: &[Charge]) -> Vec<Reading> {
        match self.own.charge(charges).await {
            Ok(readings) if is_answer(&readings, charges) => readings,
            answer => {
                tracing::error!(?answer, "a node's own rate limiter failed, the request is refused");
                Vec::new()
            }
        }
    }

    /// Says what the readings mean. Too few of them are a refusal.
    fn conclude(
        &self,
        charges: &[Charge],
        readings: &[Reading],
        shown: usize,
        context: &RequestContext,
    ) -> Result<(), Throttled> {
        let refused = readings.iter().zip(charges).find_map(|(reading, charge)| Some((charge, reading, reading.retry_after?)));
        match refused {
            None if readings.len() == charges.len() => {
                context.rate_limit.note(&readings[..shown.min(readings.len())]);
                Ok(())
            }
            None => Err(Throttled { retry_after: Duration::from_secs(1) }),
            Some((charge, reading, retry_after)) => {
                context.rate_limit.note(&[*reading]);
                context.rate_limit.refuse(charge.key.scope().as_str());
                self.tell(charge.key.scope(), context);
                Err(Throttled { retry_after })
            }
        }
    }

    /// Counts a refusal, and tells the log of it now and then. What the audit log is told of it is for `refusals` to say.
    fn tell(&self, scope: LimitScope, context: &RequestContext) {
        let books = &self.scopes[scope as usize];
        let refused = books.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let (now, told_at) = (self.micros(), books.told_at.load(Ordering::Relaxed));
        // A clock that was set back must not silence it either.
        if told_at != i64::MIN && (told_at..told_at.saturating_add(micros(TOLD_EVERY))).contains(&now) {
            return;
        }
        if books.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let client = context.client.ip.map(tracing::field::display);
            tracing::warn!(scope = scope.as_str(), client, refused, "requests are refused by a rate limit");
        }
    }

    fn micros(&self) -> i64 {
        self.clock.now().unix_micros()
    }
}

/// Whether a limiter kept its word: a reading for each bucket up to the first that refuses.
fn is_answer(readings: &[Reading], charges: &[Charge]) -> bool {
    let refused = readings.iter().position(|reading| !reading.is_allowed());
    readings.len() == refused.map_or(charges.len(), |index| index + 1) && readings.len() <= charges.len()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Turns a refusal into a flow's own `Throttled`.
macro_rules! throttled_into {
    ($error:ident) => {
        impl From<$crate::flows::throttle::Throttled> for $error {
            fn from(throttled: $crate::flows::throttle::Throttled) -> Self {
                Self::Throttled { retry_after: throttled.retry_after }
            }
        }
    };
}
pub(crate) use throttled_into;

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::primitives::SystemClock;

    /// Cannot count, or lies about it.
    #[derive(Debug)]
    struct Broken(Option<Vec<Reading>>);

    #[async_trait]
    impl RateLimiter for Broken {
        async fn charge(&self, _: &[Charge]) -> Result<Vec<Reading>, RateLimiterError> {
            self.0.clone().ok_or_else(|| RateLimiterError::new("broken"))
        }

        fn health(&self) -> LimiterHealth {
            LimiterHealth::Working
        }
    }

    #[tokio::test]
    async fn a_node_that_cannot_even_count_by_itself_refuses() {
        for answer in [None, Some(Vec::new())] {
            let (shared, own) = (Arc::new(Broken(answer.clone())), Arc::new(Broken(answer)));
            let throttle = Throttle::new(LimitConfig::default(), Arc::new(SystemClock), Some(shared), own);
            let (context, email) = (RequestContext::default(), Email::parse("user@example.com").unwrap());
            let second = Err(Throttled { retry_after: Duration::from_secs(1) });
            assert_eq!(throttle.login(&email, None, &context).await, second);
            assert_eq!(throttle.refresh(SessionId::from_uuid(uuid::Uuid::nil()), &context).await, second);
            // A request without an address has no bucket: there is nothing to count, and nothing that could fail.
            assert_eq!(throttle.registration(&context).await, Ok(()));
        }
    }
}
