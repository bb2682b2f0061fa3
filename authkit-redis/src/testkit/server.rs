//! One Redis server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{POLL, START_POLLS, free_port};

/// How often a port may be snatched away between finding and binding it.
const ATTEMPTS: u32 = 5;

/// A further argument of the process.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    Word(String),
    /// A port, found anew for each attempt to start.
    FreePort,
}

/// Words as arguments; `{port}` is a free port.
pub(super) fn arguments(words: &[&str]) -> Vec<Argument> {
    let argument = |word: &&str| if *word == "{port}" { Argument::FreePort } else { Argument::Word((*word).to_owned()) };
    words.iter().map(argument).collect()
}

/// A `redis-server` process on a port of 127.0.0.1, which keeps nothing. Dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    home: TempDir,
    port: u16,
    password: Option<String>,
    arguments: Vec<Argument>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one without a password, and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be started: `redis-server` must be on the PATH. A test that needs Redis is never skipped.
    pub async fn start() -> Self {
        Self::start_with(None, Vec::new()).await
    }

    /// Starts one that wants a password.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with_password(password: &str) -> Self {
        Self::start_with(Some(password.to_owned()), Vec::new()).await
    }

    /// Starts one that listens on a second port, for TLS, with this certificate and key.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        let [certificate, key] = [certificate, key].map(|path| path.to_str().expect("a path of UTF-8"));
        let files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"];
        Self::start_with(None, arguments(&[&["--tls-port", "{port}"], &files[..]].concat())).await
    }

    pub(super) async fn start_with(password: Option<String>, arguments: Vec<Argument>) -> Self {
        let home = tempfile::Builder::new().prefix("authkit-redis-").tempdir().expect("a temporary directory");
        let mut server = Self { home, port: 0, password, arguments, child: None };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            if server.launch().await {
                return server;
            }
        }
        panic!("redis-server did not start; its log:\n{}", server.log());
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The URL, with the password where there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let sign_in = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{sign_in}127.0.0.1:{}", self.port)
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    /// What is set, such as the port for TLS.
    ///
    /// # Panics
    /// When Redis does not know it.
    pub async fn setting(&self, name: &str) -> String {
        let mut connection = self.connect().await.expect("the server answers");
        let [_, value]: [String; 2] =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.expect("a setting");
        value
    }

    /// Sets something at run time, such as `maxmemory`.
    ///
    /// # Panics
    /// When Redis does not take it.
    pub async fn configure(&self, name: &str, value: &str) {
        let mut connection = self.connect().await.expect("the server answers");
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut connection).await.expect("Redis takes the setting");
    }

    /// The keys that match a pattern.
    ///
    /// # Panics
    /// When Redis does not answer.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut connection = self.connect().await.expect("the server answers");
        redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.expect("the keys")
    }

    /// The value of a key, which must hold one.
    ///
    /// # Panics
    /// When it does not, or Redis does not answer.
    pub async fn value(&self, key: &str) -> Vec<u8> {
        let mut connection = self.connect().await.expect("the server answers");
        redis::cmd("GET").arg(key).query_async(&mut connection).await.expect("a value")
    }

    /// Forgets every key, as an operator's mistake or a restart does.
    ///
    /// # Panics
    /// When Redis does not answer.
    pub async fn flush(&self) {
        let mut connection = self.connect().await.expect("the server answers");
        redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("Redis forgets");
    }

    /// Kills it (SIGKILL). Returns when the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already; then there is nothing to kill.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Freezes it (SIGSTOP): connections are accepted and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same port after it was killed, and waits until it answers.
    ///
    /// # Panics
    /// When it runs, or cannot be started.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        assert!(self.launch().await, "redis-server did not start; its log:\n{}", self.log());
    }

    /// Whether it answered; `false` when it ended before.
    async fn launch(&mut self) -> bool {
        let further = self.arguments.iter().map(|argument| match argument {
            Argument::Word(word) => word.clone(),
            Argument::FreePort => free_port().to_string(),
        });
        // A sentinel keeps what it knows in its configuration; the others have no use for the file.
        let configuration = self.home.path().join("redis.conf");
        fs::OpenOptions::new().append(true).create(true).open(&configuration).expect("a file of our own");
        let mut command = Command::new("redis-server");
        command
            .arg(configuration)
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--logfile", "redis.log", "--dir", "."])
            .args(further)
            .args(self.password.iter().flat_map(|password| ["--requirepass", password]))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => self.child.insert(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("there is no redis-server on the PATH: apt-get install redis-server")
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        };
        for _ in 0..START_POLLS {
            if child.try_wait().expect("our own child").is_some() {
                self.child = None;
                return false;
            }
            let url = format!("redis://127.0.0.1:{}", self.port);
            let client = Client::open(url).expect("a URL");
            let answer = match client.get_multiplexed_async_connection().await {
                Ok(mut connection) => redis::cmd("PING").exec_async(&mut connection).await,
                Err(error) => Err(error),
            };
            // One that wants a password answers, too.
            if answer.is_ok() || answer.is_err_and(|error| error.code() == Some("NOAUTH")) {
                return true;
            }
            sleep(POLL).await;
        }
        self.kill();
        false
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        kill_process(Pid::from_child(child), signal).expect("a signal to our own child");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("redis.log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
