//! A map that can take back what was written to it since the last commit.

use std::collections::BTreeMap;

/// Rows in the order of their keys, and for each write since the last commit what was there before.
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    overwritten: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), overwritten: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// The committed rows and those of the running commit.
    pub(super) const fn rows(&self) -> &BTreeMap<K, V> {
        &self.rows
    }

    /// Writes a row.
    pub(super) fn put(&mut self, key: K, row: V) {
        let before = self.rows.insert(key.clone(), row);
        self.overwritten.push((key, before));
    }

    /// Removes a row, if it is there.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.remove(key) {
            self.overwritten.push((key.clone(), Some(before)));
        }
    }

    /// Makes the writes final.
    pub(super) fn keep(&mut self) {
        self.overwritten.clear();
    }

    /// Undoes the writes, the last one first.
    pub(super) fn take_back(&mut self) {
        while let Some((key, before)) = self.overwritten.pop() {
            match before {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}
