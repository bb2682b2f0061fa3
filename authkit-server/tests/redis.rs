//! Several servers that share a Redis: how fast a logout travels, and what happens when Redis goes away.

#[path = "support/mod.rs"]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use authkit_redis::testkit::{RedisCluster, RedisServer};
use serde_json::json;
use support::{Reply, Server};
use tokio::time::sleep;

const PASSWORD: &str = "violet-anchor-7-mosaic";
const EMAIL: &str = "ada@example.com";
/// What a revocation takes at most without Redis: one poll of the store, and what a busy machine adds.
const BY_WAY_OF_THE_STORE: Duration = Duration::from_millis(1_500);

/// Two servers on one data directory and one Redis, and an account.
struct Cluster {
    one: Server,
    two: Server,
}

impl Cluster {
    async fn start(env: &[(&str, &str)]) -> Self {
        // One issuer, as behind a balancer: each accepts the other's tokens. One account logs in again and again.
        let env = &[&[("AUTHKIT_PUBLIC_URL", "http://localhost:8000"), ("AUTHKIT_RATE_LIMITING", "off")], env].concat();
        let one = Server::start(env).await;
        let data_dir = one.data_dir();
        let shared = [("AUTHKIT_DATA_DIR", data_dir.to_str().expect("UTF-8"))];
        let two = Server::start(&[&env[..], &shared].concat()).await;
        one.post("/api/v1/auth/register", &json!({ "email": EMAIL, "password": PASSWORD })).await.expect(201);
        Self { one, two }
    }

