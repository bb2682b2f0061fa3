//! A wire to PostgreSQL that counts what crosses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on, and reads the client's side as messages (PostgreSQL manual, "Frontend/Backend Protocol").
pub(crate) struct Wire {
    url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// What the client waits for an answer to: Sync and Query.
    round_trips: AtomicUsize,
    /// What is executed: Execute and Query.
    statements: AtomicUsize,
}

impl Wire {
    /// A wire to the server of a URL, whose database and user it keeps.
    pub(crate) async fn to(url: &str) -> Self {
        let (user, rest) = url.strip_prefix("postgresql://").and_then(|rest| rest.split_once('@')).expect("a user");
        let (server, database) = rest.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgresql://{user}@{}/{database}?sslmode=disable", listener.local_addr().expect("bound"));
        let (server, counts) = (server.to_owned(), Arc::<Counts>::default());
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server listens");
                tokio::spawn(pass(client, server, Arc::clone(&counting)));
            }
        });
        Self { url, counts }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What comes of something, and how many round trips and statements it took.
    pub(crate) async fn count<T>(&self, what: impl Future<Output = T>) -> (T, (usize, usize)) {
        let read = || (self.counts.round_trips.load(Ordering::SeqCst), self.counts.statements.load(Ordering::SeqCst));
        let before = read();
        let outcome = what.await;
        let after = read();
        (outcome, (after.0 - before.0, after.1 - before.1))
    }
}

async fn pass(client: TcpStream, server: TcpStream, counts: Arc<Counts>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    // The first message has no type: its length, and what it asks for.
    let mut is_first = true;
    loop {
        let mut head = [0; 5];
        let head = if is_first { &mut head[1..] } else { &mut head[..] };
        if from_client.read_exact(head).await.is_err() {
            return;
        }
        let kind = if is_first { 0 } else { head[0] };
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().expect("four bytes"));
        let mut body = vec![0; length as usize - 4];
        if from_client.read_exact(&mut body).await.is_err() {
            return;
        }
        is_first = false;
        // Counted before it is passed on: whoever has the answer can rely on the count.
        if matches!(kind, b'S' | b'Q') {
            counts.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        if matches!(kind, b'E' | b'Q') {
            counts.statements.fetch_add(1, Ordering::SeqCst);
        }
        if to_server.write_all(head).await.is_err() || to_server.write_all(&body).await.is_err() {
            return;
        }
    }
}
