//! The promises of the pool, held with gates instead of sleeps: a step that is busy is busy until the test lets it go.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::Argon2Params;
use crate::password::stored::StoredHash;
use crate::password::{PolicyContext, SetPasswordError, Verdict, WeaknessReason};
use crate::primitives::{OsEntropy, Password};

const TINY: Argon2Params = Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 };
const GOOD: &str = "correct horse battery staple";

type Answer = Pin<Box<dyn Future<Output = Result<(), HashError>> + Send>>;

fn pool_of(threads: usize, params: Argon2Params, change: impl FnOnce(&mut HashingConfig)) -> HashPool {
    let mut hashing = HashingConfig { threads, ..HashingConfig::default() };
    change(&mut hashing);
    let passwords = PasswordConfig { params, ..PasswordConfig::default() };
    HashPool::start(&hashing, &passwords, Arc::new(OsEntropy)).expect("the pool starts")
}

fn pool(threads: usize) -> HashPool {
    pool_of(threads, TINY, |_| {})
}

fn place(pool: &HashPool, class: HashClass, identifier: &str) -> Result<Admission, Overloaded> {
    pool.admit(class, &HashOrigin::new(None, identifier))
}

fn login(pool: &HashPool, identifier: &str) -> Admission {
    place(pool, HashClass::Login, identifier).expect("there is a place")
}

