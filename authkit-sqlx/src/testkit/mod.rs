//! PostgreSQL for tests: a private server from the installed binaries, and databases of a test's own.
//!
//! Nothing is skipped where PostgreSQL is missing: the panic says what to install.

mod database;
mod installation;
mod sent;
mod server;
mod shared;

pub use database::TestDatabase;
pub use installation::program;
pub use sent::SentStatement;
pub use server::PgServer;

/// Names an existing server to use instead of a private one: `postgresql://user:password@host:port/database`. Tests that stop
/// their server start a private one all the same.
pub const DATABASE_URL: &str = "AUTHKIT_TEST_DATABASE_URL";
