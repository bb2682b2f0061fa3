//! Writing the log without making anybody wait.

use std::convert::Infallible;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait. At 300 bytes a line this is a little over 2 MB.
const MAX_WAITING_LINES: usize = 8 * 1024;

/// The longest line, in bytes. No event of ours comes near it.
const MAX_LINE_BYTES: usize = 32 * 1024;

enum Item {
    Line(Vec<u8>),
    End,
}

/// Hands lines to the thread that writes them.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    lines: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

/// Writes what is waiting when it is dropped.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub struct LogGuard {
    lines: SyncSender<Item>,
    written: Receiver<Infallible>,
}

impl LogWriter {
    pub(super) fn spawn(out: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let (lines, waiting) = sync_channel(MAX_WAITING_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        let (done, written) = sync_channel(0);
        std::thread::Builder::new().name("authkit-log".into()).spawn(move || {
            // Dropped with the thread, which is what the guard waits for.
            let _done: SyncSender<Infallible> = done;
            write_lines(out, &waiting, &count);
        })?;
        Ok((Self { lines: lines.clone(), dropped }, LogGuard { lines, written }))
    }
}

/// Failures to write are ignored: there is nowhere left to tell them.
fn write_lines(mut out: impl Write, waiting: &Receiver<Item>, dropped: &AtomicU64) {
    while let Ok(Item::Line(line)) = waiting.recv() {
        let _ = out.write_all(&line);
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(out, "{{\"level\":\"WARN\",\"message\":\"the log could not keep up\",\"lines_lost\":{lost}}}");
        }
    }
    let _ = out.flush();
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // The end queues up behind every line that was sent before it. A reader that hangs may not keep the process alive.
        for _ in 0..100 {
            match self.lines.try_send(Item::End) {
                Err(TrySendError::Full(_)) => std::thread::sleep(Duration::from_millis(10)),
                Ok(()) | Err(TrySendError::Disconnected(_)) => break,
            }
        }
        let _ = self.written.recv_timeout(Duration::from_secs(1));
    }
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line { to: self, text: Vec::with_capacity(256) }
    }
}

/// One line in the making; it is sent when it is dropped.
#[derive(Debug)]
pub(super) struct Line<'w> {
    to: &'w LogWriter,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = one_line(mem::take(&mut self.text));
        if line.len() > MAX_LINE_BYTES || self.to.lines.try_send(Item::Line(line)).is_err() {
            self.to.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a character can end a line, move the cursor of a terminal or turn the direction of the text.
pub(super) fn is_line_forging(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON escapes the ASCII control characters itself, but leaves the others as they are; inside a JSON string `\u2028` means the
/// same. Plain ASCII, which is nearly every line, is passed on untouched.
fn one_line(line: Vec<u8>) -> Vec<u8> {
    let forging = |text: &str| text.chars().any(|c| !c.is_ascii() && is_line_forging(c));
    match std::str::from_utf8(&line) {
        Ok(text) if forging(text) => {
            let escape =
                |c: char| if !c.is_ascii() && is_line_forging(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
            text.chars().map(escape).collect::<String>().into_bytes()
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    /// A pipe that nobody reads until it is told to.
    struct Stuck {
        open: Arc<Mutex<mpsc::Receiver<()>>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.open.lock().expect("not poisoned").recv();
            self.taken.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hangs_holds_up_nobody_and_the_loss_is_told() {
        let (opener, open) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (writer, guard) =
            LogWriter::spawn(Stuck { open: Arc::new(Mutex::new(open)), taken: Arc::clone(&taken) }).expect("a thread");
        for _ in 0..MAX_WAITING_LINES + 100 {
            writer.make_writer().write_all(b"x\n").expect("never fails");
        }
        drop(opener);
        drop(guard);
        let text = String::from_utf8(taken.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert!(text.contains("\"lines_lost\":"), "the loss is told");
    }
}
