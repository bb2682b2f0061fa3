//! Passwords.

use authkit_core::model::{CredentialChange, Credentials, StoredPassword};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Email, PageRequest, PasswordHash, UserId};

use crate::aggregate::user::{self, user_columns};
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

macro_rules! select_credentials {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", c.hash FROM authkit_users u LEFT JOIN authkit_password_credentials c ON c.user_id = u.id WHERE ",
            $condition
        )
    };
}

/// A closed account has no address, so that this finds none.
const BY_EMAIL: &str = select_credentials!("u.email_normal = $1");

const BY_USER: &str = select_credentials!("u.id = $1 AND u.status <> 'closed'");

macro_rules! insert {
    ($lock:literal) => {
        concat!(
            "INSERT INTO authkit_password_credentials (user_id, hash, created_at, updated_at) \
             SELECT u.id, $2, $3, $3 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'",
            $lock,
            " ON CONFLICT DO NOTHING"
        )
    };
}

/// SQLite has one writer at a time: what the guard read stays true until the transaction ends.
pub(crate) const INSERT_SQLITE: &str = insert!("");

/// INVARIANT: the account stays locked until the transaction ends, or one that is just being closed would get a password.
pub(crate) const INSERT_POSTGRES: &str = insert!(" FOR NO KEY UPDATE OF u");

const PAGE_FIRST: &str = "SELECT user_id, hash FROM authkit_password_credentials ORDER BY user_id LIMIT $1";

const PAGE_NEXT: &str = "SELECT user_id, hash FROM authkit_password_credentials WHERE user_id > $2 ORDER BY user_id LIMIT $1";

const HAS_USER: &str = "SELECT 1 FROM authkit_users WHERE id = $1 AND status <> 'closed'";

const REPLACE: &str = "UPDATE authkit_password_credentials SET hash = $3, updated_at = $4 WHERE user_id = $1 AND hash = $2";

const DELETE: &str = "DELETE FROM authkit_password_credentials WHERE user_id = $1";

/// Reads the account with an address, and its password hash.
pub(crate) fn by_email(email: &Email) -> Query {
    Query::new(BY_EMAIL, args![email.normal()])
}

/// Reads the account with an id, and its password hash.
pub(crate) fn by_user(id: UserId) -> Query {
    Query::new(BY_USER, args![id])
}

/// Reads a page of the hashes, and one row more. A closed account has none.
pub(crate) fn page(page: PageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match page.cursor {
        None => Query::new(PAGE_FIRST, args![limit]),
        Some(cursor) => Query::new(PAGE_NEXT, args![limit, cursor.id()]),
    }
}

/// The hash and its owner of the next columns of a row.
pub(crate) fn decode_stored(fields: &mut Fields<'_>) -> Result<StoredPassword, DecodeError> {
    Ok(StoredPassword { user_id: UserId::from_uuid(fields.id()?), hash: PasswordHash::from_phc(fields.text()?) })
}

/// The account and its password of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Credentials, DecodeError> {
    Ok(Credentials { user: user::decode(fields)?, password: fields.optional_text()?.map(PasswordHash::from_phc) })
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &CredentialChange) -> Result<Statement, StoreError> {
    Ok(match change {
        CredentialChange::InsertPassword { user_id, hash, at } => Statement::probed(
            dialect.insert_password,
            args![*user_id, hash.expose(), *at],
            Query::new(HAS_USER, args![*user_id]),
            (Conflict::PasswordChanged, Conflict::UserChanged),
        ),
        CredentialChange::ReplacePassword { user_id, from, to, at } => {
            Statement::guarded(REPLACE, args![*user_id, from.expose(), to.expose(), *at], Conflict::PasswordChanged)
        }
        CredentialChange::DeletePassword { user_id } => Statement::free(DELETE, args![*user_id]),
        _ => return Err(unknown_change()),
    })
}
