//! Breached passwords from files on this machine: nothing leaves it, and no memory is taken however long the list is.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::ports::{BreachDigest, BreachList, BreachListError};

/// Bytes of a line of the list that are ever read: 40 digits, a colon, a count, the end.
const LINE_BYTES: usize = 80;
/// The most bytes of one range file; those of Have I Been Pwned have about 40 KiB.
const RANGE_BYTES: u64 = 4 * 1_024 * 1_024;

/// A list of breached passwords in files, as the downloader of Have I Been Pwned makes them: one file of `SHA-1:count` lines
/// ordered by hash, which is searched by halves, or a folder with one file for each prefix of five digits (`5BAA6.txt` or
/// `5BAA6`), each with `suffix:count` lines.
#[derive(Debug)]
pub struct FileBreachList {
    path: PathBuf,
    is_folder: bool,
}

impl FileBreachList {
    /// Takes a file or a folder, and looks whether it is one.
    ///
    /// # Errors
    /// What the file system says; `InvalidData` when the first line of a file is not one of such a list.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let is_folder = fs::metadata(&path)?.is_dir();
        if !is_folder {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            if line_from(&mut file, 0, length)?.is_none() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, NotOrdered));
            }
        }
        Ok(Self { path, is_folder })
    }
}

#[async_trait]
impl BreachList for FileBreachList {
    async fn times_seen(&self, digest: &BreachDigest) -> Result<u64, BreachListError> {
        let (path, is_folder, digest) = (self.path.clone(), self.is_folder, digest.clone());
        // A few reads of a file: not on a thread that others wait for.
        let looked_up = tokio::task::spawn_blocking(move || {
            if is_folder { in_folder(&path, &digest) } else { in_file(&path, digest.hex()).map_err(BreachListError::new) }
        });
        looked_up.await.map_err(BreachListError::new)?
    }
}

/// The file is not one.
#[derive(Debug, thiserror::Error)]
#[error("not a list of SHA-1:count lines in the order of the hashes")]
struct NotOrdered;

fn in_folder(folder: &Path, digest: &BreachDigest) -> Result<u64, BreachListError> {
    let prefix = digest.prefix();
    let open = |name: String| File::open(folder.join(name));
    let file = open(format!("{prefix}.txt")).or_else(|_| open(prefix.to_owned())).or_else(|_| open(prefix.to_lowercase()));
    let mut text = String::new();
    // Every prefix has a range: one that is missing is a download that did not end.
    let read = file.and_then(|file| file.take(RANGE_BYTES + 1).read_to_string(&mut text)).map_err(BreachListError::new)?;
    if read as u64 > RANGE_BYTES {
        return Err(BreachListError::new(NotOrdered));
    }
    digest.times_in(&text)
}

/// A line of the list: its hash in upper case, its count, and where the next one begins.
struct Line {
    hash: [u8; 40],
    count: u64,
    end: u64,
}

/// Searches the file by halves: some 35 reads for a billion lines.
fn in_file(path: &Path, wanted: &str) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // INVARIANT: a line that begins before `low` is less than what is wanted, one that begins at `high` or behind is greater.
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        let begin = line_begin(&mut file, middle, low)?;
        let line = line_from(&mut file, begin, length)?.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NotOrdered))?;
        match line.hash.as_slice().cmp(wanted.as_bytes()) {
            std::cmp::Ordering::Equal => return Ok(line.count),
            std::cmp::Ordering::Less => low = line.end,
            std::cmp::Ordering::Greater => high = begin,
        }
    }
    Ok(0)
}

/// Where the line begins in which `at` lies; not before `low`.
fn line_begin(file: &mut File, at: u64, low: u64) -> io::Result<u64> {
    let from = at.saturating_sub(LINE_BYTES as u64).max(low);
    let mut before = vec![0; usize::try_from(at - from).unwrap_or(LINE_BYTES)];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut before)?;
    match before.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => Ok(from + end as u64 + 1),
        None if from == low => Ok(low),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, NotOrdered)),
    }
}

fn line_from(file: &mut File, begin: u64, length: u64) -> io::Result<Option<Line>> {
    let mut bytes = vec![0; LINE_BYTES.min(usize::try_from(length - begin).unwrap_or(LINE_BYTES))];
    file.seek(SeekFrom::Start(begin))?;
    file.read_exact(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    let Some((hash, count)) = std::str::from_utf8(&bytes[..end]).ok().and_then(|line| line.trim_end().split_once(':')) else {
        return Ok(None);
    };
    let upper = hash.to_ascii_uppercase();
    let hash = upper.as_bytes().try_into().ok().filter(|hash: &[u8; 40]| hash.iter().all(u8::is_ascii_hexdigit));
    Ok(hash.zip(count.parse().ok()).map(|(hash, count)| Line { hash, count, end: begin + end as u64 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::Password;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("authkit-breach-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn digest(text: &str) -> BreachDigest {
        BreachDigest::of(&Password::parse(text).unwrap())
    }

    #[tokio::test]
    async fn every_line_of_an_ordered_file_is_found_and_nothing_between() {
        let folder = Folder::new("ordered");
        for (size, end) in [(1, "\n"), (2, "\r\n"), (3, "\n"), (500, "\r\n"), (501, "\n")] {
            let mut lines: Vec<String> = (0..size)
                .map(|n| format!("{}:{}", digest(&format!("word {n}")).hex(), 10_u64.pow(n % 12) + u64::from(n)))
                .collect();
            lines.sort();
            for last in [end, ""] {
                let path = folder.file("list.txt", &format!("{}{last}", lines.join(end)));
                let list = FileBreachList::open(&path).unwrap();
                for n in 0..size {
                    let times = list.times_seen(&digest(&format!("word {n}"))).await.unwrap();
                    assert_eq!(times, 10_u64.pow(n % 12) + u64::from(n), "{n} of {size}");
                    assert_eq!(list.times_seen(&digest(&format!("other {n}"))).await.unwrap(), 0);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_folder_of_ranges_is_asked_by_prefix_and_a_missing_range_is_no_answer() {
        let folder = Folder::new("ranges");
        let seen = digest("password");
        folder.file(&format!("{}.txt", seen.prefix()), &format!("{}:42\r\n", seen.suffix()));
        let list = FileBreachList::open(&folder.0).unwrap();
        assert_eq!(list.times_seen(&seen).await.unwrap(), 42);
        assert!(list.times_seen(&digest("elsewhere")).await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_list_is_refused() {
        let folder = Folder::new("garbage");
        for text in ["", "<html>", "password\n", "5BAA6:1\n", &"x".repeat(10_000)] {
            assert!(FileBreachList::open(folder.file("list.txt", text)).is_err(), "{text:.10}");
        }
        assert!(FileBreachList::open(folder.0.join("absent")).is_err());
        // Sound at the beginning only: said when it is asked, never taken for "not seen".
        let path = folder.file("list.txt", &format!("{}:1\n{}", digest("a").hex(), "x".repeat(10_000)));
        assert!(FileBreachList::open(path).unwrap().times_seen(&digest("b")).await.is_err());
    }
}
