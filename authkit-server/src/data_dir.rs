//! The data directory: the SQLite file, and the master key that seals what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use authkit_core::embedded::MasterKey;
use authkit_core::model::KeyId;
use authkit_core::{Clock, Entropy};

use crate::settings::master_keys::{self, MasterKeysError};

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
    /// The file of the master key can be neither read nor made.
    #[error("the master key file {} cannot be used: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read or change the master key.
    #[error(
        "the master key file {} has mode {mode:04o}, so that other users may reach it; run `chmod 600` on it, \
         or hand the key in as AUTHKIT_MASTER_KEYS",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold master keys.
    #[error("the master key file {} is damaged: {source}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MasterKeysError,
    },
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

    /// The file of the master key, whether it exists or not.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.path.join(Self::KEY_FILE)
    }

    /// The master keys of the directory, newest first; `None` when none was ever generated here.
    ///
    /// # Security
    /// A file that others may read or write is refused: what it seals could be opened, or the key exchanged.
    pub fn stored_master_keys(&self) -> Result<Option<Vec<MasterKey>>, DataDirError> {
        read_keys(&self.key_file())
    }

    /// The master keys of the directory; one is generated when there is none.
    ///
    /// Of several processes that start at once, one makes the key and all use it: the finished file gets its name by a hard
    /// link, which fails when the name is taken, so a half-written key is never seen and a key is never replaced.
    pub fn master_keys(&self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Vec<MasterKey>, DataDirError> {
        let path = self.key_file();
        if let Some(keys) = read_keys(&path)? {
            return Ok(keys);
        }
        let failed = |source| DataDirError::KeyFile { path: path.clone(), source };
        let key = MasterKey::generate(new_key_id(clock, entropy), entropy);
        let unfinished = self.path.join(format!(".{}.{}.new", Self::KEY_FILE, key.id()));
        let published = write_new(&unfinished, &format!("{}\n", key.to_text())).and_then(|()| fs::hard_link(&unfinished, &path));
        // Whether it was published or not, its first name has done its work.
        let removed = fs::remove_file(&unfinished);
        match published {
            Ok(()) => removed.and_then(|()| File::open(&self.path)?.sync_all()).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Read back what is there: the rival's key when there was one, and a check of one's own.
        read_keys(&path)?.ok_or_else(|| failed(ErrorKind::NotFound.into()))
    }
}

/// A name for a new master key: the day it was made, and enough randomness that two of one day differ.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the name is made of characters that a key id may have")]
pub fn new_key_id(clock: &dyn Clock, entropy: &dyn Entropy) -> KeyId {
    let mut suffix = [0_u8; 4];
    entropy.fill(&mut suffix);
    let day: String = clock.now().to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    KeyId::parse(&format!("mk-{day}-{:08x}", u32::from_be_bytes(suffix))).expect("letters, digits and hyphens")
}

fn read_keys(path: &Path) -> Result<Option<Vec<MasterKey>>, DataDirError> {
    let failed = |source| DataDirError::KeyFile { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The permissions of the file that was opened, not of whatever has its name a moment later.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    master_keys::parse(&text).map(Some).map_err(|source| DataDirError::Damaged { path: path.to_owned(), source })
}

/// Writes a file that must not exist yet, for this user alone, down to the disk.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkit_core::{OsEntropy, SystemClock};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn keys(dir: &DataDir) -> Result<Vec<String>, DataDirError> {
        Ok(dir.master_keys(&SystemClock, &OsEntropy)?.iter().map(MasterKey::to_text).collect())
    }

    #[test]
    fn a_generated_key_is_private_and_stays_the_same() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("a/b")).unwrap();
        assert!(dir.stored_master_keys().unwrap().is_none());
        let first = keys(&dir).unwrap();
        assert_eq!((first.len(), &first), (1, &keys(&DataDir::open(dir.path()).unwrap()).unwrap()));
        assert_eq!((mode(dir.path()), mode(&dir.key_file())), (0o700, 0o600));
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["master.key"], "nothing unfinished stays behind");
    }

    #[test]
    fn processes_that_race_end_with_one_key() {
        for _ in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            let dir = DataDir::open(parent.path()).unwrap();
            let seen: Vec<_> = std::thread::scope(|scope| {
                let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| keys(&dir).unwrap())).collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            assert!(seen.iter().all(|keys| *keys == seen[0]));
        }
    }

    #[test]
    fn a_key_that_others_may_reach_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        keys(&dir).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(dir.key_file(), fs::Permissions::from_mode(mode)).unwrap();
            let error = keys(&dir).unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_key_is_refused_never_replaced_and_never_shown() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        let key = keys(&dir).unwrap().remove(0);
        let secret = key.split_once(':').unwrap().1;
        for damaged in ["", "\n", &key[..key.len() - 3], &format!("{key},"), secret] {
            fs::write(dir.key_file(), damaged).unwrap();
            let error = keys(&dir).unwrap_err();
            assert!(matches!(error, DataDirError::Damaged { .. }), "{damaged:?}");
            assert!(!format!("{error} {error:?}").contains(&secret[..12]));
            assert_eq!(fs::read_to_string(dir.key_file()).unwrap(), damaged);
        }
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Directory { .. })));
    }
}
