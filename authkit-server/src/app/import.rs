//! `users import`: a file of any size becomes accounts, in constant memory, and again after whatever stopped it.

mod csv;
mod jsonl;
mod lines;
mod report;
mod row;
mod state;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authkit_core::flows::{AccountImport, ImportMode, ImportOutcome, Internal};
use authkit_core::{AuthKit, RequestContext};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use self::csv::CsvReader;
use self::jsonl::JsonlReader;
use self::lines::Lines;
use self::report::{IdMap, Report};
use self::row::{Row, RowError};
use self::state::{Counts, Source, State};
use super::assembly::Assembly;
use crate::cli::args::{ImportArgs, ImportFormat, OnExisting};
use crate::cli::{Imported, OperationError};
use crate::settings::{Database, Settings};

/// Accounts of one change set. Fewer make more commits, more make a transaction long, and lose more to a crash.
const BATCH: usize = 100;
/// Change sets under way at a time on PostgreSQL. SQLite has one writer.
const IN_FLIGHT: usize = 4;
/// How often a change set is tried again while the store is unavailable; what it had done is found done.
const PATIENCE: [Duration; 5] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];
/// How often progress is said.
const SAID_EVERY: Duration = Duration::from_secs(2);

/// Reads the file, and imports it.
pub(super) fn run(
    settings: &Settings,
    args: &ImportArgs,
    stdin: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
    runtime: &Runtime,
) -> Result<Imported, OperationError> {
    let Some(format) = args.format.or_else(|| format_of(&args.file)) else {
        writeln!(err, "authkit-server: say --format csv or --format jsonl: the name of the file does not tell")?;
        return Ok(Imported::Unusable);
    };
    let from_stdin = args.file == Path::new("-");
    let state_path = (!from_stdin && !args.dry_run).then(|| args.state.clone().unwrap_or_else(|| state_beside(&args.file)));
    let mut file = if from_stdin { None } else { Some(open(&args.file)?) };
    let source = file.as_mut().map(Source::of).transpose()?;
    let state = match (&state_path, source) {
        (Some(path), Some(source)) => State::load(path, source)?,
        _ => State::default(),
    };
    if let Some(file) = &mut file {
        file.seek(SeekFrom::Start(0))?;
    }
    let mut reader: Box<dyn BufRead + '_> = match file {
        Some(file) => Box::new(BufReader::with_capacity(1 << 16, file)),
        None => Box::new(stdin),
    };
    let mut rows = match Rows::begin(format, Lines::new(&mut *reader), args.ignore_unknown) {
        Ok(rows) => rows,
        Err(HeaderError::Io(error)) => return Err(error.into()),
        Err(error) => {
            writeln!(err, "authkit-server: {}: {error}", args.file.display())?;
            return Ok(Imported::Unusable);
        }
    };
    if state.line > 0 {
        writeln!(err, "going on behind line {} of an import that was interrupted", state.line)?;
        rows.skip_to(&state)?;
    }
    let report = Report::open(args.report.as_deref(), state.report_bytes)?;
    let ids = IdMap::open(args.id_map.as_deref(), state.id_map_bytes)?;
    let in_flight = if matches!(settings.database, Database::Sqlite { .. }) { 1 } else { IN_FLIGHT };
    let mode = if args.dry_run { ImportMode::DryRun } else { ImportMode::Apply };
    runtime.block_on(async {
        let assembly = Assembly::for_command(settings).await?;
        let run =
            Run { auth: assembly.auth.clone(), args, mode, in_flight, state_path, state, report, ids, began: now(), said: now() };
        let outcome = run.run_to_the_end(&mut rows, out, err).await;
        assembly.close().await;
        outcome
    })
}

fn format_of(path: &Path) -> Option<ImportFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(ImportFormat::Csv),
        "jsonl" | "ndjson" => Some(ImportFormat::Jsonl),
        _ => None,
    }
}

fn open(path: &Path) -> Result<File, OperationError> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// `users.csv.import-state` in the working directory: the file itself may lie where nothing can be written.
fn state_beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".import-state");
    name.into()
}

#[expect(clippy::disallowed_methods, reason = "says how fast it goes; decides nothing")]
fn now() -> Instant {
    Instant::now()
}

