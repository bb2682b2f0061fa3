//! What counting costs: `limiter [calls]` charges the three buckets of a login, in this process and in a Redis of its own, and
//! measures a login that fails, one that has to wait, and one that its quota refuses.

use std::sync::Arc;
use std::time::Duration;

use authkit_benches::stopwatch::now;
use authkit_core::config::Argon2Params;
use authkit_core::embedded::LocalRateLimiter;
use authkit_core::model::{LimitScope, Quota};
use authkit_core::ports::{BucketKey, Charge, RateLimiter};
use authkit_core::{AuthKit, Config, Email, Login, Password, RequestContext, SystemClock};
use authkit_redis::testkit::RedisServer;
use authkit_redis::{RedisConnections, RedisOptions, RedisRateLimiter};
use tokio::task::JoinSet;

/// How many requests are counted side by side.
const SIDE_BY_SIDE: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let calls = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    println!("{:34} {:>12} {:>9} {:>9}", "", "per second", "p50", "p99");
    measure("limiter in this process, 3 buckets", calls, Arc::new(LocalRateLimiter::new(Arc::new(SystemClock)))).await?;
    let redis = RedisServer::start().await;
    let connections = RedisConnections::connect(RedisOptions::from_url(&redis.url())?).await?;
    measure("limiter in Redis, 3 buckets", calls, Arc::new(RedisRateLimiter::new(&connections))).await?;
    logins(calls / 10).await
}

/// The buckets of a login: the address, the account from there, the account.
fn charges(call: usize) -> Result<[Charge; 3], Failure> {
    let bucket = |scope, subject: usize, burst| -> Result<Charge, Failure> {
        Ok(Charge { key: BucketKey::new(scope, &subject.to_be_bytes()), quota: Quota::new(burst, Duration::from_millis(1))? })
    };
    let (address, account) = (call % 5_000, call % 10_000);
    Ok([
        bucket(LimitScope::LoginAddress, address, 1_000_000)?,
        bucket(LimitScope::LoginAddressAccount, address * 10_000 + account, 1_000_000)?,
        bucket(LimitScope::LoginAccount, account, 1_000_000)?,
    ])
}

async fn measure(what: &str, calls: usize, limiter: Arc<dyn RateLimiter>) -> Result<(), Failure> {
    let start = now();
    let mut tasks = JoinSet::new();
    for task in 0..SIDE_BY_SIDE {
        let limiter = Arc::clone(&limiter);
        tasks.spawn(async move {
            let mut took = Vec::with_capacity(calls / SIDE_BY_SIDE);
            for call in 0..calls / SIDE_BY_SIDE {
                let charges = charges(task * 7_919 + call)?;
                let start = now();
                let readings = limiter.charge(&charges).await?;
                took.push(start.elapsed());
                if readings.len() != 3 {
                    return Err("a request was refused".into());
                }
            }
            Ok::<_, Failure>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(task) = tasks.join_next().await {
        took.extend(task??);
    }
    report(what, start.elapsed(), &mut took);
    Ok(())
}

/// Prints a line. What happens in this process is below a microsecond, so that the figures keep their units.
fn report(what: &str, elapsed: Duration, took: &mut [Duration]) {
    took.sort_unstable();
    let of = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a count below 2^52")]
    let rate = took.len() as f64 / elapsed.as_secs_f64();
    println!("{what:34} {rate:>12.0} {:>9.1?} {:>9.1?}", of(50), of(99));
}

/// The path of a failure without its hash: the store in memory, and a hash of 8 KiB.
async fn logins(calls: usize) -> Result<(), Failure> {
    let mut config = Config::new("https://auth.example");
    config.passwords.params = Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    let wide = Quota::new(1_000_000, Duration::from_millis(1))?;
    config.limits.login_per_account = wide;
    config.limits.login_per_address = wide;
    config.limits.logins_per_node = wide;
    let auth = AuthKit::builder(config).in_memory().build().await?;
    let context = RequestContext::default();
    let password = Password::parse("wrong-password-1")?;
    let mut series = Vec::with_capacity(calls);
    let start = now();
    for call in 0..calls {
        let login = Login::new(Email::parse(&format!("user-{call}@example.com"))?, password.clone());
        let start = now();
        if auth.sessions().log_in(login, &context).await.is_ok() {
            return Err("a wrong password was right".into());
        }
        series.push(start.elapsed());
    }
    report("login that fails, 8 KiB hash", start.elapsed(), &mut series);
    let login = Login::new(Email::parse("victim@example.com")?, password);
    for _ in 0..5 {
        drop(auth.sessions().log_in(login.clone(), &context).await);
    }
    series.clear();
    let start = now();
    for _ in 0..calls {
        let start = now();
        drop(auth.sessions().log_in(login.clone(), &context).await);
        series.push(start.elapsed());
    }
    report("login that has to wait", start.elapsed(), &mut series);
    Ok(())
}
