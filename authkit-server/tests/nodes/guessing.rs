//! One password, guessed at on all nodes at once from many addresses, while Redis is killed.

use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use serde_json::json;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::stopwatch::Stopwatch;
use crate::support::{calls, post};

const VICTIM: &str = "victim@nodes.example";
const GUESSES: usize = 600;
/// How many connections guess side by side on each node.
const SIDE_BY_SIDE: usize = 50;

/// Limits that count, and quotas that are out of the way: what is on trial is what the database counts.
const SETTINGS: &[(&str, &str)] = &[
    ("AUTHKIT_RATE_LIMITING", "on"),
    ("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1/32"),
    ("AUTHKIT_LIMIT_LOGIN_PER_ADDRESS", "1000000/1ms"),
    ("AUTHKIT_LIMIT_LOGIN_PER_ADDRESS_AND_ACCOUNT", "1000000/1ms"),
    ("AUTHKIT_LIMIT_LOGIN_PER_ACCOUNT", "1000000/1ms"),
    ("AUTHKIT_LIMIT_LOGINS_PER_NODE", "1000000/1ms"),
];

/// How many guesses may have been evaluated by now: four that need not wait, two in flight on each node that know of none of the
/// others, and one for each delay that has passed.
fn bound(elapsed: Duration) -> i64 {
    let delays = (0..).map(|step| 1_u64 << step).scan(0, |passed, delay| {
        *passed += delay;
        Some(*passed)
    });
    let passed = delays.take_while(|passed| *passed <= elapsed.as_secs() + 1).count();
    4 + i64::try_from(2 * NODES + passed).expect("few")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_guessed_a_handful_of_times_over_all_nodes_with_redis_and_without() {
    let cluster = &mut Cluster::start_with(Ground::new().await, Some(RedisServer::start().await), SETTINGS).await;
    let registered = cluster.nodes[0].send(calls::register(VICTIM)).await.expect(201);
    let device = registered.text("device_token");
    let watch = Stopwatch::start();
    let mut attackers = JoinSet::new();
    for attacker in 0..NODES * SIDE_BY_SIDE {
        let mut connection = cluster.nodes[attacker % NODES].connect();
        attackers.spawn(async move {
            let mut wrong = 0;
            for guess in 0..GUESSES / SIDE_BY_SIDE {
                let mut request = calls::log_in_with(VICTIM, "wrong-password-1");
                let address = format!("198.51.{attacker}.{guess}");
                request.headers_mut().insert("x-forwarded-for", address.parse().expect("a header"));
                let reply = connection.send(request).await.expect("a reply");
                assert!([401, 429, 503].contains(&reply.status), "{}", reply.status);
                wrong += i64::from(reply.status == 401);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            wrong
        });
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    cluster.redis.as_mut().expect("it was started").kill();
    let mut told = 0;
    while let Some(wrong) = attackers.join_next().await {
        told += wrong.expect("no panic");
    }
    let elapsed = watch.elapsed();

    let mut database = cluster.ground.connect().await;
    let evaluated: i64 =
        sqlx::query_scalar("SELECT count(*) FROM authkit.audit_events WHERE action = 'auth.login' AND outcome = 'failure'")
            .fetch_one(&mut database)
            .await
            .expect("a count");
    let counted: i64 =
        sqlx::query_scalar("SELECT max(failures) FROM authkit.login_failures").fetch_one(&mut database).await.expect("a count");
    println!("{} guesses on {NODES} nodes in {elapsed:.1?}: {evaluated} evaluated, {counted} counted", NODES * GUESSES);
    assert!(evaluated <= bound(elapsed), "PROMISE BROKEN: {evaluated} guesses were evaluated, and not {}", bound(elapsed));
    assert_eq!(told, evaluated, "each that was evaluated was told, and no other");
    assert_eq!(counted, evaluated, "PROMISE BROKEN: no guess is lost");

    // The owner is not kept out, on whatever node, and opens the way for her other devices.
    let login = |token: Option<&str>| {
        let mut body = json!({ "email": VICTIM, "password": calls::PASSWORD });
        if let Some(token) = token {
            body["device_token"] = token.into();
        }
        post("/api/v1/auth/login", &body)
    };
    cluster.nodes[1].send(login(None)).await.expect(429);
    cluster.nodes[2].send(login(Some(&device))).await.expect(200);
    cluster.nodes[0].send(login(None)).await.expect(200);
}
