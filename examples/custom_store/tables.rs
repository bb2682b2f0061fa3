//! The tables of the file, and the few ways in which they are read and written.
//!
//! A row is found by its primary key; every other order in which something is looked up is a table of its own, an index.
//! Whoever writes a row keeps its indexes in step, in the same transaction, so that no reader ever sees them apart.

use std::borrow::Borrow;

use authkit_core::model::Role;
use authkit_core::ports::StoreError;
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};
use uuid::Uuid;

use crate::records::{KeyOf, Stored};

pub(crate) type Table<K, V> = TableDefinition<'static, K, V>;
/// A table of JSON records. The bytes are decoded by hand and not by a `redb::Value` of our own, because that must not fail,
/// and a record can: a newer version of the program may have written it.
pub(crate) type Records<K> = Table<K, &'static [u8]>;
/// Pairs in order: everything under a first id is one range, sorted by the second.
pub(crate) type Index = Table<(Uuid, Uuid), ()>;

/// Accounts by id. A closed account has no row here, so that no read can come upon one.
pub(crate) const USERS: Records<Uuid> = Table::new("users");
/// The ids of closed accounts: all that is left of them, because an id stays taken.
pub(crate) const CLOSED_USERS: Table<Uuid, ()> = Table::new("closed_users");
/// Which account has an address, by its normal form. That it is the key is what makes the address unique.
pub(crate) const USERS_BY_EMAIL: Table<&str, Uuid> = Table::new("users_by_email");
/// Password hashes (PHC strings) by account, apart from it: who reads a profile never reads a hash.
pub(crate) const PASSWORDS: Table<Uuid, &str> = Table::new("passwords");
/// Sessions by id.
pub(crate) const SESSIONS: Records<Uuid> = Table::new("sessions");
/// (account, session).
pub(crate) const SESSIONS_BY_USER: Index = Table::new("sessions_by_user");
/// (microseconds since the epoch, session) of every session that was revoked.
pub(crate) const REVOCATIONS: Table<(i64, Uuid), ()> = Table::new("revocations");
/// The server's keys by id; only ever a handful.
pub(crate) const KEYS: Records<&str> = Table::new("keys");
/// Audit events by id.
pub(crate) const EVENTS: Records<Uuid> = Table::new("events");
/// (account that it concerns, event).
pub(crate) const EVENTS_BY_SUBJECT: Index = Table::new("events_by_subject");
/// Seals of the audit log by number.
pub(crate) const SEALS: Records<u64> = Table::new("seals");
/// What each seal is the root of, by its number, one leaf behind the other.
pub(crate) const LEAVES: Table<u64, &'static [u8]> = Table::new("leaves");
/// Receivers of the audit log by name.
pub(crate) const STREAMS: Records<&str> = Table::new("streams");
/// (wrong guesses in a row, microseconds since the epoch of the last one) by the digest of whose secret was guessed at.
pub(crate) const GUESSES: Table<[u8; 32], (u32, i64)> = Table::new("guesses");
/// What the second factors of an account are checked against, by account.
pub(crate) const FACTORS: Records<Uuid> = Table::new("factors");
/// One-time tokens by id.
pub(crate) const TOKENS: Records<Uuid> = Table::new("one_time_tokens");
/// Messages by id.
pub(crate) const OUTBOX: Records<Uuid> = Table::new("outbox");
/// Passkeys by id.
pub(crate) const PASSKEYS: Records<Uuid> = Table::new("passkeys");
/// Which passkey its authenticator calls something. That it is the key is what makes it unique.
pub(crate) const PASSKEYS_BY_CREDENTIAL: Table<&[u8], Uuid> = Table::new("passkeys_by_credential");
/// (digest, microseconds since the epoch of the end) of the challenges that wait to be signed, by id.
pub(crate) const PASSKEY_CHALLENGES: Table<Uuid, ([u8; 32], i64)> = Table::new("passkey_challenges");
/// Roles by name.
pub(crate) const ROLES: Records<&str> = Table::new("roles");
/// (role, account) of every assignment.
pub(crate) const USERS_BY_ROLE: Table<(&str, Uuid), ()> = Table::new("users_by_role");
/// (microseconds since the epoch, account) of the last time that the roles of an account were replaced, and that instant by account.
pub(crate) const ACCESS_CHANGES: Table<(i64, Uuid), ()> = Table::new("access_changes");
pub(crate) const ACCESS_CHANGED_AT: Table<Uuid, i64> = Table::new("access_changed_at");
/// Under `"format"` the layout of all of the above, so that a program knows a file that it cannot read; under `"roles"` the
/// version of all roles.
pub(crate) const META: Table<&str, u32> = Table::new("meta");

/// The layout that this program reads and writes. A store that lives on needs a migration for each time it is raised.
pub(crate) const FORMAT: u32 = 3;

