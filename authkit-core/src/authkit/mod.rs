//! The façade: one cheap handle, and behind it the use cases by what they are about.

mod accounts;
mod administration;
mod audit;
mod keys;
mod links;
mod mfa;
mod outbox;
#[cfg(feature = "passkeys")]
mod passkeys;
mod roles;
mod sessions;

use std::sync::Arc;

pub use accounts::Accounts;
pub use administration::Administration;
pub use audit::Audit;
pub use keys::Keys;
pub use links::Links;
pub use mfa::Mfa;
pub use outbox::Outbox;
#[cfg(feature = "passkeys")]
pub use passkeys::Passkeys;
pub use roles::Roles;
pub use sessions::Sessions;

use crate::builder::{Builder, WantsStore};
use crate::config::Config;
use crate::flows::engine::Engine;
use crate::flows::{self, Administrator, AuthenticateError, Health, Principal, RateLimitStats, TooManyRequests};
use crate::model::RequestContext;
use crate::password::PoolStats;

/// Authentication for one application: cheap to clone, safe to share, without type parameters.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use authkit_core::{AuthKit, Config, Email, Password, Registration, RequestContext};
///
/// let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
/// let request = RequestContext::default(); // the client's address and user agent, for the audit log
///
/// let account = Registration::new(Email::parse("jane@example.com")?, Password::parse("SecurePass123")?);
/// let jane = auth.accounts().register(account, &request).await?;
///
/// let principal = auth.authenticate(jane.tokens.access_token.expose())?; // no I/O
/// assert_eq!(principal.user_id(), jane.user.id);
///
/// auth.sessions().log_out(&jane.tokens.refresh_token, &request).await?;
/// assert!(auth.authenticate(jane.tokens.access_token.expose()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct AuthKit {
    engine: Arc<Engine>,
}

impl AuthKit {
    /// Starts to put one together.
    pub fn builder(config: Config) -> Builder<WantsStore> {
        Builder::new(config)
    }

    pub(crate) const fn from_engine(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Verifies an access token and that its session was not ended. No I/O: under a microsecond for a token seen before,
    /// one signature check for another.
    pub fn authenticate(&self, access_token: &str) -> Result<Principal, AuthenticateError> {
        flows::authenticate::authenticate(&self.engine, access_token)
    }

    /// Accounts: register, read, change, close.
    #[must_use]
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { engine: &self.engine }
    }

    /// Sessions: log in, refresh, log out, list, end.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { engine: &self.engine }
    }

    /// The accounts of others, as an administrator has power over them: a user by what her roles let her do, or the operator.
    #[must_use]
    pub fn administration<'a>(&'a self, by: impl Into<Administrator<'a>>) -> Administration<'a> {
        Administration { engine: &self.engine, by: by.into() }
    }

    /// Second factors: turn on, turn off, prove.
    #[must_use]
    pub fn mfa(&self) -> Mfa<'_> {
        Mfa { engine: &self.engine }
    }

    /// Passkeys: add, use, rename, remove.
    #[cfg(feature = "passkeys")]
    #[must_use]
    pub fn passkeys(&self) -> Passkeys<'_> {
        Passkeys { engine: &self.engine }
    }

    /// The keys that sign tokens.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys { engine: &self.engine }
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit { engine: &self.engine }
    }

    /// Roles: read, make, change, delete, give, take.
    #[must_use]
    pub fn roles(&self) -> Roles<'_> {
        Roles { engine: &self.engine }
    }

    /// Links that are mailed: prove an address, set a new password, log in.
    #[must_use]
    pub fn links(&self) -> Links<'_> {
        Links { engine: &self.engine }
    }

    /// What waits to be sent.
    #[must_use]
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { engine: &self.engine }
    }

    /// How well this node works right now; asks the store.
    pub async fn health(&self) -> Health {
        flows::maintenance::health(&self.engine).await
    }

    /// Does once what the background task does: reads revocations, all of them when the bus has reported a gap, and with
    /// `wide` what is done once a minute as well. For a simulation, whose nodes are built without that task.
    #[cfg(feature = "testkit")]
    pub async fn maintain(&self, wide: bool) -> Result<(), flows::Internal> {
        flows::maintenance::turn(&self.engine, wide).await
    }

    /// How busy the hashing threads are.
    #[must_use]
    pub fn hashing(&self) -> PoolStats {
        self.engine.pool.stats()
    }

    /// Counts a request against what one address may ask of this node, whatever it asks for. A host calls it once for each request
    /// or operation, before it does anything else about it; the flows that check a secret count besides, by themselves.
    ///
    /// # Errors
    /// When the address has asked for too much; the host answers that it may come back after the time that is told.
    pub async fn count_request(&self, context: &RequestContext) -> Result<(), TooManyRequests> {
        Ok(self.engine.throttle.request(context).await?)
    }

    /// How many requests were refused by a rate limit.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimitStats {
        self.engine.throttle.stats()
    }

    /// How many revoked sessions this node remembers.
    #[must_use]
    pub fn revoked_sessions(&self) -> usize {
        self.engine.revoked.sessions.len()
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.engine.config
    }
}
