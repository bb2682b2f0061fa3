//! How an `AuthKit` is put together: the two decisions that must be made are made by type, the rest has defaults.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::authkit::AuthKit;
use crate::config::{Config, InvalidConfig};
use crate::embedded::{LocalKeyCustody, LocalRateLimiter, LocalRevocationBus, MemoryStore};
use crate::flows::access_book::AccessBook;
use crate::flows::account_cache::AccountCache;
use crate::flows::audit_seal::SealBooks;
use crate::flows::audit_stream::{self, Streaming};
use crate::flows::breach::BreachGate;
use crate::flows::engine::{ClockSkew, Engine, RevokedSet};
use crate::flows::outbox;
use crate::flows::outbox_books::OutboxBooks;
use crate::flows::refusals::RefusalBook;
use crate::flows::throttle::Throttle;
use crate::flows::{Internal, keys, maintenance, password_secrets};
use crate::password::HashPool;
use crate::ports::AuditSink;
use crate::ports::{BreachList, KeyCustody, RateLimiter, RecordCache, RevocationBus, RevocationSink, Store};
use crate::ports::{Mailer, SmsSender};
use crate::primitives::{Clock, Entropy, OsEntropy, SystemClock};
use crate::token::{Keyring, RevokedSessions, VerifiedTokens};

