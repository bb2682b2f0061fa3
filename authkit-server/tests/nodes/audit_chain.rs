//! Three servers write one audit log, while whoever seals it is killed: one chain, nothing missing, nothing twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, NODES};
use crate::crew::Crew;
use crate::ground::Ground;
use crate::support::{Dice, Server, for_postgres, random_seed};
use crate::{number, trials};

/// How often a command that seals is killed, and a node.
const ROUNDS: usize = 5;

/// A collector that takes messages behind their lengths; what it has got, by id.
async fn collector() -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let target = format!("syslog+tcp://{}", listener.local_addr().expect("an address"));
    let collected: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let all = Arc::clone(&collected);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                loop {
                    let mut length = 0;
                    loop {
                        match stream.read_u8().await {
                            Ok(b' ') => break,
                            Ok(digit) => length = length * 10 + usize::from(digit - b'0'),
                            Err(_) => return,
                        }
                    }
                    let mut message = vec![0; length];
                    // A node that was killed in the middle of a message.
                    if stream.read_exact(&mut message).await.is_err() {
                        return;
                    }
                    let message = String::from_utf8(message).expect("ASCII");
                    let id = message.split(" id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
                    all.lock().expect("nobody panics").insert(id);
                }
            });
        }
    });
    (target, collected)
}

/// Every event by id, and every event that a seal names, by id and in the order of the chain.
async fn log(cluster: &Cluster) -> (BTreeSet<String>, Vec<String>) {
    let mut database = cluster.ground.connect().await;
    let events = AssertSqlSafe(for_postgres("SELECT CAST(id AS text) FROM authkit_audit_events"));
    let events: Vec<String> = sqlx::query_scalar(events).fetch_all(&mut database).await.expect("events");
    let leaves = AssertSqlSafe(for_postgres(
        "SELECT encode(substring(l.leaves FROM n * 48 + 1 FOR 16), 'hex') \
         FROM authkit_audit_leaves l, generate_series(0, length(l.leaves) / 48 - 1) n ORDER BY l.seal, n",
    ));
    let leaves: Vec<String> = sqlx::query_scalar(leaves).fetch_all(&mut database).await.expect("leaves");
    database.close().await.expect("closes");
    let hyphenated = |hex: String| {
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        parts.join("-")
    };
    (events.into_iter().collect(), leaves.into_iter().map(hyphenated).collect())
}

async fn command(node: &Server, arguments: &[&str]) -> String {
    let output = node.run(arguments, &[], "").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_chain_whoever_is_killed_while_sealing() {
    let seed = number("NODES_SEED", random_seed());
    println!("NODES_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (target, collected) = collector().await;
    let settings = [("AUTHKIT_AUDIT_SEAL_AFTER", "1s"), ("AUTHKIT_AUDIT_STREAM", target.as_str())];
    let redis = RedisServer::start().await;
    let mut cluster = Cluster::start_with(Ground::new().await, Some(redis), &settings).await;
    let mut crew = Crew::of(&cluster).await;
    let mut killed_sealing = 0;
    for round in 0..number("NODES_ROUNDS", ROUNDS) {
        crew.work_during(&mut cluster, async |cluster| {
            for _ in 0..6 {
                let patience = Duration::from_millis(dice.between(150..900));
                let sealer = &cluster.nodes[dice.index(NODES)];
                killed_sealing += usize::from(sealer.run_for(&["audit", "seal"], &[], patience).await.is_none());
            }
            let node = dice.index(NODES);
            println!("round {round}: node {node} is killed");
            cluster.kill(node);
            sleep(Duration::from_millis(dice.between(50..500))).await;
            cluster.start_again(node).await;
        })
        .await;
        let said = command(&cluster.nodes[0], &["audit", "verify"]).await;
        assert!(said.contains("are as they were sealed"), "PROMISE BROKEN: one chain, whoever is killed while sealing: {said}");
    }
    trials::hold(&crew, &cluster).await;
    assert!(killed_sealing > 0, "no command was caught while it sealed");

    // Nobody works any more, and everything is old enough.
    sleep(Duration::from_millis(1_500)).await;
    command(&cluster.nodes[1], &["audit", "seal"]).await;
    let said = command(&cluster.nodes[2], &["audit", "verify"]).await;
    let (events, sealed) = log(&cluster).await;
    let unique: BTreeSet<&String> = sealed.iter().collect();
    assert_eq!(unique.len(), sealed.len(), "PROMISE BROKEN: no event is sealed twice");
    let missing: Vec<&String> = events.iter().filter(|id| !unique.contains(id)).collect();
    // The commands write events of their own when they make keys; those are none here, so all is sealed.
    assert!(missing.is_empty(), "PROMISE BROKEN: every event is sealed: {missing:?}");
    assert_eq!(events.len(), sealed.len(), "PROMISE BROKEN: nothing is sealed that is not there");
    assert!(said.contains(&format!("{} events are as they were sealed", events.len())), "{said}");

    // And all of it is outside.
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let left = events.difference(&collected.lock().expect("nobody panics")).count();
        if left == 0 {
            break;
        }
        assert!(Instant::now() < end, "PROMISE BROKEN: every event is handed on: {left} of {} are missing", events.len());
        sleep(Duration::from_millis(200)).await;
    }
    println!("{} events, {killed_sealing} commands killed while sealing; {said}", events.len());
}
