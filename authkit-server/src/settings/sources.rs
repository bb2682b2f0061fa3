//! Where settings are looked for: `authkit.toml`, then `.env` over it, then the environment over both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::dotenv;
use super::kubernetes;
use super::origin::{Origin, Raw};
use super::problem::{Problem, Refusal};
use super::suggest::suggestion;
use super::table::{Setting, TABLE, Visibility};
use super::toml_file;

/// What the process was started with.
#[derive(Clone)]
pub struct Inputs {
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory: where `.env` and `authkit.toml` are, and where relative paths start.
    pub working_dir: PathBuf,
    /// The file that `--config` named, instead of `authkit.toml`.
    pub config_file: Option<PathBuf>,
}

impl Inputs {
    /// What this process was started with.
    pub fn of_process(config_file: Option<PathBuf>) -> std::io::Result<Self> {
        Ok(Self { environment: std::env::vars_os().collect(), working_dir: std::env::current_dir()?, config_file })
    }
}

impl std::fmt::Debug for Inputs {
    /// Leaves the environment out: it holds secrets, and not only ours.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { working_dir, config_file, .. } = self;
        f.debug_struct("Inputs").field("working_dir", working_dir).field("config_file", config_file).finish_non_exhaustive()
    }
}

/// The value of each setting that somebody chose, from the strongest source that has it.
#[derive(Debug, Default)]
pub(super) struct Sources {
    values: BTreeMap<&'static str, Raw>,
    /// The files that hold a secret; others should not be able to read them.
    pub(super) files_with_secrets: Vec<PathBuf>,
}

impl Sources {
    /// Reads all sources. What is unknown or unreadable in them is a problem.
    pub(super) fn collect(inputs: &Inputs, problems: &mut Vec<Problem>) -> Self {
        let mut sources = Self::default();
        sources.add_toml(inputs, problems);
        sources.add_dotenv(&inputs.working_dir.join(".env"), problems);
        sources.add_environment(&inputs.environment, problems);
        sources
    }

    pub(super) fn value(&self, env: &str) -> Option<&Raw> {
        self.values.get(env)
    }

    fn add_toml(&mut self, inputs: &Inputs, problems: &mut Vec<Problem>) {
        let name = inputs.config_file.clone().unwrap_or_else(|| PathBuf::from("authkit.toml"));
        let path = inputs.working_dir.join(&name);
        let Some(text) = read(&path, &name, inputs.config_file.is_some(), problems) else { return };
        for (key, value) in toml_file::flatten(&text, &name, problems) {
            match Setting::by_key(&key) {
                Some(setting) => {
                    self.note_secret(setting, &path);
                    self.values.insert(setting.env, Raw::new(value, Origin::File(name.clone())));
                }
                None => problems.push(unknown_key(&key, &name)),
            }
        }
    }

    fn add_dotenv(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        let Some(text) = read(path, Path::new(".env"), false, problems) else { return };
        let (assignments, malformed) = dotenv::parse(&text);
        problems.extend(malformed.into_iter().map(|m| Problem::new(format!(".env line {}", m.line), m.refusal)));
        let mut first_line = BTreeMap::new();
        for assignment in assignments {
            let place = Origin::DotEnv { line: assignment.line };
            let Some(setting) = Setting::by_env(&assignment.name) else {
                if is_ours(&assignment.name) {
                    problems.push(unknown_variable(&assignment.name).at(place));
                }
                continue;
            };
            if let Some(earlier) = first_line.insert(setting.env, assignment.line) {
                let refusal = Refusal::new(format!("is set already in line {earlier}"), "keep one of the two");
                problems.push(Problem::new(setting.env, refusal).at(&place));
            }
            if assignment.wants_expansion {
                let fix = "write the value out, or in single quotes if it really contains ${";
                problems
                    .push(Problem::new(setting.env, Refusal::new("asks for a substitution, and none is made", fix)).at(&place));
            }
            self.note_secret(setting, path);
            self.values.insert(setting.env, Raw::new(assignment.value, place));
        }
    }

    fn add_environment(&mut self, environment: &[(OsString, OsString)], problems: &mut Vec<Problem>) {
        for (name, value) in environment {
            // A name that is not UTF-8 is none of ours.
            let Some(name) = name.to_str() else { continue };
            if kubernetes::is_service_link(name, &value.to_string_lossy()) {
                continue;
            }
            match (Setting::by_env(name), value.to_str()) {
                (Some(setting), Some(value)) => {
                    self.values.insert(setting.env, Raw::new(value.to_owned(), Origin::Environment));
                }
                (Some(setting), None) => {
                    let refusal = Refusal::new("is not UTF-8", "write it in UTF-8");
                    problems.push(Problem::new(setting.env, refusal).at(Origin::Environment));
                }
                (None, _) if is_ours(name) => problems.push(unknown_variable(name).at(Origin::Environment)),
                (None, _) => {}
            }
        }
    }

    fn note_secret(&mut self, setting: &Setting, path: &Path) {
        let holds_secret = setting.visibility == Visibility::Secret || setting.env == "REDIS_URL";
        if holds_secret && !self.files_with_secrets.iter().any(|known| known == path) {
            self.files_with_secrets.push(path.to_owned());
        }
    }
}

/// Reads a file that may be missing unless somebody named it.
fn read(path: &Path, name: &Path, must_exist: bool, problems: &mut Vec<Problem>) -> Option<String> {
    let refusal = match std::fs::read_to_string(path) {
        Ok(text) => return Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => return None,
        Err(error) if error.kind() == ErrorKind::InvalidData => Refusal::new("is not UTF-8", "save it as UTF-8"),
        Err(error) => Refusal::new(format!("cannot be read: {error}"), "make it readable for this user, or name another file"),
    };
    problems.push(Problem::new(name.display().to_string(), refusal));
    None
}

/// Whether a variable claims to be a setting of this server.
fn is_ours(name: &str) -> bool {
    name.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case("AUTHKIT_"))
}

/// Settings that there are no more, as a variable and in the file, and what has taken their place.
const RETIRED: &[(&str, &str, &str)] = &[(
    "AUTHKIT_KEEP_AUDIT_EVENTS",
    "retention.audit_events",
    "remove it and run `authkit-server audit purge --older-than 365d` when it is time: a server does not delete from its audit log",
)];

fn retired(name: &str) -> Option<Problem> {
    let (_, _, instead) = RETIRED.iter().find(|(variable, key, _)| *variable == name || *key == name)?;
    Some(Problem::new(name, Refusal::new("is no setting any more", *instead)))
}

fn unknown_variable(name: &str) -> Problem {
    if let Some(problem) = retired(name) {
        return problem;
    }
    let known = TABLE.iter().map(|setting| setting.env);
    let fix = suggestion(name, known).map_or_else(
        || "remove it; `authkit-server config` lists all settings".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    Problem::new(name, Refusal::new("is not a setting of this version", fix))
}

fn unknown_key(key: &str, file: &Path) -> Problem {
    if let Some(problem) = retired(key) {
        return problem.at(file.display());
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let fix = if let Some(setting) = Setting::by_env(last) {
        format!("in this file it is called {}", setting.key)
    } else {
        suggestion(key, TABLE.iter().map(|setting| setting.key)).map_or_else(
            || "remove it; `authkit-server config` lists all settings".to_owned(),
            |near| format!("did you mean {near}?"),
        )
    };
    Problem::new(key.escape_debug().to_string(), Refusal::new("is not a setting of this version", fix)).at(file.display())
}
