//! How often something may be tried: what is counted, what a refusal says and costs, and what happens when counting fails.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::embedded::{LocalRateLimiter, MemoryStore};
use authkit_core::flows::{ChangePasswordError, LoginError, ReauthenticateError, RefreshError, RegisterError};
use authkit_core::model::{AuditFilter, Client, LimitScope, Quota, Reading};
use authkit_core::ports::{Charge, LimiterHealth, RateLimiter, RateLimiterError};
use authkit_core::testkit::FaultyStore;
use authkit_core::{AuthKit, Config, Email, Error, ErrorKind, Login, PasswordChange, Refreshed, Registration, RequestContext};

use crate::support::{EMAIL, PASSWORD, World, config, email, log_in, password, principal, refresh, register, request};

const WRONG: &str = "WrongPass123";

/// The defaults, which count.
fn limited() -> Config {
    let mut config = config();
    config.limits.enabled = true;
    config
}

async fn limited_world() -> (World, AuthKit) {
    let mut world = World::new();
    world.config = limited();
    let auth = world.node().await;
    (world, auth)
}

fn from(ip: &str) -> RequestContext {
    let ip: IpAddr = ip.parse().expect("an address");
    RequestContext { client: Client { ip: Some(ip), user_agent: None }, ..RequestContext::default() }
}

async fn try_login(auth: &AuthKit, email: &str, pass: &str, context: &RequestContext) -> Result<(), LoginError> {
    let email = Email::parse(email).expect("an address");
    auth.sessions().log_in(Login::new(email, password(pass)), context).await.map(drop)
}

