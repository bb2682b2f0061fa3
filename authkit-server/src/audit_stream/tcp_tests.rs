use std::net::SocketAddr;

use authkit_core::testkit::Fixtures;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

fn events(seed: u64, count: usize) -> Vec<AuditEvent> {
    let fixtures = Fixtures::new(seed);
    (0..count).map(|_| fixtures.event(fixtures.user().id)).collect()
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("binds");
    socket.listen(16).expect("listens")
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Reads one message by its length (RFC 6587 §3.4.1).
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut length = 0;
    loop {
        match stream.read_u8().await.expect("a byte") {
            b' ' => break,
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            other => panic!("{other} in a length"),
        }
    }
    assert!((1..=MESSAGE_BYTES).contains(&length));
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.expect("a message");
    String::from_utf8(text).expect("ASCII")
}

async fn expect(stream: &mut (impl AsyncRead + Unpin), events: &[AuditEvent]) {
    for event in events {
        let message = message(stream).await;
        assert!(message.starts_with('<') && message.contains(&format!(" id=\"{}\"", event.id)), "{message}");
    }
}

fn sink(port: u16) -> TcpSink {
    TcpSink::start("syslog+tcp:test".to_owned(), "127.0.0.1".to_owned(), port, None)
}

#[tokio::test]
async fn every_message_stands_behind_its_length() {
    let listener = listen(any());
    let sink = sink(listener.local_addr().expect("an address").port());
    let mut events = events(1, 50);
    events[9].details.insert("huge".to_owned(), "\u{1F511}\n<13>1 - forged".repeat(100_000));
    let (delivered, accepted) = tokio::join!(sink.deliver(&events), listener.accept());
    delivered.expect("writes");
    expect(&mut accepted.expect("accepts").0, &events).await;
}

#[tokio::test]
async fn what_was_under_way_when_the_receiver_died_is_written_again() {
    let listener = listen(any());
    let address = listener.local_addr().expect("an address");
    let sink = sink(address.port());
    let events = events(2, 60);
    let (delivered, accepted) = tokio::join!(sink.deliver(&events[..20]), listener.accept());
    delivered.expect("writes");
    let mut stream = accepted.expect("accepts").0;
    expect(&mut stream, &events[..10]).await;
    // It dies with the other ten unread, and is away for a while.
    drop((stream, listener));
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..3 {
        sink.deliver(&events[20..40]).await.expect_err("nobody is there");
    }
    let listener = listen(address);
    let (delivered, accepted) = tokio::join!(sink.deliver(&events[20..40]), listener.accept());
    delivered.expect("writes");
    let mut stream = accepted.expect("accepts").0;
    expect(&mut stream, &events[..40]).await;
    // And on the connection that stands nothing is repeated.
    sink.deliver(&events[40..]).await.expect("writes");
    expect(&mut stream, &events[40..]).await;
}

#[tokio::test]
async fn a_write_that_fell_into_a_closing_connection_does_not_wait_for_the_next_event() {
    let listener = listen(any());
    let sink = sink(listener.local_addr().expect("an address").port());
    let events = events(3, 2);
    let (delivered, accepted) = tokio::join!(sink.deliver(&events[..1]), listener.accept());
    delivered.expect("writes");
    drop(accepted.expect("accepts"));
    // Nothing else is delivered. The sink looks by itself.
    let mut stream = timeout(Duration::from_secs(20), listener.accept()).await.expect("in time").expect("accepts").0;
    expect(&mut stream, &events[..1]).await;
}

#[tokio::test]
async fn a_receiver_that_does_not_read_is_given_up_in_time() {
    let listener = listen(any());
    let sink = sink(listener.local_addr().expect("an address").port());
    let mut events = events(4, 200);
    for event in &mut events {
        event.details.insert("much".to_owned(), "x".repeat(50_000));
    }
    let started = Instant::now();
    let mut failed = false;
    for _ in 0..3 {
        failed |= sink.deliver(&events).await.is_err();
    }
    assert!(failed && started.elapsed() < Duration::from_secs(30), "ten megabytes fit into no buffer");
    drop(listener);
}

#[tokio::test]
async fn tls_is_spoken_with_whoever_the_authority_has_signed() {
    let authority = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&authority).expect("a certificate");
    let issuer = rcgen::Issuer::from_params(&parameters, &authority);
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = own.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = listen(any());
    let port = listener.local_addr().expect("an address").port();
    let start = |authority: Option<&[u8]>| {
        let tls = Tls::new("localhost", authority).expect("a configuration");
        TcpSink::start("syslog+tls:test".to_owned(), "localhost".to_owned(), port, Some(tls))
    };
    let events = events(5, 40);

    let trusting = start(Some(root.pem().as_bytes()));
    let serving = async {
        let stream = listener.accept().await.expect("accepts").0;
        let mut stream = acceptor.accept(stream).await.expect("speaks TLS");
        expect(&mut stream, &events).await;
    };
    let (delivered, ()) = tokio::join!(trusting.deliver(&events), serving);
    delivered.expect("writes");
    drop(trusting);

    let stranger = start(None);
    let serving = async {
        let stream = listener.accept().await.expect("accepts").0;
        acceptor.accept(stream).await.expect_err("is hung up on");
    };
    let (refused, ()) = tokio::join!(stranger.deliver(&events), serving);
    refused.expect_err("nobody known has signed that");

    for broken in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let refused = Tls::new("localhost", Some(broken.as_bytes())).err().expect("refused").to_string();
        assert!(refused.contains("AUTHKIT_AUDIT_STREAM_CA_FILE"), "{refused}");
    }
}
