//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// Where a setting's value came from, the weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// `authkit.toml`, or the file that `--config` named.
    File(PathBuf),
    /// The file `.env` in the working directory.
    DotEnv {
        /// The line, counted from 1.
        line: usize,
    },
    /// The environment of the process.
    Environment,
}

impl Origin {
    /// Whether somebody chose the value.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        *self != Self::Default
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::DotEnv { line } => write!(f, ".env line {line}"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// A value as it was found, before anybody knows whether it is a secret; so it is treated as one.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    text: SecretString,
    pub(super) origin: Origin,
}

impl Raw {
    pub(super) fn new(text: String, origin: Origin) -> Self {
        Self { text: text.into(), origin }
    }

    pub(super) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}
