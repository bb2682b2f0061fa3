//! The server's keys.

use authkit_core::Sealed;
use authkit_core::model::{KeyAlgorithm, KeyChange, KeyId, KeyPurpose, ServerKey};
use authkit_core::ports::{Conflict, StoreError};

use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

const LIST: &str = "SELECT id, purpose, serial, algorithm, private, public_jwk, created_at, activates_at \
    FROM authkit_server_keys ORDER BY purpose, serial";

const INSERT: &str = "INSERT INTO authkit_server_keys \
    (id, purpose, serial, algorithm, private, public_jwk, created_at, activates_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";

const HAS_ID: &str = "SELECT 1 FROM authkit_server_keys WHERE id = $1";

const DELETE: &str = "DELETE FROM authkit_server_keys WHERE id = $1";

/// Reads every key.
pub(crate) fn list() -> Query {
    Query::new(LIST, args![])
}

/// The key of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<ServerKey, DecodeError> {
    Ok(ServerKey {
        id: fields.named("key id", KeyId::parse)?,
        purpose: fields.named("key purpose", KeyPurpose::from_name)?,
        serial: fields.number()?,
        algorithm: fields.named("key algorithm", KeyAlgorithm::from_name)?,
        private: Sealed::from_bytes(fields.bytes()?),
        public_jwk: fields.optional_text()?,
        created_at: fields.time()?,
        activates_at: fields.time()?,
    })
}

/// The statement of a change.
pub(crate) fn statement(change: &KeyChange) -> Result<Statement, StoreError> {
    Ok(match change {
        KeyChange::Insert(key) => insert(key),
        KeyChange::Delete { id } => Statement::guarded(DELETE, args![id.as_str()], Conflict::KeyGone),
        _ => return Err(unknown_change()),
    })
}

fn insert(key: &ServerKey) -> Statement {
    let args = args![
        key.id.as_str(),
        key.purpose.as_str(),
        key.serial,
        key.algorithm.as_str(),
        key.private.as_bytes(),
        key.public_jwk.as_deref(),
        key.created_at,
        key.activates_at,
    ];
    let probe = Query::new(HAS_ID, args![key.id.as_str()]);
    Statement::probed(INSERT, args, probe, (Conflict::DuplicateId, Conflict::KeySerialTaken))
}
