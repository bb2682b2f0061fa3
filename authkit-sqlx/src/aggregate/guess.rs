//! The counts of wrong guesses, alone and beside the account that they are about.

use authkit_core::model::{GuessChange, GuessSubject, Guesses, LoginState};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Email, Timestamp, UserId};

use crate::aggregate::credential;
use crate::aggregate::user::user_columns;
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::args;

const BY_SUBJECT: &str = "SELECT failures, last_at FROM authkit_login_failures WHERE subject = $1";

/// Always one row: the counts are there whether there is an account or not. Every table is asked by its key.
macro_rules! select_login {
    ($account:literal) => {
        concat!(
            "SELECT g.failures, g.last_at, d.failures, d.last_at, CAST(CASE WHEN u.id IS NULL THEN 0 ELSE 1 END AS bigint), ",
            user_columns!(),
            ", c.hash FROM (SELECT 1 AS one) o \
             LEFT JOIN authkit_login_failures g ON g.subject = $2 \
             LEFT JOIN authkit_login_failures d ON d.subject = $3 \
             LEFT JOIN authkit_users u ON ",
            $account,
            " LEFT JOIN authkit_password_credentials c ON c.user_id = u.id"
        )
    };
}

/// A closed account has no address, so that this finds none.
const LOGIN_BY_EMAIL: &str = select_login!("u.email_normal = $1");

const LOGIN_BY_USER: &str = select_login!("u.id = $1 AND u.status <> 'closed'");

/// One statement, so that of any number of rivals none is lost: whoever comes second waits for the row, and counts on.
const COUNT: &str = "INSERT INTO authkit_login_failures AS f (subject, failures, last_at) VALUES ($1, 1, $2) \
    ON CONFLICT (subject) DO UPDATE SET failures = f.failures + 1, last_at = excluded.last_at";

const RESERVE: &str = "UPDATE authkit_login_failures SET failures = failures + 1, last_at = $4 \
    WHERE subject = $1 AND failures = $2 AND last_at = $3";

const FORGET: &str = "DELETE FROM authkit_login_failures WHERE subject = $1";

pub(crate) const PURGE_SQLITE: &str = "DELETE FROM authkit_login_failures WHERE subject IN \
     (SELECT f.subject FROM authkit_login_failures f WHERE f.last_at < $1 AND f.failures < $2 LIMIT $3)";

/// What somebody is just counting, or another node is just forgetting, is left alone. An array is always looked up by the index;
/// an `IN` may be joined by a scan of the whole table.
pub(crate) const PURGE_POSTGRES: &str = "DELETE FROM authkit_login_failures WHERE subject = ANY (ARRAY( \
     SELECT f.subject FROM authkit_login_failures f WHERE f.last_at < $1 AND f.failures < $2 \
     ORDER BY f.last_at LIMIT $3 FOR UPDATE SKIP LOCKED))";

/// Reads the count of a subject.
pub(crate) fn by_subject(subject: GuessSubject) -> Query {
    Query::new(BY_SUBJECT, args![subject.digest()])
}

/// Reads the account with an address, its password hash, and the counts of a subject and of a device.
pub(crate) fn login_by_email(email: &Email, subject: GuessSubject, device: Option<GuessSubject>) -> Query {
    // No subject is empty, so that this finds no device where none is asked for.
    let device = device.map(|device| device.digest());
    let device: &[u8] = device.as_ref().map_or(&[], |device| device.as_bytes());
    Query::new(LOGIN_BY_EMAIL, args![email.normal(), subject.digest(), device])
}

/// Reads the account with an id, its password hash, and the count of a subject.
pub(crate) fn login_by_user(id: UserId, subject: GuessSubject) -> Query {
    let nobody: &[u8] = &[];
    Query::new(LOGIN_BY_USER, args![id, subject.digest(), nobody])
}

/// The count of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Guesses, DecodeError> {
    Ok(Guesses { failures: fields.number()?, last_at: fields.time()? })
}

/// The account and the counts of the next columns of a row.
pub(crate) fn decode_login(fields: &mut Fields<'_>) -> Result<LoginState, DecodeError> {
    let (guesses, device_guesses) = (optional(fields)?, optional(fields)?);
    let has_account = fields.number()? == 1;
    let credentials = if has_account { Some(credential::decode(fields)?) } else { None };
    Ok(LoginState { credentials, guesses, device_guesses })
}

fn optional(fields: &mut Fields<'_>) -> Result<Option<Guesses>, DecodeError> {
    match (fields.optional_number()?, fields.optional_time()?) {
        (Some(failures), Some(last_at)) => Ok(Some(Guesses { failures, last_at })),
        (None, None) => Ok(None),
        _ => Err(DecodeError::Unknown { what: "count of guesses" }),
    }
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &GuessChange) -> Result<Statement, StoreError> {
    Ok(match change {
        GuessChange::Count { subject, at } => Statement::free(COUNT, args![subject.digest(), *at]),
        GuessChange::Reserve { subject, from: Guesses { failures, last_at }, at } => {
            let (failures, last_at): (u32, Timestamp) = (*failures, *last_at);
            Statement::guarded(RESERVE, args![subject.digest(), failures, last_at, *at], Conflict::GuessesChanged)
        }
        GuessChange::Forget { subject } => Statement::free(FORGET, args![subject.digest()]),
        GuessChange::Purge { last_before, below, limit } => {
            Statement::free(dialect.purge_guesses, args![*last_before, *below, *limit]).purging()
        }
        _ => return Err(unknown_change()),
    })
}
