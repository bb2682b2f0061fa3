//! Accounts.

use authkit_core::model::FactorSet;
use authkit_core::model::{Access, Patch, User, UserChange, UserStatus};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Email, FullName, Locale, UserId};

use crate::aggregate::factor;
use crate::aggregate::passkey;
use crate::aggregate::role;
use crate::aggregate::user_search;
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::{Value, args};

/// What [`decode`] reads, of a table that is called `u`.
macro_rules! user_columns {
    () => {
        "u.id, u.email_normal, u.email, u.email_verified_at, u.full_name, u.locale, u.status, u.auth_epoch, \
         u.second_factors, u.access_version, \
         u.assignments, u.version, u.created_at, u.updated_at"
    };
}

/// As many columns without an account.
macro_rules! no_user {
    () => {
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
    };
}

pub(crate) use {no_user, user_columns};

const BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'");

macro_rules! insert {
    () => {
        "INSERT INTO authkit_users \
         (id, email_normal, email, email_verified_at, full_name, locale, status, auth_epoch, second_factors, version, created_at, \
         updated_at, indexed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"
    };
}

const INSERT: &str = insert!();

/// How a statement ends that writes an account as `account` and what belongs to it: it touched as many rows as accounts.
pub(crate) const WITH_ACCOUNT: &str = " SELECT 1 FROM account";

/// What the account is found by rides along: a registration takes no longer for it.
pub(crate) const INSERT_WITH_TERMS_POSTGRES: &str = concat!(
    "WITH account AS (",
    insert!(),
    " RETURNING id), terms AS (INSERT INTO authkit_user_terms (term, kind, user_id) \
     SELECT substr(w.value, 2), substr(w.value, 1, 1), account.id FROM account, jsonb_array_elements_text($14::jsonb) w(value)) \
     SELECT 1 FROM account"
);

const HAS_EMAIL: &str = "SELECT 1 FROM authkit_users WHERE email_normal = $1";

const OTHER_HAS_EMAIL: &str = "SELECT 1 FROM authkit_users WHERE email_normal = $1 AND id <> $2";

macro_rules! update_profile {
    () => {
        "UPDATE authkit_users SET \
         full_name = CASE WHEN $2 = 1 THEN full_name ELSE $3 END, \
         locale = CASE WHEN $4 = 1 THEN locale ELSE $5 END, \
         version = version + 1, updated_at = $6 WHERE id = $1 AND status = 'active'"
    };
}

const UPDATE_PROFILE: &str = update_profile!();

/// A term that stays is neither removed nor written: within one statement it could not be both.
pub(crate) const UPDATE_PROFILE_WITH_TERMS_POSTGRES: &str = concat!(
    "WITH account AS (",
    update_profile!(),
    " RETURNING id), gone AS (DELETE FROM authkit_user_terms t USING account a WHERE t.user_id = a.id AND t.kind = 'n' \
     AND 'n' || t.term NOT IN (SELECT w.value FROM jsonb_array_elements_text($7::jsonb) w(value))), \
     terms AS (INSERT INTO authkit_user_terms (term, kind, user_id) \
     SELECT substr(w.value, 2), substr(w.value, 1, 1), account.id FROM account, jsonb_array_elements_text($7::jsonb) w(value) \
     ON CONFLICT DO NOTHING) SELECT 1 FROM account"
);

const VERIFY_EMAIL: &str = "UPDATE authkit_users SET email_verified_at = COALESCE(email_verified_at, $3), version = version + 1, \
    updated_at = $3 WHERE id = $1 AND status = 'active' AND email_normal = $2";

/// Two accounts that are given one address at once both find it free: the unique index stops the second, which is then told.
const CHANGE_EMAIL: &str = "UPDATE authkit_users SET email_normal = $3, email = $4, email_verified_at = $5, version = version + 1, updated_at = $5 \
    WHERE id = $1 AND status = 'active' AND email_normal = $2 \
        AND NOT EXISTS (SELECT 1 FROM authkit_users o WHERE o.email_normal = $3 AND o.id <> $1)";

const FORGET_TOKENS: &str = "DELETE FROM authkit_one_time_tokens WHERE user_id = $1";

const FORGET_MESSAGES: &str = "DELETE FROM authkit_outbox WHERE user_id = $1";

const RAISE_AUTH_EPOCH: &str = "UPDATE authkit_users SET auth_epoch = auth_epoch + 1, version = version + 1, updated_at = $3 \
    WHERE id = $1 AND status = 'active' AND auth_epoch = $2";

const SET_SECOND_FACTORS: &str = "UPDATE authkit_users SET second_factors = $3, auth_epoch = auth_epoch + 1, version = version + 1, \
    updated_at = $4 WHERE id = $1 AND status <> 'closed' AND auth_epoch = $2";

