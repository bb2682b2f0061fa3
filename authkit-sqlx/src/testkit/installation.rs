//! Where PostgreSQL is installed, and as whom it runs.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian keeps each version's binaries, which are not on the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The binaries of one version, and the user who may run them.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root: then this user and group do.
    user: Option<(u32, u32)>,
}

impl Installation {
    /// The newest version.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn find() -> Self {
        let number = |version: &Path| version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let versions = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<_> = versions.filter_map(|path| Some((number(&path)?, path.join("bin")))).collect();
        found.retain(|(_, bin)| bin.join("initdb").exists());
        found.sort();
        let bin = found.pop().map(|(_, bin)| bin).or_else(on_the_path);
        let bin = bin.expect("there is no PostgreSQL: apt-get install postgresql, or name a server in AUTHKIT_TEST_DATABASE_URL");
        Self { bin, user: rustix::process::geteuid().is_root().then(unprivileged) }
    }

    /// A program of PostgreSQL, without any settings of the environment's.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes an empty cluster in `home`: its data in `data`, its log in `log`. The files are synced to no disk.
    pub(super) fn initialise(&self, home: &Path) {
        if let Some((user, group)) = self.user {
            chown(home, Some(user), Some(group)).expect("root gives a directory away");
        }
        let mut command = self.command("initdb");
        command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        let ended = command.arg(home.join("data")).stderr(Stdio::piped()).output().expect("initdb runs");
        assert!(ended.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// The command that serves the cluster in `home` on a port.
    pub(super) fn serve(&self, home: &Path, port: u16) -> Command {
        let log = fs::OpenOptions::new().create(true).append(true).open(home.join("log")).expect("a log file");
        let mut command = self.command("postgres");
        command.arg("-D").arg(home.join("data")).arg("-k").arg(home);
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
        // What matters to a test is what survives a process, not a power cut; the rest is as it comes.
        command.args(["-c", "fsync=off", "-c", "shared_buffers=64MB", "-c", "max_wal_size=2GB"]);
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        command
    }
}

/// A program of the installed PostgreSQL (`pgbench`, `psql`), as a user that is not root, without any settings of the
/// environment's, and with nothing to read or to write to.
///
/// # Panics
/// When there is no PostgreSQL.
#[must_use]
pub fn program(name: &str) -> Command {
    Installation::find().command(name)
}

fn on_the_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// The user `postgres` of the package, or `nobody`.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let find = |name: &str| {
        let fields: Vec<&str> = users.lines().map(|line| line.split(':').collect()).find(|fields: &Vec<_>| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).expect("a user who is not root")
}
