//! The database under the nodes.

use tempfile::TempDir;

use crate::ledger::Ledger;

/// A database that all nodes share.
#[derive(Debug)]
pub(crate) enum Ground {
    /// One file: several processes of one machine.
    Sqlite(TempDir),
}

impl Ground {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::Builder::new().prefix("authkit-nodes-").tempdir().expect("a temporary directory"))
    }

    /// The one that the tests of everything else run on.
    pub(crate) fn of_test() -> Self {
        Self::sqlite()
    }

    /// What a node is told of it.
    pub(crate) fn settings(&self, _node: usize) -> Vec<(String, String)> {
        match self {
            Self::Sqlite(home) => {
                vec![("DATABASE_URL".to_owned(), format!("sqlite://{}", home.path().join("shared.sqlite3").display()))]
            }
        }
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        match self {
            Self::Sqlite(home) => Ledger::of_sqlite(&home.path().join("shared.sqlite3")).await,
        }
    }
}
