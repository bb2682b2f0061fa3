//! The schema's history: what is embedded, what a database has, and what is to do about the difference.

use authkit_core::Digest;
use authkit_core::ports::StoreError;

use crate::row::{DecodeError, Fields, Row};

/// One step of the schema. Steps go up only, and one that was released is never edited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// Its place, from 1, without gaps; the number of its file.
    pub(crate) version: u32,
    /// The name of its file.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) sql: &'static str,
}

impl Migration {
    /// The SHA-256 of the text, which tells an edited step from the released one.
    pub(crate) fn checksum(&self) -> Digest {
        Digest::of(self.sql.as_bytes())
    }
}

/// The steps of a dialect, whose files carry the same numbers and names on all of them.
macro_rules! steps {
    ($dialect:literal: $($version:literal $name:literal $file:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $dialect, "/", $file, ".sql")),
        }),+]
    };
}

/// Every step, for each dialect.
macro_rules! histories {
    ($($step:tt)+) => {
        /// Every step for SQLite.
        pub(crate) const SQLITE: &[Migration] = steps!("sqlite": $($step)+);
        /// Every step for PostgreSQL.
        pub(crate) const POSTGRES: &[Migration] = steps!("postgres": $($step)+);
    };
}

histories! {
    1 "initial" "0001_initial",
    2 "session_expiry" "0002_session_expiry",
    3 "login_failures" "0003_login_failures",
    4 "administration" "0004_administration",
    5 "audit" "0005_audit",
    6 "one_time_tokens_and_outbox" "0006_one_time_tokens_and_outbox",
    7 "roles" "0007_roles",
    8 "factors" "0008_factors",
    9 "passkeys" "0009_passkeys",
    10 "sent_codes" "0010_sent_codes",
}

/// A step that a database has.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) checksum: Digest,
}

impl Applied {
    /// The step of the next columns of a row: version, name and checksum.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self { version: fields.number()?, name: fields.text()?, checksum: fields.digest()? })
    }

    /// The steps of the rows of a history.
    pub(crate) fn of_rows<R: Row>(rows: &[R]) -> Result<Vec<Self>, MigrateError> {
        let decoded: Result<_, DecodeError> = rows.iter().map(|row| Self::decode(&mut Fields::of(row))).collect();
        Ok(decoded.map_err(StoreError::from)?)
    }
}

/// Why the schema of a database cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A newer version of AuthKit has migrated this database. Nothing was changed.
    #[error("the database has schema version {found}, and this version of AuthKit knows {known}: upgrade AuthKit")]
    Newer {
        /// The version of the database.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// A step of this database is not the one that was released: the database belongs to another build, or its history
    /// was edited. Nothing was changed.
    #[error("schema version {version} ({name}) of the database is not the one that this version of AuthKit has")]
    Altered {
        /// The version of the step.
        version: u32,
        /// Its name in the database.
        name: String,
    },
    /// The database could not be read or written. Nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far the schema of a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaStatus {
    /// The version that the database has; 0 for an empty one.
    pub version: u32,
    /// The names of the steps that are missing, in order.
    pub pending: Vec<&'static str>,
}

impl SchemaStatus {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.pending.is_empty()
    }
}

/// The steps that are missing after `applied`, which is in the order of versions.
pub(crate) fn pending<'m>(known: &'m [Migration], applied: &[Applied]) -> Result<&'m [Migration], MigrateError> {
    let newest = |version: Option<u32>| version.unwrap_or(0);
    let found = newest(applied.last().map(|step| step.version));
    let latest = newest(known.last().map(|step| step.version));
    if found > latest {
        return Err(MigrateError::Newer { found, known: latest });
    }
    for (position, have) in applied.iter().enumerate() {
        let same = known
            .get(position)
            .is_some_and(|step| step.version == have.version && step.name == have.name && step.checksum() == have.checksum);
        if !same {
            return Err(MigrateError::Altered { version: have.version, name: have.name.clone() });
        }
    }
    Ok(&known[applied.len()..])
}

/// How far a database with these steps is.
pub(crate) fn status(known: &[Migration], applied: &[Applied]) -> Result<SchemaStatus, MigrateError> {
    let pending = pending(known, applied)?.iter().map(|step| step.name).collect();
    Ok(SchemaStatus { version: applied.last().map_or(0, |step| step.version), pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] =
        &[Migration { version: 1, name: "one", sql: "SELECT 1" }, Migration { version: 2, name: "two", sql: "SELECT 2" }];

    fn applied(version: u32, name: &str, sql: &str) -> Applied {
        Applied { version, name: name.to_owned(), checksum: Digest::of(sql.as_bytes()) }
    }

    #[test]
    fn what_is_missing_is_what_comes_after() {
        let one = [applied(1, "one", "SELECT 1")];
        assert_eq!(status(KNOWN, &[]).expect("empty").pending, ["one", "two"]);
        assert_eq!(status(KNOWN, &one).expect("one"), SchemaStatus { version: 1, pending: vec!["two"] });
        let both = [one[0].clone(), applied(2, "two", "SELECT 2")];
        assert!(status(KNOWN, &both).expect("both").is_current());
    }

    #[test]
    fn another_history_is_refused() {
        for step in [applied(1, "one", "SELECT 7"), applied(1, "uno", "SELECT 1"), applied(2, "two", "SELECT 2")] {
            let outcome = status(KNOWN, std::slice::from_ref(&step));
            assert!(matches!(outcome, Err(MigrateError::Altered { .. })), "{step:?} gave {outcome:?}");
        }
        let newer = status(KNOWN, &[applied(3, "three", "SELECT 3")]);
        assert!(matches!(newer, Err(MigrateError::Newer { found: 3, known: 2 })), "{newer:?}");
    }

    #[test]
    fn versions_count_from_one_without_gaps() {
        assert!(SQLITE.iter().map(|step| step.version).eq(1..=u32::try_from(SQLITE.len()).expect("few")));
    }
}
