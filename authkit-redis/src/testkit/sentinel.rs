//! A master, its replica, and a sentinel that watches them.

use tokio::time::sleep;

use super::server::arguments;
use super::{POLL, RedisServer, START_POLLS};

/// What the sentinel calls them.
const SERVICE: &str = "main";

/// Three processes: when the master dies, the sentinel makes the replica the master, within about two seconds.
#[derive(Debug)]
pub struct RedisSentinel {
    master: RedisServer,
    _replica: RedisServer,
    sentinel: RedisServer,
}

impl RedisSentinel {
    /// Starts them, and waits until the sentinel knows the replica.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start() -> Self {
        let (master, sentinel) = tokio::join!(RedisServer::start(), RedisServer::start_with(None, arguments(&["--sentinel"])));
        master.configure("repl-diskless-sync-delay", "0").await;
        let port = master.port().to_string();
        let replica = RedisServer::start_with(None, arguments(&["--replicaof", "127.0.0.1", &port])).await;
        let servers = Self { master, _replica: replica, sentinel };
        let settings = [("down-after-milliseconds", "500"), ("failover-timeout", "2000")];
        servers.ask(&["MONITOR", SERVICE, "127.0.0.1", &port, "1"]).await;
        for (name, value) in settings {
            servers.ask(&["SET", SERVICE, name, value]).await;
        }
        for _ in 0..START_POLLS {
            if servers.knows_replica().await {
                return servers;
            }
            sleep(POLL).await;
        }
        panic!("the sentinel does not find the replica");
    }

    /// The URL that names the sentinel and its service.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{SERVICE}", self.sentinel.port())
    }

    /// Kills the server that was the master in the beginning.
    pub fn kill_master(&mut self) {
        self.master.kill();
    }

    async fn knows_replica(&self) -> bool {
        let shown = format!("{:?}", self.ask(&["REPLICAS", SERVICE]).await);
        shown.contains("slave-repl-offset") && shown.contains("\"ok\"") && !shown.contains("disconnected")
    }

    async fn ask(&self, words: &[&str]) -> redis::Value {
        let mut connection = self.sentinel.connect().await.expect("the sentinel answers");
        redis::cmd("SENTINEL").arg(words).query_async(&mut connection).await.expect("a sentinel's command")
    }
}
