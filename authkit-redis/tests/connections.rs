//! How the connections are made: TLS, users, sentinels, and what is refused at the start.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use authkit_core::model::{LimitScope, Quota};
use authkit_core::ports::{BucketKey, BusHealth, Charge, RateLimiter, RevocationBus};
use authkit_redis::testkit::{RedisCluster, RedisSentinel, RedisServer};
use authkit_redis::{ConnectError, RedisConnections, RedisOptions, RedisRateLimiter, RedisRevocationBus, RefusalReason};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

const RECOVERY: Duration = Duration::from_secs(20);

fn options(url: &str) -> RedisOptions {
    RedisOptions::from_url(url).expect("a URL")
}

async fn refusal(options: RedisOptions) -> RefusalReason {
    match RedisConnections::connect(options).await {
        Err(ConnectError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn request(subject: &str) -> [Charge; 1] {
    let quota = Quota::new(1_000, Duration::from_secs(10)).expect("a quota");
    [Charge { key: BucketKey::new(LimitScope::LoginAccount, subject.as_bytes()), quota }]
}

/// An authority, and a certificate of it for `localhost` and no other name.
struct Authority {
    home: TempDir,
    root: String,
}

impl Authority {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&root_key).expect("a certificate").pem();
        let issuer = Issuer::new(params, root_key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
        fs::write(home.path().join("certificate.pem"), certificate).expect("a file");
        fs::write(home.path().join("key.pem"), key.serialize_pem()).expect("a file");
        Self { home, root }
    }

    fn files(&self) -> [PathBuf; 2] {
        ["certificate.pem", "key.pem"].map(|name| self.home.path().join(name))
    }
}

#[tokio::test]
async fn over_tls_the_certificate_is_checked_against_the_authority_and_the_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let [certificate, key] = authority.files();
    let redis = RedisServer::start_with_tls(&certificate, &key).await;
    let mut admin = redis.connect().await.unwrap();
    let rights = ["SETUSER", "app", "on", ">se:cret", "~authkit:*", "&authkit:*", "+@all"];
    redis::cmd("ACL").arg(&rights).exec_async(&mut admin).await.unwrap();
    let url = |host: &str, tls_port: &str| format!("rediss://app:se%3Acret@{host}:{tls_port}");
    let tls_port = redis.setting("tls-port").await;

    let good = options(&url("localhost", &tls_port)).root_certificates(authority.root.clone());
    let limiter = RedisRateLimiter::new(&RedisConnections::connect(good.clone()).await.unwrap());
    assert!(limiter.charge(&request("jane")).await.unwrap()[0].is_allowed());
    let bus = RedisRevocationBus::connect(good.clone()).await.unwrap();
    assert_eq!(bus.health(), BusHealth::Connected);

    assert_eq!(refusal(options(&url("localhost", &tls_port))).await, RefusalReason::Certificate, "no root of the web signed it");
    let strange = options(&url("localhost", &tls_port)).root_certificates(other.root.clone());
    assert_eq!(refusal(strange).await, RefusalReason::Certificate, "another authority");
    let address = options(&url("127.0.0.1", &tls_port)).root_certificates(authority.root.clone());
    assert_eq!(refusal(address).await, RefusalReason::Certificate, "another name");
    let stranger = options(&url("localhost", &tls_port).replace("app:", "nobody:")).root_certificates(authority.root.clone());
    assert_eq!(refusal(stranger).await, RefusalReason::Credentials);
}

#[tokio::test]
async fn a_user_needs_the_documented_rights_and_no_more() {
    let redis = RedisServer::start().await;
    let mut admin = redis.connect().await.unwrap();
    let documented = ["+hello", "+ping", "+eval", "+evalsha", "+time", "+get", "+set", "+del"];
    for (user, keys, missing) in [("minimal", "~authkit:*", ""), ("keyless", "~other:*", ""), ("mute", "~authkit:*", "-eval")] {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg(user).arg("on").arg(">secret").arg(keys).arg(&documented);
        if !missing.is_empty() {
            acl.arg(missing);
        }
        acl.exec_async(&mut admin).await.unwrap();
    }
    let as_user = |user: &str| options(&format!("redis://{user}:secret@127.0.0.1:{}", redis.port()));
    let limiter = RedisRateLimiter::new(&RedisConnections::connect(as_user("minimal")).await.unwrap());
    for _ in 0..2 {
        assert!(limiter.charge(&request("jane")).await.unwrap()[0].is_allowed());
    }
    assert_eq!(refusal(as_user("keyless")).await, RefusalReason::Permission);
    assert_eq!(refusal(as_user("mute")).await, RefusalReason::Permission);
}

#[tokio::test]
async fn in_a_cluster_a_user_needs_the_documented_rights_and_no_more() {
    let cluster = RedisCluster::start().await;
    let documented = ["+hello", "+ping", "+publish", "+subscribe", "+eval", "+evalsha", "+time", "+get", "+set", "+del"];
    let in_a_cluster = ["+cluster|slots", "+cluster|info", "+asking"];
    for node in cluster.nodes() {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg("app").arg("on").arg(">secret").arg("~authkit:*").arg("resetchannels").arg("&authkit:*");
        acl.arg(&documented).arg(&in_a_cluster).exec_async(&mut node.connect().await.unwrap()).await.unwrap();
    }
    let url = cluster.url().replace("://", "://app:secret@");
    let limiter = RedisRateLimiter::new(&RedisConnections::connect(options(&url)).await.unwrap());
    for number in 0..10 {
        limiter.charge(&request(&format!("account {number}"))).await.unwrap();
    }
    assert_eq!(RedisRevocationBus::connect(options(&url)).await.unwrap().health(), BusHealth::Connected);
    let stranger = url.replace("secret", "wrong");
    assert_eq!(refusal(options(&stranger)).await, RefusalReason::Credentials);
}

#[tokio::test]
async fn what_waiting_does_not_cure_is_an_error_at_the_start() {
    let secret = "canary-of-redis";
    let redis = RedisServer::start_with_password(secret).await;
    let wrong = options(&format!("redis://:{secret}-not@127.0.0.1:{}", redis.port()));
    assert_eq!(refusal(wrong).await, RefusalReason::Credentials);
    assert_eq!(refusal(options(&redis.url().replace("redis:", "redis+cluster:"))).await, RefusalReason::NoCluster);
    let plain = RedisServer::start().await;
    let no_sentinel = format!("redis+sentinel://127.0.0.1:{}/main", plain.port());
    assert_eq!(refusal(options(&no_sentinel)).await, RefusalReason::Service);
    let unknown = RedisConnections::connect(options(&format!("redis://:{secret}@no-such-host.invalid"))).await.unwrap_err();
    assert!(
        matches!(unknown, ConnectError::UnknownHost { .. }) && !format!("{unknown} {unknown:?}").contains("canary"),
        "{unknown}"
    );
    let unknown = RedisRevocationBus::connect(options("redis://no-such-host.invalid")).await.unwrap_err();
    assert!(matches!(unknown, ConnectError::UnknownHost { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_node_of_a_cluster_is_no_single_redis_and_one_node_names_the_others() {
    let cluster = RedisCluster::start().await;
    for node in cluster.nodes() {
        assert_eq!(refusal(options(&node.url())).await, RefusalReason::ClusterNode);
    }
    let one = cluster.nodes()[1].url().replace("redis:", "redis+cluster:");
    let connections = RedisConnections::connect(options(&one)).await.unwrap();
    assert!(connections.is_usable());
    let limiter = RedisRateLimiter::new(&connections);
    for number in 0..30 {
        limiter.charge(&request(&format!("account {number}"))).await.unwrap();
    }
}

#[tokio::test]
async fn the_master_is_the_one_that_a_sentinel_names() {
    let mut redis = RedisSentinel::start().await;
    let connections = RedisConnections::connect(options(&redis.url())).await.unwrap();
    let limiter = RedisRateLimiter::new(&connections);
    limiter.charge(&request("jane")).await.unwrap();
    let bus = RedisRevocationBus::connect(options(&redis.url())).await.unwrap();
    assert_eq!(bus.health(), BusHealth::Connected);
    let unknown = redis.url().replace("/main", "/other");
    assert_eq!(refusal(options(&unknown)).await, RefusalReason::Service);

    redis.kill_master();
    limiter.charge(&request("jane")).await.unwrap_err();
    let start = Instant::now();
    let back = timeout(RECOVERY, async {
        while limiter.charge(&request("jane")).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(back.await.is_ok(), "the new master is not found");
    println!("the new master counts {:?} after the death of the old one", start.elapsed());
}
