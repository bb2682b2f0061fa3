//! Each fault against a server that answers what it is told.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// How long something that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come, to call it silence.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that repeats what it hears, and tells the test about it.
struct Echo {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1_024];
                    while let Ok(read @ 1..) = from.read(&mut buffer).await {
                        let _ = tell.send(buffer[..read].to_vec());
                        if to.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                    say_goodbye(to).await;
                });
            }
        });
        Self { address, heard }
    }

    async fn hears(&mut self) -> Vec<u8> {
        timeout(PATIENCE, self.heard.recv()).await.expect("in time").expect("it runs")
    }
}

/// A client that closes its half is told so, as long as ours is open.
async fn say_goodbye(mut to: OwnedWriteHalf) {
    let _ = to.write_all(b"bye").await;
}

async fn proxied() -> (Echo, FaultProxy) {
    let echo = Echo::start().await;
    let proxy = FaultProxy::start(echo.address).unwrap();
    (echo, proxy)
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Reads as many bytes as `expected` has, and compares.
async fn assert_reads(stream: &mut TcpStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    timeout(PATIENCE, stream.read_exact(&mut read)).await.expect("in time").expect("the connection lives");
    assert_eq!(read, expected);
}

/// Reads until the connection breaks, and returns what came before.
async fn read_until_reset(stream: &mut TcpStream) -> Vec<u8> {
    let (mut before, mut buffer) = (Vec::new(), [0; 1_024]);
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.expect("in time") {
            Ok(0) => panic!("ended in order after {before:?}"),
            Ok(read) => before.extend_from_slice(&buffer[..read]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                return before;
            }
        }
    }
}

