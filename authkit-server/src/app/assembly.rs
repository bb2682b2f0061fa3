//! From the settings to an `AuthKit`: the store, the master keys, the library.

use std::sync::Arc;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::{AuthKit, OsEntropy, SystemClock};
use authkit_sqlx::{SqliteOptions, SqliteStore};

use crate::cli::OperationError;
use crate::data_dir::DataDir;
use crate::settings::{Database, Settings};

/// An `AuthKit` and the store under it.
pub(super) struct Assembly {
    pub(super) auth: AuthKit,
    pub(super) store: SqliteStore,
}

impl Assembly {
    /// Opens everything that the settings name; the schema is brought up to date.
    pub(super) async fn open(settings: &Settings) -> Result<Self, OperationError> {
        let directory = DataDir::open(&settings.data_dir)?;
        let store = open_store(settings).await?;
        store.migrate().await?;
        let keys = match &settings.master_keys {
            Some(keys) => keys.clone(),
            // SECURITY: a new master key beside sealed keys would open none of them. Make one only where nothing is sealed.
            None => match directory.key_file().load()? {
                Some(keys) => keys,
                None if has_sealed_keys(&store).await? => return Err(lost_master_key(&directory)),
                None => directory.key_file().load_or_create(&SystemClock, &OsEntropy)?,
            },
        };
        let custody = LocalKeyCustody::new(keys, Arc::new(OsEntropy))?;
        let auth =
            AuthKit::builder(settings.core_config()).store(Arc::new(store.clone())).custody(Arc::new(custody)).build().await?;
        Ok(Self { auth, store })
    }

    /// Finishes what was accepted.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// Opens the store and leaves its schema alone.
pub(super) async fn open_store(settings: &Settings) -> Result<SqliteStore, OperationError> {
    let Database::Sqlite { path } = &settings.database;
    Ok(SqliteStore::open(SqliteOptions::new(path)).await?)
}

async fn has_sealed_keys(store: &SqliteStore) -> Result<bool, OperationError> {
    use authkit_core::ports::KeyReads;
    Ok(!store.server_keys().await?.is_empty())
}

fn lost_master_key(directory: &DataDir) -> OperationError {
    format!(
        "the database holds keys that are sealed, and the master key {} that opens them is missing: restore it from a backup, or \
         hand it in as AUTHKIT_MASTER_KEYS",
        directory.key_file().path().display()
    )
    .into()
}
