//! Several servers that share a Redis: how fast a logout travels, and what happens when Redis goes away.

#[path = "support/mod.rs"]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use authkit_redis::testkit::RedisServer;
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
        let env = &[env, &[("AUTHKIT_PUBLIC_URL", "http://localhost:8000"), ("AUTHKIT_RATE_LIMITING", "off")]].concat();
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
        assert!(log.contains(&format!("revocations over Redis at localhost:{port}")) && !log.contains(SECRET), "{log}");
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

#[tokio::test]
async fn a_redis_that_refuses_and_a_cluster_stop_the_start_with_one_line() {
    let redis = RedisServer::start_with_password("right-canary").await;
    let wrong = format!("redis://:wrong-canary@127.0.0.1:{}", redis.port());
    for (url, said) in [(wrong.as_str(), "REDIS_PASSWORD"), ("redis+cluster://:canary@127.0.0.1:7000", "single Redis")] {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_authkit-server"));
        command.env_clear().env("REDIS_URL", url).env("AUTHKIT_LISTEN", "127.0.0.1:0").current_dir(home.path());
        let output = command.output().expect("the binary runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        let line = complaint.lines().find(|line| line.contains("REDIS_URL") && line.contains(said));
        assert!(line.is_some() && !complaint.contains("canary"), "{complaint}");
        assert!(!home.path().join("authkit-data").exists(), "nothing was made");
    }
}
