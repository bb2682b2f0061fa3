//! Many refreshes with one token at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::SETTINGS;
use crate::account::{ME, REFRESH, Tokens, assert_over, refresh_token, register};
use crate::support::{Server, get, post};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_refreshes_give_one_lineage_and_an_older_token_ends_it() {
    const AT_ONCE: usize = 64;
    let server = Server::start(SETTINGS).await;
    let first = register(&server, "ada@example.com").await;

    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (mut connection, barrier, body) = (server.connect(), Arc::clone(&barrier), refresh_token(&first));
        clients.spawn(async move {
            // Connected before the start, so that the requests arrive together.
            connection.send(get("/health/live", None)).await.expect("a reply");
            barrier.wait().await;
            connection.send(post(REFRESH, &body)).await.expect("a reply")
        });
    }
    let replies = clients.join_all().await;
    let successors: BTreeSet<String> = replies.iter().map(|reply| Tokens::of(&reply.clone().expect(200)).refresh).collect();
    assert_eq!(successors.len(), 1, "every 200 carries the same successor");
    let second = Tokens::of(&replies[0]);

    let third = Tokens::of(&server.post(REFRESH, &refresh_token(&second)).await.expect(200));
    server.get_as(ME, &third.access).await.expect(200);
    server.post(REFRESH, &refresh_token(&first)).await.problem(401, "auth.refresh_token_reused");
    for tokens in [&first, &second, &third] {
        assert_over(&server, tokens).await;
    }
}