/// Why a file cannot be one of accounts.
#[derive(Debug, thiserror::Error)]
enum HeaderError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the first line must name the columns, as in email,full_name,password_hash")]
    NoHeader,
    #[error("there is no column email")]
    NoEmail,
    #[error("the column {0:?} stands there twice")]
    Twice(String),
    #[error("the column {0:?} is not known; --ignore-unknown leaves such columns out")]
    Unknown(String),
    #[error(
        "the column {0:?} holds passwords in plain text, which are never imported: have them hashed where they are, or let the \
         users set new ones by a reset"
    )]
    PlainText(String),
}

/// The rows of either format, each with the line that it stands on.
enum Rows<'r> {
    Csv(CsvReader<'r>),
    Jsonl(JsonlReader<'r>),
}

impl<'r> Rows<'r> {
    fn begin(format: ImportFormat, lines: Lines<'r>, ignore_unknown: bool) -> Result<Self, HeaderError> {
        Ok(match format {
            ImportFormat::Csv => Self::Csv(CsvReader::begin(lines, ignore_unknown)?),
            ImportFormat::Jsonl => Self::Jsonl(JsonlReader::new(lines, ignore_unknown)),
        })
    }

    fn next(&mut self) -> io::Result<Option<(u64, Result<Row, RowError>)>> {
        match self {
            Self::Csv(reader) => reader.next(),
            Self::Jsonl(reader) => reader.next(),
        }
    }

    /// Reads on to the line that an interrupted import had come to.
    fn skip_to(&mut self, state: &State) -> io::Result<()> {
        let lines = match self {
            Self::Csv(reader) => &mut reader.lines,
            Self::Jsonl(reader) => &mut reader.lines,
        };
        lines.skip_to(state.line)
    }
}

/// What was read of one line: a row, or why there is none.
struct Item {
    line: u64,
    email: String,
    external_id: Option<String>,
    refused: Option<String>,
}

/// A batch that is under way: its lines, and the outcomes of those that are rows.
struct Flight {
    items: Vec<Item>,
    outcomes: JoinHandle<Result<Vec<ImportOutcome>, Internal>>,
}

/// One run of an import.
struct Run<'a> {
    auth: AuthKit,
    args: &'a ImportArgs,
    mode: ImportMode,
    in_flight: usize,
    state_path: Option<PathBuf>,
    state: State,
    report: Report,
    ids: IdMap,
    began: Instant,
    said: Instant,
}

