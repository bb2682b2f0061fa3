//! Master keys in a file: what a host without a key management service has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::embedded::local_custody::{LocalKeyCustody, MasterKey};
use crate::embedded::master_key_list::MasterKeysError;
use crate::model::KeyId;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Clock, Entropy, OsEntropy, SystemClock};

/// Why the file of the master keys cannot be used. Names paths, never keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyFileError {
    /// It can be neither read nor made.
    #[error("the master key file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read or change it.
    #[error("the master key file {} has mode {mode:04o}, so that other users may reach it; run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold master keys.
    #[error("the master key file {} is damaged: {source}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MasterKeysError,
    },
}

/// A file with master keys, the newest first, as [`MasterKey::parse_list`] reads them.
///
/// # Security
/// Keep it apart from the database and its backups: who has both can open everything. A file that others may read or write is
/// refused on Unix, because what it seals could be opened, or the key exchanged.
#[derive(Debug, Clone)]
pub struct MasterKeyFile {
    path: PathBuf,
}

impl MasterKeyFile {
    /// The file at `path`, whether it exists or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in it, newest first; `None` when there is no such file.
    pub fn load(&self) -> Result<Option<Vec<MasterKey>>, MasterKeyFileError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        // The permissions of the file that was opened, not of whatever has its name a moment later.
        if let Some(mode) = exposed(&file).map_err(|error| self.failed(error))? {
            return Err(MasterKeyFileError::Exposed { path: self.path.clone(), mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.failed(error))?;
        MasterKey::parse_list(&text).map(Some).map_err(|source| MasterKeyFileError::Damaged { path: self.path.clone(), source })
    }

    /// The keys in it; one is generated when there is no such file.
    ///
    /// Of several processes that start at once, one makes the key and all use it: the finished file gets its name by a hard
    /// link, which fails when the name is taken, so a half-written key is never seen and a key is never replaced.
    pub fn load_or_create(&self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Vec<MasterKey>, MasterKeyFileError> {
        if let Some(keys) = self.load()? {
            return Ok(keys);
        }
        let key = MasterKey::generate_dated(clock, entropy);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = self.path.with_file_name(format!(".{name}.{}.new", key.id()));
        let published =
            write_new(&unfinished, &format!("{}\n", key.to_text())).and_then(|()| fs::hard_link(&unfinished, &self.path));
        // Whether it was published or not, its first name has done its work.
        let removed = fs::remove_file(&unfinished);
        match published {
            Ok(()) => removed.and_then(|()| sync_directory(&self.path)).map_err(|error| self.failed(error))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.failed(error)),
        }
        // Read back what is there: the rival's key when there was one, and a check of one's own.
        self.load()?.ok_or_else(|| self.failed(ErrorKind::NotFound.into()))
    }

    fn failed(&self, source: io::Error) -> MasterKeyFileError {
        MasterKeyFileError::File { path: self.path.clone(), source }
    }
}

impl MasterKey {
    /// Draws a key, named for the day it was made and with enough randomness that two of one day differ.
    #[must_use]
    pub fn generate_dated(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let day: String = clock.now().to_string().chars().take(10).filter(char::is_ascii_digit).collect();
        let suffix = u32::from_be_bytes(random_bytes::<4>(entropy));
        Self::generate(KeyId::constant(&format!("mk-{day}-{suffix:08x}")), entropy)
    }
}

impl LocalKeyCustody {
    /// Seals with the keys of a file, which is made with a fresh key when it does not exist. The whole of it for an embedder.
    pub fn in_file(path: impl Into<PathBuf>) -> Result<Self, MasterKeyFileError> {
        let keys = MasterKeyFile::new(path).load_or_create(&SystemClock, &OsEntropy)?;
        Ok(Self::of_checked(keys, Arc::new(OsEntropy)))
    }
}

/// The permission bits of a file that others than its owner may reach.
#[cfg(unix)]
fn exposed(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

#[cfg(not(unix))]
fn exposed(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// Writes a file that must not exist yet, for this user alone, down to the disk.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A new name is on the disk when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("authkit-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }

        fn file(&self) -> MasterKeyFile {
            MasterKeyFile::new(self.0.join("master.key"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn keys(file: &MasterKeyFile) -> Result<Vec<String>, MasterKeyFileError> {
        Ok(file.load_or_create(&SystemClock, &OsEntropy)?.iter().map(MasterKey::to_text).collect())
    }

    #[test]
    fn a_generated_key_is_private_and_stays_the_same() {
        let folder = Folder::new("private");
        let file = folder.file();
        assert!(file.load().expect("reads").is_none());
        let first = keys(&file).expect("makes one");
        assert_eq!((first.len(), &first), (1, &keys(&file).expect("reads it")));
        assert_eq!(fs::metadata(file.path()).expect("is there").permissions().mode() & 0o777, 0o600);
        let files: Vec<_> = fs::read_dir(&folder.0).expect("reads").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(files, ["master.key"], "nothing unfinished stays behind");
    }

    #[test]
    fn processes_that_race_end_with_one_key() {
        for _ in 0..20 {
            let folder = Folder::new("race");
            let file = folder.file();
            let seen: Vec<_> = std::thread::scope(|scope| {
                let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| keys(&file).expect("one key"))).collect();
                racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
            });
            assert!(seen.iter().all(|keys| *keys == seen[0]));
        }
    }

    #[test]
    fn a_key_that_others_may_reach_is_refused() {
        let folder = Folder::new("exposed");
        let file = folder.file();
        keys(&file).expect("makes one");
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("is ours");
            let error = keys(&file).expect_err("refused").to_string();
            assert!(error.contains(&format!("{mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_key_is_refused_never_replaced_and_never_shown() {
        let folder = Folder::new("damaged");
        let file = folder.file();
        let key = keys(&file).expect("makes one").remove(0);
        let secret = key.split_once(':').expect("id and secret").1;
        for damaged in ["", "\n", &key[..key.len() - 3], &format!("{key},"), secret] {
            fs::write(file.path(), damaged).expect("is ours");
            let error = keys(&file).expect_err("refused");
            assert!(matches!(error, MasterKeyFileError::Damaged { .. }), "{damaged:?}");
            assert!(!format!("{error} {error:?}").contains(&secret[..12]));
            assert_eq!(fs::read_to_string(file.path()).expect("is there"), damaged);
        }
    }
}
