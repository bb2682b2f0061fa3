//! How a connection is opened.

use std::path::Path;
use std::time::Duration;

use authkit_core::ports::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::sqlite::execute::{self, patiently};
use crate::sqlite::options::SqliteOptions;

/// How long SQLite itself waits for a lock before it says so. Its own wait grows to 100 ms between two looks, and a busy
/// writer of another process leaves the lock free for microseconds only: many short waits find the gap, one long misses it.
pub(super) const LOCK_PROBE: Duration = Duration::from_millis(10);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteOpenError {
    /// The file could not be made or opened: its directory is missing, or the permission is.
    #[error("the database file cannot be opened")]
    File(#[source] std::io::Error),
    /// The database does not answer, or the file is no database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the file if it is missing.
// SECURITY: the file holds addresses and password hashes, and SQLite would make it under the process's umask. The files
// that SQLite puts beside it (-wal, -shm) take over its mode.
pub(super) async fn ensure_file(path: &Path) -> Result<(), SqliteOpenError> {
    let path = path.to_owned();
    let open = move || {
        let mut options = std::fs::OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => std::fs::metadata(&path).map(drop),
            other => other.map(drop),
        }
    };
    let made = tokio::task::spawn_blocking(open).await.map_err(StoreError::unavailable)?;
    made.map_err(SqliteOpenError::File)
}

fn base(options: &SqliteOptions) -> SqliteConnectOptions {
    // An absolute path, because SQLite reads `file:…` as a URI and `:memory:` as no file at all.
    let path = std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone());
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        // A schema is data too: it may not call functions that a tampered file has put into it.
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

/// A connection that reads. It may wait for the recovery of the log after a crash, and for nothing else.
pub(super) async fn reader(options: &SqliteOptions) -> Result<SqliteConnection, sqlx::Error> {
    base(options)
        .read_only(true)
        .busy_timeout(options.lock_timeout)
        .thread_name(|id| format!("authkit-read-{id}"))
        .connect()
        .await
}

/// The connection that writes, in WAL mode.
pub(super) async fn writer(options: &SqliteOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connect = base(options)
        .busy_timeout(LOCK_PROBE)
        // What is deleted is overwritten where that costs no extra write: a closed account leaves no address in a free cell.
        .pragma("secure_delete", "FAST")
        // After a checkpoint the log shrinks back to 64 MiB, whatever a burst made of it.
        .pragma("journal_size_limit", "67108864")
        .thread_name(|id| format!("authkit-write-{id}"));
    if let Some(pages) = options.max_pages {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    #[cfg(test)]
    if options.query_only {
        connect = connect.pragma("query_only", "ON");
    }
    // The first nodes of a fresh file get into each other's way here, settings included.
    patiently!(options.lock_timeout, enter_wal(&connect).await)
}

/// Connects, and puts the file into WAL mode, once for its life. The change needs the file alone, and SQLite does not wait
/// for that.
async fn enter_wal(connect: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = connect.connect().await?;
    execute::rows(&mut connection, "PRAGMA journal_mode = WAL", &[]).await?;
    Ok(connection)
}
