//! Passkeys and their challenges.

use authkit_core::model::{CredentialId, Passkey, PasskeyChallenge, PasskeyChange, PasskeyTransport, PasskeyWithUser};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{PasskeyId, PasskeyName, UserId};

use crate::aggregate::user::{self, user_columns};
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

macro_rules! passkey_columns {
    () => {
        "p.id, p.user_id, p.credential_id, p.public_key, p.name, p.sign_count, p.backup_eligible, p.backed_up, p.transports, \
         p.aaguid, p.created_at, p.last_used_at"
    };
}

const OF_USER: &str = concat!("SELECT ", passkey_columns!(), " FROM authkit_passkeys p WHERE p.user_id = $1 ORDER BY p.id");

const BY_CREDENTIAL: &str = concat!(
    "SELECT ",
    passkey_columns!(),
    ", ",
    user_columns!(),
    " FROM authkit_passkeys p JOIN authkit_users u ON u.id = p.user_id WHERE p.credential_id = $1 AND u.status <> 'closed'"
);

macro_rules! hold_for_insert {
    ($lock:literal) => {
        concat!("SELECT 1 FROM authkit_users u WHERE u.id = $1 AND u.auth_epoch = $2 AND u.status = 'active'", $lock)
    };
}

macro_rules! hold_for_delete {
    ($lock:literal) => {
        concat!("SELECT 1 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'", $lock)
    };
}

/// SQLite has one writer at a time: what was read stays true until the transaction ends.
pub(crate) const HOLD_FOR_INSERT_SQLITE: &str = hold_for_insert!("");
pub(crate) const HOLD_FOR_DELETE_SQLITE: &str = hold_for_delete!("");

/// INVARIANT: rivals wait here for each other, and what is counted behind it is counted by one at a time: each of two could
/// otherwise see room for one passkey more, or leave the passkey of the other as the way in.
pub(crate) const HOLD_FOR_INSERT_POSTGRES: &str = hold_for_insert!(" FOR NO KEY UPDATE OF u");
pub(crate) const HOLD_FOR_DELETE_POSTGRES: &str = hold_for_delete!(" FOR NO KEY UPDATE OF u");

const INSERT: &str = "INSERT INTO authkit_passkeys (id, user_id, credential_id, public_key, name, sign_count, backup_eligible, \
    backed_up, transports, aaguid, created_at, last_used_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
    WHERE (SELECT count(*) FROM authkit_passkeys p WHERE p.user_id = $2) < $13 ON CONFLICT DO NOTHING";

const IS_TAKEN: &str = "SELECT 1 FROM authkit_passkeys p WHERE p.credential_id = $1 \
    UNION ALL SELECT 1 FROM authkit_passkeys p WHERE p.id = $2";

const USE: &str = "UPDATE authkit_passkeys SET sign_count = $3, backed_up = $4, last_used_at = $5 \
    WHERE id = $1 AND sign_count = $2";

const RENAME: &str = "UPDATE authkit_passkeys SET name = $3 WHERE id = $1 AND user_id = $2";

const DELETE: &str = "DELETE FROM authkit_passkeys WHERE id = $1 AND user_id = $2 AND (\
     EXISTS (SELECT 1 FROM authkit_password_credentials c WHERE c.user_id = $2) \
     OR EXISTS (SELECT 1 FROM authkit_passkeys o WHERE o.user_id = $2 AND o.id <> $1))";

const HAS_PASSKEY: &str = "SELECT 1 FROM authkit_passkeys p WHERE p.id = $1 AND p.user_id = $2";

pub(crate) const FORGET_ALL_OF: &str = "DELETE FROM authkit_passkeys WHERE user_id = $1";

const CHALLENGE: &str =
    "INSERT INTO authkit_passkey_challenges (id, secret, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// SECURITY: every guard stands in the `WHERE`: of any number of answers to one challenge, the first removes the row and all
/// others match nothing.
const ANSWER: &str = "DELETE FROM authkit_passkey_challenges WHERE id = $1 AND secret = $2 AND expires_at > $3";

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_passkey_challenges WHERE id IN \
     (SELECT c.id FROM authkit_passkey_challenges c WHERE c.expires_at < $1 ORDER BY c.expires_at LIMIT $2)";

/// What another node is just forgetting is left to it.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_passkey_challenges WHERE id = ANY (ARRAY( \
     SELECT c.id FROM authkit_passkey_challenges c WHERE c.expires_at < $1 ORDER BY c.expires_at LIMIT $2 \
     FOR UPDATE SKIP LOCKED))";

