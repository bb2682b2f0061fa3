//! One-time tokens.

use authkit_core::model::{OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Email, OneTimeTokenId, UserId};

use crate::aggregate::user::{self, user_columns};
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

const BY_ID: &str = concat!(
    "SELECT t.id, t.purpose, t.user_id, t.secret, t.auth_epoch, t.address_normal, t.address, t.data, t.attempts_left, \
     t.created_at, t.expires_at, ",
    user_columns!(),
    " FROM authkit_one_time_tokens t JOIN authkit_users u ON u.id = t.user_id \
     WHERE t.id = $1 AND t.purpose = $2 AND u.status <> 'closed'"
);

macro_rules! insert {
    ($lock:literal) => {
        concat!(
            "INSERT INTO authkit_one_time_tokens \
             (id, purpose, user_id, secret, auth_epoch, address_normal, address, data, attempts_left, created_at, expires_at) \
             SELECT $1, $2, u.id, $4, $5, $6, $7, $8, $9, $10, $11 FROM authkit_users u WHERE u.id = $3 AND u.status <> 'closed'",
            $lock,
            " ON CONFLICT DO NOTHING"
        )
    };
}

/// SQLite has one writer at a time: what the guard read stays true until the transaction ends.
pub(crate) const INSERT_SQLITE: &str = insert!("");

/// INVARIANT: the account stays locked until the transaction ends, or one that is just being closed would keep a token.
pub(crate) const INSERT_POSTGRES: &str = insert!(" FOR NO KEY UPDATE OF u");

const HAS_USER: &str = "SELECT 1 FROM authkit_users WHERE id = $1 AND status <> 'closed'";

/// SECURITY: every guard stands in the `WHERE`: of any number of holders of one token, the first removes the row and all others
/// match nothing.
const CONSUME: &str = "DELETE FROM authkit_one_time_tokens WHERE id = $1 AND purpose = $2 AND secret = $3 AND expires_at > $4";

const SPEND_ATTEMPT: &str = "UPDATE authkit_one_time_tokens SET attempts_left = attempts_left - 1 \
    WHERE id = $1 AND purpose = $2 AND expires_at > $3 AND attempts_left > 0";

const REVOKE_ALL_OF: &str = "DELETE FROM authkit_one_time_tokens WHERE user_id = $1 AND purpose = COALESCE($2, purpose)";

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_one_time_tokens WHERE id IN \
     (SELECT t.id FROM authkit_one_time_tokens t WHERE t.expires_at < $1 ORDER BY t.expires_at LIMIT $2)";

/// What another node is just forgetting is left to it.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_one_time_tokens WHERE id = ANY (ARRAY( \
     SELECT t.id FROM authkit_one_time_tokens t WHERE t.expires_at < $1 ORDER BY t.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// Reads a token and its account.
pub(crate) fn by_id(id: OneTimeTokenId, purpose: OneTimePurpose) -> Query {
    Query::new(BY_ID, args![id, purpose.as_str()])
}

/// The token and its account of the next columns of a row.
pub(crate) fn decode_with_user(fields: &mut Fields<'_>) -> Result<OneTimeTokenWithUser, DecodeError> {
    Ok(OneTimeTokenWithUser { token: decode(fields)?, user: user::decode(fields)? })
}

fn decode(fields: &mut Fields<'_>) -> Result<OneTimeToken, DecodeError> {
    Ok(OneTimeToken {
        id: OneTimeTokenId::from_uuid(fields.id()?),
        purpose: fields.named("one-time purpose", OneTimePurpose::from_name)?,
        user_id: UserId::from_uuid(fields.id()?),
        secret: fields.digest()?,
        auth_epoch: fields.number()?,
        address: address(fields)?,
        data: fields.named("token data", |json| serde_json::from_str(json).ok())?,
        attempts_left: fields.number()?,
        created_at: fields.time()?,
        expires_at: fields.time()?,
    })
}

fn address(fields: &mut Fields<'_>) -> Result<Option<Email>, DecodeError> {
    match (fields.optional_text()?, fields.optional_text()?) {
        (None, None) => Ok(None),
        (Some(normal), Some(spelling)) => Ok(Some(Email::from_stored(normal, spelling))),
        _ => Err(DecodeError::Unknown { what: "address" }),
    }
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &OneTimeTokenChange) -> Result<Statement, StoreError> {
    Ok(match change {
        OneTimeTokenChange::Insert(token) => insert(dialect, token)?,
        OneTimeTokenChange::Consume { id, purpose, secret, at } => {
            Statement::guarded(CONSUME, args![*id, purpose.as_str(), *secret, *at], Conflict::TokenGone)
        }
        OneTimeTokenChange::SpendAttempt { id, purpose, at } => {
            Statement::guarded(SPEND_ATTEMPT, args![*id, purpose.as_str(), *at], Conflict::TokenGone)
        }
        OneTimeTokenChange::RevokeAllOf { user_id, purpose } => {
            Statement::free(REVOKE_ALL_OF, args![*user_id, purpose.map(OneTimePurpose::as_str)])
        }
        OneTimeTokenChange::Purge { expired_before, limit } => {
            Statement::free(dialect.purge_one_time_tokens, args![*expired_before, *limit]).purging()
        }
        _ => return Err(unknown_change()),
    })
}

fn insert(dialect: &Dialect, token: &OneTimeToken) -> Result<Statement, StoreError> {
    let data = serde_json::to_string(&token.data).map_err(StoreError::failed)?;
    let args = args![
        token.id,
        token.purpose.as_str(),
        token.user_id,
        token.secret,
        token.auth_epoch,
        token.address.as_ref().map(Email::normal),
        token.address.as_ref().map(Email::spelling),
        data,
        token.attempts_left,
        token.created_at,
        token.expires_at,
    ];
    let probe = Query::new(HAS_USER, args![token.user_id]);
    Ok(Statement::probed(dialect.insert_one_time_token, args, probe, (Conflict::DuplicateId, Conflict::UserChanged)))
}
