//! HAProxy with the configuration that we ship.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::cluster::NODES;
use crate::support::free_address;

/// Where Debian keeps it, which is not on everybody's PATH.
const DEBIAN: &str = "/usr/sbin/haproxy";
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy.cfg");
const START_LIMIT: Duration = Duration::from_secs(30);

/// A process that balances over the nodes of a cluster. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct HaProxy {
    child: Child,
    address: SocketAddr,
    home: TempDir,
}

impl HaProxy {
    /// Starts it in front of nodes. A test that needs HAProxy is never skipped.
    pub(crate) async fn start(nodes: [SocketAddr; NODES]) -> Self {
        let program = if Path::new(DEBIAN).exists() { DEBIAN } else { "haproxy" };
        let address = free_address();
        let mut command = Command::new(program);
        command.args(["-db", "-f", CONFIGURATION]).env_clear().env("AUTHKIT_BALANCER_LISTEN", address.to_string());
        for (index, node) in nodes.iter().enumerate() {
            command.env(format!("AUTHKIT_NODE_{}", index + 1), node.to_string());
        }
        let home = tempfile::Builder::new().prefix("authkit-haproxy-").tempdir().expect("a temporary directory");
        let log = File::create(home.path().join("log")).expect("a log file");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = spawned.expect("there is no haproxy: apt-get install haproxy");
        let mut started = Self { child, address, home };
        let listens = timeout(START_LIMIT, async {
            while TcpStream::connect(address).await.is_err() {
                let ended = started.child.try_wait().expect("our own child");
                assert!(ended.is_none(), "HAProxy does not start:\n{}", started.log());
                sleep(Duration::from_millis(10)).await;
            }
        });
        listens.await.expect("HAProxy listens");
        started
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
