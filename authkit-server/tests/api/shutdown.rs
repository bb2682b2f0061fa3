//! SIGTERM: what is in flight is answered, then the process ends well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::account::{LOGIN, Tokens, credentials, refresh_token, register};
use crate::support::{Server, get, post};
use crate::{PUBLIC_URL, settings_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_every_login_that_is_in_flight() {
    const LOGINS: usize = 8;
    // Slow hashes, so that there is something in flight.
    let settings = settings_with(&[
        PUBLIC_URL,
        ("AUTHKIT_ARGON2_MEMORY_KIB", "65536"),
        ("AUTHKIT_HASHING_THREADS", "1"),
        ("AUTHKIT_HASHING_MAX_WAIT", "30s"),
    ]);
    let mut server = Server::start(&settings).await;
    // One account each: an account gets two places at once.
    let email = |number: usize| format!("ada{number}@example.com");
    for number in 0..LOGINS {
        register(&server, &email(number)).await;
    }

    let mut clients = JoinSet::new();
    let finished = Arc::new(AtomicUsize::new(0));
    for number in 0..LOGINS {
        let (mut connection, body) = (server.connect(), credentials(&email(number)));
        let finished = Arc::clone(&finished);
        clients.spawn(async move {
            connection.send(get("/health/live", None)).await.expect("a reply");
            let reply = connection.send(post(LOGIN, &body)).await;
            finished.fetch_add(1, Ordering::Relaxed);
            reply
        });
    }
    let admitted = timeout(Duration::from_secs(10), async {
        while in_flight(&server).await + finished.load(Ordering::Relaxed) < LOGINS {
            sleep(Duration::from_millis(1)).await;
        }
    });
    admitted.await.expect("all logins are admitted at once");

    assert!(finished.load(Ordering::Relaxed) < LOGINS, "something is in flight when the signal comes");

    let status = server.stop().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let mut tokens = Vec::new();
    for reply in clients.join_all().await {
        tokens.push(Tokens::of(&reply.expect("every login is answered").expect(200)));
    }
    assert!(server.log().contains("Clean"), "{}", server.log());
    // And what was answered is on the disk.
    server.start_again().await;
    for tokens in tokens {
        server.post("/api/v1/auth/refresh", &refresh_token(&tokens)).await.expect(200);
    }
}

/// How many logins the hashing pool has admitted, by the metrics.
async fn in_flight(server: &Server) -> usize {
    let text = String::from_utf8(server.get("/metrics").await.expect(200).body.to_vec()).expect("UTF-8");
    let line = text.lines().find_map(|line| line.strip_prefix("authkit_hashing_admitted ")).expect("the figure");
    line.parse().expect("a number")
}
