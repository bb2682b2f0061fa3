//! The log of the process: one line per event, which no input can forge.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use super::writer::LogGuard;
use super::writer::{LogWriter, is_line_forging};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One readable line, for people.
    Pretty,
}

impl LogFormat {
    /// The default: readable on a terminal, JSON everywhere else.
    #[must_use]
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter is not valid; write it as in `info` or `info,authkit_server=debug`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The thread that writes could not be started.
    #[error("the log thread could not be started")]
    Thread(#[source] io::Error),
    /// The process has a log already.
    #[error("the log is open already")]
    Installed(#[source] TryInitError),
}

/// Opens the log of the process, on standard error.
///
/// Writing happens on a thread of its own: a full pipe slows down nobody. What it cannot take is dropped and counted, and the
/// log says how much. Keep the guard until the end of `main`: dropping it writes what is still waiting.
///
/// # Security
/// Control characters, line separators and terminal escapes in a logged value are written as escapes (CVE-2025-58160).
pub fn init_log(filter: &str, format: LogFormat) -> Result<LogGuard, LogError> {
    let filter = EnvFilter::builder().parse(filter).map_err(LogError::Filter)?;
    let (writer, guard) = LogWriter::spawn(io::stderr()).map_err(LogError::Thread)?;
    subscriber(filter, format, writer)?;
    Ok(guard)
}

/// Sends panics to the log: where they happened, not what they said.
///
/// # Security
/// The message of a panic often is the `Debug` form of the value that was wrong. The place is enough to find the bug.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, thread = std::thread::current().name(), "panicked");
    }));
}

fn subscriber(filter: EnvFilter, format: LogFormat, writer: LogWriter) -> Result<(), LogError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().try_init(),
        LogFormat::Pretty => {
            builder.with_ansi(io::stderr().is_terminal()).with_target(false).fmt_fields(debug_fn(write_field)).finish().try_init()
        }
    }
    .map_err(LogError::Installed)
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut escaped = Escaping(writer);
    if field.name() == "message" { write!(escaped, "{value:?}") } else { write!(escaped, " {}={value:?}", field.name()) }
}

/// Passes text on, with whatever could forge a line written as an escape.
struct Escaping<W>(W);

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_line_forging(character) {
                write!(self.0, "{}", character.escape_unicode())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const HOSTILE: &str = "eve\r\n{\"level\":\"INFO\"}\u{1b}[2J\u{2028}\u{85}\u{0}";

    fn logged(format: LogFormat) -> String {
        let sink = Sink::default();
        let (writer, guard) = LogWriter::spawn(sink.clone()).expect("a thread");
        let builder = tracing_subscriber::fmt().with_writer(writer);
        let event = || tracing::info!(user = HOSTILE, "message of {HOSTILE}");
        match format {
            LogFormat::Json => tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), event),
            LogFormat::Pretty => {
                let subscriber = builder.with_ansi(false).fmt_fields(debug_fn(write_field)).finish();
                tracing::subscriber::with_default(subscriber, event);
            }
        }
        drop(guard);
        let bytes = sink.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn input_cannot_forge_a_line_in_either_format() {
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let text = logged(format);
            let line = text.strip_suffix('\n').expect("one line, ended");
            assert!(!line.chars().any(is_line_forging), "{format:?}: {line:?}");
        }
        let object: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json)).expect("one JSON object");
        assert_eq!(object["user"], HOSTILE, "nothing is lost");
    }
}