    /// Logs in at one server and out again, and tells how long the logout took and how long the other still took the token.
    async fn logout(&self) -> (Duration, Duration) {
        let tokens = self.one.post("/api/v1/auth/login", &json!({ "email": EMAIL, "password": PASSWORD })).await.expect(200);
        let access = tokens.text("access_token");
        self.two.get_as("/api/v1/users/me", &access).await.expect(200);
        let body = json!({ "refresh_token": tokens.text("refresh_token") });
        let mut other = self.two.connect();
        let start = now();
        let reply = self.one.post("/api/v1/auth/logout", &body).await;
        let took = start.elapsed();
        assert!(reply.status < 300, "{}", reply.status);
        loop {
            let reply = other.send(support::get("/api/v1/users/me", Some(&access))).await.expect("a reply");
            if reply.status == 401 {
                return (took, start.elapsed().saturating_sub(took));
            }
            assert!(start.elapsed() < Duration::from_secs(10), "the other server still takes the token");
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn both_become(&self, status: &str) {
        for server in [&self.one, &self.two] {
            let start = now();
            while health(server).await.text("status") != status {
                assert!(start.elapsed() < Duration::from_secs(10), "not {status}; its log:\n{}", server.log());
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Redis is no reason to send no more requests: the status is 200 in every case.
async fn health(server: &Server) -> Reply {
    server.get("/health/ready").await.expect(200)
}

#[expect(clippy::disallowed_methods, reason = "only durations are measured")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_logout_travels_over_redis_and_without_it_by_way_of_the_store() {
    const SECRET: &str = "hunter-two-canary";
    let mut redis = RedisServer::start_with_password(SECRET).await;
    let port = redis.port().to_string();
    let cluster = Cluster::start(&[("REDIS_HOST", "localhost"), ("REDIS_PORT", &port), ("REDIS_PASSWORD", SECRET)]).await;
    cluster.both_become("ready").await;

    let mut with = Vec::new();
    for _ in 0..9 {
        with.push(cluster.logout().await);
    }
    with.sort_unstable_by_key(|(_, travel)| *travel);
    println!("with Redis: a logout takes {:?} and is known elsewhere {:?} later (worst {:?})", with[4].0, with[4].1, with[8].1);
    // Polls alone would give a median of half a second.
    assert!(with[4].1 < Duration::from_millis(150), "{with:?}");

    redis.freeze();
    let (took, travel) = cluster.logout().await;
    println!("Redis frozen: a logout takes {took:?} and is known elsewhere {travel:?} later");
    assert!(took < Duration::from_secs(1) && travel < BY_WAY_OF_THE_STORE, "{took:?} {travel:?}");
    cluster.both_become("degraded").await;

    redis.kill();
    cluster.both_become("degraded").await;
    for _ in 0..3 {
        let (took, travel) = cluster.logout().await;
        println!("Redis killed: a logout takes {took:?} and is known elsewhere {travel:?} later");
        assert!(took < Duration::from_secs(1) && travel < BY_WAY_OF_THE_STORE, "{took:?} {travel:?}");
    }

    redis.start_again().await;
    cluster.both_become("ready").await;
    let (_, travel) = cluster.logout().await;
    println!("Redis back: known elsewhere {travel:?} later");
    for log in [cluster.one.log(), cluster.two.log()] {
        assert!(
            log.contains(&format!("revocations, limits and records over Redis at localhost:{port}")) && !log.contains(SECRET),
            "{log}"
        );
    }
}

#[tokio::test]
async fn a_redis_that_is_away_at_the_start_is_a_warning() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let server = Server::start(&[("REDIS_URL", &redis.url())]).await;
    assert_eq!(health(&server).await.text("status"), "degraded");
    assert!(server.log().contains("Redis is not reachable"), "{}", server.log());
}

/// Starts the binary, sees it fail, and returns what it said.
fn complaint(env: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_authkit-server"));
    command.env_clear().env("AUTHKIT_LISTEN", "127.0.0.1:0").envs(env.iter().copied()).current_dir(home.path());
    let start = now();
    let output = command.output().expect("the binary runs");
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?} to give up", start.elapsed());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(!home.path().join("authkit-data").exists(), "nothing was made");
    assert!(!complaint.contains("canary"), "{complaint}");
    complaint
}

#[tokio::test]
async fn a_redis_that_refuses_stops_the_start_with_one_line() {
    let redis = RedisServer::start_with_password("right-canary").await;
    let port = redis.port();
    let wrong = format!("redis://:wrong-canary@127.0.0.1:{port}");
    let cluster = format!("redis+cluster://:right-canary@127.0.0.1:{port}");
    for (url, said) in [
        (wrong.as_str(), "does not accept the user and the password"),
        (&cluster, "is no Redis Cluster"),
        ("redis://:canary@no-such-host.invalid", "does not resolve"),
        ("redis+cluster://:canary@no-such-host.invalid:7000,none.invalid", "does not resolve"),
    ] {
        let complaint = complaint(&[("REDIS_URL", url)]);
        assert!(complaint.lines().any(|line| line.contains("REDIS_URL") && line.contains(said)), "{complaint}");
    }
    let tls = format!("rediss://:right-canary@127.0.0.1:{port}");
    for (url, file) in [(tls.as_str(), "no-such-file.pem"), (&redis.url(), "ca.pem")] {
        let complaint = complaint(&[("REDIS_URL", url), ("REDIS_CA_FILE", file)]);
        assert!(complaint.lines().any(|line| line.contains("REDIS_CA_FILE") && line.contains(file)), "{complaint}");
    }
}

#[tokio::test]
async fn on_a_redis_cluster_the_loss_of_a_node_refuses_nobody_and_passes() {
    let mut redis = RedisCluster::start().await;
    let url = redis.url();
    let cluster = Cluster::start(&[("REDIS_URL", &url), ("AUTHKIT_RATE_LIMITING", "on")]).await;
    cluster.both_become("ready").await;
    let (_, travel) = cluster.logout().await;
    println!("on a Redis Cluster: a logout is known elsewhere {travel:?} later");

    redis.node_mut(0).kill();
    cluster.both_become("degraded").await;
    for _ in 0..3 {
        let (took, travel) = cluster.logout().await;
        assert!(took < Duration::from_secs(1) && travel < BY_WAY_OF_THE_STORE, "{took:?} {travel:?}");
    }
    redis.node_mut(0).start_again().await;
    redis.works().await;
    cluster.both_become("ready").await;
    cluster.logout().await;
    assert!(cluster.one.log().contains("over Redis Cluster at 127.0.0.1:"), "{}", cluster.one.log());
}

#[tokio::test]
async fn the_doctor_knows_a_cluster_and_says_what_is_wrong_with_it() {
    let mut redis = RedisCluster::start().await;
    let place = Server::place();
    let look = async |url: &str| {
        let output = place.run(&["doctor"], &[("REDIS_URL", url)], "").await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().find(|line| line.contains(" redis ")).unwrap_or_else(|| panic!("nothing about Redis in {said}")).to_owned()
    };
    let well = look(&redis.url()).await;
    assert!(well.starts_with("ok ") && well.contains("the cluster at 127.0.0.1:"), "{well}");
    let wrong = look(&redis.nodes()[0].url()).await;
    assert!(wrong.starts_with("fail ") && wrong.contains("redis+cluster://"), "{wrong}");
    redis.node_mut(1).kill();
    let ill = look(&redis.url()).await;
    assert!(ill.starts_with("warn "), "{ill}");
}

/// Tries a wrong password at a server until it is refused for trying too often, and tells how often it was looked at.
async fn guesses(server: &Server, email: &str) -> u32 {
    for guess in 0..100 {
        let body = json!({ "email": email, "password": format!("wrong-{guess}-password") });
        let reply = server.post("/api/v1/auth/login", &body).await;
        match reply.status {
            429 => return guess,
            status => assert_eq!(status, 401, "neither wrong nor too often"),
        }
    }
    panic!("a hundred guesses, and no limit");
}

#[tokio::test]
async fn guesses_are_counted_together_and_without_redis_by_each_server() {
    let redis = RedisServer::start().await;
    // What the database counts would be in the way long before.
    let patient = ("AUTHKIT_GUESSES_BEFORE_DELAY", "100");
    let cluster = Cluster::start(&[("REDIS_URL", &redis.url()), ("AUTHKIT_RATE_LIMITING", "on"), patient]).await;
    cluster.both_become("ready").await;
    let (first, second) = (guesses(&cluster.one, EMAIL).await, guesses(&cluster.two, EMAIL).await);
    // Ten at once, and one more for each half minute that a slow machine takes.
    assert!((10..=12).contains(&(first + second)) && second <= 1, "{first} and {second}");

    redis.flush().await;
    let again = guesses(&cluster.two, EMAIL).await;
    assert!((10..=12).contains(&again), "an emptied Redis counts from the burst: {again}");

    redis.freeze();
    let good = json!({ "email": "good@example.com", "password": PASSWORD });
    let start = now();
    cluster.one.post("/api/v1/auth/register", &good).await.expect(201);
    println!("Redis frozen: the first request that is counted takes {:?}", start.elapsed());
    cluster.both_become("degraded").await;
    let (first, second) = (guesses(&cluster.one, EMAIL).await, guesses(&cluster.two, EMAIL).await);
    println!("Redis frozen: {first} and {second} guesses are looked at, of 10 with Redis");
    assert!(first + second <= 20 && first.min(second) >= 1, "neither unlimited nor shut: {first} and {second}");
    let start = now();
    cluster.one.post("/api/v1/auth/login", &good).await.expect(200);
    println!("Redis frozen: somebody else's login takes {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    redis.thaw();
    cluster.both_become("ready").await;
}

#[tokio::test]
async fn a_profile_comes_from_redis_and_is_never_older_than_its_change() {
    let mut redis = RedisServer::start().await;
    let cluster = Cluster::start(&[("REDIS_URL", &redis.url())]).await;
    cluster.both_become("ready").await;
    let tokens = cluster.one.post("/api/v1/auth/login", &json!({ "email": EMAIL, "password": PASSWORD })).await.expect(200);
    let access = tokens.text("access_token");
    for round in 0..20 {
        let name = format!("Ada {round}");
        let mut one = cluster.one.connect();
        let mut patch = support::post("/api/v1/users/me", &json!({ "full_name": name }));
        *patch.method_mut() = hyper::Method::PATCH;
        patch.headers_mut().insert("authorization", format!("Bearer {access}").parse().expect("a header"));
        let reply = one.send(patch).await.expect("a reply").expect(200);
        assert_eq!(reply.text("full_name"), name);
        for server in [&cluster.two, &cluster.one, &cluster.two] {
            assert_eq!(server.get_as("/api/v1/users/me", &access).await.expect(200).text("full_name"), name);
        }
    }
    let keys = redis.keys("authkit:record:*").await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    let record = redis.value(&keys[0]).await;
    let record = String::from_utf8_lossy(&record);
    assert!(record.contains("Ada 19") && !record.contains("argon2") && !record.contains(PASSWORD), "{record}");

    redis.flush().await;
    assert_eq!(cluster.two.get_as("/api/v1/users/me", &access).await.expect(200).text("full_name"), "Ada 19");
    redis.kill();
    for server in [&cluster.one, &cluster.two] {
        assert_eq!(server.get_as("/api/v1/users/me", &access).await.expect(200).text("full_name"), "Ada 19");
    }
}

#[tokio::test]
async fn a_redis_that_forgets_or_is_full_revives_no_token() {
    let redis = RedisServer::start().await;
    let cluster = Cluster::start(&[("REDIS_URL", &redis.url())]).await;
    cluster.both_become("ready").await;
    let tokens = cluster.one.post("/api/v1/auth/login", &json!({ "email": EMAIL, "password": PASSWORD })).await.expect(200);
    let access = tokens.text("access_token");
    cluster.two.get_as("/api/v1/users/me", &access).await.expect(200);
    let body = json!({ "refresh_token": tokens.text("refresh_token") });
    let reply = cluster.one.post("/api/v1/auth/logout", &body).await;
    assert!(reply.status < 300, "{}", reply.status);
    redis.flush().await;
    redis.configure("maxmemory", "1").await;
    sleep_until_the_store_was_read().await;
    for _ in 0..10 {
        for server in [&cluster.one, &cluster.two] {
            server.get_as("/api/v1/users/me", &access).await.expect(401);
        }
    }
    let tokens = cluster.one.post("/api/v1/auth/login", &json!({ "email": EMAIL, "password": PASSWORD })).await.expect(200);
    for server in [&cluster.one, &cluster.two] {
        server.get_as("/api/v1/users/me", &tokens.text("access_token")).await.expect(200);
    }
    cluster.both_become("degraded").await;
    cluster.logout().await;
    redis.configure("maxmemory", "0").await;
    cluster.both_become("ready").await;
    cluster.two.get_as("/api/v1/users/me", &access).await.expect(401);
}

/// The time within which every node has read the store; it is the promise that is tested, so it is not polled for.
async fn sleep_until_the_store_was_read() {
    sleep(BY_WAY_OF_THE_STORE).await;
}
