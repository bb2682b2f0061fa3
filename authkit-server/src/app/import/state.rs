//! How far an import came, for the run after an interruption. Losing it costs time and nothing else: accounts that are there
//! stay as they are.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::OperationError;

/// How much of a file tells it from others.
const FINGERPRINT_BYTES: u64 = 64 * 1_024;

/// Which file it is: its length and the SHA-256 of its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Source {
    bytes: u64,
    beginning: String,
}

impl Source {
    /// Looks at a file, and leaves it at some place.
    pub(super) fn of(file: &mut File) -> io::Result<Self> {
        let mut beginning = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.by_ref().take(FINGERPRINT_BYTES).read_to_end(&mut beginning)?;
        let digest = Sha256::digest(&beginning).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { bytes: file.metadata()?.len(), beginning: digest })
    }
}

/// What became of the lines so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) created: u64,
    pub(super) unchanged: u64,
    pub(super) different: u64,
    pub(super) refused: u64,
}

impl Counts {
    /// What came since.
    pub(super) const fn since(&self, before: &Self) -> Self {
        Self {
            lines: self.lines - before.lines,
            created: self.created - before.created,
            unchanged: self.unchanged - before.unchanged,
            different: self.different - before.different,
            refused: self.refused - before.refused,
        }
    }
}

/// How far an import came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct State {
    source: Source,
    /// The last line that is done, and all before it.
    pub(super) line: u64,
    pub(super) counts: Counts,
    pub(super) report_bytes: u64,
    pub(super) id_map_bytes: u64,
}

impl State {
    /// Reads what an interrupted import of this file has left; the beginning when there is nothing.
    pub(super) fn load(path: &Path, source: Source) -> Result<Self, OperationError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { source, ..Self::default() }),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        let stored: Option<Self> = serde_json::from_str(&text).ok();
        stored.filter(|state| state.source == source).ok_or_else(|| {
            let path = path.display();
            format!("{path} is of the import of another file, or damaged: delete it to begin anew, or say --state FILE").into()
        })
    }

    /// Replaces what was there in one step, so that a kill leaves the one or the other.
    pub(super) fn save(&self, path: &Path) -> Result<(), OperationError> {
        let mut next = path.as_os_str().to_owned();
        next.push(".next");
        fs::write(&next, serde_json::to_string(self)?)?;
        Ok(fs::rename(&next, path)?)
    }

    /// Forgets it: the import is done.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
