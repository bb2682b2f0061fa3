//! Where everything that must survive lives.

use std::fmt;
use std::path::{Path, PathBuf};

use authkit_sqlx::PgOptions;
use url::Url;

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
    /// A PostgreSQL database.
    Postgres(Box<Postgres>),
}

/// A PostgreSQL database, and how to show it.
#[derive(Debug, Clone)]
pub struct Postgres {
    options: PgOptions,
    redacted: String,
}

impl Postgres {
    fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write it as in postgresql://user:password@host:5432/database?sslmode=verify-full";
        let options: PgOptions = text.parse().map_err(|error: authkit_sqlx::PgUrlError| match error {
            authkit_sqlx::PgUrlError::Malformed => Refusal::new("is not the URL of a PostgreSQL database", FORM),
            other => Refusal::new(other.to_string(), FORM),
        })?;
        let mut url = Url::parse(text).map_err(|_| Refusal::new("is not a URL", FORM))?;
        if let Some(password) = url.password() {
            parse::not_a_placeholder(password)?;
            // The words that stand for a user and her password in documentation, ours included.
            if (url.username(), password) == ("user", "password") {
                return Err(Refusal::new("has the user and the password of an example, which everybody knows", "set your own"));
            }
            url.set_password(Some("***")).map_err(|()| Refusal::new("cannot have a password", FORM))?;
        }
        if url.path().trim_start_matches('/').is_empty() {
            return Err(Refusal::new("names no database", FORM));
        }
        Ok(Self { options, redacted: url.into() })
    }

    /// How it is opened.
    pub const fn options(&self) -> &PgOptions {
        &self.options
    }
}

impl PartialEq for Postgres {
    fn eq(&self, other: &Self) -> bool {
        self.redacted == other.redacted
    }
}

impl Eq for Postgres {}

impl Database {
    /// Reads `postgresql://user:password@host/database`, or `sqlite://path` or `sqlite:path`; the path is taken literally, and a relative one starts at the working directory.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write postgresql://user:password@host/database or sqlite://path/to/file, or remove it to use a file in the data directory";
        let text = parse::line(text)?;
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(Refusal::new("is not a URL", FORM));
        };
        match scheme {
            "sqlite" => {}
            "postgres" | "postgresql" => return Postgres::parse(text).map(Box::new).map(Self::Postgres),
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
            postgres @ Self::Postgres(_) => postgres,
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(postgres) => f.write_str(&postgres.redacted),
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

    #[test]
    fn a_postgres_url_is_shown_without_its_password() {
        let database = Database::parse("postgresql://app:can%40ary@db:5433/users?sslmode=require").unwrap();
        assert_eq!(database.to_string(), "postgresql://app:***@db:5433/users?sslmode=require");
        assert!(!format!("{database:?}").contains("ary"));
        for text in ["postgresql://app:canary@db", "postgres://app:canary@db:x/users", "postgresql://app:canary@db/users?pool=3"]
        {
            let refusal = Database::parse(text).unwrap_err();
            assert!(!format!("{refusal:?}").contains("canary"), "{refusal:?}");
        }
    }
}
