//! The real binary, on a data directory that goes away with the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Reply, get, post};
use super::port;

/// How long a start may take on a machine that runs every other test as well.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a server may take to finish what is in flight.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(3);
/// How often a port may be snatched away between finding and binding it.
const PORT_ATTEMPTS: u32 = 5;

/// A server process, or the data of one that was stopped or killed. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    home: Arc<TempDir>,
    /// The name of its log, which no other server on the same data has.
    log: &'static str,
    env: Vec<(String, String)>,
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts the binary on a fresh data directory, with `env` beside the settings that say where it lives, and waits until it
    /// is ready.
    pub(crate) async fn start(env: &[(&str, &str)]) -> Self {
        let mut server = Self::place();
        server.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        server.start_again().await;
        server
    }

    /// A data directory without a server, to run commands on.
    pub(crate) fn place() -> Self {
        let home = tempfile::Builder::new().prefix("authkit-test-").tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join("data")).expect("a data directory");
        Self { home: Arc::new(home), log: "server.log", env: Vec::new(), address: port::free(), child: None }
    }

    /// Starts a second server on the same data, with the same settings, and waits until it is ready.
    pub(crate) async fn start_beside(&self) -> Self {
        let (home, env) = (Arc::clone(&self.home), self.env.clone());
        let mut server = Self { home, log: "beside.log", env, address: port::free(), child: None };
        server.start_again().await;
        server
    }

    /// Runs a command of the binary on the same data, with the same settings and some more, and waits until it ends.
    pub(crate) async fn run(&self, arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
        let mut command = self.program();
        command.args(arguments).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("the binary runs");
        let mut pipe = child.stdin.take().expect("piped");
        // A command that needs no input may have ended already.
        drop(pipe.write_all(stdin.as_bytes()).await);
        drop(pipe);
        let ended = timeout(START_LIMIT, child.wait_with_output()).await;
        ended.unwrap_or_else(|_| panic!("{arguments:?} did not end within {START_LIMIT:?}")).expect("our own child")
    }

    /// Runs a command like [`run`](Self::run), and kills it (SIGKILL) when it has not ended within `patience`: then `None`.
    pub(crate) async fn run_for(&self, arguments: &[&str], env: &[(&str, &str)], patience: Duration) -> Option<Output> {
        let mut command = self.program();
        command.args(arguments).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("the binary runs");
        let ended = timeout(patience, child.wait_with_output()).await;
        ended.ok().map(|output| output.expect("our own child"))
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Starts a server that was stopped or killed, on the same data and a new port, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        for _ in 0..PORT_ATTEMPTS {
            self.address = port::free();
            self.child = Some(self.command().spawn().expect("the binary runs"));
            if self.becomes_ready().await {
                return;
            }
            self.child = None;
            let log = self.log();
            assert!(log.to_lowercase().contains("in use"), "the server ended before it was ready; its log:\n{log}");
        }
        panic!("{PORT_ATTEMPTS} ports in a row were snatched away");
    }

    /// Starts a server that was stopped or killed, on the same data and the same port, and waits until it is ready.
    pub(crate) async fn start_again_in_place(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        self.child = Some(self.command().spawn().expect("the binary runs"));
        assert!(self.becomes_ready().await, "the server ended before it was ready; its log:\n{}", self.log());
    }

    /// Asks the server to end (SIGTERM), and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal to our own child");
        let ended = timeout(STOP_LIMIT, async {
            loop {
                if let Some(status) = child.try_wait().expect("our own child") {
                    return status;
                }
                sleep(POLL).await;
            }
        });
        let Ok(status) = ended.await else {
            end(&mut child);
            panic!("the server did not end within {STOP_LIMIT:?} of SIGTERM; its log:\n{}", self.log());
        };
        status
    }

    /// Kills the server (SIGKILL): it gets to do nothing more. Returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        end(&mut self.child.take().expect("the server runs"));
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(&mut self) {
        let status = self.stop().await;
        assert!(status.success(), "the server ended with {status}; its log:\n{}", self.log());
        self.start_again().await;
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// What it wrote since it was last started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A keep-alive connection to it.
    pub(crate) const fn connect(&self) -> Connection {
        Connection::new(self.address)
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Reply> + use<'_> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.connect().send(request).await;
            reply.unwrap_or_else(|error| panic!("{caller}: no reply: {error}; the server's log:\n{}", self.log()))
        }
    }

    /// POSTs JSON.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> impl Future<Output = Reply> + use<'_> {
        self.send(post(path, body))
    }

    /// POSTs JSON with a bearer token.
    #[track_caller]
    pub(crate) fn post_as(&self, path: &str, token: &str, body: &Value) -> impl Future<Output = Reply> + use<'_> {
        let mut request = post(path, body);
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a printable token"));
        self.send(request)
    }

    /// GETs a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> impl Future<Output = Reply> + use<'_> {
        self.send(get(path, None))
    }

    /// GETs a path with a bearer token.
    #[track_caller]
    pub(crate) fn get_as(&self, path: &str, token: &str) -> impl Future<Output = Reply> + use<'_> {
        self.send(get(path, Some(token)))
    }

    /// Writes bytes as they are, and reads what comes until the server closes the connection or is silent for `patience`.
    pub(crate) async fn raw(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("the server listens");
        // A server that refuses early may close while we still write: what it answered is what counts.
        drop(stream.write_all(bytes).await);
        let (mut answer, mut chunk) = (Vec::new(), [0; 4_096]);
        while let Ok(Ok(read @ 1..)) = timeout(patience, stream.read(&mut chunk)).await {
            answer.extend_from_slice(&chunk[..read]);
        }
        answer
    }

    fn command(&self) -> Command {
        let log = File::create(self.log_path()).expect("a log file");
        let mut command = self.program();
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        command
    }

    /// The binary with its settings, which still says nothing about where it reads and writes.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authkit-server"));
        // Nothing is inherited: a DATABASE_URL of the developer's is not for tests.
        command
            .env_clear()
            .env("AUTHKIT_LISTEN", self.address.to_string())
            .env("AUTHKIT_DATA_DIR", self.data_dir())
            .env("AUTHKIT_LOG", "info")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
        command
    }

    /// Waits for the first 200 of `/health/ready`; `false` when the process ended before.
    async fn becomes_ready(&mut self) -> bool {
        let ready = timeout(START_LIMIT, async {
            loop {
                if let Some(child) = &mut self.child
                    && child.try_wait().expect("our own child").is_some()
                {
                    return false;
                }
                if let Ok(reply) = Connection::new(self.address).send(get("/health/ready", None)).await
                    && reply.status == 200
                {
                    return true;
                }
                sleep(POLL).await;
            }
        });
        let ready = ready.await;
        ready.unwrap_or_else(|_| panic!("the server was not ready within {START_LIMIT:?}; its log:\n{}", self.log()))
    }

    fn log_path(&self) -> PathBuf {
        Path::join(self.home.path(), self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

/// Kills a process and collects its status.
fn end(child: &mut Child) {
    // It may have ended already; then there is nothing to kill.
    drop(child.kill());
    drop(child.wait());
}
