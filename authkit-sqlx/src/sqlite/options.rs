//! Where the database is, and how it is used.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::mutant::Mutation;

/// A URL that does not name a SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteUrlError {
    /// It has another form.
    #[error("a SQLite database is named by sqlite://path/to/file.db")]
    Malformed,
    /// It has parameters; every option has a method of [`SqliteOptions`] or a setting of the server instead.
    #[error("the URL of a SQLite database takes no parameters")]
    Parameters,
    /// It names a database in memory, which its connections could not share.
    #[error("a SQLite database needs a file; for one that is forgotten, use the in-memory store")]
    InMemory,
}

/// Where a SQLite database is, and how it is used.
///
/// ```
/// use authkit_sqlx::SqliteOptions;
///
/// let options = SqliteOptions::new("authkit-data/authkit.db").readers(2);
/// let same_file: SqliteOptions = "sqlite://authkit-data/authkit.db".parse()?;
/// assert_eq!(options.path(), same_file.path());
/// # Ok::<(), authkit_sqlx::SqliteUrlError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(super) path: PathBuf,
    pub(super) readers: u32,
    pub(super) acquire_timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) operation_timeout: Duration,
    pub(super) queue: usize,
    pub(super) max_pages: Option<u32>,
    pub(super) mutation: Mutation,
    #[cfg(test)]
    pub(super) query_only: bool,
}

impl SqliteOptions {
    /// The database in a file. The file is made if it is missing, readable by its owner alone; its directory must exist.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            readers: 4,
            acquire_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(8),
            queue: 1_024,
            max_pages: None,
            mutation: Mutation::NONE,
            #[cfg(test)]
            query_only: false,
        }
    }

    /// How many connections read beside the one that writes, at least one. Default: 4, since a read takes microseconds and
    /// each connection is a thread with up to 2 MB of cache.
    pub const fn readers(mut self, connections: u32) -> Self {
        self.readers = if connections == 0 { 1 } else { connections };
        self
    }

    /// How long a read waits for a free connection. Default: 2 s, so that an overload is answered and not piled up.
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a write waits for another process to let go of the database. Default: 5 s.
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How long a read or a write may take in all, its wait in the queue included, before the store counts as unavailable.
    /// Default: 8 s, more than the wait for a lock and less than the patience of a client.
    pub const fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How many pages (of 4096 bytes) the file may have; a write beyond that finds the storage full. Default: no bound.
    pub const fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Breaks the store on purpose, to show that the contract notices.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub const fn mutant(mut self, mutant: crate::mutant::Mutant) -> Self {
        self.mutation = Mutation::of(mutant);
        self
    }
}

impl FromStr for SqliteOptions {
    type Err = SqliteUrlError;

    /// Reads `sqlite://path` or `sqlite:path`. The path is taken as it stands, without decoding; `sqlite:///path` is absolute.
    fn from_str(url: &str) -> Result<Self, SqliteUrlError> {
        let rest = url.strip_prefix("sqlite:").ok_or(SqliteUrlError::Malformed)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path == ":memory:" {
            return Err(SqliteUrlError::InMemory);
        }
        if path.contains('?') {
            return Err(SqliteUrlError::Parameters);
        }
        if path.is_empty() || path.contains('\0') || path.ends_with('/') {
            return Err(SqliteUrlError::Malformed);
        }
        Ok(Self::new(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        for (url, path) in
            [("sqlite://a/b.db", "a/b.db"), ("sqlite:b.db", "b.db"), ("sqlite:///var/lib/a b.db", "/var/lib/a b.db")]
        {
            assert_eq!(url.parse::<SqliteOptions>().expect("a file").path(), Path::new(path), "{url}");
        }
    }

    #[test]
    fn a_url_of_something_else_is_refused() {
        let error = |url: &str| url.parse::<SqliteOptions>().err();
        for url in ["", "postgresql://host/db", "sqlite:", "sqlite://", "sqlite://dir/", "sqlite://a\0b", "/tmp/a.db"] {
            assert_eq!(error(url), Some(SqliteUrlError::Malformed), "{url:?}");
        }
        assert_eq!(error("sqlite::memory:"), Some(SqliteUrlError::InMemory));
        assert_eq!(error("sqlite://a.db?mode=rwc"), Some(SqliteUrlError::Parameters));
    }
}
