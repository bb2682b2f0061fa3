//! What is wrong with a setting, said in one line that names it and says what to do.

use std::borrow::Cow;
use std::fmt;

/// Why a text is refused as a setting's value: what is wrong with it, and how to put it right.
///
/// # Security
/// Neither half may quote the value. Whoever knows that the setting is no secret adds it (see [`Problem`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
}

impl Refusal {
    /// A refusal for the reason `what`, mended by `fix`.
    pub fn new(what: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// One line of the answer to "why does it not start".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    place: Option<String>,
    got: Option<String>,
    refusal: Refusal,
}

impl Problem {
    /// The problem that `subject`, the name of a setting or of a file, has.
    pub fn new(subject: impl Into<String>, refusal: Refusal) -> Self {
        Self { subject: subject.into(), place: None, got: None, refusal }
    }

    /// Says where the value was found.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Quotes the value, cut to what fits a line. Only for settings that are no secret.
    #[must_use]
    pub fn quoting(mut self, value: &str) -> Self {
        let cut: String = value.chars().take(60).collect();
        let dots = if cut.len() < value.len() { "…" } else { "" };
        // Debug formatting escapes line breaks and terminal escapes, so that the problem stays one harmless line.
        self.got = Some(format!("{cut:?}{dots}"));
        self
    }

    /// The setting or file that has it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        f.write_str(": ")?;
        if let Some(got) = &self.got {
            write!(f, "{got} ")?;
        }
        write!(f, "{}; {}", self.refusal.what, self.refusal.fix)
    }
}

/// Everything that keeps the server from starting, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Takes the problems; `None` when there are none.
    #[must_use]
    pub fn some(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} with the settings:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
