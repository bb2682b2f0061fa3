//! A tiny application behind the shell, and a client that sends whatever bytes it likes.

#![expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]

use std::net::SocketAddr;
use std::time::Duration;

use authkit_core::model::RequestContext;
use authkit_server::http::{Drained, HttpShell, Limits, Readiness, RouteTable, StrictJson, TrustedProxies, bearer_token};
use authkit_server::problem::Problem;
use authkit_server::telemetry::Metrics;
use poem::web::Data;
use poem::{Request, Route, handler};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi, OpenApiService};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(Object, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    text: String,
}

pub(crate) struct Api;

#[OpenApi]
impl Api {
    #[oai(path = "/echo", method = "post")]
    async fn echo(&self, body: StrictJson<Echo>) -> Result<Json<String>, Problem> {
        Ok(Json(body.0.text))
    }

    /// With poem-openapi's own payload, whose reading has no limit of its own.
    #[oai(path = "/careless", method = "post")]
    async fn careless(&self, body: Json<Echo>) -> Json<String> {
        Json(body.0.text)
    }

    #[oai(path = "/items/:id", method = "get")]
    async fn item(&self, id: Path<u32>, page: Query<Option<u32>>) -> Json<u32> {
        Json(id.0 + page.0.unwrap_or_default())
    }

    #[oai(path = "/whoami", method = "get")]
    async fn whoami(&self, context: Data<&RequestContext>) -> PlainText<String> {
        PlainText(context.client.ip.map(|ip| ip.to_string()).unwrap_or_default())
    }

    #[oai(path = "/panic", method = "get")]
    async fn panic(&self) -> PlainText<String> {
        panic!("canary-of-the-panic")
    }

    #[oai(path = "/sleep/:millis", method = "get")]
    async fn sleep(&self, millis: Path<u64>) -> PlainText<String> {
        tokio::time::sleep(Duration::from_millis(millis.0)).await;
        PlainText("slept".into())
    }

    #[oai(path = "/big", method = "get")]
    async fn big(&self) -> PlainText<String> {
        PlainText("x".repeat(32 * 1024 * 1024))
    }

    #[oai(path = "/broken", method = "get")]
    async fn broken(&self) -> poem::Result<PlainText<String>> {
        Err(poem::error::InternalServerError(std::io::Error::other("canary-of-the-cause")))
    }
}

#[handler]
fn private(request: &Request) -> Result<String, Problem> {
    bearer_token(request.headers()).map(str::to_owned)
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Drained>,
}

impl Server {
    pub(crate) async fn start(adjust: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        adjust(&mut limits);
        Self::start_behind(limits, &[]).await
    }

    pub(crate) async fn start_behind(limits: Limits, proxies: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let metrics = Metrics::new();
        let shell = HttpShell::new(limits)
            .trusted_proxies(TrustedProxies::parse(proxies.iter().copied()).expect("networks"))
            .metrics(metrics.clone())
            .routes(RouteTable::new().openapi::<Api>("/api/v1"));
        let readiness = shell.readiness();
        let routes = Route::new().nest("/api/v1", OpenApiService::new(Api, "test", "1")).at("/private", poem::get(private));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(shell.serve(listener, routes, async {
            let _ = stopped.await;
        }));
        Self { address, metrics, readiness, stop: Some(stop), running }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.expect("writes");
        Reply::read(&mut stream).await
    }

    /// One request with no body.
    pub(crate) async fn get(&self, method: &str, target: &str, headers: &str) -> Reply {
        self.raw(format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")).await
    }

    /// One request with a body.
    pub(crate) async fn post(&self, target: &str, content_type: &str, body: &str) -> Reply {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.raw(head + body).await
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().expect("stops once").send(());
    }

    pub(crate) async fn stopped(self) -> Drained {
        self.running.await.expect("the server does not panic")
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Reads to the end; a reset counts as an end.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        let read = async {
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                bytes.extend_from_slice(&chunk[..count]);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server closes the connection");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Checks that this is a complete problem document and returns it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document: Value = serde_json::from_str(&self.body).expect("a JSON document");
        assert_eq!(document["code"], code, "{self:?}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("urn:authkit:problem:{code}"));
        assert!(document["title"].is_string());
        assert_eq!(document["request_id"].as_str().map(str::to_ascii_lowercase).as_deref(), self.header("x-request-id"));
        document
    }
}