/// Makes what a new file lacks (a table that was never written to cannot be opened for reading), and refuses a foreign one.
pub(crate) fn prepare(tx: &WriteTransaction) -> Result<(), StoreError> {
    if value(tx, META, "format", |format| format)?.is_some_and(|format| format != FORMAT) {
        return Err(StoreError::failed("the file was written in another format"));
    }
    set(tx, META, "format", FORMAT)?;
    if value(tx, META, "roles", |version| version)?.is_none() {
        set(tx, META, "roles", 0)?;
        for role in Role::built_in() {
            put(tx, &role)?;
        }
    }
    for records in [USERS, SESSIONS, EVENTS, TOKENS, OUTBOX, FACTORS, PASSKEYS] {
        tx.rows(records)?;
    }
    for index in [SESSIONS_BY_USER, EVENTS_BY_SUBJECT] {
        tx.rows(index)?;
    }
    tx.rows(CLOSED_USERS)?;
    tx.rows(USERS_BY_EMAIL)?;
    tx.rows(PASSWORDS)?;
    tx.rows(REVOCATIONS)?;
    tx.rows(USERS_BY_ROLE)?;
    tx.rows(ACCESS_CHANGES)?;
    tx.rows(ACCESS_CHANGED_AT)?;
    tx.rows(KEYS)?;
    tx.rows(SEALS)?;
    tx.rows(LEAVES)?;
    tx.rows(STREAMS)?;
    tx.rows(GUESSES)?;
    tx.rows(PASSKEYS_BY_CREDENTIAL)?;
    tx.rows(PASSKEY_CHALLENGES)?;
    Ok(())
}

/// A transaction that can be read from: a snapshot of its own, or the one writer, who also sees what he has written so far.
/// One query serves both, a plain read and the guard of a change.
pub(crate) trait Readable {
    /// Opens a table.
    fn rows<K: Key + 'static, V: Value + 'static>(&self, table: Table<K, V>) -> Result<impl ReadableTable<K, V>, StoreError>;
}

impl Readable for ReadTransaction {
    fn rows<K: Key + 'static, V: Value + 'static>(&self, table: Table<K, V>) -> Result<impl ReadableTable<K, V>, StoreError> {
        self.open_table(table).map_err(broken)
    }
}

impl Readable for WriteTransaction {
    fn rows<K: Key + 'static, V: Value + 'static>(&self, table: Table<K, V>) -> Result<impl ReadableTable<K, V>, StoreError> {
        self.open_table(table).map_err(broken)
    }
}

/// The record under a key.
pub(crate) fn get<M: Stored>(tx: &impl Readable, key: KeyOf<'_, M>) -> Result<Option<M>, StoreError> {
    value(tx, M::TABLE, key, M::decode)?.transpose()
}

/// Every record, in the order of the keys.
pub(crate) fn all<M: Stored>(tx: &impl Readable) -> Result<Vec<M>, StoreError> {
    let rows = tx.rows(M::TABLE)?;
    let read = rows.iter().map_err(broken)?.map(|row| M::decode(row.map_err(broken)?.1.value()));
    read.collect()
}

/// What `take` makes of the value under a key.
pub(crate) fn value<'k, K: Key + 'static, V: Value + 'static, T>(
    tx: &impl Readable,
    table: Table<K, V>,
    key: impl Borrow<K::SelfType<'k>>,
    take: impl FnOnce(V::SelfType<'_>) -> T,
) -> Result<Option<T>, StoreError> {
    let rows = tx.rows(table)?;
    let found = rows.get(key).map_err(broken)?;
    Ok(found.map(|found| take(found.value())))
}

/// Whether there is anything under a key.
pub(crate) fn has<'k, K: Key + 'static, V: Value + 'static>(
    tx: &impl Readable,
    table: Table<K, V>,
    key: impl Borrow<K::SelfType<'k>>,
) -> Result<bool, StoreError> {
    value(tx, table, key, |_| ()).map(|found| found.is_some())
}

/// Writes a record under its key, over what was there.
pub(crate) fn put<M: Stored>(tx: &WriteTransaction, row: &M) -> Result<(), StoreError> {
    set(tx, M::TABLE, row.key(), row.encode()?.as_slice())
}

/// Writes a value under a key, over what was there.
pub(crate) fn set<'k, 'v, K: Key + 'static, V: Value + 'static>(
    tx: &WriteTransaction,
    table: Table<K, V>,
    key: impl Borrow<K::SelfType<'k>>,
    value: impl Borrow<V::SelfType<'v>>,
) -> Result<(), StoreError> {
    let mut rows = tx.open_table(table).map_err(broken)?;
    rows.insert(key, value).map_err(broken)?;
    Ok(())
}

/// Removes what is under a key, and says whether there was anything.
pub(crate) fn remove<'k, K: Key + 'static, V: Value + 'static>(
    tx: &WriteTransaction,
    table: Table<K, V>,
    key: impl Borrow<K::SelfType<'k>>,
) -> Result<bool, StoreError> {
    let mut rows = tx.open_table(table).map_err(broken)?;
    let removed = rows.remove(key).map_err(broken)?;
    Ok(removed.is_some())
}

/// The one place that says who is to blame: the disk, which may recover, or the file and this program, which will not.
pub(crate) fn broken(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        error @ (redb::Error::Io(_)
        | redb::Error::PreviousIo
        | redb::Error::DatabaseClosed
        | redb::Error::DatabaseAlreadyOpen) => StoreError::unavailable(error),
        error => StoreError::failed(error),
    }
}