/// Why an `AuthKit` could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting cannot be used.
    #[error("setting {0}")]
    Config(#[from] InvalidConfig),
    /// The settings of passkeys contradict themselves.
    #[cfg(feature = "passkeys")]
    #[error("setting {0}")]
    Passkeys(#[from] crate::passkey::RelyingPartyError),
    /// The operating system gave no threads to hash on.
    #[error("the hashing threads could not be started")]
    Threads(#[source] std::io::Error),
    /// The store or the keys in it cannot be used.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// Still to be said: where accounts and sessions are kept.
#[derive(Debug)]
pub struct WantsStore(());

/// Still to be said: who holds the keys that seal what must be stored reversibly.
#[derive(Debug)]
pub struct WantsCustody {
    store: Arc<dyn Store>,
}

/// Everything that must be said was said.
#[derive(Debug)]
pub struct Ready {
    store: Arc<dyn Store>,
    custody: Arc<dyn KeyCustody>,
}

/// Puts an [`AuthKit`] together: first the store, then the custody of keys, then whatever has to differ.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use authkit_core::{AuthKit, Config};
///
/// let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
/// assert!(auth.health().await.is_ready());
/// # Ok::<(), authkit_core::BuildError>(()) }).unwrap();
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<State> {
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Option<Arc<dyn RevocationBus>>,
    limiter: Option<Arc<dyn RateLimiter>>,
    cache: Option<Arc<dyn RecordCache>>,
    breach_list: Option<Arc<dyn BreachList>>,
    mailer: Option<Arc<dyn Mailer>>,
    works_outbox: bool,
    sms_sender: Option<Arc<dyn SmsSender>>,
    audit_sink: Option<Arc<dyn AuditSink>>,
    state: State,
}

impl Builder<WantsStore> {
    pub(crate) fn new(config: Config) -> Self {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        Self {
            config,
            clock,
            entropy,
            bus: None,
            limiter: None,
            cache: None,
            breach_list: None,
            mailer: None,
            works_outbox: true,
            sms_sender: None,
            audit_sink: None,
            state: WantsStore(()),
        }
    }

    /// Keeps accounts and sessions in `store`.
    pub fn store(self, store: Arc<dyn Store>) -> Builder<WantsCustody> {
        self.with(|_| WantsCustody { store })
    }

    /// Keeps everything in memory and forgets it with the process: for tests and first steps.
    pub fn in_memory(self) -> Builder<Ready> {
        let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::clone(&self.entropy)));
        self.with(|_| Ready { store: Arc::new(MemoryStore::new()), custody })
    }
}

impl Builder<WantsCustody> {
    /// Seals with keys that `custody` holds, apart from the store. Lose them and every session ends: the keys that signed its
    /// tokens cannot be opened any more. [`LocalKeyCustody::in_file`] is the one for a host without a key management service.
    pub fn custody(self, custody: Arc<dyn KeyCustody>) -> Builder<Ready> {
        self.with(|state| Ready { store: state.store, custody })
    }
}

impl<State> Builder<State> {
    /// Takes the time from another clock: for tests and simulations.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes randomness from another source: for tests and simulations.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Tells other nodes about revocations over `bus`. By default there are no other nodes.
    pub fn revocation_bus(mut self, bus: Arc<dyn RevocationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Counts in `limiter`, together with the other nodes that do. By default each node counts by itself, and that is also
    /// what it falls back to while `limiter` fails.
    pub fn rate_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Reads accounts that are only shown through `cache`. By default every read goes to the store.
    pub fn record_cache(mut self, cache: Arc<dyn RecordCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Asks `list` whether a new password is known from breaches. By default nobody is asked, and the list of common passwords
    /// that is built in alone holds.
    pub fn breach_list(mut self, list: Arc<dyn BreachList>) -> Self {
        self.breach_list = Some(list);
        self
    }

    /// Sends mail by `mailer`: links that prove addresses, set passwords and log in, and notices. By default nothing is mailed, nothing is
    /// written to the outbox, and whoever asks for a link is answered the same and gets none.
    pub fn mailer(mut self, mailer: Arc<dyn Mailer>) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// Sends text messages by `sender`: codes of second factors. By default no telephone can be turned on as a second factor.
    pub fn sms_sender(mut self, sender: Arc<dyn SmsSender>) -> Self {
        self.sms_sender = Some(sender);
        self
    }

    /// Hands the audit log on to `sink`, in the background. By default it stays in the store.
    pub fn audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit_sink = Some(sink);
        self
    }

    /// Leaves messages to other nodes, unless it is asked to [deliver them](crate::Outbox::deliver_due): for a program that ends soon, and
    /// would have a message in its hands then that nobody sends before its lease ends.
    pub const fn leave_outbox(mut self) -> Self {
        self.works_outbox = false;
        self
    }

    fn with<Next>(self, next: impl FnOnce(State) -> Next) -> Builder<Next> {
        let Self {
            config,
            clock,
            entropy,
            bus,
            limiter,
            cache,
            breach_list,
            mailer,
            works_outbox,
            sms_sender,
            audit_sink,
            state,
        } = self;
        let state = next(state);
        Builder { config, clock, entropy, bus, limiter, cache, breach_list, mailer, works_outbox, sms_sender, audit_sink, state }
    }
}

impl Builder<Ready> {
    /// Starts the hashing threads, makes or opens the keys, reads which sessions were revoked, and starts the background
    /// task that keeps all that fresh. It must be called inside a tokio runtime; the task ends with the last handle.
    ///
    /// # Errors
    /// A setting that cannot be used, a store that does not answer, a key that does not open: nothing is served then.
    pub async fn build(self) -> Result<AuthKit, BuildError> {
        let works_outbox = self.works_outbox;
        let engine = self.assemble().await?;
        tokio::spawn(maintenance::run(Arc::downgrade(&engine)));
        if works_outbox {
            tokio::spawn(outbox::run(Arc::downgrade(&engine)));
        }
        tokio::spawn(audit_stream::run(Arc::downgrade(&engine)));
        Ok(AuthKit::from_engine(engine))
    }

    /// Builds like [`build`](Self::build), but starts no background task: what it would do happens when
    /// [`AuthKit::maintain`] is called, so that a simulation decides when.
    #[cfg(feature = "testkit")]
    pub async fn build_unattended(self) -> Result<AuthKit, BuildError> {
        Ok(AuthKit::from_engine(self.assemble().await?))
    }

    async fn assemble(self) -> Result<Arc<Engine>, BuildError> {
        self.config.validate()?;
        #[cfg(feature = "passkeys")]
        let passkeys = crate::passkey::RelyingParty::new(&self.config.tokens.issuer, &self.config.passkeys)?;
        if !self.config.registration.reveal_existing && self.mailer.is_none() {
            let expected = "must not be turned off without a mailer, which says what the answer does not";
            return Err(InvalidConfig { setting: "registration.reveal_existing", expected }.into());
        }
        let pool = HashPool::start(&self.config.hashing, &self.config.passwords, Arc::clone(&self.entropy));
        let revoked = Arc::new(RevokedSet::new(RevokedSessions::new(&self.config.tokens)));
        let bus = self.bus.unwrap_or_else(|| Arc::new(LocalRevocationBus::new()));
        bus.subscribe(Arc::clone(&revoked) as Arc<dyn RevocationSink>);
        let own = Arc::new(LocalRateLimiter::new(Arc::clone(&self.clock)));
        let refusals = RefusalBook::new(Arc::clone(&own) as Arc<dyn RateLimiter>);
        let throttle = Throttle::new(self.config.limits.clone(), Arc::clone(&self.clock), self.limiter, own);
        let streaming = Streaming::new(self.audit_sink, &*self.entropy);
        let accounts = AccountCache::new(self.cache, Arc::clone(&self.clock));
        let engine = Arc::new(Engine {
            store: self.state.store,
            clock: self.clock,
            entropy: self.entropy,
            custody: self.state.custody,
            bus,
            mailer: self.mailer,
            sms_sender: self.sms_sender,
            outbox_wake: Arc::new(tokio::sync::Notify::new()),
            outbox_books: OutboxBooks::default(),
            throttle,
            breach: BreachGate::new(self.breach_list, self.config.passwords.breach_list_failure),
            accounts,
            access: AccessBook::default(),
            pool: pool.map_err(BuildError::Threads)?,
            keyring: ArcSwap::from_pointee(Keyring::default()),
            keyring_turn: tokio::sync::Mutex::new(()),
            verified: VerifiedTokens::new(self.config.tokens.cache_capacity),
            revoked,
            skew: ClockSkew::unknown(),
            #[cfg(feature = "passkeys")]
            passkeys,
            sealing: SealBooks::new(),
            streaming,
            refusals,
            config: self.config,
        });
        keys::reload(&engine).await?;
        password_secrets::check(&engine).await?;
        maintenance::catch_up(&engine).await?;
        maintenance::compare_clocks(&engine).await?;
        Ok(engine)
    }
}

impl<State> fmt::Debug for Builder<State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