/// Logs in until the limit; says how often, and how long to wait.
async fn use_up(auth: &AuthKit, context: impl Fn(u32) -> RequestContext) -> (u32, Duration) {
    for judged in 0..1_000 {
        match try_login(auth, EMAIL, PASSWORD, &context(judged)).await {
            Ok(()) => {}
            Err(LoginError::Throttled { retry_after }) => return (judged, retry_after),
            other => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

/// Tries wrong passwords until the limit; says how many were judged, and how long to wait.
async fn guess(auth: &AuthKit, email: &str, context: impl Fn(u32) -> RequestContext) -> (u32, Duration) {
    for judged in 0..1_000 {
        match try_login(auth, email, WRONG, &context(judged)).await {
            Err(LoginError::InvalidCredentials) => {}
            Err(LoginError::Throttled { retry_after }) => return (judged, retry_after),
            other => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

#[tokio::test]
async fn an_account_takes_twenty_logins_of_strangers_from_wherever_and_ten_from_one_address() {
    let (world, auth) = limited_world().await;
    register(&auth).await;
    assert_eq!(use_up(&auth, |_| from("192.0.2.1")).await, (10, Duration::from_secs(30)), "one address");
    // Eleven of its requests were counted for the address, and ten of them for the account.
    assert_eq!(use_up(&auth, |n| from(&format!("198.51.100.{n}"))).await, (10, Duration::from_secs(15)), "all the others");
    let spelled = try_login(&auth, "USER@Example.com", PASSWORD, &from("203.0.113.1")).await;
    assert!(matches!(spelled, Err(LoginError::Throttled { .. })), "in whatever spelling: {spelled:?}");
    world.clock.advance(Duration::from_secs(15));
    try_login(&auth, EMAIL, PASSWORD, &from("203.0.113.1")).await.expect("after the time that was told");
}

#[tokio::test]
async fn a_refusal_says_nothing_about_whether_there_is_an_account() {
    let (_, auth) = limited_world().await;
    register(&auth).await;
    let known = guess(&auth, EMAIL, |n| from(&format!("198.51.100.{n}"))).await;
    let unknown = guess(&auth, "nobody@example.com", |n| from(&format!("192.0.2.{n}"))).await;
    assert_eq!(known, unknown);
    let said = async |address| {
        let context = from("203.0.113.1");
        let error = try_login(&auth, address, WRONG, &context).await.expect_err("is refused");
        let (text, code) = (error.to_string(), error.code());
        (text, code, Error::from(error).kind(), context.rate_limit.reading())
    };
    let (of_known, of_unknown) = (said(EMAIL).await, said("nobody@example.com").await);
    assert_eq!(of_known, of_unknown);
    assert_eq!((of_known.1, of_known.2), ("rate_limit.exceeded", ErrorKind::Throttled(Duration::from_secs(1))));
    assert_eq!((of_known.2.http_status(), of_known.2.retry_after()), (429, Some(1)));
    assert_eq!(ErrorKind::Throttled(Duration::from_millis(1_001)).retry_after(), Some(2), "not too early");
}

#[tokio::test]
async fn a_refusal_costs_no_store_access_no_hash_and_no_audit_event() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let mut world = World::over(faulty.clone());
    world.config = limited();
    let auth = world.node().await;
    let registered = register(&auth).await;
    let caller = principal(&auth, &registered);
    let change = PasswordChange { current: password(WRONG), new: password("another-Secret-9") };
    use_up(&auth, |_| request()).await;
    for _ in 0..10 {
        auth.sessions().reauthenticate(&caller, password(PASSWORD), &request()).await.expect("is right");
    }
    let events =
        world.store.audit_events(&AuditFilter::new(), authkit_core::PageRequest::default()).await.expect("reads").items.len();
    let before = (faulty.total_calls(), auth.hashing().hashed);
    for _ in 0..100 {
        let login = try_login(&auth, EMAIL, PASSWORD, &request()).await;
        assert!(matches!(login, Err(LoginError::Throttled { .. })), "{login:?}");
        let proof = auth.sessions().reauthenticate(&caller, password(PASSWORD), &request()).await;
        assert!(matches!(proof, Err(ReauthenticateError::Throttled { .. })), "{proof:?}");
        let changed = auth.accounts().change_password(&caller, change.clone(), &request()).await;
        assert!(matches!(changed, Err(ChangePasswordError::Throttled { .. })), "one budget for both: {changed:?}");
    }
    assert_eq!((faulty.total_calls(), auth.hashing().hashed), before);
    let after =
        world.store.audit_events(&AuditFilter::new(), authkit_core::PageRequest::default()).await.expect("reads").items.len();
    assert_eq!(after, events, "a flood does not fill the audit log");
    let stats = auth.rate_limits();
    assert_eq!((stats.refused(LimitScope::LoginAccount), stats.refused(LimitScope::PasswordAccount)), (101, 200));
}

#[tokio::test]
async fn an_address_tries_a_hundred_accounts_and_then_none_and_its_neighbours_are_not_concerned() {
    let (_, auth) = limited_world().await;
    register(&auth).await;
    for n in 0..100 {
        let wrong = try_login(&auth, &format!("user-{n}@example.com"), WRONG, &from("192.0.2.1")).await;
        assert!(matches!(wrong, Err(LoginError::InvalidCredentials)), "{n}: {wrong:?}");
    }
    for spelling in ["192.0.2.1", "::ffff:192.0.2.1"] {
        let refused = try_login(&auth, EMAIL, PASSWORD, &from(spelling)).await;
        assert!(matches!(refused, Err(LoginError::Throttled { .. })), "{refused:?}");
    }
    // Who is refused by his address has not used up his victim's account: all ten are there.
    let context = from("192.0.2.2");
    try_login(&auth, EMAIL, PASSWORD, &context).await.expect("another address");
    assert_eq!(context.rate_limit.reading().map(|reading| (reading.limit, reading.remaining)), Some((100, 99)));
}

#[tokio::test]
async fn the_hosts_of_one_ipv6_network_are_one_address() {
    let (_, auth) = limited_world().await;
    register(&auth).await;
    for n in 0..100 {
        let host = from(&format!("2001:db8:1:2::{n:x}"));
        let wrong = try_login(&auth, &format!("user-{n}@example.com"), WRONG, &host).await;
        assert!(matches!(wrong, Err(LoginError::InvalidCredentials)), "{n}: {wrong:?}");
    }
    let refused = try_login(&auth, EMAIL, PASSWORD, &from("2001:db8:1:2:ffff::1")).await;
    assert!(matches!(refused, Err(LoginError::Throttled { .. })), "{refused:?}");
    try_login(&auth, EMAIL, PASSWORD, &from("2001:db8:1:3::1")).await.expect("another network");
}

#[tokio::test]
async fn who_is_logged_in_is_not_kept_from_her_password_by_strangers_who_guess_at_it() {
    let (_, auth) = limited_world().await;
    let registered = register(&auth).await;
    guess(&auth, EMAIL, |n| from(&format!("198.51.100.{n}"))).await;
    let caller = principal(&auth, &registered);
    auth.sessions().reauthenticate(&caller, password(PASSWORD), &request()).await.expect("counted apart");
    let change = PasswordChange { current: password(PASSWORD), new: password("another-Secret-9") };
    auth.accounts().change_password(&caller, change, &request()).await.expect("counted apart");
}

#[tokio::test]
async fn an_address_registers_fifty_accounts_and_an_operator_as_many_as_she_likes() {
    let (world, auth) = limited_world().await;
    let attempt = async |n: u32| {
        // Too weak to be kept: it is the attempt that counts.
        let registration =
            Registration::new(Email::parse(&format!("u{n}@example.com")).expect("an address"), password("12345678"));
        auth.accounts().register(registration, &from("192.0.2.1")).await
    };
    for n in 0..50 {
        let weak = attempt(n).await;
        assert!(matches!(weak, Err(RegisterError::WeakPassword(_))), "{n}: {weak:?}");
    }
    let Err(RegisterError::Throttled { retry_after }) = attempt(50).await else { panic!("not refused") };
    assert_eq!(retry_after, Duration::from_mins(1));
    auth.accounts().create(Registration::new(email(), password(PASSWORD)), &from("192.0.2.1")).await.expect("is not counted");
    world.clock.advance(retry_after);
    assert!(matches!(attempt(51).await, Err(RegisterError::WeakPassword(_))));
}

#[tokio::test]
async fn a_session_that_is_refreshed_in_a_loop_is_refused_and_keeps_its_token() {
    let (world, auth) = limited_world().await;
    let (busy, calm) = (register(&auth).await, log_in(&auth).await);
    let mut token = busy.tokens.refresh_token.clone();
    for _ in 0..60 {
        token = refresh(&auth, &token).await.tokens.refresh_token;
    }
    let Err(RefreshError::Throttled { retry_after }) = auth.sessions().refresh(&token, &request()).await else {
        panic!("not refused")
    };
    let session = world.store.session_by_id(busy.session_id).await.expect("reads").expect("is there").session;
    assert_eq!(session.generation, 60, "the refusal moved nothing");
    refresh(&auth, &calm.tokens.refresh_token).await;
    world.clock.advance(retry_after);
    let renewed = auth.sessions().refresh(&token, &request()).await;
    assert!(matches!(renewed, Ok(Refreshed::Renewed(_))), "{renewed:?}");
}

#[tokio::test]
async fn the_host_is_told_what_is_left_whatever_became_of_the_request() {
    let (_, auth) = limited_world().await;
    register(&auth).await;
    let context = from("192.0.2.1");
    assert_eq!(context.rate_limit.reading(), None);
    try_login(&auth, EMAIL, PASSWORD, &context).await.expect("logs in");
    let reading = context.rate_limit.reading().expect("was counted");
    assert_eq!((reading.limit, reading.remaining, reading.retry_after), (100, 99, None), "what belongs to the client");
    try_login(&auth, EMAIL, WRONG, &context).await.expect_err("is wrong");
    assert_eq!(context.rate_limit.reading().expect("was counted").remaining, 98);
    // What is left of the account's quota would tell that somebody else has tried it.
    let elsewhere = from("198.51.100.1");
    try_login(&auth, EMAIL, WRONG, &elsewhere).await.expect_err("is wrong");
    assert_eq!(elsewhere.rate_limit.reading().map(|reading| reading.remaining), Some(99));
    guess(&auth, EMAIL, |_| context.clone()).await;
    let reading = context.rate_limit.reading().expect("was counted");
    assert_eq!((reading.remaining, reading.retry_after), (0, Some(Duration::from_secs(1))), "until it has refused");
}

#[tokio::test]
async fn nothing_is_counted_where_limits_are_turned_off() {
    let world = World::new();
    let auth = world.node_with(config()).await;
    let mut token = register(&auth).await.tokens.refresh_token;
    for _ in 0..70 {
        token = refresh(&auth, &token).await.tokens.refresh_token;
    }
    let context = from("192.0.2.1");
    for _ in 0..150 {
        let wrong = try_login(&auth, EMAIL, WRONG, &context).await;
        assert!(matches!(wrong, Err(LoginError::InvalidCredentials)), "{wrong:?}");
    }
    assert_eq!((context.rate_limit.reading(), auth.rate_limits().refused(LimitScope::LoginAccount)), (None, 0));
}

/// A limiter that nodes share, and that can be spoiled.
#[derive(Debug)]
struct Shared {
    inner: LocalRateLimiter,
    mode: AtomicU8,
    charged: Mutex<u32>,
}

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
const ANSWERS_TOO_LITTLE: u8 = 3;
const ANSWERS_TOO_MUCH: u8 = 4;
const SAYS_IT_IS_DEGRADED: u8 = 5;

impl Shared {
    fn new(world: &World) -> Arc<Self> {
        let inner = LocalRateLimiter::new(Arc::new(world.clock.clone()));
        Arc::new(Self { inner, mode: AtomicU8::new(WORKS), charged: Mutex::default() })
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::Relaxed);
    }
}

#[async_trait]
impl RateLimiter for Shared {
    async fn charge(&self, charges: &[Charge]) -> Result<Vec<Reading>, RateLimiterError> {
        *self.charged.lock().expect("not poisoned") += 1;
        let mut readings = self.inner.charge_all(charges);
        match self.mode.load(Ordering::Relaxed) {
            FAILS => return Err(RateLimiterError::new("spoiled")),
            HANGS => std::future::pending().await,
            // What a limiter says that has lost count: nothing, or something about buckets that nobody asked for.
            ANSWERS_TOO_LITTLE => readings.clear(),
            ANSWERS_TOO_MUCH => {
                let quota = Quota::new(9, Duration::from_secs(1)).expect("a quota");
                readings = vec![quota.charge(Duration::ZERO); 9];
            }
            _ => {}
        }
        Ok(readings)
    }

    fn health(&self) -> LimiterHealth {
        match self.mode.load(Ordering::Relaxed) {
            SAYS_IT_IS_DEGRADED => LimiterHealth::Degraded,
            _ => LimiterHealth::Working,
        }
    }
}

#[tokio::test]
async fn nodes_that_share_a_limiter_share_every_budget_but_that_of_a_session() {
    let mut world = World::new();
    world.config = limited();
    let shared = Shared::new(&world);
    let (one, two) = (
        world.unjoined(limited()).rate_limiter(shared.clone()).build().await.expect("builds"),
        world.unjoined(limited()).rate_limiter(shared.clone()).build().await.expect("builds"),
    );
    let registered = register(&one).await;
    for _ in 0..5 {
        try_login(&one, EMAIL, PASSWORD, &request()).await.expect("logs in");
    }
    assert_eq!(use_up(&two, |_| request()).await.0, 15);
    let before = *shared.charged.lock().expect("not poisoned");
    refresh(&one, &registered.tokens.refresh_token).await;
    assert_eq!(*shared.charged.lock().expect("not poisoned"), before, "a refresh costs no round trip");
}

#[tokio::test(start_paused = true)]
async fn a_limiter_that_fails_opens_nothing_and_locks_nobody_out() {
    for mode in [FAILS, HANGS, ANSWERS_TOO_LITTLE, ANSWERS_TOO_MUCH] {
        let world = World::new();
        let shared = Shared::new(&world);
        let auth = world.unjoined(limited()).rate_limiter(shared.clone()).build().await.expect("builds");
        register(&auth).await;
        assert_eq!(auth.health().await.limiter, LimiterHealth::Working);
        shared.set(mode);
        try_login(&auth, EMAIL, PASSWORD, &from("192.0.2.1")).await.unwrap_or_else(|error| panic!("{mode}: {error:?}"));
        assert_eq!(auth.health().await.limiter, LimiterHealth::Degraded, "{mode}");
        assert!(auth.health().await.is_degraded() && auth.health().await.is_ready(), "{mode}");
        // Three of ten: a third of the quota, one of which the login above has used.
        assert_eq!(use_up(&auth, |_| from("192.0.2.1")).await, (2, Duration::from_secs(90)), "{mode}");
        assert_eq!(auth.rate_limits().fallbacks, 4, "{mode}");

        shared.set(WORKS);
        // It was charged while it failed to say so.
        use_up(&auth, |_| from("192.0.2.1")).await;
        assert_eq!(auth.health().await.limiter, LimiterHealth::Working, "no restart is needed, {mode}");
        shared.set(SAYS_IT_IS_DEGRADED);
        assert_eq!(auth.health().await.limiter, LimiterHealth::Degraded);
    }
}

#[tokio::test]
async fn a_failure_shows_in_the_health_for_a_while_and_not_for_ever() {
    let world = World::new();
    let shared = Shared::new(&world);
    let auth = world.unjoined(limited()).rate_limiter(shared.clone()).build().await.expect("builds");
    shared.set(FAILS);
    try_login(&auth, EMAIL, PASSWORD, &request()).await.expect_err("is unknown");
    assert_eq!(auth.health().await.limiter, LimiterHealth::Degraded);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(auth.health().await.limiter, LimiterHealth::Working, "nobody tried since, and the limiter says it works");
}
