//! What an import writes beside the accounts: the refused lines with their reasons, and who became whom.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use authkit_core::UserId;

use super::csv::written;

/// How many refused lines are said on stderr when they are not written to a file.
const SAID: u64 = 100;

/// A CSV file that an interrupted import goes on writing where it was.
struct Table(Option<(BufWriter<File>, u64)>);

impl Table {
    /// Opens the file as it was when `bytes` of it had been written; a new one begins with `header`.
    fn open(path: Option<&Path>, bytes: u64, header: &str) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        // Addresses of people stand in it: for whoever runs the import, and nobody else.
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() < bytes {
            let what = format!("{} is shorter than it was before the interruption", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        // What was written behind the last state that was saved is written again.
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        let mut table = Self(Some((BufWriter::new(file), bytes)));
        if bytes == 0 {
            table.line(header)?;
        }
        Ok(table)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if let Some((file, bytes)) = &mut self.0 {
            file.write_all(line.as_bytes())?;
            file.write_all(b"\r\n")?;
            *bytes += line.len() as u64 + 2;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<u64> {
        match &mut self.0 {
            Some((file, bytes)) => file.flush().map(|()| *bytes),
            None => Ok(0),
        }
    }
}

/// The refused lines.
pub(super) struct Report {
    table: Table,
    said: u64,
}

impl Report {
    pub(super) fn open(path: Option<&Path>, bytes: u64) -> io::Result<Self> {
        Ok(Self { table: Table::open(path, bytes, "line,email,reason")?, said: 0 })
    }

    pub(super) fn note(&mut self, line: u64, email: &str, reason: &str, err: &mut dyn Write) -> io::Result<()> {
        let email: String = email.chars().take(320).collect();
        self.table.line(&format!("{line},{},{}", written(&email), written(reason)))?;
        if self.table.0.is_none() && self.said <= SAID {
            self.said += 1;
            // Nobody may be reading it.
            let _ = match self.said {
                ..=SAID => writeln!(err, "line {line}: {}", reason.replace(char::is_control, " ")),
                _ => writeln!(err, "more lines were refused; --report FILE writes all of them"),
            };
        }
        Ok(())
    }

    /// Writes what is buffered, and says how long the file is now.
    pub(super) fn flush(&mut self) -> io::Result<u64> {
        self.table.flush()
    }
}

/// Which account here is which one elsewhere.
pub(super) struct IdMap(Table);

impl IdMap {
    pub(super) fn open(path: Option<&Path>, bytes: u64) -> io::Result<Self> {
        Ok(Self(Table::open(path, bytes, "external_id,user_id")?))
    }

    pub(super) fn note(&mut self, external_id: Option<&str>, id: UserId) -> io::Result<()> {
        match external_id {
            Some(external_id) => self.0.line(&format!("{},{id}", written(external_id))),
            None => Ok(()),
        }
    }

    /// Writes what is buffered, and says how long the file is now.
    pub(super) fn flush(&mut self) -> io::Result<u64> {
        self.0.flush()
    }
}
