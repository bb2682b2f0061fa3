//! Where everything that must survive lives.

use std::fmt;
use std::path::{Path, PathBuf};

use super::parse;
use super::problem::Refusal;

/// The durable store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// A SQLite file, made when it is missing.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

impl Database {
    /// Reads `sqlite://path` or `sqlite:path`; the path is taken literally, and a relative one starts at the working directory.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write sqlite://path/to/file, or remove it to use a file in the data directory";
        let text = parse::line(text)?;
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(Refusal::new("is not a URL", FORM));
        };
        match scheme {
            "sqlite" => {}
            "postgres" | "postgresql" => {
                return Err(Refusal::new("names a PostgreSQL, and this version stores in SQLite only", FORM));
            }
            _ => return Err(Refusal::new("names a database that is not supported", FORM)),
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        // `mode=rwc` is what this server does anyway, and what other tools want to be told.
        let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
        if path.contains(['?', '#']) {
            return Err(Refusal::new("has parameters, of which only ?mode=rwc is known", FORM));
        }
        if path.is_empty() || path.ends_with('/') {
            return Err(Refusal::new("names no file", FORM));
        }
        if path.contains(":memory:") {
            return Err(Refusal::new("is a database in memory, which would forget every account", FORM));
        }
        Ok(Self::Sqlite { path: PathBuf::from(path) })
    }

    /// The file that is used when nothing else is said.
    pub(super) fn in_data_dir(data_dir: &Path) -> Self {
        Self::Sqlite { path: data_dir.join("authkit.sqlite3") }
    }

    /// The same database, its file found from `base` when its path is relative.
    pub(super) fn resolved(self, base: &Path) -> Self {
        match self {
            Self::Sqlite { path } => Self::Sqlite { path: base.join(path) },
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_url_names_its_file_with_and_without_slashes() {
        for (text, path) in
            [("sqlite://a.db", "a.db"), ("sqlite:a/b.db", "a/b.db"), ("sqlite:///srv/a b.db?mode=rwc", "/srv/a b.db")]
        {
            assert_eq!(Database::parse(text), Ok(Database::Sqlite { path: path.into() }));
        }
        assert_eq!(Database::parse("sqlite:a.db").unwrap().resolved(Path::new("/w")).to_string(), "sqlite:///w/a.db");
    }
}
