//! The server's keys.

use crate::model::{KeyChange, KeyId, ServerKey};
use crate::ports::store::{CommitError, Conflict};

use super::Tables;
use super::table::Table;

/// The keys by their id. There are only ever a handful.
#[derive(Default)]
pub(super) struct Keys {
    rows: Table<KeyId, ServerKey>,
}

impl Keys {
    /// Every key, in the order of purpose and serial.
    pub(super) fn all(&self) -> Vec<ServerKey> {
        let mut keys: Vec<ServerKey> = self.rows.rows().values().cloned().collect();
        keys.sort_by_key(|key| (key.purpose, key.serial));
        keys
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
    }
}

pub(super) fn apply(tables: &mut Tables, change: &KeyChange) -> Result<(), CommitError> {
    let keys = &mut tables.keys.rows;
    match change {
        KeyChange::Insert(key) => {
            if keys.rows().contains_key(&key.id) {
                return Err(Conflict::DuplicateId.into());
            }
            if keys.rows().values().any(|other| (other.purpose, other.serial) == (key.purpose, key.serial)) {
                return Err(Conflict::KeySerialTaken.into());
            }
            keys.put(key.id.clone(), key.clone());
        }
        KeyChange::Delete { id } => keys.remove(id),
    }
    Ok(())
}
