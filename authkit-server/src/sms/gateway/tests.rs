use std::sync::{Arc, Mutex};

use authkit_core::model::SmsContent;
use authkit_core::{FactorCode, OsEntropy, PhoneNumber};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const TOKEN: &str = "a token of the gateway, 32 bytes";

/// A gateway on a real port that answers as it is told, and keeps what it was sent.
struct Standin {
    url: GatewayUrl,
    requests: Arc<Mutex<Vec<String>>>,
    patience: Duration,
}

impl Standin {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/send?from=AuthKit", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut request, mut part) = (Vec::new(), [0; 4_096]);
                // Until the body is whole: it ends in a brace.
                while !request.ends_with(b"}") {
                    match stream.read(&mut part).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&part[..read]),
                    }
                }
                kept.lock().expect("no panic").push(String::from_utf8_lossy(&request).into_owned());
                if answer == "silence" {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url: GatewayUrl::parse(&url).expect("a URL"), requests, patience: PATIENCE }
    }

    async fn send(&self, id: OutboxMessageId) -> Result<(), SmsError> {
        let wording = Wording::new("Example".to_owned(), "auth.example".to_owned());
        let gateway = Gateway::new(&self.url, TOKEN.to_owned().into(), wording).expect("a gateway");
        let gateway = Gateway { patience: self.patience, ..gateway };
        let to = PhoneNumber::parse("+4915112345678").expect("a number");
        let content = SmsContent::Code(FactorCode::new("012345".to_owned()));
        gateway.send(id, &Sms::new(to, None, content, Duration::from_mins(10))).await
    }
}

fn id() -> OutboxMessageId {
    OutboxMessageId::generate(SystemClock.now(), &OsEntropy)
}

#[test]
fn the_signature_is_the_one_of_the_standard() {
    // RFC 4231 §4.3, whose data has a dot put between two halves here.
    let expected = Hmac::<Sha256>::new_from_slice(b"Jefe").map(|mut mac| {
        mac.update(b"1700000000.{}");
        mac.finalize().into_bytes()
    });
    let expected: String = expected.expect("a key").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sign(b"Jefe", "1700000000", b"{}"), format!("v1={expected}"));
    assert_ne!(sign(b"Jefe", "1700000001", b"{}"), format!("v1={expected}"), "the time is signed");
    assert_ne!(sign(b"Jeff", "1700000000", b"{}"), format!("v1={expected}"));
}

#[tokio::test]
async fn a_message_is_one_signed_post_that_a_repetition_can_be_told_by() {
    let gateway = Standin::start("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await;
    let id = id();
    gateway.send(id).await.expect("is sent");
    gateway.send(id).await.expect("is sent again");
    let requests = gateway.requests.lock().expect("no panic").clone();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("POST /send?from=AuthKit HTTP/1.1"), "{head}");
        let header = |name: &str| {
            let found = head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        assert_eq!(header("idempotency-key"), id.to_string());
        assert_eq!(header("authkit-signature"), sign(TOKEN.as_bytes(), &header("authkit-timestamp"), body.as_bytes()));
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((body["to"].as_str(), body["kind"].as_str()), (Some("+4915112345678"), Some("second_factor_code")));
        assert!(body["text"].as_str().is_some_and(|text| text.contains("012345")), "{body}");
        assert!(!head.contains(TOKEN), "the token itself never travels");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_given_up() {
    let answers = [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", false),
        // Followed, it would hand the code to whoever it names.
        ("HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", false),
        ("220 smtp.example ESMTP\r\n", true),
        ("", true),
    ];
    for (answer, is_temporary) in answers {
        let error = Standin::start(answer).await.send(id()).await.expect_err("is not sent");
        assert_eq!(matches!(error, SmsError::Temporary(_)), is_temporary, "{answer:?}: {error:?}");
    }
    let closed =
        Standin { url: GatewayUrl::parse("http://127.0.0.1:1/").expect("a URL"), requests: Arc::default(), patience: PATIENCE };
    assert!(matches!(closed.send(id()).await, Err(SmsError::Temporary(_))), "nobody listens");
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_not_waited_for_for_ever() {
    let standin = Standin { patience: Duration::from_millis(200), ..Standin::start("silence").await };
    let error = standin.send(id()).await.expect_err("is not sent");
    assert!(matches!(error, SmsError::Temporary(_)), "{error:?}");
}

#[test]
fn codes_travel_over_https_or_not_at_all() {
    assert!(GatewayUrl::parse("https://sms.example/v1?x=1").is_ok());
    assert!(GatewayUrl::parse("http://localhost:9/").is_ok());
    assert_eq!(GatewayUrl::parse("http://sms.example/"), Err(GatewayUrlError::Insecure));
    assert_eq!(GatewayUrl::parse("https://user:password@sms.example/"), Err(GatewayUrlError::Parts));
    for text in ["", "sms.example", "ftp://sms.example/", "https://"] {
        assert_eq!(GatewayUrl::parse(text), Err(GatewayUrlError::Form), "{text:?}");
    }
}