/// Two who take the same address at once do not see each other: then the index refuses one of them, and asked again it is told why.
const UPDATE: &str = "UPDATE authkit_users SET \
    email_normal = CASE WHEN $3 = 1 THEN email_normal ELSE $4 END, \
    email = CASE WHEN $3 = 1 THEN email ELSE $5 END, \
    email_verified_at = CASE WHEN $3 = 1 THEN email_verified_at ELSE NULL END, \
    auth_epoch = CASE WHEN $3 = 1 THEN auth_epoch ELSE auth_epoch + 1 END, \
    full_name = CASE WHEN $6 = 1 THEN full_name ELSE $7 END, \
    locale = CASE WHEN $8 = 1 THEN locale ELSE $9 END, \
    version = version + 1, updated_at = $10 \
    WHERE id = $1 AND status <> 'closed' AND version = $2 \
    AND NOT EXISTS (SELECT 1 FROM authkit_users o WHERE o.email_normal = $4 AND o.id <> $1)";

const SUSPEND: &str = "UPDATE authkit_users SET status = 'suspended', auth_epoch = auth_epoch + 1, version = version + 1, \
    updated_at = $3 WHERE id = $1 AND status = 'active' AND version = $2";

const RESTORE: &str = "UPDATE authkit_users SET status = 'active', version = version + 1, updated_at = $3 \
    WHERE id = $1 AND status = 'suspended' AND version = $2";

/// It writes what is there, so that the row is locked in either database.
const EXPECT: &str = "UPDATE authkit_users SET version = version WHERE id = $1 AND status <> 'closed' AND version = $2";

const CLOSE: &str = "UPDATE authkit_users SET status = 'closed', email_normal = NULL, email = NULL, \
    email_verified_at = NULL, full_name = NULL, locale = NULL, second_factors = 0, assignments = NULL, \
    version = version + 1, updated_at = $2 WHERE id = $1 AND status <> 'closed'";

const REPLACE_ASSIGNMENTS: &str = "UPDATE authkit_users SET assignments = $3, access_version = access_version + 1, \
    version = version + 1, updated_at = $4 \
    WHERE id = $1 AND access_version = $2 AND status <> 'closed'";

macro_rules! hold_access {
    ($lock:literal) => {
        concat!("SELECT 1 FROM authkit_users WHERE id = $1 AND access_version = $2 AND status = 'active'", $lock)
    };
}

/// SQLite has one writer at a time: what was read stays true until the transaction ends.
pub(crate) const HOLD_ACCESS_SQLITE: &str = hold_access!("");

/// INVARIANT: the account stays as it is until the transaction ends: nobody acts by a power that a rival has just taken away.
pub(crate) const HOLD_ACCESS_POSTGRES: &str = hold_access!(" FOR SHARE");

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
        access: role::access(fields)?,
        version: fields.number()?,
        created_at: fields.time()?,
        updated_at: fields.time()?,
    })
}

/// SECURITY: an account whose factors this version does not know cannot be read, and so not be logged in to without them.
fn decode_factors(fields: &mut Fields<'_>) -> Result<FactorSet, DecodeError> {
    FactorSet::from_bits(fields.number()?).ok_or(DecodeError::Unknown { what: "second factor" })
}

