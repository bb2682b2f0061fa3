//! Against a server on a socket, which speaks the protocol or does not.

use std::sync::Mutex;

use authkit_core::Password;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// What the server heard, and what it says to everybody.
struct Service {
    url: Url,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/hibp/", listener.local_addr().unwrap())).unwrap();
        let (heard, answer) = (Arc::new(Mutex::new(Vec::new())), answer.into());
        let ears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (ears, answer) = (Arc::clone(&ears), answer.clone());
                tokio::spawn(async move {
                    let (mut request, mut chunk) = (Vec::new(), [0; 4_096]);
                    while !request.ends_with(b"\r\n\r\n") {
                        match stream.read(&mut chunk).await {
                            Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
                            _ => return,
                        }
                    }
                    ears.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    drop(stream.write_all(&answer).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Self { url, heard }
    }

    fn list(&self) -> RangeService {
        RangeService::new(&self.url).unwrap()
    }
}

fn digest(text: &str) -> BreachDigest {
    BreachDigest::of(&Password::parse(text).unwrap())
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_range_is_asked_for_by_five_digits_and_remembered() {
    let seen = digest("password");
    let service = Service::saying(ok(&format!("{}:9545824\r\n{}:0\r\n", seen.suffix(), "0".repeat(35)))).await;
    let list = service.list();
    for _ in 0..3 {
        assert_eq!(list.times_seen(&seen).await.unwrap(), 9_545_824);
    }
    let heard = service.heard.lock().unwrap().clone();
    let [request] = heard.as_slice() else { panic!("asked once, and then remembered: {heard:?}") };
    assert!(request.starts_with("GET /hibp/range/5BAA6 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("add-padding: true"), "{request}");
    assert!(!request.to_uppercase().contains(seen.suffix()), "the rest of the digest stays here");
}

#[tokio::test]
async fn what_is_in_no_range_was_not_seen() {
    let service = Service::saying(ok(&format!("{}:7\r\n", "A".repeat(35)))).await;
    assert_eq!(service.list().times_seen(&digest("something of one's own")).await.unwrap(), 0);
}

#[tokio::test]
async fn whatever_else_a_service_says_is_no_answer() {
    let elsewhere = Service::saying(ok("")).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n{}", "A".repeat(4_194_304));
    let endless_head = format!("HTTP/1.1 200 OK\r\n{}", "x-y: z\r\n".repeat(100_000));
    for answer in [
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        ok("<html>sign in to the hotel's network</html>"),
        ok("\u{0}\u{1}\u{2}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut off".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        redirect,
        huge,
        endless_head,
    ] {
        let service = Service::saying(answer.clone()).await;
        let list = service.list();
        for _ in 0..2 {
            assert!(list.times_seen(&digest("password")).await.is_err(), "{answer:.40}");
        }
        assert_eq!(service.heard.lock().unwrap().len(), 2, "a failure is not remembered: {answer:.40}");
    }
    assert!(elsewhere.heard.lock().unwrap().is_empty(), "a redirect is not followed");
}

#[tokio::test]
async fn a_service_that_is_silent_or_away_is_given_up_in_time() {
    let silent = Service::saying("").await;
    let began = now();
    assert!(silent.list().times_seen(&digest("password")).await.is_err());
    assert!(began.elapsed() < PATIENCE + Duration::from_secs(2));
    let gone = Url::parse(&format!("http://127.0.0.1:{}", unused_port().await)).unwrap();
    assert!(RangeService::new(&gone).unwrap().times_seen(&digest("password")).await.is_err());
}

async fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