impl Run<'_> {
    #[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
    async fn run_to_the_end(
        mut self,
        rows: &mut Rows<'_>,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Imported, OperationError> {
        let mut interrupted = std::pin::pin!(interruption()?);
        let mut flights: VecDeque<Flight> = VecDeque::new();
        let (mut at_end, mut stopped) = (false, false);
        let before = self.state.counts;
        loop {
            while !at_end && !stopped && flights.len() < self.in_flight {
                match self.take_off(rows)? {
                    Some(flight) => flights.push_back(flight),
                    None => at_end = true,
                }
            }
            let Some(mut flight) = flights.pop_front() else { break };
            // In the order of the file, so that what is remembered of it is a beginning of it.
            let outcomes = loop {
                tokio::select! {
                    outcomes = &mut flight.outcomes => break outcomes,
                    () = &mut interrupted, if !stopped => stopped = true,
                }
            };
            self.land(flight.items, outcomes??, err)?;
        }
        let done_here = self.state.counts.since(&before);
        if stopped && !at_end {
            writeln!(err, "stopped behind line {}; the same command goes on from there", self.state.line)?;
            return Err("interrupted".into());
        }
        if let Some(path) = &self.state_path {
            State::remove(path)?;
        }
        let counts = self.state.counts;
        let seconds = self.began.elapsed().as_secs_f64();
        let would = if self.mode == ImportMode::DryRun { "would be " } else { "" };
        writeln!(
            out,
            "{} lines: {} {would}created, {} there already, {} there with another profile and left as they are, {} refused",
            counts.lines, counts.created, counts.unchanged, counts.different, counts.refused,
        )?;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = done_here.lines as f64 / seconds.max(0.001);
        writeln!(err, "{seconds:.1} s, {rate:.0} lines a second")?;
        Ok(if counts.refused > 0 { Imported::InPart } else { Imported::Whole })
    }

    /// Reads a batch and sends it on its way.
    fn take_off(&mut self, rows: &mut Rows<'_>) -> Result<Option<Flight>, OperationError> {
        let (mut items, mut accounts) = (Vec::new(), Vec::new());
        while accounts.len() < BATCH && items.len() < BATCH * 10 {
            let Some((line, row)) = rows.next()? else { break };
            items.push(match row.and_then(|row| row.into_account(self.source_of(line))) {
                Ok((account, external_id)) => {
                    let email = account.email.spelling().to_owned();
                    accounts.push(account);
                    Item { line, email, external_id, refused: None }
                }
                Err(RowError { email, reason }) => Item { line, email, external_id: None, refused: Some(reason) },
            });
        }
        if items.is_empty() {
            return Ok(None);
        }
        let outcomes = tokio::spawn(import(self.auth.clone(), accounts, self.mode));
        Ok(Some(Flight { items, outcomes }))
    }

    /// What the audit log says of an account: the name of the file, and the line.
    fn source_of(&self, line: u64) -> String {
        let name = self.args.file.file_name().map_or_else(|| "stdin".into(), |name| name.to_string_lossy());
        let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        format!("{}:{line}", if name == "-" { "stdin" } else { &name })
    }

    /// Takes in what became of a batch, and remembers how far that is.
    fn land(&mut self, items: Vec<Item>, outcomes: Vec<ImportOutcome>, err: &mut dyn Write) -> Result<(), OperationError> {
        let mut outcomes = outcomes.into_iter();
        for Item { line, email, external_id, refused } in items {
            self.state.line = line;
            let outcome = if refused.is_none() { outcomes.next() } else { None };
            let counts = &mut self.state.counts;
            counts.lines += 1;
            let mut refusal = refused;
            match outcome {
                Some(ImportOutcome::Created(id)) => {
                    counts.created += 1;
                    // The id of a dry run is nobody's.
                    if self.mode == ImportMode::Apply {
                        self.ids.note(external_id.as_deref(), id)?;
                    }
                }
                Some(ImportOutcome::Unchanged(id)) => {
                    counts.unchanged += 1;
                    self.ids.note(external_id.as_deref(), id)?;
                }
                Some(ImportOutcome::Different(id)) => match self.args.on_existing {
                    OnExisting::Skip => {
                        counts.different += 1;
                        self.ids.note(external_id.as_deref(), id)?;
                    }
                    OnExisting::Fail => refusal = Some(ImportOutcome::Different(id).to_string()),
                },
                Some(outcome) => refusal = Some(outcome.to_string()),
                None => {}
            }
            if let Some(reason) = refusal {
                counts.refused += 1;
                self.report.note(line, &email, &reason, err)?;
            }
        }
        if let Some(path) = &self.state_path {
            (self.state.report_bytes, self.state.id_map_bytes) = (self.report.flush()?, self.ids.flush()?);
            self.state.save(path)?;
        } else {
            self.report.flush()?;
            self.ids.flush()?;
        }
        self.say(err);
        Ok(())
    }

    fn say(&mut self, err: &mut dyn Write) {
        if self.said.elapsed() < SAID_EVERY {
            return;
        }
        self.said = now();
        let Counts { lines, created, refused, .. } = self.state.counts;
        let end = if io::stderr().is_terminal() { "\r" } else { "\n" };
        // Nobody may be reading it.
        let _ = write!(err, "line {}: {lines} read, {created} created, {refused} refused{end}", self.state.line);
        let _ = err.flush();
    }
}

/// Imports a batch; while the store is unavailable, again. What the first attempt did after all is found done by the second.
async fn import(auth: AuthKit, accounts: Vec<AccountImport>, mode: ImportMode) -> Result<Vec<ImportOutcome>, Internal> {
    let mut patience = PATIENCE.iter();
    loop {
        match auth.accounts().import(accounts.clone(), mode, &RequestContext::default()).await {
            Err(error) if error.is_unavailable() => match patience.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            },
            answer => return answer,
        }
    }
}

/// Resolves at Ctrl-C or SIGTERM: what is under way is finished, and nothing new begun.
fn interruption() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
