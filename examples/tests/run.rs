//! The examples do what they say: each program is run as its reader would run it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::flows::{Administrator, NewRole, RoleGrant, Run};
use authkit_core::{AuthKit, Config, Email, LocalKeyCustody, RequestContext, UserId};
use authkit_sqlx::testkit::PgServer;
use authkit_sqlx::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Far more than any of it takes: a program that hangs fails its test by name.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn quickstart_registers_logs_in_refreshes_and_logs_out() {
    let printed = run(env!("CARGO_BIN_EXE_quickstart")).await;
    assert_says(&printed, &["registered user@example.com as ", "logged in: session ", "refreshed: ", "logged out: "]);
}

#[tokio::test]
async fn transactional_signup_makes_an_account_and_its_row_or_neither() {
    let postgres = PgServer::start().await;
    for arguments in [vec![], vec![postgres.url()]] {
        let printed = run_with(env!("CARGO_BIN_EXE_transactional_signup"), &arguments).await;
        let said = ["signed up: ada@example.com", "refused: an account with this email address exists", "refused: "];
        let end = "customers: 1; ada can log in: true; bob can: false";
        assert_says(&printed, &[&said[..], &[end]].concat());
    }
}

#[tokio::test]
async fn passwordless_logs_in_by_a_link_once_and_in_one_browser() {
    let printed = run(env!("CARGO_BIN_EXE_passwordless")).await;
    let page = "page: log in as jane@example.com?";
    let end = [
        "another browser: auth.link_of_another_browser",
        "logged in: jane@example.com in session ",
        "a second time: auth.invalid_link",
    ];
    let printed: Vec<String> = printed.into_iter().filter(|line| !line.starts_with("mail ") && !line.starts_with("  ")).collect();
    assert_says(&printed, &[&[page][..], &end].concat());
}

#[tokio::test]
async fn custom_store_keeps_the_account_and_the_session_over_a_restart() {
    let printed = run(env!("CARGO_BIN_EXE_custom_store")).await;
    let steps = ["registered ", "logged in: ", "refreshed: ", "logged out: ", "reopened: ", "reopened: "];
    assert_says(&printed, &steps);
    let id = |line: &str| line.split_whitespace().last().map(str::to_owned);
    assert_eq!(id(&printed[0]), id(&printed[4]), "the account is another one: {printed:?}");
    let session = |line: &str| line.split_whitespace().find(|word| word.len() == 36).map(str::to_owned);
    assert!(session(&printed[1]).is_some() && session(&printed[1]) == session(&printed[5]), "another session: {printed:?}");
}

#[tokio::test]
async fn embed_axum_serves_accounts_and_guards_a_route() {
    tokio::time::timeout(PATIENCE, serves_accounts_and_guards_a_route(env!("CARGO_BIN_EXE_embed_axum"))).await.expect("it hangs");
}

#[tokio::test]
async fn embed_poem_serves_accounts_and_guards_a_route() {
    tokio::time::timeout(PATIENCE, serves_accounts_and_guards_a_route(env!("CARGO_BIN_EXE_embed_poem"))).await.expect("it hangs");
}

