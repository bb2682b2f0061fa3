//! A real browser: headless Chromium, driven over its DevTools protocol by a pair of pipes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long one thing may take in the browser, on a machine that runs every other test as well.
const PATIENCE: Duration = Duration::from_mins(1);

/// One page of a browser with a virtual authenticator (`WebAuthn.addVirtualAuthenticator`). Dropping it ends the browser.
pub(crate) struct Browser {
    child: Child,
    pipes: Option<(File, BufReader<File>)>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts it.
    pub(crate) async fn start() -> Self {
        let program = find().expect("there is no Chromium: apt-get install chromium, or name one in AUTHKIT_TEST_CHROMIUM");
        let profile = tempfile::Builder::new().prefix("authkit-chromium-").tempdir().expect("a temporary directory");
        let (to, from) = (profile.path().join("to"), profile.path().join("from"));
        for pipe in [&to, &from] {
            assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
        }
        // The browser reads its orders from descriptor 3 and answers on 4; a shell is what can place them there.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$0" "$@" 3<"$TO" 4>"$FROM""#]).arg(program);
        command.args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--lang=en", "--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        if rustix::process::geteuid().is_root() {
            // Its sandbox refuses to run as root. It opens our own pages alone.
            command.arg("--no-sandbox");
        }
        command.env("TO", &to).env("FROM", &from).env("HOME", profile.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).arg("about:blank");
        let child = command.spawn().expect("the browser starts");
        // Each end waits for the other to be opened, in this order.
        let opened = tokio::task::spawn_blocking(move || {
            let to = File::options().write(true).open(to).expect("a pipe");
            (to, BufReader::new(File::open(from).expect("a pipe")))
        });
        let pipes = timeout(PATIENCE, opened).await.expect("the browser opens its pipes").expect("no panic");
        let mut browser = Self { child, pipes: Some(pipes), session: None, last: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({})).await;
        browser.call("WebAuthn.enable", json!({ "enableUI": false })).await;
        browser
    }

    /// Adds an authenticator that is a part of the device, keeps passkeys, and verifies its user at once.
    pub(crate) async fn add_authenticator(&mut self) -> String {
        let options = json!({
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "automaticPresenceSimulation": true,
        });
        let added = self.call("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
        added["authenticatorId"].as_str().expect("an id").to_owned()
    }

    /// The passkeys of an authenticator, as the browser sees them.
    pub(crate) async fn credentials(&mut self, authenticator: &str) -> Vec<Value> {
        let asked = json!({ "authenticatorId": authenticator });
        self.call("WebAuthn.getCredentials", asked).await["credentials"].as_array().expect("a list").clone()
    }

    /// Opens a page.
    pub(crate) async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(opened.get("errorText"), None, "{url}");
        self.until(&format!("location.href === {} && document.readyState === 'complete'", json!(url))).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", asked).await;
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds in the page.
    pub(crate) async fn until(&mut self, condition: &str) {
        let waited = timeout(PATIENCE, async {
            while self.eval(&format!("!!({condition})")).await != json!(true) {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        });
        if waited.await.is_err() {
            let shown = self.eval("document.body.innerText").await;
            panic!("{condition} did not come about; the page says: {shown}");
        }
    }

    /// A picture of the page, as PNG in base64.
    pub(crate) async fn picture(&mut self) -> String {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        taken["data"].as_str().expect("a picture").to_owned()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let (mut to, mut from) = self.pipes.take().expect("one call at a time");
        let exchanged = tokio::task::spawn_blocking(move || {
            to.write_all(order.to_string().as_bytes()).and_then(|()| to.write_all(&[0])).expect("the browser listens");
            loop {
                let mut message = Vec::new();
                from.read_until(0, &mut message).expect("the browser answers");
                assert_eq!(message.pop(), Some(0), "the browser has ended");
                let message: Value = serde_json::from_slice(&message).expect("JSON");
                // What is no answer is an event that nobody has asked for.
                if message["id"] == json!(id) {
                    return (message, (to, from));
                }
            }
        });
        let (message, pipes) = timeout(PATIENCE, exchanged).await.expect("the browser answers in time").expect("no panic");
        self.pipes = Some(pipes);
        assert_eq!(message.get("error"), None, "{method}");
        message["result"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("AUTHKIT_TEST_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let at = |bin: PathBuf| names.into_iter().map(move |name| bin.join(name)).find(|program| Path::exists(program));
    std::env::split_paths(&path).find_map(at)
}
