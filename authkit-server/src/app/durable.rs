//! The durable store that the settings name, whichever it is.

use std::sync::Arc;

use authkit_core::ports::Store;
use authkit_sqlx::{MigrateError, PgStore, SchemaStatus, SqliteOptions, SqliteStore, WriterStats};

use crate::cli::OperationError;
use crate::settings::{Database, Settings};

/// Where a refusal points.
const NAME: &str = "DATABASE_URL";

/// The durable store.
#[derive(Debug, Clone)]
pub(super) enum Durable {
    Sqlite(SqliteStore),
    Postgres(PgStore),
}

impl Durable {
    /// Opens the store and leaves its schema alone.
    pub(super) async fn open(settings: &Settings) -> Result<Self, OperationError> {
        match &settings.database {
            Database::Sqlite { path } => {
                let opened = SqliteStore::open(SqliteOptions::new(path)).await;
                Ok(Self::Sqlite(opened.map_err(|error| format!("{NAME}: {}: {error}", settings.database))?))
            }
            Database::Postgres(postgres) => {
                let options = postgres.options().clone().connections(settings.database_connections);
                Ok(Self::Postgres(PgStore::open(options).await.map_err(|error| format!("{NAME}: {error}"))?))
            }
        }
    }

    /// Whether opening it would make it.
    pub(super) fn is_missing(settings: &Settings) -> bool {
        match &settings.database {
            Database::Sqlite { path } => !path.exists(),
            Database::Postgres(_) => false,
        }
    }

    /// Brings the schema up to date.
    pub(super) async fn migrate(&self) -> Result<SchemaStatus, OperationError> {
        Ok(match self {
            Self::Sqlite(store) => store.migrate().await,
            Self::Postgres(store) => store.migrate().await,
        }
        .map_err(|error| of_the_database(&error))?)
    }

    /// Says how far the schema is, and writes nothing.
    pub(super) async fn check(&self) -> Result<SchemaStatus, OperationError> {
        Ok(match self {
            Self::Sqlite(store) => store.check().await,
            Self::Postgres(store) => store.check().await,
        }
        .map_err(|error| of_the_database(&error))?)
    }

    /// The store, for the library.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// What SQLite's one writer has done; PostgreSQL has none.
    pub(super) fn writer_stats(&self) -> Option<WriterStats> {
        match self {
            Self::Sqlite(store) => Some(store.stats()),
            Self::Postgres(_) => None,
        }
    }

    /// Finishes what was accepted.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// Names the setting, and the cause where the error itself only says that the store failed.
fn of_the_database(error: &MigrateError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{NAME}: {error}: {cause}"),
        None => format!("{NAME}: {error}"),
    }
}