async fn serves_accounts_and_guards_a_route(program: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(program, folder.path()).await;
    let account = json!({ "email": "user@example.com", "password": "SecurePass123" });

    let registered = server.post("/register", &account).await.is(StatusCode::OK);
    assert_eq!(registered["user"]["email"], "user@example.com");
    server.post("/register", &account).await.is(StatusCode::CONFLICT);

    let wrong = json!({ "email": "user@example.com", "password": "SecurePass124" });
    server.post("/login", &wrong).await.is(StatusCode::UNAUTHORIZED);
    let login = server.post("/login", &account).await.is(StatusCode::OK);
    assert_eq!(login["user"]["id"], registered["user"]["id"]);

    // The guarded route knows her, and nobody else.
    let greeting = server.hello(Some(&login)).await.is(StatusCode::OK);
    assert_eq!(greeting["hello"], login["user"]["id"]);
    server.hello(None).await.is(StatusCode::UNAUTHORIZED);
    let mut forged = login.clone();
    forged["access_token"] = format!("{}A", login["access_token"].as_str().expect("a token")).into();
    server.hello(Some(&forged)).await.is(StatusCode::UNAUTHORIZED);

    // What needs a permission is refused to her until she holds it, and then the token will do that she has had all the time.
    server.invoice(None).await.is(StatusCode::UNAUTHORIZED);
    let denied = server.invoice(Some(&login)).await;
    assert_eq!(denied.challenge, "Bearer error=\"insufficient_scope\", scope=\"invoice:write\"");
    assert_eq!(denied.is(StatusCode::FORBIDDEN)["code"], "auth.permission_required");
    let operator = Operator::beside(folder.path()).await;
    operator.assign("user@example.com", Some("tenant:acme")).await;
    operator.assign("user@example.com", None).await;
    while server.invoice(Some(&login)).await.status == StatusCode::FORBIDDEN {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.invoice(Some(&login)).await.is(StatusCode::OK)["written_by"], login["user"]["id"]);
    // A role that counts in one place alone does not count everywhere.
    operator.unassign("user@example.com").await;
    while server.invoice(Some(&login)).await.status == StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.invoice(Some(&login)).await.is(StatusCode::FORBIDDEN);

    // A chain of refreshes. A token of two generations ago is a stolen copy: it ends the session, access token and all.
    let second = server.post("/refresh", &login["refresh_token"]).await.is(StatusCode::OK);
    assert_ne!(second["refresh_token"], login["refresh_token"]);
    let third = server.post("/refresh", &second["refresh_token"]).await.is(StatusCode::OK);
    server.hello(Some(&third)).await.is(StatusCode::OK);
    let reused = server.post("/refresh", &login["refresh_token"]).await.is(StatusCode::UNAUTHORIZED);
    assert_eq!(reused["code"], "auth.refresh_token_reused");
    server.post("/refresh", &third["refresh_token"]).await.is(StatusCode::UNAUTHORIZED);
    server.hello(Some(&third)).await.is(StatusCode::UNAUTHORIZED);

    // Her other session was not touched, until she logs out.
    server.hello(Some(&registered)).await.is(StatusCode::OK);
    server.post("/logout", &registered["refresh_token"]).await.is(StatusCode::NO_CONTENT);
    server.hello(Some(&registered)).await.is(StatusCode::UNAUTHORIZED);
    server.post("/refresh", &registered["refresh_token"]).await.is(StatusCode::UNAUTHORIZED);

    // The database and the key are in the folder: started again, it knows the account and the tokens that it issued.
    let kept = server.post("/login", &account).await.is(StatusCode::OK);
    server.stop().await;
    let server = Server::start(program, folder.path()).await;
    server.hello(Some(&kept)).await.is(StatusCode::OK);
    server.hello(Some(&registered)).await.is(StatusCode::UNAUTHORIZED);
    server.stop().await;
}

/// Runs a program to its end, and returns the lines that it printed.
async fn run(program: &str) -> Vec<String> {
    run_with(program, &[]).await
}

