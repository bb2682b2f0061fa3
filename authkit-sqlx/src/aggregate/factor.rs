//! Second factors.

use authkit_core::model::{FactorChange, Factors, Guesses, RecoveryCodes, TotpSecret};
use authkit_core::model::{Phone, SentCode, TrustedDevice};
use authkit_core::ports::{Conflict, StoreError};
use authkit_core::{Digest, Sealed, UserId};

use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement, unknown_change};
use crate::value::{Value, args};

const BY_USER: &str = "SELECT f.user_id, f.version, f.totp_secret, f.totp_last_step, f.totp_created_at, f.recovery_key, \
    f.recovery_codes, f.recovery_created_at, f.failures, f.last_failure_at, f.phone_number, f.phone_created_at, f.sent_codes, \
    f.trusted_devices FROM authkit_factors f WHERE f.user_id = $1";

macro_rules! insert {
    ($lock:literal) => {
        concat!(
            "INSERT INTO authkit_factors (user_id, version, totp_secret, totp_last_step, totp_created_at, recovery_key, \
             recovery_codes, recovery_created_at, failures, last_failure_at, phone_number, phone_created_at, sent_codes, \
             trusted_devices) \
             SELECT u.id, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM authkit_users u WHERE u.id = $1 AND u.status <> 'closed'",
            $lock,
            " ON CONFLICT DO NOTHING"
        )
    };
}

/// SQLite has one writer at a time: what the guard read stays true until the transaction ends.
pub(crate) const INSERT_SQLITE: &str = insert!("");

/// INVARIANT: the account stays locked until the transaction ends, or one that is just being closed would get factors.
pub(crate) const INSERT_POSTGRES: &str = insert!(" FOR NO KEY UPDATE OF u");

const HAS_FACTORS: &str = "SELECT 1 FROM authkit_factors WHERE user_id = $1";

const UPDATE: &str = "UPDATE authkit_factors SET version = version + 1, totp_secret = $2, totp_last_step = $3, \
    totp_created_at = $4, recovery_key = $5, recovery_codes = $6, recovery_created_at = $7, failures = $8, \
    last_failure_at = $9, phone_number = $10, phone_created_at = $11, sent_codes = $12, trusted_devices = $13 \
    WHERE user_id = $1 AND version = $14";

pub(crate) const FORGET: &str = "DELETE FROM authkit_factors WHERE user_id = $1";

/// Reads the second factors of an account.
pub(crate) fn by_user(user_id: UserId) -> Query {
    Query::new(BY_USER, args![user_id])
}

/// The second factors of the next columns of a row.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Factors, DecodeError> {
    let (user_id, version) = (UserId::from_uuid(fields.id()?), fields.number()?);
    let totp = match (fields.optional_bytes()?, fields.optional_number()?, fields.optional_time()?) {
        (None, None, None) => None,
        (Some(sealed), last_step, Some(created_at)) => {
            Some(TotpSecret { sealed: Sealed::from_bytes(sealed), last_step, created_at })
        }
        _ => return Err(DecodeError::Unknown { what: "secret of an authenticator app" }),
    };
    let recovery = match (fields.optional_bytes()?, fields.optional_bytes()?, fields.optional_time()?) {
        (None, None, None) => None,
        (Some(key), Some(codes), Some(created_at)) => {
            Some(RecoveryCodes { key: Sealed::from_bytes(key), digests: digests(&codes)?, created_at })
        }
        _ => return Err(DecodeError::Unknown { what: "set of recovery codes" }),
    };
    let guesses = match (fields.optional_number()?, fields.optional_time()?) {
        (None, None) => None,
        (Some(failures), Some(last_at)) => Some(Guesses { failures, last_at }),
        _ => return Err(DecodeError::Unknown { what: "count of guesses" }),
    };
    let phone = match (fields.optional_bytes()?, fields.optional_time()?) {
        (None, None) => None,
        (Some(number), Some(created_at)) => Some(Phone { number: Sealed::from_bytes(number), created_at }),
        _ => return Err(DecodeError::Unknown { what: "telephone" }),
    };
    let codes = SentCode::from_stored(fields.optional_text()?.as_deref());
    let sent_codes = codes.ok_or(DecodeError::Unknown { what: "list of sent codes" })?;
    let devices = TrustedDevice::from_stored(fields.optional_text()?.as_deref());
    let trusted_devices = devices.ok_or(DecodeError::Unknown { what: "list of trusted devices" })?;
    Ok(Factors { user_id, version, totp, phone, recovery, sent_codes, trusted_devices, guesses })
}

fn digests(bytes: &[u8]) -> Result<Vec<Digest>, DecodeError> {
    let (digests, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(DecodeError::Unknown { what: "set of recovery codes" });
    }
    Ok(digests.iter().copied().map(Digest::from_bytes).collect())
}

/// The statement of a change.
pub(crate) fn statement(dialect: &Dialect, change: &FactorChange) -> Result<Statement, StoreError> {
    Ok(match change {
        FactorChange::Put(factors) if factors.version == 0 => Statement::probed(
            dialect.insert_factors,
            values(factors),
            Query::new(HAS_FACTORS, args![factors.user_id]),
            (Conflict::FactorsChanged, Conflict::UserChanged),
        ),
        FactorChange::Put(factors) => {
            let mut args = values(factors);
            args.push(factors.version.into());
            Statement::guarded(UPDATE, args, Conflict::FactorsChanged)
        }
        FactorChange::Forget { user_id } => Statement::free(FORGET, args![*user_id]),
        _ => return Err(unknown_change()),
    })
}

fn values(factors: &Factors) -> Vec<Value> {
    let Factors { user_id, version: _, totp, phone, recovery, sent_codes, trusted_devices, guesses } = factors;
    let codes = |recovery: &RecoveryCodes| recovery.digests.iter().flat_map(|digest| *digest.as_bytes()).collect::<Vec<u8>>();
    let codes = recovery.as_ref().map(codes);
    args![
        *user_id,
        totp.as_ref().map(|totp| totp.sealed.as_bytes()),
        totp.as_ref().and_then(|totp| totp.last_step),
        totp.as_ref().map(|totp| totp.created_at),
        recovery.as_ref().map(|recovery| recovery.key.as_bytes()),
        codes.as_deref(),
        recovery.as_ref().map(|recovery| recovery.created_at),
        guesses.map(|guesses| guesses.failures),
        guesses.map(|guesses| guesses.last_at),
        phone.as_ref().map(|phone| phone.number.as_bytes()),
        phone.as_ref().map(|phone| phone.created_at),
        SentCode::to_stored(sent_codes),
        TrustedDevice::to_stored(trusted_devices),
    ]
}
