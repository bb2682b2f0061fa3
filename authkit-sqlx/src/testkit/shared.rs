//! One server for all test processes of a user: a cluster takes a second to make, and hundreds of tests need an empty database.
//!
//! Who comes first starts it, in a directory that the others find by its name. Everybody holds a shared lock on one file while
//! she uses it; a watchdog process stops the server when nobody has for some seconds. The lock ends with its process, however
//! that ends, so that nothing is left behind.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::time::sleep;

use crate::testkit::installation::Installation;
use crate::testkit::server::{connect, free_port, log};

/// How many times 10 ms a start may take on a busy machine.
const START_POLLS: u32 = 6_000;

/// Held for the life of the process.
static USE: OnceLock<(File, String)> = OnceLock::new();

/// Stops the server that runs in the directory `$1` as soon as nobody has used it for five seconds. `turn` is the lock of whoever starts a
/// server: with it in hand, nobody can come between the last look and the end.
const WATCHDOG: &str = r#"
while sleep 5; do
  exec 9<"$1/turn" || exit 0
  flock 9
  if flock --exclusive --nonblock "$1/use" true; then
    kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" && rm -rf "$1/data" "$1/url"
    exit 0
  fi
  exec 9<&-
done
"#;

/// The URL of the server, which runs until this process has ended.
pub(super) async fn url() -> String {
    if let Some((_, url)) = USE.get() {
        return url.clone();
    }
    let (lock, url) = tokio::task::spawn_blocking(join).await.expect("no panic");
    let url = match url {
        Some(url) if connect(&url).await.is_ok() => url,
        _ => start(&lock).await,
    };
    USE.get_or_init(|| (lock.used, url)).1.clone()
}

/// The turn, which ends when it is dropped, and the use.
struct Joined {
    _turn: File,
    used: File,
    home: PathBuf,
}

/// Waits for the turn, registers the use, and reads where the server is, if one was started.
fn join() -> (Joined, Option<String>) {
    let home = std::env::temp_dir().join(format!("authkit-test-postgres-{}", rustix::process::geteuid().as_raw()));
    let made = DirBuilder::new().mode(0o711).recursive(true).create(&home);
    made.unwrap_or_else(|error| panic!("{}: {error}", home.display()));
    // SECURITY: /tmp is everybody's: a directory that somebody else has put there is not used.
    let owner = fs::metadata(&home).expect("our own directory").uid();
    // Root has given it to the user as whom the server runs.
    let us = rustix::process::geteuid();
    assert!(owner == us.as_raw() || us.is_root(), "{} belongs to somebody else", home.display());
    let open = |name: &str| {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(home.join(name));
        file.unwrap_or_else(|error| panic!("{}: {error}", home.join(name).display()))
    };
    let turn = open("turn");
    turn.lock().expect("a lock");
    let used = open("use");
    used.lock_shared().expect("a lock");
    let url = fs::read_to_string(home.join("url")).ok();
    (Joined { _turn: turn, used, home }, url)
}

/// Starts a server and its watchdog. The turn is ours.
#[expect(clippy::zombie_processes, reason = "the server outlives this process: the watchdog ends it")]
async fn start(joined: &Joined) -> String {
    let home = &joined.home;
    let installation = Installation::find();
    // What is left of one that was killed.
    drop(fs::remove_dir_all(home.join("data")));
    drop(fs::remove_file(home.join("log")));
    installation.initialise(home);
    // The server's user owns the directory now; its files are still ours to make.
    fs::set_permissions(home, fs::Permissions::from_mode(0o711)).expect("our own directory");
    for _ in 0..5 {
        let port = free_port();
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
        // A group of its own: what stops the tests (Ctrl-C, a time limit) leaves it to the watchdog.
        let mut child = installation.serve(home, port).process_group(0).spawn().expect("postgres runs");
        for _ in 0..START_POLLS {
            if connect(&url).await.is_ok() {
                fs::write(home.join("url"), &url).expect("a file of ours");
                watch(home);
                return url;
            }
            if child.try_wait().expect("our own child").is_some() {
                break;
            }
            sleep(std::time::Duration::from_millis(10)).await;
        }
        drop(child.kill());
        drop(child.wait());
    }
    panic!("PostgreSQL did not start; its log:\n{}", log(home));
}

#[expect(clippy::zombie_processes, reason = "the watchdog outlives this process and ends by itself")]
fn watch(home: &Path) {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", WATCHDOG, "watchdog"]).arg(home).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a shell");
}