async fn assert_silent(stream: &mut TcpStream) {
    let heard = timeout(SILENCE, stream.read(&mut [0; 16])).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[expect(clippy::disallowed_methods, reason = "only durations are measured")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn without_a_fault_bytes_and_ends_pass() {
    let (_echo, proxy) = proxied().await;
    let mut client = connect(&proxy).await;
    client.write_all(b"hello").await.unwrap();
    assert_reads(&mut client, b"hello").await;
    assert_eq!(proxy.connections(), 1);
    client.shutdown().await.unwrap();
    assert_reads(&mut client, b"bye").await;
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "and then the end, in order");
    while proxy.connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn latency_holds_requests_and_replies() {
    const LATENCY: Duration = Duration::from_millis(40);
    let (_echo, proxy) = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(NetworkFault::Latency(LATENCY)).await;
    let start = now();
    client.write_all(b"hello").await.unwrap();
    assert_reads(&mut client, b"hello").await;
    assert!(start.elapsed() >= LATENCY * 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_throttle_bounds_each_direction() {
    let (_echo, proxy) = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(NetworkFault::Throttle { bytes_per_second: 2_000 }).await;
    let start = now();
    client.write_all(&[b'x'; 400]).await.unwrap();
    assert_reads(&mut client, &[b'x'; 400]).await;
    // A fifth of a second, but the last twentieth of one is paid for after it has passed.
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_black_hole_accepts_and_passes_nothing_until_it_is_healed() {
    let (mut echo, proxy) = proxied().await;
    let mut old = connect(&proxy).await;
    old.write_all(b"before").await.unwrap();
    assert_reads(&mut old, b"before").await;
    assert_eq!(echo.hears().await, b"before");

    proxy.set(NetworkFault::BlackHole).await;
    let mut new = connect(&proxy).await;
    old.write_all(b"old").await.unwrap();
    new.write_all(b"new").await.unwrap();
    assert_silent(&mut old).await;
    assert_silent(&mut new).await;
    assert!(echo.heard.try_recv().is_err(), "nothing reached the server");

    proxy.heal().await;
    assert_reads(&mut old, b"old").await;
    assert_reads(&mut new, b"new").await;
}

#[tokio::test]
async fn a_refusal_is_of_new_connections_only_and_ends_at_once() {
    let (_echo, proxy) = proxied().await;
    let mut old = connect(&proxy).await;
    old.write_all(b"1").await.unwrap();
    assert_reads(&mut old, b"1").await;
    for _ in 0..3 {
        proxy.set(NetworkFault::Refuse).await;
        let refused = TcpStream::connect(proxy.address()).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        old.write_all(b"2").await.unwrap();
        assert_reads(&mut old, b"2").await;
        proxy.heal().await;
        let mut new = connect(&proxy).await;
        new.write_all(b"3").await.unwrap();
        assert_reads(&mut new, b"3").await;
    }
}

#[tokio::test]
async fn a_reset_breaks_every_connection_of_now_and_none_of_later() {
    let (_echo, proxy) = proxied().await;
    let mut clients = [connect(&proxy).await, connect(&proxy).await];
    for client in &mut clients {
        client.write_all(b"hello").await.unwrap();
        assert_reads(client, b"hello").await;
    }
    proxy.reset_connections();
    for client in &mut clients {
        assert_eq!(read_until_reset(client).await, b"");
    }
    let mut later = connect(&proxy).await;
    later.write_all(b"hello").await.unwrap();
    assert_reads(&mut later, b"hello").await;
}

#[tokio::test]
async fn a_reset_reaches_a_connection_in_a_black_hole() {
    let (_echo, proxy) = proxied().await;
    proxy.set(NetworkFault::BlackHole).await;
    let mut client = connect(&proxy).await;
    while proxy.connections() < 1 {
        tokio::task::yield_now().await;
    }
    proxy.reset_connections();
    read_until_reset(&mut client).await;
}

#[tokio::test]
async fn a_cut_comes_after_so_many_bytes_of_its_direction() {
    let (mut echo, proxy) = proxied().await;
    let mut client = connect(&proxy).await;
    client.write_all(b"not counted").await.unwrap();
    assert_reads(&mut client, b"not counted").await;
    echo.hears().await;

    proxy.set(NetworkFault::CutAfter { direction: Direction::ToServer, bytes: 5 }).await;
    client.write_all(b"123").await.unwrap();
    assert_reads(&mut client, b"123").await;
    assert_eq!(echo.hears().await, b"123");
    client.write_all(b"4567").await.unwrap();
    read_until_reset(&mut client).await;
    assert_eq!(echo.hears().await, b"45", "the server got what had passed");

    proxy.set(NetworkFault::CutAfter { direction: Direction::ToClient, bytes: 2 }).await;
    let mut client = connect(&proxy).await;
    client.write_all(b"123").await.unwrap();
    assert_eq!(read_until_reset(&mut client).await, b"12");
    assert_eq!(echo.hears().await, b"123", "requests are not cut");
}

#[tokio::test]
async fn a_half_close_ends_one_direction_and_leaves_the_other() {
    let (mut echo, proxy) = proxied().await;
    let mut client = connect(&proxy).await;
    client.write_all(b"hello").await.unwrap();
    assert_reads(&mut client, b"hello").await;
    proxy.half_close(Direction::ToServer);
    assert_reads(&mut client, b"bye").await;

    let mut client = connect(&proxy).await;
    client.write_all(b"hello").await.unwrap();
    assert_reads(&mut client, b"hello").await;
    echo.hears().await;
    proxy.half_close(Direction::ToClient);
    assert_eq!(timeout(PATIENCE, client.read(&mut [0; 1])).await.expect("in time").unwrap(), 0, "the end of all replies");
    echo.hears().await;
    client.write_all(b"still").await.unwrap();
    assert_eq!(echo.hears().await, b"still");
}

#[tokio::test]
async fn a_lost_reply_is_of_a_request_that_was_carried_out() {
    let (mut echo, proxy) = proxied().await;
    proxy.set(NetworkFault::lost_reply("COMMIT")).await;
    let (mut client, mut other) = (connect(&proxy).await, connect(&proxy).await);
    client.write_all(b"BEGIN").await.unwrap();
    assert_reads(&mut client, b"BEGIN").await;
    assert_eq!(echo.hears().await, b"BEGIN");
    assert_eq!(proxy.lost_replies(), 0);

    // In two pieces: the wire knows no words.
    client.write_all(b"COM").await.unwrap();
    assert_reads(&mut client, b"COM").await;
    assert_eq!(echo.hears().await, b"COM");
    client.write_all(b"MIT").await.unwrap();
    assert_eq!(echo.hears().await, b"MIT");
    // The echo of the second half alone does not end the reply.
    assert_silent(&mut client).await;
    client.write_all(b" COMMIT").await.unwrap();
    assert_eq!(read_until_reset(&mut client).await, b"", "nothing of the reply has arrived");
    assert_eq!(proxy.lost_replies(), 1);

    // And nobody else has noticed.
    other.write_all(b"SELECT").await.unwrap();
    assert_reads(&mut other, b"SELECT").await;
}

#[tokio::test]
async fn any_reply_is_lost_when_no_request_is_named() {
    let (mut echo, proxy) = proxied().await;
    proxy.set(NetworkFault::LoseReply { request: Vec::new(), reply: Vec::new() }).await;
    let mut client = connect(&proxy).await;
    client.write_all(b"anything").await.unwrap();
    assert_eq!(read_until_reset(&mut client).await, b"");
    assert_eq!(echo.hears().await, b"anything");
    proxy.heal().await;
    let mut client = connect(&proxy).await;
    client.write_all(b"again").await.unwrap();
    assert_reads(&mut client, b"again").await;
}

#[tokio::test]
async fn a_server_that_is_away_breaks_the_connection() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(nobody).unwrap();
    let mut client = connect(&proxy).await;
    read_until_reset(&mut client).await;
}
