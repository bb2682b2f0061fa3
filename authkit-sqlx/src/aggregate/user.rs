//! Accounts.

use authkit_core::model::FactorSet;
use authkit_core::model::{Patch, User, UserChange, UserStatus};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Email, FullName, Locale, UserId};

use crate::aggregate::factor;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::{Value, args};

/// What [`decode`] reads, of a table that is called `u`.
macro_rules! user_columns {
    () => {
        "u.id, u.email_normal, u.email, u.email_verified_at, u.full_name, u.locale, u.status, u.auth_epoch, u.second_factors, u.created_at, u.updated_at"
    };
}

pub(crate) use user_columns;

const BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'");

const INSERT: &str = "INSERT INTO authkit_users \
    (id, email_normal, email, email_verified_at, full_name, locale, status, auth_epoch, second_factors, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";

const HAS_EMAIL: &str = "SELECT 1 FROM authkit_users WHERE email_normal = $1";

const UPDATE_PROFILE: &str = "UPDATE authkit_users SET \
    full_name = CASE WHEN $2 = 1 THEN full_name ELSE $3 END, \
    locale = CASE WHEN $4 = 1 THEN locale ELSE $5 END, \
    updated_at = $6 WHERE id = $1 AND status = 'active'";

const RAISE_AUTH_EPOCH: &str = "UPDATE authkit_users SET auth_epoch = auth_epoch + 1, updated_at = $3 \
    WHERE id = $1 AND status = 'active' AND auth_epoch = $2";

const SET_SECOND_FACTORS: &str = "UPDATE authkit_users SET second_factors = $3, auth_epoch = auth_epoch + 1, updated_at = $4 \
    WHERE id = $1 AND status <> 'closed' AND auth_epoch = $2";

const CLOSE: &str = "UPDATE authkit_users SET status = 'closed', email_normal = NULL, email = NULL, \
    email_verified_at = NULL, full_name = NULL, locale = NULL, second_factors = 0, updated_at = $2 WHERE id = $1 AND status <> 'closed'";

const FORGET_PASSWORD: &str = "DELETE FROM authkit_password_credentials WHERE user_id = $1";

const FORGET_DEVICES: &str = "UPDATE authkit_sessions SET device_name = NULL, created_ip = NULL, \
    created_user_agent = NULL, last_used_ip = NULL, last_used_user_agent = NULL WHERE user_id = $1";

/// Reads the account with an id.
pub(crate) fn by_id(id: UserId) -> Query {
    Query::new(BY_ID, args![id])
}

/// The account of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<User, DecodeError> {
    Ok(User {
        id: UserId::from_uuid(fields.id()?),
        email: Email::from_stored(fields.text()?, fields.text()?),
        email_verified_at: fields.optional_time()?,
        full_name: fields.optional_text()?.map(FullName::from_stored),
        locale: fields.optional_text()?.map(Locale::from_stored),
        status: fields.named("account status", UserStatus::from_name)?,
        auth_epoch: fields.number()?,
        second_factors: decode_factors(fields)?,
        created_at: fields.time()?,
        updated_at: fields.time()?,
    })
}

/// SECURITY: an account whose factors this version does not know cannot be read, and so not be logged in to without them.
fn decode_factors(fields: &mut Fields<'_>) -> Result<FactorSet, DecodeError> {
    FactorSet::from_bits(fields.number()?).ok_or(DecodeError::Unknown { what: "second factor" })
}

/// Appends the statements of a change.
pub(crate) fn statements(change: &UserChange, statements: &mut Vec<Statement>) -> Result<(), StoreError> {
    match change {
        UserChange::Insert(user) => statements.push(insert(user)),
        UserChange::UpdateProfile { id, full_name, locale, at } => {
            let (keep_name, name) = patch(full_name, FullName::as_str);
            let (keep_locale, locale) = patch(locale, Locale::as_str);
            let args = args![*id, keep_name, name, keep_locale, locale, *at];
            statements.push(Statement::guarded(UPDATE_PROFILE, args, Conflict::UserChanged));
        }
        UserChange::RaiseAuthEpoch { id, from, at } => {
            statements.push(Statement::guarded(RAISE_AUTH_EPOCH, args![*id, *from, *at], Conflict::UserChanged));
        }
        UserChange::SetSecondFactors { id, from, to, at } => {
            let args = args![*id, *from, to.bits(), *at];
            statements.push(Statement::guarded(SET_SECOND_FACTORS, args, Conflict::UserChanged));
        }
        UserChange::Close { id, at } => {
            statements.push(Statement::guarded(CLOSE, args![*id, *at], Conflict::UserChanged));
            statements.push(Statement::free(FORGET_PASSWORD, args![*id]));
            statements.push(Statement::free(FORGET_DEVICES, args![*id]));
            statements.push(Statement::free(factor::FORGET, args![*id]));
        }
        _ => return Err(unknown_change()),
    }
    Ok(())
}

fn insert(user: &User) -> Statement {
    let args = args![
        user.id,
        user.email.normal(),
        user.email.spelling(),
        user.email_verified_at,
        user.full_name.as_ref().map(FullName::as_str),
        user.locale.as_ref().map(Locale::as_str),
        user.status.as_str(),
        user.auth_epoch,
        user.second_factors.bits(),
        user.created_at,
        user.updated_at,
    ];
    let probe = Query::new(HAS_EMAIL, args![user.email.normal()]);
    Statement::probed(INSERT, args, probe, (Conflict::EmailTaken, Conflict::DuplicateId))
}

/// Whether a field stays, and what it becomes otherwise.
fn patch<T>(patch: &Patch<T>, text: impl FnOnce(&T) -> &str) -> (bool, Value) {
    (patch.is_keep(), Value::from(patch.value().map(text)))
}