/// Appends the statements of a change.
pub(crate) fn statements(dialect: &Dialect, change: &UserChange, statements: &mut Vec<Statement>) -> Result<(), StoreError> {
    match change {
        UserChange::Insert(user) => insert(dialect, user, statements),
        UserChange::UpdateProfile { id, full_name, locale, at } => {
            let (keep_name, name) = patch(full_name, FullName::as_str);
            let (keep_locale, locale) = patch(locale, Locale::as_str);
            let mut args = args![*id, keep_name, name, keep_locale, locale, *at];
            match dialect.update_profile_with_terms {
                Some(with_terms) if !keep_name => {
                    args.push(user_search::terms(None, full_name.value()).into());
                    statements.push(Statement::guarded(with_terms, args, Conflict::UserChanged));
                }
                _ => {
                    statements.push(Statement::guarded(UPDATE_PROFILE, args, Conflict::UserChanged));
                    user_search::replace(dialect, *id, None, replaced(full_name), statements);
                }
            }
        }
        UserChange::Update { id, from, email, full_name, locale, at } => {
            let (keep_name, name) = patch(full_name, FullName::as_str);
            let (keep_locale, locale) = patch(locale, Locale::as_str);
            let (normal, spelling) = (email.as_ref().map(Email::normal), email.as_ref().map(Email::spelling));
            let args = args![*id, *from, email.is_none(), normal, spelling, keep_name, name, keep_locale, locale, *at];
            statements.push(match normal {
                None => Statement::guarded(UPDATE, args, Conflict::UserChanged),
                Some(normal) => {
                    let probe = Query::new(OTHER_HAS_EMAIL, args![normal, *id]);
                    Statement::probed(UPDATE, args, probe, (Conflict::EmailTaken, Conflict::UserChanged))
                }
            });
            user_search::replace(dialect, *id, email.as_ref(), replaced(full_name), statements);
        }
        UserChange::Suspend { id, from, at } => {
            statements.push(Statement::guarded(SUSPEND, args![*id, *from, *at], Conflict::UserChanged));
        }
        UserChange::Restore { id, from, at } => {
            statements.push(Statement::guarded(RESTORE, args![*id, *from, *at], Conflict::UserChanged));
        }
        UserChange::Expect { id, version } => {
            statements.push(Statement::guarded(EXPECT, args![*id, *version], Conflict::UserChanged));
        }
        UserChange::VerifyEmail { id, email, at } => {
            statements.push(Statement::guarded(VERIFY_EMAIL, args![*id, email.normal(), *at], Conflict::UserChanged));
        }
        UserChange::ChangeEmail { id, from, to, at } => {
            let args = args![*id, from.normal(), to.normal(), to.spelling(), *at];
            let probe = Query::new(OTHER_HAS_EMAIL, args![to.normal(), *id]);
            statements.push(Statement::probed(CHANGE_EMAIL, args, probe, (Conflict::EmailTaken, Conflict::UserChanged)));
            user_search::replace(dialect, *id, Some(to), None, statements);
        }
        UserChange::RaiseAuthEpoch { id, from, at } => {
            statements.push(Statement::guarded(RAISE_AUTH_EPOCH, args![*id, *from, *at], Conflict::UserChanged));
        }
        UserChange::SetSecondFactors { id, from, to, at } => {
            let args = args![*id, *from, to.bits(), *at];
            statements.push(Statement::guarded(SET_SECOND_FACTORS, args, Conflict::UserChanged));
        }
        UserChange::ReplaceAssignments { id, from, to, roles_version, at } => {
            let access = Access { version: *from, assignments: to.clone() };
            statements.push(role::expect_version(dialect, *roles_version));
            let args = args![*id, *from, access.to_stored(), *at];
            statements.push(Statement::guarded(REPLACE_ASSIGNMENTS, args, Conflict::AccessChanged));
            role::assign(*id, to, *at, statements);
        }
        UserChange::HoldAccess { id, version } => {
            let look = Statement::guarded(dialect.hold_access, args![*id, *version], Conflict::AuthorityChanged);
            statements.push(look.looking());
        }
        UserChange::Close { id, at } => {
            statements.push(Statement::guarded(CLOSE, args![*id, *at], Conflict::UserChanged));
            statements.push(Statement::free(FORGET_PASSWORD, args![*id]));
            statements.push(Statement::free(FORGET_DEVICES, args![*id]));
            statements.push(Statement::free(factor::FORGET, args![*id]));
            statements.push(Statement::free(passkey::FORGET_ALL_OF, args![*id]));
            statements.push(Statement::free(user_search::FORGET, args![*id]));
            statements.push(Statement::free(FORGET_TOKENS, args![*id]));
            statements.push(Statement::free(FORGET_MESSAGES, args![*id]));
            role::forget(*id, statements);
        }
        _ => return Err(unknown_change()),
    }
    Ok(())
}

fn insert(dialect: &Dialect, user: &User, statements: &mut Vec<Statement>) {
    let mut args = args![
        user.id,
        user.email.normal(),
        user.email.spelling(),
        user.email_verified_at,
        user.full_name.as_ref().map(FullName::as_str),
        user.locale.as_ref().map(Locale::as_str),
        user.status.as_str(),
        user.auth_epoch,
        user.second_factors.bits(),
        user.version,
        user.created_at,
        user.updated_at,
        user_search::RULES,
    ];
    let terms = user_search::terms(Some(&user.email), user.full_name.as_ref());
    let probe = Query::new(HAS_EMAIL, args![user.email.normal()]);
    let conflicts = (Conflict::EmailTaken, Conflict::DuplicateId);
    if let Some(with_terms) = dialect.insert_user_with_terms {
        args.push(terms.into());
        statements.push(Statement::probed(with_terms, args, probe, conflicts));
    } else {
        statements.push(Statement::probed(INSERT, args, probe, conflicts));
        statements.push(Statement::free(dialect.keep_terms, args![user.id, terms]));
    }
}

/// What a field becomes, if it is touched.
#[expect(clippy::option_option, reason = "untouched, emptied, and filled")]
const fn replaced<T>(patch: &Patch<T>) -> Option<Option<&T>> {
    match patch {
        Patch::Keep => None,
        Patch::Set(value) => Some(Some(value)),
        Patch::Clear => Some(None),
    }
}

/// Whether a field stays, and what it becomes otherwise.
fn patch<T>(patch: &Patch<T>, text: impl FnOnce(&T) -> &str) -> (bool, Value) {
    (patch.is_keep(), Value::from(patch.value().map(text)))
}
