//! A database of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::PgConnection;

use crate::postgres::PgOptions;
use crate::testkit::server::connect;
use crate::testkit::{DATABASE_URL, PgServer, shared};

/// A schema that no other test uses, on the server that all tests share, or on the one that `AUTHKIT_TEST_DATABASE_URL` names.
///
/// Nothing is removed afterwards: the shared server's files go away with it.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: String,
    schema: String,
}

impl TestDatabase {
    /// A fresh one.
    ///
    /// # Panics
    /// When there is no PostgreSQL.
    pub async fn fresh() -> Self {
        let url = match std::env::var(DATABASE_URL) {
            Ok(url) => url,
            Err(_) => shared::url().await,
        };
        Self::on(url)
    }

    /// A fresh one on a server of the test's own.
    #[must_use]
    pub fn of(server: &PgServer) -> Self {
        Self::on(server.url())
    }

    fn on(url: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A process id comes back, but not within the life of the shared server; an existing one may have seen it before.
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let unique = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{process} {number} {:?}", started()).as_bytes());
        Self { url, schema: format!("authkit_{}", unique.simple()) }
    }

    /// The URL of the database, without the schema.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// How a store opens it.
    ///
    /// # Panics
    /// When `AUTHKIT_TEST_DATABASE_URL` is no URL of a database.
    pub fn options(&self) -> PgOptions {
        let options: PgOptions = self.url.parse().unwrap_or_else(|error| panic!("{DATABASE_URL}: {error}"));
        options.schema(&self.schema).expect("the name that was just made")
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await.unwrap_or_else(|error| panic!("no connection to the test database: {error}"))
    }
}

/// When this process began to ask, which tells it from one that had its number before.
#[expect(clippy::disallowed_methods, reason = "names a schema apart from those of earlier test runs")]
fn started() -> std::time::SystemTime {
    static STARTED: std::sync::OnceLock<std::time::SystemTime> = std::sync::OnceLock::new();
    *STARTED.get_or_init(std::time::SystemTime::now)
}
