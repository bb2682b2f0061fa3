//! One node, or several over one store.

use std::sync::Arc;

use authkit_core::config::Argon2Params;
use authkit_core::embedded::{LocalKeyCustody, LocalRevocationBus, MemoryStore};
use authkit_core::model::{AuditAction, AuditEvent, AuditFilter, Outcome};
use authkit_core::ports::Store;
use authkit_core::testkit::{FrozenClock, SeededEntropy};
use authkit_core::{
    AuthKit, Config, Email, LoggedIn, Login, OsEntropy, PageRequest, Password, Principal, RefreshToken, Refreshed, Registration,
    RequestContext,
};

pub(crate) const EMAIL: &str = "user@example.com";
pub(crate) const PASSWORD: &str = "SecurePass123";

pub(crate) struct World {
    pub(crate) clock: FrozenClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) custody: Arc<LocalKeyCustody>,
    pub(crate) bus: Arc<LocalRevocationBus>,
    pub(crate) config: Config,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self {
            clock: FrozenClock::new(),
            store,
            custody: Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy))),
            bus: Arc::new(LocalRevocationBus::new()),
            config: config(),
        }
    }

    /// One more node over the same store, bus and master key.
    pub(crate) async fn node(&self) -> AuthKit {
        self.node_with(self.config.clone()).await
    }

    pub(crate) async fn node_with(&self, config: Config) -> AuthKit {
        self.unjoined(config).revocation_bus(self.bus.clone()).build().await.expect("builds")
    }

    /// One more node, on a bus of its own: it learns from the store alone.
    pub(crate) async fn lonely_node(&self) -> AuthKit {
        self.unjoined(self.config.clone()).build().await.expect("builds")
    }

    /// One more node that is still to be put on a bus.
    pub(crate) fn unjoined(&self, config: Config) -> authkit_core::Builder<authkit_core::builder::Ready> {
        AuthKit::builder(config)
            .store(Arc::clone(&self.store))
            .custody(self.custody.clone())
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(rand_seed())))
    }

    /// The events of the log, the youngest first, without those about keys. Those of one instant are in no order.
    pub(crate) async fn events(&self) -> Vec<AuditEvent> {
        let page = self.store.audit_events(&AuditFilter::new(), PageRequest::default()).await.expect("reads");
        page.items.into_iter().filter(|event| event.action != AuditAction::KeyCreated).collect()
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> authkit_core::Timestamp {
        authkit_core::Clock::now(&self.clock)
    }

    /// Lets time pass, so that what comes next is dated, and sorted, behind what was.
    pub(crate) fn tick(&self) {
        self.clock.advance(std::time::Duration::from_millis(1));
    }

    pub(crate) async fn actions(&self) -> Vec<(AuditAction, Outcome)> {
        self.events().await.into_iter().map(|event| (event.action, event.outcome)).collect()
    }
}

/// Nodes must not draw the same identifiers, and a run must not depend on which.
fn rand_seed() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The defaults, with a hash that costs next to nothing, and no limit on how often a test tries.
pub(crate) fn config() -> Config {
    let mut config = Config::new("https://auth.example");
    config.passwords.params = Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    config.limits.enabled = false;
    config
}

pub(crate) fn request() -> RequestContext {
    RequestContext::default()
}

pub(crate) fn email() -> Email {
    Email::parse(EMAIL).expect("an address")
}

pub(crate) fn password(text: &str) -> Password {
    Password::parse(text).expect("a password")
}

pub(crate) async fn register(auth: &AuthKit) -> LoggedIn {
    let registration = Registration::new(email(), password(PASSWORD));
    auth.accounts().register(registration, &request()).await.expect("registers")
}

pub(crate) async fn log_in(auth: &AuthKit) -> LoggedIn {
    auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect("logs in")
}

pub(crate) fn principal(auth: &AuthKit, logged_in: &LoggedIn) -> Principal {
    auth.authenticate(logged_in.tokens.access_token.expose()).expect("authenticates")
}

pub(crate) fn is_authenticated(auth: &AuthKit, logged_in: &LoggedIn) -> bool {
    auth.authenticate(logged_in.tokens.access_token.expose()).is_ok()
}

pub(crate) async fn refresh(auth: &AuthKit, token: &RefreshToken) -> LoggedIn {
    match auth.sessions().refresh(token, &request()).await.expect("refreshes") {
        Refreshed::Renewed(renewed) => renewed,
        other => panic!("not renewed: {other:?}"),
    }
}
