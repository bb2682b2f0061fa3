//! Profiles that are read through a cache: faster, and never older than they may be.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::embedded::{LocalRecordCache, MemoryStore};
use authkit_core::model::{Patch, User};
use authkit_core::ports::record_cache::{CacheError, CacheHealth, Lease, LookUp, RecordCache, RecordKey};
use authkit_core::testkit::{Fault, FaultyStore, Gate, Method};
use authkit_core::{AuthKit, FullName, PasswordChange, Principal, ProfileUpdate};

use tokio::sync::oneshot;

use crate::support::{PASSWORD, World, config, password, principal, register, request};

/// A cache that can be away, and counts what is invalidated.
#[derive(Debug)]
struct Switched {
    cache: LocalRecordCache,
    is_away: AtomicBool,
    invalidations: AtomicU32,
    /// The next fill says that it is there, and waits to be let through.
    turnstile: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

impl Switched {
    fn answer(&self) -> Result<(), CacheError> {
        if self.is_away.load(Ordering::SeqCst) { Err(CacheError("away".into())) } else { Ok(()) }
    }

    fn invalidations(&self) -> u32 {
        self.invalidations.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl RecordCache for Switched {
    async fn look_up(&self, key: RecordKey) -> Result<LookUp, CacheError> {
        self.answer()?;
        self.cache.look_up(key).await
    }

    async fn fill(&self, key: RecordKey, lease: Lease, record: &[u8]) -> Result<(), CacheError> {
        self.answer()?;
        let turnstile = self.turnstile.lock().expect("no panic").take();
        if let Some((arrived, let_through)) = turnstile {
            arrived.send(()).expect("the test waits");
            let_through.await.expect("the test goes on");
        }
        self.cache.fill(key, lease, record).await
    }

    async fn invalidate(&self, keys: &[RecordKey]) -> Result<(), CacheError> {
        self.answer()?;
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate(keys).await
    }

    fn health(&self) -> CacheHealth {
        if self.answer().is_ok() { CacheHealth::Working } else { CacheHealth::Degraded }
    }
}

struct Cached {
    world: World,
    store: Arc<FaultyStore<MemoryStore>>,
    cache: Arc<Switched>,
    auth: AuthKit,
    caller: Principal,
}

impl Cached {
    /// A node with a cache, and somebody who is logged in.
    async fn new() -> Self {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let world = World::over(store.clone());
        let cache = Arc::new(Switched {
            cache: LocalRecordCache::new(Arc::new(world.clock.clone())),
            is_away: AtomicBool::new(false),
            invalidations: AtomicU32::new(0),
            turnstile: Mutex::default(),
        });
        let auth = world.unjoined(config()).record_cache(cache.clone()).build().await.expect("builds");
        let caller = principal(&auth, &register(&auth).await);
        Self { world, store, cache, auth, caller }
    }

    async fn profile(&self) -> User {
        self.auth.accounts().profile(&self.caller).await.expect("a profile")
    }

    async fn rename(&self, name: &str) -> Result<User, authkit_core::flows::ProfileError> {
        let full_name = Patch::Set(FullName::parse(name).expect("a name"));
        self.auth.accounts().update_profile(&self.caller, ProfileUpdate { full_name, ..Default::default() }, &request()).await
    }

    fn reads(&self) -> u64 {
        self.store.calls(Method::UserById)
    }
}

fn name_of(user: &User) -> Option<&str> {
    user.full_name.as_ref().map(FullName::as_str)
}

#[tokio::test]
async fn a_profile_is_read_from_the_store_once_and_anew_after_a_change() {
    let cached = Cached::new().await;
    let (reads, first) = (cached.reads(), cached.profile().await);
    for _ in 0..5 {
        assert_eq!(cached.profile().await, first);
    }
    assert_eq!(cached.reads() - reads, 1);
    assert_eq!(name_of(&cached.rename("Jane Doe").await.expect("changes")), Some("Jane Doe"));
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));

    let epoch = cached.profile().await.auth_epoch;
    let change = PasswordChange { current: password(PASSWORD), new: password("another fine passphrase") };
    cached.auth.accounts().change_password(&cached.caller, change, &request()).await.expect("changes");
    assert_eq!(cached.profile().await.auth_epoch, epoch + 1, "a new password is a change of the account");
}

#[tokio::test]
async fn what_others_change_without_a_word_is_seen_after_its_time() {
    let cached = Cached::new().await;
    cached.profile().await;
    let other = cached.world.unjoined(config()).build().await.expect("builds");
    let full_name = Patch::Set(FullName::parse("Jane Doe").expect("a name"));
    let update = ProfileUpdate { full_name, ..Default::default() };
    other.accounts().update_profile(&cached.caller, update, &request()).await.expect("changes");
    assert_eq!(name_of(&cached.profile().await), None);
    cached.world.clock.advance(Duration::from_secs(30));
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));
}

