//! The data directory: the SQLite file, and the master key that seals what is in it.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use authkit_core::embedded::{MasterKeyFile, MasterKeyFileError};

/// Why the data directory or its master key cannot be used. Names paths, never keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// It can be neither opened nor made.
    #[error("the data directory {} cannot be used: {source}; set AUTHKIT_DATA_DIR to a directory that this user may write", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the master key cannot be used.
    #[error(transparent)]
    Key(#[from] MasterKeyFileError),
}

/// An opened data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// The name of the master key's file.
    pub const KEY_FILE: &str = "master.key";

    /// Opens the directory, and makes it for this user alone when it is missing.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Directory { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() { Ok(Self { path: path.to_owned() }) } else { Err(failed(ErrorKind::NotADirectory.into())) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where mails are written that no SMTP server takes.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.path.join("outbox")
    }

    /// The file of the master key, whether it exists or not.
    #[must_use]
    pub fn key_file(&self) -> MasterKeyFile {
        MasterKeyFile::new(self.path.join(Self::KEY_FILE))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("a/b")).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(dir.key_file().load().unwrap().is_none(), "opening it makes no key");
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Directory { .. })));
    }
}
