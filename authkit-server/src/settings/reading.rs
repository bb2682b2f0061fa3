//! Reads settings out of their sources and collects what is wrong with them.

use super::origin::{Origin, Raw};
use super::problem::{Problem, Refusal};
use super::sources::Sources;
use super::table::{DefaultValue, Setting, Visibility};

/// The sources, and the problems found so far.
pub(super) struct Reading<'a> {
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(sources: &'a Sources, problems: &'a mut Vec<Problem>) -> Self {
        Self { sources, problems }
    }

    /// Reads a setting that always has a value. `None`: refused, and the problem is noted.
    pub(super) fn required<T>(&mut self, env: &str, parse: fn(&str) -> Result<T, Refusal>) -> Option<T> {
        let setting = declared(env);
        match (self.sources.value(env), setting.default) {
            (Some(raw), _) => self.parsed(setting, raw, parse),
            (None, DefaultValue::Text(text)) => {
                Some(parse(text).unwrap_or_else(|refusal| panic!("the default of {env} is refused: {refusal:?}")))
            }
            (None, _) => unreachable!("{env} is declared as required and has no default of its own"),
        }
    }

    /// Reads a setting that may be absent: `Some(None)`. `None`: refused, and the problem is noted.
    #[expect(
        clippy::option_option,
        reason = "refused, absent and present are three cases, and the caller's field has the inner type"
    )]
    pub(super) fn optional<T>(&mut self, env: &str, parse: fn(&str) -> Result<T, Refusal>) -> Option<Option<T>> {
        match self.sources.value(env) {
            Some(raw) => self.parsed(declared(env), raw, parse).map(Some),
            None => Some(None),
        }
    }

    /// Whether somebody chose the value of a setting, be it good or bad.
    pub(super) fn is_chosen(&self, env: &str) -> bool {
        self.sources.value(env).is_some()
    }

    /// Notes a problem that a setting has with another one.
    pub(super) fn refuse(&mut self, env: &str, what: impl Into<String>, fix: impl Into<String>) {
        let problem = Problem::new(env, Refusal::new(what.into(), fix.into()));
        let place = self.sources.value(env).map(|raw| Self::place(declared(env), &raw.origin));
        self.problems.push(match place {
            Some(place) => problem.at(place),
            None => problem,
        });
    }

    fn parsed<T>(&mut self, setting: &'static Setting, raw: &Raw, parse: fn(&str) -> Result<T, Refusal>) -> Option<T> {
        let refusal = match parse(raw.expose()) {
            Ok(value) => return Some(value),
            Err(refusal) => refusal,
        };
        let problem = Problem::new(setting.env, refusal).at(Self::place(setting, &raw.origin));
        // SECURITY: a URL that cannot be read may have its password anywhere, so only plain values are quoted.
        let quotable = setting.visibility == Visibility::Public && !raw.expose().is_empty();
        self.problems.push(if quotable { problem.quoting(raw.expose()) } else { problem });
        None
    }

    fn place(setting: &Setting, origin: &Origin) -> String {
        match origin {
            Origin::File(path) => format!("{} in {}", setting.key, path.display()),
            other => other.to_string(),
        }
    }
}

/// The setting that the macro declares together with the call that asks for it.
fn declared(env: &str) -> &'static Setting {
    Setting::by_env(env).expect("a setting of the table")
}
