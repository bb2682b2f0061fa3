//! Roles on three nodes at once: what changes on one is known on the others, and somebody who may everything always stays.

use std::time::Duration;

use authkit_redis::testkit::RedisServer;
use authkit_sqlx::PgStore;
use hyper::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::administration::{Person, USERS, at_once, person, request, send};
use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::number;
use crate::stopwatch::{Stopwatch, spread};
use crate::support::{authority, get};

const ROLES: &str = "/api/v1/admin/roles";
const ME: &str = "/api/v1/users/me";
/// How often two who hold everything demote each other.
const DUELS: usize = 40;
/// How many changes of a role are measured.
const CHANGES: usize = 30;
/// The promise, and what a machine adds that runs every other test as well.
const SEEN_WITHIN: Duration = Duration::from_millis(2_500);

async fn root(cluster: &Cluster, email: &str) -> Person {
    let store = PgStore::open(cluster.ground.postgres.url().parse().expect("a URL")).await.expect("opens");
    let root = person(cluster, email).await;
    authority::grant(&store, email, &["*"]).await;
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_demote_each_other_through_two_nodes_one_stays() {
    let cluster = Cluster::start(Ground::new().await, None).await;
    let root = root(&cluster, "root@nodes.example").await;
    let admin = |id: &str| format!("{USERS}/{id}/roles/admin");
    let mut two = [person(&cluster, "one@nodes.example").await, person(&cluster, "two@nodes.example").await];
    for one in &two {
        send(&cluster.nodes[0], request(&Method::PUT, &admin(&one.id), &root.access, &json!({}), None)).await.expect(200);
    }
    // She who gave it to them leaves it to them.
    let own = send(&cluster.nodes[0], get(ME, Some(&root.access))).await.expect(200).json()["roles"][0].clone();
    let own = format!("{USERS}/{}/roles/{}", root.id, own.as_str().expect("a role"));
    send(&cluster.nodes[1], request(&Method::DELETE, &own, &two[0].access, &json!({}), None)).await.expect(204);
    for duel in 0..number("NODES_DUELS", DUELS) {
        let demote = |by: &Person, whom: &Person| {
            // By taking the role, or by an end to it.
            let end = json!({ "expires_at": "2099-01-01T00:00:00Z" });
            if duel % 3 == 0 {
                request(&Method::PUT, &admin(&whom.id), &by.access, &end, None)
            } else {
                request(&Method::DELETE, &admin(&whom.id), &by.access, &json!({}), None)
            }
        };
        let replies = at_once(&cluster, vec![demote(&two[0], &two[1]), demote(&two[1], &two[0])]).await;
        let codes: Vec<(u16, String)> =
            replies.iter().map(|reply| (reply.status, if reply.status < 300 { String::new() } else { reply.code() })).collect();
        let won: Vec<usize> = (0..2).filter(|rival| replies[*rival].status < 300).collect();
        assert_eq!(won.len(), 1, "PROMISE BROKEN: of two who demote each other one stays: {codes:?}");
        let loser = &codes[1 - won[0]];
        let fair = matches!(
            (loser.0, loser.1.as_str()),
            (409, "role.last_superuser") | (403, "auth.permission_required" | "role.not_held") | (503, _)
        );
        assert!(fair, "the other is told why: {codes:?}");
        two.swap(0, won[0]);
        // The one who won still may everything, as every node says, and nobody else does for good.
        let node = &cluster.nodes[duel % NODES];
        let holders = send(node, get("/api/v1/admin/permissions/%2A/holders", Some(&two[0].access))).await.expect(200).json();
        let for_good = |holder: &&serde_json::Value| holder["by"][0]["expires_at"].is_null();
        let ids: Vec<_> =
            holders["items"].as_array().expect("items").iter().filter(for_good).map(|one| &one["user_id"]).collect();
        assert_eq!(ids, [two[0].id.as_str()], "{codes:?}");
        // She cannot leave either; and has the other one back for the next round.
        let leaves = send(node, request(&Method::DELETE, &admin(&two[0].id), &two[0].access, &json!({}), None)).await;
        assert_eq!((leaves.status, leaves.code().as_str()), (409, "role.last_superuser"));
        send(node, request(&Method::PUT, &admin(&two[1].id), &two[0].access, &json!({}), None)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_roles_is_known_on_every_node_within_a_second_with_redis_and_without() {
    let mut cluster = Cluster::start(Ground::new().await, Some(RedisServer::start().await)).await;
    cluster.all_become("ready").await;
    let root = root(&cluster, "root@nodes.example").await;
    let clerk = person(&cluster, "clerk@nodes.example").await;
    let make = request(&Method::POST, ROLES, &root.access, &json!({ "name": "clerk" }), None);
    send(&cluster.nodes[0], make).await.expect(201);
    let given = request(&Method::PUT, &format!("{USERS}/{}/roles/clerk", clerk.id), &root.access, &json!({}), None);
    send(&cluster.nodes[0], given).await.expect(200);

    let median = unseen(&cluster, &root, &clerk, "with Redis").await;
    // Polls alone would give half a second at most and a quarter in the middle.
    assert!(median < Duration::from_millis(150), "PROMISE BROKEN: Redis carries a change of roles faster than polls: {median:?}");
    demoted_at_once(&cluster, &root, "with").await;
    cluster.redis.as_mut().expect("it was started").kill();
    cluster.all_become("degraded").await;
    unseen(&cluster, &root, &clerk, "Redis killed").await;
    demoted_at_once(&cluster, &root, "without").await;
}

/// How long the other nodes do not know what a role gives after the reply of the one that changed it; the median.
async fn unseen(cluster: &Cluster, root: &Person, clerk: &Person, how: &str) -> Duration {
    let mut unseen = Vec::new();
    for round in 0..number("NODES_CHANGES", CHANGES) {
        let here = round % NODES;
        let permission = format!("{}:round{round}", how.to_lowercase().replace(' ', "-"));
        let change = json!({ "permissions": [permission] });
        let change = request(&Method::PATCH, &format!("{ROLES}/clerk"), &root.access, &change, None);
        // So that the changes do not follow the polls of a node.
        sleep(Duration::from_millis(37 * (round as u64 % 13))).await;
        send(&cluster.nodes[here], change).await.expect(200);
        let watch = Stopwatch::start();
        for offset in 0..NODES {
            let node = (here + offset) % NODES;
            loop {
                let me = send(&cluster.nodes[node], get(ME, Some(&clerk.access))).await.expect(200).json();
                if me["permissions"] == json!([permission]) {
                    break;
                }
                assert_ne!(node, here, "PROMISE BROKEN: the node that changed it knows at once");
                assert!(watch.elapsed() < SEEN_WITHIN, "PROMISE BROKEN: a change of a role is known everywhere within a second");
                sleep(Duration::from_millis(2)).await;
            }
            unseen.extend((node != here).then(|| watch.elapsed()));
        }
    }
    let [median, p99, most] = spread(&mut unseen);
    println!("{how}: a change of a role is known on another node {median:.1?} (p50), {p99:.1?} (p99), {most:.1?} (most) later");
    median
}

/// Whoever is demoted on one node is no administrator on any other from that moment on.
async fn demoted_at_once(cluster: &Cluster, root: &Person, how: &str) {
    for round in 0..6 {
        let admin = person(cluster, &format!("fleeting{round}-{how}@nodes.example")).await;
        let role = format!("{USERS}/{}/roles/admin", admin.id);
        send(&cluster.nodes[round % NODES], request(&Method::PUT, &role, &root.access, &json!({}), None)).await.expect(200);
        for node in &cluster.nodes {
            send(node, get(USERS, Some(&admin.access))).await.expect(200);
        }
        send(&cluster.nodes[(round + 1) % NODES], request(&Method::DELETE, &role, &root.access, &json!({}), None))
            .await
            .expect(204);
        for node in &cluster.nodes {
            let refused = send(node, get(USERS, Some(&admin.access))).await;
            assert_eq!((refused.status, refused.code().as_str()), (403, "auth.permission_required"));
        }
    }
}
