//! Administrators on three nodes at once: what one does the others know, and what two do to each other ends well.

use std::time::Duration;

use authkit_sqlx::PgStore;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::stopwatch::Stopwatch;
use crate::support::{Reply, Server, authority, calls, get, post};

pub(crate) const USERS: &str = "/api/v1/admin/users";
/// How often two who hold everything suspend each other.
const DUELS: usize = 12;
/// The promise, and what a machine adds that runs every other test as well.
const SEEN_WITHIN: Duration = Duration::from_millis(2_500);

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

pub(crate) async fn person(cluster: &Cluster, email: &str) -> Person {
    let reply = cluster.nodes[0].connect().send(calls::register(email)).await.expect("a reply").expect(201);
    let id = reply.json()["user"]["id"].as_str().expect("an id").to_owned();
    Person { id, access: reply.text("access_token"), refresh: reply.text("refresh_token") }
}

pub(crate) fn request(method: &Method, path: &str, token: &str, body: &Value, tag: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = post(path, body);
    *request.method_mut() = method.clone();
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a printable token"));
    if let Some(tag) = tag {
        headers.insert("if-match", tag.parse().expect("a tag"));
    }
    request
}

/// Sends each request to a node of its own, all at once.
pub(crate) async fn at_once(cluster: &Cluster, requests: Vec<Request<Full<Bytes>>>) -> Vec<Reply> {
    let mut running = JoinSet::new();
    for (number, request) in requests.into_iter().enumerate() {
        let mut connection = cluster.nodes[number % NODES].connect();
        running.spawn(async move { (number, connection.send(request).await.expect("a reply")) });
    }
    let mut replies = running.join_all().await;
    replies.sort_by_key(|(number, _)| *number);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

pub(crate) async fn send(node: &Server, request: Request<Full<Bytes>>) -> Reply {
    node.connect().send(request).await.expect("a reply")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_on_three_nodes_neither_miss_nor_overwrite_nor_undo_each_other() {
    let cluster = Cluster::start(Ground::new().await, None).await;
    let store = PgStore::open(cluster.ground.postgres.url().parse().expect("a URL")).await.expect("opens");
    let root = person(&cluster, "root@nodes.example").await;
    authority::grant(&store, "root@nodes.example", &["*"]).await;

    // A suspension on one node is known on the others within a second, whatever of the account is presented.
    for round in 0..6 {
        let victim = person(&cluster, &format!("victim{round}@nodes.example")).await;
        for node in &cluster.nodes {
            send(node, get("/api/v1/users/me", Some(&victim.access))).await.expect(200);
        }
        let path = format!("{USERS}/{}/suspend", victim.id);
        send(&cluster.nodes[round % NODES], request(&Method::POST, &path, &root.access, &json!({}), None)).await.expect(200);
        let watch = Stopwatch::start();
        for node in &cluster.nodes {
            // What asks the store is refused at once.
            assert_eq!(send(node, calls::refresh(&victim.refresh)).await.code(), "auth.invalid_refresh_token");
            assert_eq!(send(node, calls::log_in(&format!("victim{round}@nodes.example"))).await.code(), "account.suspended");
            while send(node, calls::only_verify(&victim.access)).await.status != 401 {
                assert!(watch.elapsed() < SEEN_WITHIN, "PROMISE BROKEN: a suspension is seen everywhere within a second");
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    // Of many who have read the same state, one changes it.
    let subject = person(&cluster, "subject@nodes.example").await;
    let path = format!("{USERS}/{}", subject.id);
    for round in 0..8 {
        let read = send(&cluster.nodes[round % NODES], get(&path, Some(&root.access))).await.expect(200);
        let rename = |rival| {
            let body = json!({ "full_name": format!("Rival {round}.{rival}") });
            request(&Method::PATCH, &path, &root.access, &body, Some(read.header("etag")))
        };
        let replies = at_once(&cluster, (0..9).map(rename).collect()).await;
        let won: Vec<usize> = (0..9).filter(|rival| replies[*rival].status == 200).collect();
        let lost = replies.iter().filter(|reply| reply.status == 412 && reply.code() == "account.changed").count();
        assert_eq!((won.len(), lost), (1, 8), "PROMISE BROKEN: two administrators do not overwrite one another");
        let now = send(&cluster.nodes[(round + 1) % NODES], get(&path, Some(&root.access))).await.expect(200);
        assert_eq!(now.json()["full_name"], format!("Rival {round}.{}", won[0]));
    }
    // Without a condition all of them are done, one after the other.
    let rename = |rival| {
        let body = json!({ "full_name": format!("Free {rival}") });
        request(&Method::PATCH, &path, &root.access, &body, None)
    };
    let replies = at_once(&cluster, (0..3).map(rename).collect()).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{:?}", replies.iter().map(|r| r.status).collect::<Vec<_>>());

    // Two who hold everything suspend each other, and nobody else does hold it: one of them stays.
    let (mut one, mut other) = (root, person(&cluster, "other@nodes.example").await);
    let (mut one_email, mut other_email) = ("root@nodes.example".to_owned(), "other@nodes.example".to_owned());
    for duel in 0..DUELS {
        authority::grant(&store, &other_email, &["*"]).await;
        let shoot = |by: &Person, at: &Person| {
            request(&Method::POST, &format!("{USERS}/{}/suspend", at.id), &by.access, &json!({}), None)
        };
        let replies = at_once(&cluster, vec![shoot(&one, &other), shoot(&other, &one)]).await;
        let codes: Vec<(u16, String)> =
            replies.iter().map(|reply| (reply.status, if reply.status == 200 { String::new() } else { reply.code() })).collect();
        let won: Vec<usize> = (0..2).filter(|rival| replies[*rival].status == 200).collect();
        assert_eq!(won.len(), 1, "PROMISE BROKEN: of two who suspend each other one stays: {codes:?}");
        let loser = &codes[1 - won[0]];
        let fair = matches!((loser.0, loser.1.as_str()), (409, "role.last_superuser") | (401, "auth.session_ended") | (503, _));
        assert!(fair, "the other is told why: {codes:?}");
        if won[0] == 1 {
            std::mem::swap(&mut one, &mut other);
            std::mem::swap(&mut one_email, &mut other_email);
        }
        // The survivor still may everything; a new rival comes.
        send(&cluster.nodes[duel % NODES], get(USERS, Some(&one.access))).await.expect(200);
        other_email = format!("rival{duel}@nodes.example");
        other = person(&cluster, &other_email).await;
    }
}
