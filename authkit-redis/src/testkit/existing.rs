//! A Redis that a test uses and leaves alone.

use std::env;

use super::RedisServer;

/// Names a Redis that is there already.
const VARIABLE: &str = "AUTHKIT_TEST_REDIS_URL";

/// The Redis that `AUTHKIT_TEST_REDIS_URL` names, or one of the test's own. A test that uses it does not kill, freeze or empty
/// it, and takes keys that nobody else takes.
#[derive(Debug)]
pub struct SomeRedis {
    url: String,
    _own: Option<RedisServer>,
}

impl SomeRedis {
    /// Finds or starts one.
    ///
    /// # Panics
    /// When none is named and none can be started.
    pub async fn find() -> Self {
        if let Ok(url) = env::var(VARIABLE) {
            return Self { url, _own: None };
        }
        let server = RedisServer::start().await;
        Self { url: server.url(), _own: Some(server) }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