/// Reads the passkeys of an account.
pub(crate) fn of_user(user_id: UserId) -> Query {
    Query::new(OF_USER, args![user_id])
}

/// Reads a passkey and its account.
pub(crate) fn by_credential(credential_id: &CredentialId) -> Query {
    Query::new(BY_CREDENTIAL, args![credential_id.as_bytes()])
}

/// The passkey of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Passkey, DecodeError> {
    Ok(Passkey {
        id: PasskeyId::from_uuid(fields.id()?),
        user_id: UserId::from_uuid(fields.id()?),
        credential_id: CredentialId::from_stored(fields.bytes()?),
        public_key: fields.bytes()?,
        name: PasskeyName::from_stored(fields.text()?),
        sign_count: fields.number()?,
        backup_eligible: fields.number()? != 0,
        backed_up: fields.number()? != 0,
        transports: fields.named("transport", |names| {
            names.split(',').filter(|name| !name.is_empty()).map(PasskeyTransport::from_name).collect()
        })?,
        aaguid: fields.id()?,
        created_at: fields.time()?,
        last_used_at: fields.optional_time()?,
    })
}

/// The passkey and its account of the next columns of a row.
pub(crate) fn decode_with_user(fields: &mut Fields<'_>) -> Result<PasskeyWithUser, DecodeError> {
    Ok(PasskeyWithUser { passkey: decode(fields)?, user: user::decode(fields)? })
}

/// The statements of a change.
pub(crate) fn statements(dialect: &Dialect, change: &PasskeyChange, statements: &mut Vec<Statement>) -> Result<(), StoreError> {
    match change {
        PasskeyChange::Insert { passkey, auth_epoch, at_most } => {
            let hold = args![passkey.user_id, *auth_epoch];
            statements.push(Statement::guarded(dialect.hold_for_passkey, hold, Conflict::UserChanged).looking());
            statements.push(insert(passkey, *at_most));
        }
        PasskeyChange::Use { id, from, sign_count, backed_up, at } => {
            let args = args![*id, *from, *sign_count, *backed_up, *at];
            statements.push(Statement::guarded(USE, args, Conflict::PasskeyUsed));
        }
        PasskeyChange::Rename { id, user_id, name } => {
            statements.push(Statement::guarded(RENAME, args![*id, *user_id, name.as_str()], Conflict::PasskeyGone));
        }
        PasskeyChange::Delete { id, user_id } => {
            let (hold, probe) = (dialect.hold_for_passkey_end, Query::new(HAS_PASSKEY, args![*id, *user_id]));
            statements.push(Statement::guarded(hold, args![*user_id], Conflict::PasskeyGone).looking());
            let conflicts = (Conflict::LastWayIn, Conflict::PasskeyGone);
            statements.push(Statement::probed(DELETE, args![*id, *user_id], probe, conflicts));
        }
        PasskeyChange::ForgetAllOf { user_id } => statements.push(Statement::free(FORGET_ALL_OF, args![*user_id])),
        PasskeyChange::Challenge(PasskeyChallenge { id, secret, expires_at }) => {
            let args = args![*id, *secret, *expires_at];
            statements.push(Statement::guarded(CHALLENGE, args, Conflict::DuplicateId));
        }
        PasskeyChange::Answer { id, secret, at } => {
            statements.push(Statement::guarded(ANSWER, args![*id, *secret, *at], Conflict::TokenGone));
        }
        PasskeyChange::PurgeChallenges { expired_before, limit } => {
            let args = args![*expired_before, *limit];
            statements.push(Statement::free(dialect.purge_passkey_challenges, args).purging());
        }
        _ => return Err(unknown_change()),
    }
    Ok(())
}

fn insert(passkey: &Passkey, at_most: u32) -> Statement {
    let transports: Vec<&str> = passkey.transports.iter().map(|transport| transport.as_str()).collect();
    let args = args![
        passkey.id,
        passkey.user_id,
        passkey.credential_id.as_bytes(),
        passkey.public_key.as_slice(),
        passkey.name.as_str(),
        passkey.sign_count,
        passkey.backup_eligible,
        passkey.backed_up,
        transports.join(","),
        passkey.aaguid,
        passkey.created_at,
        passkey.last_used_at,
        at_most,
    ];
    let probe = Query::new(IS_TAKEN, args![passkey.credential_id.as_bytes(), passkey.id]);
    Statement::probed(INSERT, args, probe, (Conflict::PasskeyTaken, Conflict::PasskeyLimit))
}