fn password(text: &str) -> Password {
    Password::parse(text).expect("a password")
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A step that waits for `go`, or for its sender to be dropped.
fn gated(mut place: Admission) -> (Answer, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (started, running) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let mut answer: Answer = Box::pin(async move {
        let work = move |_: &mut Hasher| {
            let _ = started.send(());
            let _ = gate.recv();
            Ok(())
        };
        place.step(HashClass::Login.lane(), 1, work).await
    });
    assert!(poll(&mut answer).is_pending());
    (answer, running, go)
}

/// Keeps one thread busy until the sender is used or dropped.
fn occupy(pool: &HashPool, identifier: &str) -> (Answer, mpsc::Sender<()>) {
    let (answer, running, go) = gated(login(pool, identifier));
    running.recv().expect("a thread takes the step");
    (answer, go)
}

#[tokio::test]
async fn a_password_that_was_set_is_the_one_that_matches() {
    let pool = pool(2);
    let mut place = login(&pool, "user");
    let hash = place.set(password(GOOD), PolicyContext::default()).await.unwrap();
    let again = place.rehash(password(GOOD)).await.unwrap();
    assert_ne!(hash.expose(), again.expose());
    for hash in [hash, again] {
        let matched = place.verify(password(GOOD), Some(hash.clone())).await.unwrap();
        assert_eq!(matched, Verdict::Match { needs_upgrade: false });
        assert_eq!(place.verify(password("wrong"), Some(hash)).await.unwrap(), Verdict::Mismatch);
    }
    drop(place);
    let stats = pool.stats();
    assert_eq!((stats.hashed, stats.admitted, stats.queued, stats.running), (6, 0, 0, 0));
    assert_eq!(stats.predicted_wait, Duration::ZERO);
}

#[tokio::test]
async fn an_imported_hash_of_more_memory_verifies_and_asks_for_an_upgrade() {
    let imported = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let hash = PasswordHash::from_phc(imported.to_owned());
    let verdict = login(&pool(1), "user").verify(password("password"), Some(hash)).await;
    assert_eq!(verdict, Ok(Verdict::Match { needs_upgrade: true }));
}

#[tokio::test]
async fn an_unknown_account_costs_what_a_wrong_password_costs() {
    let pool = pool(1);
    let mut place = login(&pool, "user");
    assert_eq!(place.verify(password(GOOD), None).await, Ok(Verdict::Mismatch));
    assert_eq!(pool.stats().hashed, 1);
    let real = place.rehash(password(GOOD)).await.unwrap();
    let parsed = [&real, pool.0.0.decoy()].map(|hash| StoredHash::parse(hash, pool.0.0.reader()).unwrap());
    let [StoredHash::Argon2(real), StoredHash::Argon2(decoy)] = &parsed else { panic!("both are of argon2") };
    assert_eq!((real.work(), real.block_count()), (decoy.work(), decoy.block_count()));
    assert_eq!((real.salt().len(), real.output().len()), (decoy.salt().len(), decoy.output().len()));
}

#[tokio::test]
async fn a_hash_that_cannot_be_verified_costs_a_hash_too() {
    let pool = pool(1);
    let mut place = login(&pool, "user");
    for stored in
        ["$2b$31$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW", "", "$argon2id$v=19$m=4294967295,t=2,p=1$AAAA$AAAA"]
    {
        let stored = PasswordHash::from_phc(stored.to_owned());
        assert_eq!(place.verify(password(GOOD), Some(stored)).await, Err(HashError::Unsupported));
    }
    assert_eq!(pool.stats().hashed, 3);
}

#[tokio::test]
async fn a_weak_password_is_refused_and_never_hashed() {
    let pool = pool(1);
    let refused = login(&pool, "user").set(password("12345678"), PolicyContext::default()).await;
    let Err(SetPasswordError::Weak(weakness)) = refused else { panic!("{refused:?}") };
    assert!(matches!(weakness.reasons(), [WeaknessReason::TooGuessable { .. }]));
    assert_eq!(pool.stats().hashed, 0);
}

#[tokio::test]
async fn no_more_hashes_run_than_there_are_threads() {
    let pool = pool(2);
    let (one, two) = (occupy(&pool, "one"), occupy(&pool, "two"));
    let (third, running, go) = gated(login(&pool, "three"));
    assert_eq!((pool.stats().running, pool.stats().queued), (2, 1));
    assert!(running.try_recv().is_err());
    drop((one.1, go));
    one.0.await.unwrap();
    third.await.unwrap();
    drop(two.1);
    two.0.await.unwrap();
}

#[tokio::test]
async fn five_hundred_guesses_at_one_account_leave_the_other_thread_to_others() {
    let pool = pool(2);
    let (attacker, go) = occupy(&pool, "victim");
    let (second, second_running, second_go) = gated(login(&pool, "victim"));
    for _ in 0..498 {
        assert!(place(&pool, HashClass::Login, "victim").is_err());
    }
    assert_eq!(pool.stats().shed(HashClass::Login), 498);
    // The attacker's second step waits for the first, though a thread is free, and everybody else is served.
    assert_eq!(login(&pool, "other").verify(password(GOOD), None).await, Ok(Verdict::Mismatch));
    assert!(second_running.try_recv().is_err());
    // The victim's own device is another class.
    assert!(place(&pool, HashClass::KnownClient, "victim").is_ok());
    drop((go, second_go));
    attacker.await.unwrap();
    second.await.unwrap();
    assert!(place(&pool, HashClass::Login, "victim").is_ok());
}

#[tokio::test]
async fn whoever_hangs_up_is_not_hashed_for() {
    let pool = pool(1);
    let (busy, go) = occupy(&pool, "busy");
    let ran = Arc::new(AtomicBool::new(false));
    let (mut gone, flag) = (login(&pool, "gone"), Arc::clone(&ran));
    let mut step = Box::pin(async move {
        let work = move |_: &mut Hasher| {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        };
        gone.step(HashClass::Login.lane(), 1, work).await
    });
    assert!(poll(&mut step).is_pending());
    assert_eq!((pool.stats().queued, pool.stats().admitted), (1, 2));
    drop(step);
    assert_eq!((pool.stats().queued, pool.stats().admitted, pool.stats().abandoned), (0, 1, 1));
    drop(go);
    busy.await.unwrap();
    assert_eq!(login(&pool, "next").verify(password(GOOD), None).await, Ok(Verdict::Mismatch));
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn whose_turn_comes_too_late_is_told_and_not_hashed_for() {
    let pool = pool(1);
    let (first, go) = occupy(&pool, "first");
    let (late, late_running, _late_go) = gated(login(&pool, "late"));
    // From here on every wait is too long.
    pool.0.0.lock().queue.max_wait = Duration::ZERO;
    drop(go);
    first.await.unwrap();
    assert!(matches!(late.await, Err(HashError::Overloaded(_))));
    assert!(late_running.try_recv().is_err());
    assert_eq!((pool.stats().expired, pool.stats().queued, pool.stats().admitted), (1, 0, 0));
}

#[test]
fn a_full_pool_says_when_to_come_back_and_keeps_a_place_for_step_up() {
    let pool = pool_of(1, TINY, |hashing| hashing.max_admitted = 3);
    let held = [login(&pool, "one"), login(&pool, "two")];
    for _ in 0..20 {
        let overloaded = place(&pool, HashClass::KnownClient, "three").expect_err("two of three are taken, one is kept");
        assert!((1..=4).contains(&overloaded.retry_after.as_secs()));
        assert!(overloaded.to_string().starts_with("too many passwords are being checked, retry in "));
    }
    assert_eq!((pool.stats().shed(HashClass::KnownClient), pool.stats().shed(HashClass::Login)), (20, 0));
    let step_up = place(&pool, HashClass::StepUp, "four").expect("the kept place");
    assert!(place(&pool, HashClass::StepUp, "five").is_err());
    drop((held, step_up));
    assert!(place(&pool, HashClass::Login, "three").is_ok());
    assert_eq!(pool.stats().admitted, 0);
}

#[test]
fn the_default_takes_a_burst_of_logins_and_sheds_what_would_wait_too_long() {
    // Nothing is hashed here, so that the speed is the first guess: 19.456 ms a hash.
    let pool = pool_of(2, Argon2Params::OWASP, |_| {});
    let loopback = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut held = Vec::new();
    for index in 0..1_000 {
        let identifier = format!("user-{index}");
        held.extend(pool.admit(HashClass::Login, &HashOrigin::new(loopback, &identifier)));
    }
    // 205 turns of 9.728 ms fit into 2 s, and two more are computed.
    assert_eq!(held.len(), 207);
    assert!(pool.stats().predicted_wait > Duration::from_secs(2));
    // Classes of their own weight are not shut out by it.
    for class in [HashClass::StepUp, HashClass::KnownClient, HashClass::Registration] {
        assert!(place(&pool, class, "somebody").is_ok(), "{class:?}");
    }
}

#[test]
fn one_address_cannot_take_the_whole_queue() {
    let pool = pool_of(2, Argon2Params::OWASP, |_| {});
    let mut held = Vec::new();
    for index in 0..1_000 {
        let origin = Some(IpAddr::from([192, 0, 2, 1]));
        let identifier = format!("user-{index}");
        held.extend(pool.admit(HashClass::Login, &HashOrigin::new(origin, &identifier)));
    }
    assert_eq!(held.len(), (205 + 2) / 4);
    assert!(pool.admit(HashClass::Login, &HashOrigin::new(Some(IpAddr::from([198, 51, 100, 1])), "other")).is_ok());
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_no_thread() {
    let pool = pool(1);
    let mut place = login(&pool, "user");
    for _ in 0..3 {
        let outcome = place.step::<()>(HashClass::Login.lane(), 1, |_| panic!("on purpose")).await;
        assert_eq!(outcome, Err(HashError::Failed));
    }
    assert_eq!(place.verify(password(GOOD), None).await, Ok(Verdict::Mismatch));
    drop(place);
    assert_eq!((pool.stats().running, pool.stats().predicted_wait), (0, Duration::ZERO));
}

#[tokio::test]
async fn the_last_handle_ends_the_threads_and_answers_whoever_waits() {
    let pool = pool(1);
    let shared = Arc::downgrade(&pool.0.0);
    let mut idle = login(&pool, "idle");
    let (busy, go) = occupy(&pool, "busy");
    let (waiting, _running, _waiting_go) = gated(login(&pool, "waiting"));
    drop(pool.clone());
    assert_eq!(pool.stats().queued, 1);
    drop(pool);
    assert_eq!(waiting.await, Err(HashError::Stopped));
    assert_eq!(idle.verify(password(GOOD), None).await, Err(HashError::Stopped));
    drop(go);
    assert_eq!(busy.await, Ok(()));
    drop(idle);
    while shared.strong_count() > 0 {
        thread::yield_now();
    }
}

#[tokio::test]
async fn threads_are_named_and_step_back_for_others() {
    let pool = pool(1);
    let name = login(&pool, "user")
        .step(HashClass::Login.lane(), 1, |_| Ok(thread::current().name().map(ToOwned::to_owned)))
        .await
        .unwrap();
    assert_eq!(name.as_deref(), Some("authkit-hash-0"));
    #[cfg(target_os = "linux")]
    {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let theirs = login(&pool, "user").step(HashClass::Login.lane(), 1, move |_| Ok(nice())).await.unwrap();
        assert_eq!(theirs, (nice() + 10).min(19));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_places_are_used_and_left_the_books_close_at_zero() {
    let pool = pool(3);
    let imported = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let tasks: Vec<_> = (0..400_usize)
        .map(|index| {
            let pool = pool.clone();
            tokio::spawn(async move {
                // Some share an identifier, some come from one network.
                let (class, identifier) = (HashClass::ALL[index % 4], (index % 300).to_string());
                let ip = (index % 5 == 0).then_some(IpAddr::from([192, 0, 2, 7]));
                let Ok(mut place) = pool.admit(class, &HashOrigin::new(ip, &identifier)) else { return };
                if index % 3 == 0 {
                    let mut left = Box::pin(place.verify(password(GOOD), None));
                    let _ = poll(&mut left);
                }
                match index % 4 {
                    0 => {}
                    1 => drop(place.set(password("12345678"), PolicyContext::default()).await),
                    2 => drop(place.verify(password("password"), Some(PasswordHash::from_phc(imported.to_owned()))).await),
                    _ => drop(place.step::<()>(class.lane(), 1, |_| panic!("on purpose")).await),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    // What was left while it ran still runs.
    while pool.stats().running > 0 {
        tokio::task::yield_now().await;
    }
    let stats = pool.stats();
    assert_eq!((stats.admitted, stats.queued, stats.predicted_wait), (0, 0, Duration::ZERO));
    let books = pool.0.0.lock();
    assert!(books.ahead.iter().all(|ahead| ahead.steps == 0 && ahead.cost == 0));
    assert!(books.ledger.is_empty());
}

#[test]
fn impossible_parameters_are_refused_at_the_start() {
    let passwords = PasswordConfig { params: Argon2Params { memory_kib: 7, ..TINY }, ..PasswordConfig::default() };
    let refused = HashPool::start(&HashingConfig::default(), &passwords, Arc::new(OsEntropy));
    assert_eq!(refused.map(|_| ()).map_err(|error| error.kind()), Err(io::ErrorKind::InvalidInput));
}

#[tokio::test]
async fn a_hash_that_needs_a_lost_pepper_is_no_mismatch_and_costs_a_hash() {
    let pool = pool(1);
    let mut place = login(&pool, "user");
    let stored = "$argon2id$v=19$m=8,t=1,p=1,keyid=b2xk$c29tZXNhbHRzb21lc2FsdA$4m3CYC6mvGl2/NbyGm5CmFL0nJHpvhqOlLYMUPzNDwI";
    let missing = Err(HashError::MissingPepper { id: "old".to_owned() });
    assert_eq!(place.verify(password(GOOD), Some(PasswordHash::from_phc(stored.to_owned()))).await, missing);
    assert_eq!(pool.stats().hashed, 1);
}

#[tokio::test]
async fn foreign_hashes_that_take_memory_or_seconds_wait_in_the_lane_of_the_heavy_ones() {
    let pool = pool_of(2, Argon2Params::OWASP, |_| {});
    let place = login(&pool, "user");
    let lane = |text: &str| {
        let stored = StoredHash::parse(&PasswordHash::from_phc(text.to_owned()), pool.0.0.reader()).unwrap();
        place.weigh(&stored, 10).0
    };
    let digest = "nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E";
    assert_eq!(lane(&format!("$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ${digest}")), Lane::HEAVY);
    assert_eq!(lane(&format!("pbkdf2_sha256$5000000$salt${digest}")), Lane::HEAVY);
    assert_eq!(lane("$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), Lane::HEAVY);
    assert_eq!(lane("$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), HashClass::Login.lane());
    assert_eq!(lane(&format!("pbkdf2_sha256$260000$salt${digest}")), HashClass::Login.lane());
    assert_eq!(lane(&format!("$argon2id$v=19$m=20000,t=1,p=1$c29tZXNhbHQ${digest}")), Lane::HEAVY);
}