/// The same with arguments.
async fn run_with(program: &str, arguments: &[String]) -> Vec<String> {
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await.expect("it hangs").expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn assert_says(printed: &[String], beginnings: &[&str]) {
    let as_said = printed.len() == beginnings.len() && printed.iter().zip(beginnings).all(|(line, with)| line.starts_with(with));
    assert!(as_said, "{printed:#?} instead of {beginnings:?}");
}

/// An example that serves, on a port that the system chose; killed when it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    async fn start(program: &str, folder: &std::path::Path) -> Self {
        let mut command = Command::new(program);
        command.arg("127.0.0.1:0").arg(folder).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("it starts");
        let mut printed = BufReader::new(process.stdout.take().expect("its output")).lines();
        let line = printed.next_line().await.expect("text").expect("a first line");
        let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?} says no address"));
        Self { address: address.to_owned(), process }
    }

    async fn stop(mut self) {
        self.process.kill().await.expect("it was running");
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, Bytes::from(body.to_string())).await
    }

    /// Asks for the guarded route, with the access token of a login.
    async fn hello(&self, login: Option<&Value>) -> Reply {
        self.with_token(Request::get("/hello"), login).await
    }

    /// Asks for the route that needs a permission.
    async fn invoice(&self, login: Option<&Value>) -> Reply {
        self.with_token(Request::post("/invoices"), login).await
    }

    async fn with_token(&self, mut request: hyper::http::request::Builder, login: Option<&Value>) -> Reply {
        if let Some(token) = login.map(|login| login["access_token"].as_str().expect("a token")) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request, Bytes::new()).await
    }

    async fn send(&self, request: hyper::http::request::Builder, body: Bytes) -> Reply {
        let stream = TcpStream::connect(&self.address).await.expect("it listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let request = request.header(header::HOST, &self.address).body(Full::new(body)).expect("a request");
        let asked = format!("{} {}", request.method(), request.uri());
        let response = sender.send_request(request).await.expect("a response");
        let status = response.status();
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default().to_owned();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        Reply { asked, status, challenge, body: serde_json::from_slice(&body).unwrap_or_default() }
    }
}

/// An operator's tool on the database of an example: another process, as far as that can see.
struct Operator(AuthKit);

impl Operator {
    async fn beside(folder: &std::path::Path) -> Self {
        let store = SqliteStore::open(SqliteOptions::new(folder.join("app.sqlite3"))).await.expect("opens");
        let custody = LocalKeyCustody::in_file(folder.join("app.key")).expect("the key");
        let auth = AuthKit::builder(Config::new("http://localhost:3000")).store(Arc::new(store)).custody(Arc::new(custody));
        let auth = auth.build().await.expect("builds");
        let writer = NewRole {
            name: "writer".parse().expect("a name"),
            description: None,
            permissions: ["invoice:*".parse().expect("a permission")].into(),
            inherits: [].into(),
            mfa_required: false,
        };
        auth.roles().create(Administrator::Operator, &writer, Run::Real, &RequestContext::default()).await.expect("makes");
        Self(auth)
    }

    async fn id(&self, email: &str) -> UserId {
        let email = Email::parse(email).expect("an address");
        self.0.accounts().id_by_email(&email).await.expect("reads").expect("is there")
    }

    async fn assign(&self, email: &str, scope: Option<&str>) {
        let scope = scope.map(|text| text.parse().expect("a scope"));
        let role = "writer".parse().expect("a name");
        let grant = RoleGrant { user_id: self.id(email).await, role, scope, expires_at: None };
        let given = self.0.roles().assign(Administrator::Operator, &grant, Run::Real, &RequestContext::default()).await;
        given.expect("assigns");
    }

    async fn unassign(&self, email: &str) {
        let (id, role) = (self.id(email).await, "writer".parse().expect("a name"));
        let context = RequestContext::default();
        self.0.roles().unassign(Administrator::Operator, id, &role, None, Run::Real, &context).await.expect("takes");
    }
}

/// What came back.
struct Reply {
    asked: String,
    status: StatusCode,
    /// `WWW-Authenticate`, where there is one.
    challenge: String,
    /// `null` when it is no JSON.
    body: Value,
}

impl Reply {
    /// The body, if the status is the expected one.
    fn is(self, expected: StatusCode) -> Value {
        assert_eq!(self.status, expected, "{}: {}", self.asked, self.body);
        self.body
    }
}

#[tokio::test]
async fn mfa_enrolment_turns_a_factor_on_and_proves_it() {
    let printed = run(env!("CARGO_BIN_EXE_mfa_enrolment")).await;
    assert_says(&printed, &["scan this: otpauth://totp/app.example:", "on; 10 recovery codes", "two factors proved by "]);
}