#[tokio::test]
async fn a_change_overtakes_a_reader_that_read_before_it() {
    let cached = Arc::new(Cached::new().await);
    let ((arrive, arrived), (let_through, wait)) = (oneshot::channel(), oneshot::channel());
    // The reader has its lease and has read the old account, and is about to fill it in.
    *cached.cache.turnstile.lock().expect("no panic") = Some((arrive, wait));
    let reader = tokio::spawn({
        let cached = Arc::clone(&cached);
        async move { cached.profile().await }
    });
    arrived.await.expect("the reader comes");
    cached.rename("Jane Doe").await.expect("changes");
    let_through.send(()).expect("the reader waits");
    assert_eq!(name_of(&reader.await.expect("no panic")), None, "it had begun before");
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));
}

#[tokio::test]
async fn a_plan_that_the_host_has_committed_is_a_change_as_any_other() {
    let cached = Cached::new().await;
    cached.profile().await;
    let full_name = Patch::Set(FullName::parse("Jane Doe").expect("a name"));
    let update = ProfileUpdate { full_name, ..Default::default() };
    let planned = cached.auth.accounts().plan_update_profile(&cached.caller, update, &request());
    let committed = cached.world.store.commit(planned.changes()).await.expect("commits");
    planned.committed(committed).await;
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_is_taken_for_done() {
    let cached = Cached::new().await;
    cached.profile().await;
    cached.store.inject(Method::Commit, 1, Fault::LostReply);
    cached.rename("Jane Doe").await.expect_err("nobody knows what became of it");
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));
}

#[tokio::test]
async fn a_request_that_is_given_up_half_way_leaves_nothing_old_behind() {
    let cached = Arc::new(Cached::new().await);
    cached.profile().await;
    let gate = Gate::new();
    cached.store.inject(Method::Commit, 1, Fault::Wait(gate.clone()));
    let before = cached.cache.invalidations();
    let request = tokio::spawn({
        let cached = Arc::clone(&cached);
        async move { cached.rename("Jane Doe").await }
    });
    gate.reached().await;
    request.abort();
    request.await.expect_err("it was given up");
    let invalidated = async {
        while cached.cache.invalidations() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), invalidated).await.expect("it is invalidated all the same");
}

#[tokio::test]
async fn without_the_cache_everything_works_and_health_says_so() {
    let cached = Cached::new().await;
    cached.profile().await;
    assert!(!cached.auth.health().await.is_degraded());
    cached.cache.is_away.store(true, Ordering::SeqCst);
    cached.rename("Jane Doe").await.expect("changes");
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"));
    let health = cached.auth.health().await;
    assert!(health.is_ready() && health.is_degraded() && health.cache == CacheHealth::Degraded, "{health:?}");

    // Back again, with what it was not told to forget.
    cached.cache.is_away.store(false, Ordering::SeqCst);
    assert_eq!(name_of(&cached.profile().await), Some("Jane Doe"), "a node does not show what it failed to invalidate");
    cached.world.clock.advance(Duration::from_secs(30));
    let reads = cached.reads();
    cached.profile().await;
    cached.profile().await;
    assert_eq!(cached.reads() - reads, 1, "and trusts it again when all of that is too old");
}

#[tokio::test]
async fn what_is_no_account_is_read_from_the_store() {
    let cached = Cached::new().await;
    let key = RecordKey::User(cached.caller.user_id());
    for record in [&b"garbage"[..], b""] {
        cached.cache.invalidate(&[key]).await.expect("it is there");
        let LookUp::Missing(Some(lease)) = cached.cache.look_up(key).await.expect("it is there") else { panic!("a lease") };
        cached.cache.fill(key, lease, record).await.expect("it is there");
        assert_eq!(cached.profile().await.id, cached.caller.user_id());
    }
}

#[tokio::test]
async fn a_login_and_a_refresh_tell_the_cache_nothing() {
    let cached = Cached::new().await;
    let before = cached.cache.invalidations();
    let logged_in = crate::support::log_in(&cached.auth).await;
    cached.auth.sessions().refresh(&logged_in.tokens.refresh_token, &request()).await.expect("refreshes");
    assert_eq!(cached.cache.invalidations(), before, "neither changes an account");
}
