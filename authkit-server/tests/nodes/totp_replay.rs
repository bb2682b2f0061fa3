//! A code of an authenticator app is good once, on however many nodes it is shown at once, in its own step and in the one beside it.

use std::time::Duration;

use authkit_core::mfa::totp;
use authkit_core::testkit::totp_secret;
use authkit_core::{Clock as _, SystemClock};
use hyper::Method;
use serde_json::{Value, json};

use crate::administration::{at_once, person, request, send};
use crate::cluster::{Cluster, NODES};
use crate::ground::Ground;
use crate::number;
use crate::support::{calls, post};

const TOTP: &str = "/api/v1/users/me/mfa/totp";
const VERIFY: &str = "/api/v1/auth/mfa/verify";
const EMAIL: &str = "app@nodes.example";
/// How often one code is shown on every node at once.
const ROUNDS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_shown_on_every_node_at_once_lets_one_in() {
    let cluster = Cluster::start(Ground::new().await, None).await;
    let owner = person(&cluster, EMAIL).await;
    let own = |path: &str, body: Value| request(&Method::POST, path, &owner.access, &body, None);
    let told = send(&cluster.nodes[0], own(TOTP, json!({}))).await.expect(201).json();
    let secret = totp_secret(told["secret"].as_str().expect("a text"));
    let confirmed = totp::code_at(&secret, SystemClock.now()).expect("a code");
    send(&cluster.nodes[1], own(&format!("{TOTP}/confirm"), json!({ "code": confirmed }))).await.expect(200);

    let mut last = confirmed;
    for round in 0..number("NODES_CODES", ROUNDS) {
        // What a node sees is what the app shows: the code of this step or, once that is used up, of the next.
        let code = loop {
            let shown = totp::code_at(&secret, SystemClock.now() + Duration::from_secs(29)).expect("a code");
            if shown != last {
                break shown;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        // One login for each node, and for one of them two: the code is the account's and no login's.
        let mut proofs = Vec::new();
        for place in 0..=NODES {
            let demanded = send(&cluster.nodes[place % NODES], calls::log_in(EMAIL)).await;
            assert_eq!((demanded.status, demanded.code().as_str()), (403, "auth.mfa_required"));
            let token = demanded.json()["mfa_token"].clone();
            proofs.push(post(VERIFY, &json!({ "mfa_token": token, "factor": "totp", "code": code })));
        }
        let replies = at_once(&cluster, proofs).await;
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        let won = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(won, 1, "PROMISE BROKEN: a code is good once: {statuses:?} in round {round}");
        last = code;
    }
}
