//! `doctor`: looks at everything that has to be right, changes nothing, and says what to do.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::args::DoctorFormat;
use super::{Failure, Operations};
use crate::data_dir::DataDir;
use crate::settings::{self, Problems, Settings};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and should be known.
    Warn,
    /// It does not work.
    Fail,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found, and what to do about it.
    pub detail: String,
}

impl Check {
    /// A check that went as `outcome` says.
    pub fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name, outcome, detail: detail.into() }
    }
}

/// Everything that was looked at.
#[derive(Debug)]
pub(super) struct Report {
    checks: Vec<Check>,
    misconfigured: Option<Problems>,
}

/// Looks at everything. With broken settings there is nothing more to look at.
pub(super) fn examine(settings: &Result<Settings, Problems>, operations: &dyn Operations) -> Report {
    match settings {
        Err(problems) => Report {
            checks: problems.iter().map(|problem| Check::new("settings", Outcome::Fail, problem.to_string())).collect(),
            misconfigured: Some(problems.clone()),
        },
        Ok(settings) => {
            let mut checks = check_settings(settings);
            checks.extend(settings.files_with_secrets().iter().filter_map(|path| check_secret_file(path)));
            checks.push(check_data_dir(&settings.data_dir));
            checks.push(check_master_keys(settings));
            checks.push(check_proxies(settings));
            checks.push(check_log(settings));
            checks.extend(operations.checks(settings));
            Report { checks, misconfigured: None }
        }
    }
}

impl Report {
    pub(super) fn write(&self, format: DoctorFormat, out: &mut dyn Write) -> io::Result<()> {
        match format {
            DoctorFormat::Text => self.checks.iter().try_for_each(|check| {
                let Check { name, outcome, detail } = check;
                writeln!(out, "{:<5} {name:<16} {detail}", outcome.as_str())
            }),
            DoctorFormat::Json => {
                let shown = |check: &Check| serde_json::json!({ "name": check.name, "outcome": check.outcome.as_str(), "detail": check.detail });
                let checks: Vec<_> = self.checks.iter().map(shown).collect();
                writeln!(out, "{:#}", serde_json::json!({ "checks": checks }))
            }
        }
    }

    /// Broken settings are settings' failure; any other failed check is the doctor's.
    pub(super) fn verdict(self) -> Result<(), Failure> {
        match self.misconfigured {
            Some(problems) => Err(Failure::Settings(problems)),
            None if self.checks.iter().any(|check| check.outcome == Outcome::Fail) => Err(Failure::Unhealthy),
            None => Ok(()),
        }
    }
}

fn check_settings(settings: &Settings) -> Vec<Check> {
    let chosen = settings.entries().iter().filter(|entry| entry.origin.is_chosen()).count();
    let all = settings.entries().len();
    let mut checks = vec![Check::new("settings", Outcome::Ok, format!("{chosen} of {all} settings are set, and all are valid"))];
    checks.extend(settings.warnings.iter().map(|warning| Check::new("settings", Outcome::Warn, warning)));
    checks
}

/// A file with a secret in it should be its owner's alone. Fine ones are not worth a line.
fn check_secret_file(path: &Path) -> Option<Check> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let detail = format!("{} holds a secret and has mode {mode:04o}; run `chmod 600` on it", path.display());
    (mode & 0o077 != 0).then(|| Check::new("secrets", Outcome::Warn, detail))
}

fn check_data_dir(path: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return check_missing_data_dir(path),
        Err(error) => return Check::new(NAME, Outcome::Fail, format!("{shown} cannot be looked at: {error}")),
    };
    if !metadata.is_dir() {
        return Check::new(NAME, Outcome::Fail, format!("{shown} is not a directory; set AUTHKIT_DATA_DIR to one"));
    }
    if let Err(error) = try_writing(path) {
        return Check::new(NAME, Outcome::Fail, format!("{shown} cannot be written: {error}"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // SECURITY: who may write a directory may put another file in place of the key or the database.
    if mode & 0o022 != 0 {
        return Check::new(
            NAME,
            Outcome::Warn,
            format!("{shown} has mode {mode:04o}, so that others may exchange its files; run `chmod 700`"),
        );
    }
    Check::new(NAME, Outcome::Ok, format!("{shown} can be written and has mode {mode:04o}"))
}

/// The directory is made at the first start, if the nearest directory above it can be written.
fn check_missing_data_dir(path: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = path.display();
    match path.ancestors().skip(1).find(|above| above.exists()) {
        Some(above) => match try_writing(above) {
            Ok(()) => Check::new(NAME, Outcome::Ok, format!("{shown} is made at the first start")),
            Err(error) => Check::new(NAME, Outcome::Fail, format!("{shown} does not exist and cannot be made: {error}")),
        },
        None => Check::new(NAME, Outcome::Fail, format!("{shown} does not exist, and nothing above it does")),
    }
}

/// Tries what the permission bits only promise: a file system may be full or mounted read-only.
fn try_writing(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".authkit-doctor.{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?.write_all(b"probe")?;
    fs::remove_file(probe)
}

fn check_master_keys(settings: &Settings) -> Check {
    const NAME: &str = "master key";
    if let Some(keys) = &settings.master_keys {
        let newest = keys.first().map(|key| key.id().as_str()).unwrap_or_default();
        return Check::new(NAME, Outcome::Ok, format!("{} in AUTHKIT_MASTER_KEYS, the newest is {newest}", keys.len()));
    }
    // An absent directory has no key yet; opening it here would make it.
    if !settings.data_dir.is_dir() {
        return Check::new(NAME, Outcome::Ok, "generated at the first start");
    }
    match DataDir::open(&settings.data_dir).and_then(|dir| Ok(dir.key_file().load()?)) {
        Ok(Some(keys)) => Check::new(NAME, Outcome::Ok, format!("{} in {}; back this file up", keys.len(), DataDir::KEY_FILE)),
        Ok(None) => Check::new(NAME, Outcome::Ok, "generated at the first start"),
        Err(error) => Check::new(NAME, Outcome::Fail, error.to_string()),
    }
}

fn check_proxies(settings: &Settings) -> Check {
    const NAME: &str = "trusted proxies";
    if settings.trusted_proxies.is_empty() {
        return Check::new(NAME, Outcome::Ok, "none: the address of a connection is the client's");
    }
    let networks = settings::show_networks(&settings.trusted_proxies);
    if settings.is_loopback() && !settings::covers_loopback(&settings.trusted_proxies) {
        let detail = format!("{networks} cannot reach the listener {}, so no proxy is ever believed", settings.listen);
        return Check::new(NAME, Outcome::Warn, detail);
    }
    Check::new(NAME, Outcome::Ok, networks)
}

fn check_log(settings: &Settings) -> Check {
    Check::new("log", Outcome::Ok, format!("{} as {}", settings.log_filter, settings.log_format.as_str()))
}
