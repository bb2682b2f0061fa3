//! A file that JSON lines are appended to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};

use async_trait::async_trait;
use authkit_core::audit::{EventRecord, record};
use authkit_core::model::AuditEvent;
use authkit_core::ports::{AuditSink, AuditSinkError};

use crate::cli::OperationError;

/// How often a delivery begins anew because the file was moved away under it.
const ROTATIONS: usize = 3;

/// Appends every event as one line, and syncs before it says that it has.
#[derive(Debug)]
pub(super) struct FileSink {
    name: String,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    sync: bool,
    /// `None`: it is to be opened, and a line that was begun to be ended.
    file: Mutex<Option<File>>,
}

impl FileSink {
    /// Opens the file, and makes it for this user alone where it is missing.
    pub(super) fn open(name: String, path: PathBuf, sync: bool) -> Result<Self, OperationError> {
        let file = open(&path).map_err(|error| format!("AUTHKIT_AUDIT_STREAM: {} cannot be written: {error}", path.display()))?;
        Ok(Self { name, place: Arc::new(Place { path, sync, file: Mutex::new(Some(file)) }) })
    }
}

#[async_trait]
impl AuditSink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError> {
        let mut lines = String::with_capacity(events.len() * 512);
        for event in events {
            lines.push_str(&record::ascii_line(&EventRecord::from(event)));
            lines.push('\n');
        }
        let place = Arc::clone(&self.place);
        let written = tokio::task::spawn_blocking(move || place.append(lines.as_bytes())).await;
        written.map_err(AuditSinkError::new)?.map_err(AuditSinkError::new)
    }
}

impl Place {
    fn append(&self, lines: &[u8]) -> io::Result<()> {
        // A disk that hangs holds one thread, and not one more for each attempt.
        let mut slot = match self.file.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("the write before this one has not ended yet")),
        };
        for _ in 0..ROTATIONS {
            let mut file = match slot.take() {
                Some(file) if self.is_at(&file.metadata()?) => file,
                _ => open(&self.path)?,
            };
            let opened = file.metadata()?;
            file.write_all(lines)?;
            if self.sync && opened.is_file() {
                file.sync_data()?;
            }
            // Moved away while it was written to: whoever moved it may have read it already, or thrown it away.
            if self.is_at(&opened) {
                *slot = Some(file);
                return Ok(());
            }
        }
        Err(io::Error::other("the file is moved away again and again"))
    }

    /// Whether a file is still the one that has the name.
    fn is_at(&self, opened: &Metadata) -> bool {
        fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino()))
    }
}

/// Opens the file to append. A line that was begun and not finished, by a crash or on a full disk, is ended, so that the next one is
/// whole: it is a beginning of one that comes again.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // SECURITY: addresses and names are in it.
    options.append(true).create(true).mode(0o600);
    // A pipe can be written and not read.
    let mut file = options.clone().read(true).open(path).or_else(|_| options.open(path))?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use authkit_core::testkit::Fixtures;
    use serde_json::Value;

    use super::*;

    fn sink(path: &Path) -> FileSink {
        FileSink::open("file:test".to_owned(), path.to_owned(), true).expect("opens")
    }

    fn events(count: usize) -> Vec<AuditEvent> {
        let fixtures = Fixtures::new(1);
        (0..count).map(|_| fixtures.event(fixtures.user().id).with("reason", "Zoë\r\n\u{2028}{}")).collect()
    }

    fn ids(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).expect("reads");
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect(line)["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    fn expected(events: &[AuditEvent]) -> Vec<String> {
        events.iter().map(|event| event.id.to_string()).collect()
    }

    #[tokio::test]
    async fn a_line_an_event_for_the_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let sink = sink(&path);
        let mut events = events(30);
        let hostile = "\"}\n{\"kind\":\"event\",\"id\":\"forged\"}\u{2028}\u{85}\u{1b}[2J";
        events[3].details.insert(hostile.to_owned(), hostile.repeat(20_000));
        sink.deliver(&events).await.expect("writes");
        assert_eq!(ids(&path), expected(&events), "one line each, whatever is in it");
        assert!(fs::read(&path).expect("reads").iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte)));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_was_moved_or_emptied_loses_no_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, moved) = (directory.path().join("audit.jsonl"), directory.path().join("audit.jsonl.1"));
        let sink = sink(&path);
        let events = events(4);
        sink.deliver(&events[..1]).await.expect("writes");
        fs::rename(&path, &moved).expect("moves");
        sink.deliver(&events[1..2]).await.expect("writes");
        assert_eq!((ids(&moved), ids(&path)), (expected(&events[..1]), expected(&events[1..2])));
        // As logrotate does with `create`, and with `copytruncate`.
        fs::rename(&path, &moved).expect("moves");
        File::create(&path).expect("makes");
        sink.deliver(&events[2..3]).await.expect("writes");
        assert_eq!(ids(&path), expected(&events[2..3]));
        File::create(&path).expect("empties");
        sink.deliver(&events[3..]).await.expect("writes");
        assert_eq!(ids(&path), expected(&events[3..]));
        fs::remove_file(&path).expect("removes");
        sink.deliver(&events[3..]).await.expect("writes");
        assert_eq!(ids(&path), expected(&events[3..]));
    }

    #[tokio::test]
    async fn a_line_that_was_torn_is_ended() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        fs::write(&path, "{\"kind\":\"event\",\"id\":\"01").expect("writes");
        let sink = sink(&path);
        let events = events(1);
        sink.deliver(&events).await.expect("writes");
        let text = fs::read_to_string(&path).expect("reads");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains(&events[0].id.to_string()) && serde_json::from_str::<Value>(lines[1]).is_ok());
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_said_at_the_start_and_later() {
        let directory = tempfile::tempdir().expect("a directory");
        let inside = directory.path().join("inside");
        let path = inside.join("audit.jsonl");
        let refused = FileSink::open("file:test".to_owned(), path.clone(), true).expect_err("there is no such directory");
        assert!(refused.to_string().contains("AUTHKIT_AUDIT_STREAM"), "{refused}");
        fs::create_dir(&inside).expect("makes");
        let sink = sink(&path);
        let events = events(2);
        fs::remove_dir_all(&inside).expect("removes");
        sink.deliver(&events).await.expect_err("nowhere to write");
        fs::create_dir(&inside).expect("makes");
        sink.deliver(&events).await.expect("writes");
        assert_eq!(ids(&path), expected(&events));
        // A full disk, as Linux plays one.
        let full = FileSink::open("file:full".to_owned(), "/dev/full".into(), true).expect("opens");
        full.deliver(&events).await.expect_err("the disk is full");
    }

    #[test]
    fn a_write_that_hangs_holds_one_thread() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let sink = sink(&path);
        let place = Arc::clone(&sink.place);
        let _hanging = sink.place.file.lock().expect("not poisoned");
        let refused = std::thread::spawn(move || place.append(b"x\n")).join().expect("no panic");
        assert!(refused.is_err());
    }
}
