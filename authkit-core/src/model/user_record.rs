//! An account as bytes, for a cache.

use serde::{Deserialize, Serialize};

use crate::model::access::Access;
use crate::model::factor::FactorSet;
use crate::model::user::{User, UserStatus};
use crate::primitives::{Email, FullName, Locale, Timestamp, UserId};

/// The first byte of every record. A node reads no other version, and takes what it cannot read for a miss.
const VERSION: u8 = 4;

/// The fields of an account. Its password is not among them, as it is not in [`User`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    id: UserId,
    email: (String, String),
    email_verified_at: Option<i64>,
    full_name: Option<String>,
    locale: Option<String>,
    status: String,
    auth_epoch: u32,
    second_factors: u32,
    access_version: u32,
    assignments: Option<String>,
    version: u32,
    created_at: i64,
    updated_at: i64,
}

impl User {
    /// The account as bytes, for a cache: personal data, and no secret.
    #[must_use]
    pub fn to_record(&self) -> Vec<u8> {
        let fields = Fields {
            id: self.id,
            email: (self.email.normal().to_owned(), self.email.spelling().to_owned()),
            email_verified_at: self.email_verified_at.map(Timestamp::unix_micros),
            full_name: self.full_name.as_ref().map(|name| name.as_str().to_owned()),
            locale: self.locale.as_ref().map(|locale| locale.as_str().to_owned()),
            status: self.status.as_str().to_owned(),
            auth_epoch: self.auth_epoch,
            second_factors: self.second_factors.bits(),
            access_version: self.access.version,
            assignments: self.access.to_stored(),
            version: self.version,
            created_at: self.created_at.unix_micros(),
            updated_at: self.updated_at.unix_micros(),
        };
        let mut record = vec![VERSION];
        // Text and numbers always serialise; were it not so, an empty record would be none.
        record.extend(serde_json::to_vec(&fields).unwrap_or_default());
        record
    }

    /// The account that these bytes are of; `None` when they are none of this version.
    #[must_use]
    pub fn from_record(record: &[u8]) -> Option<Self> {
        let (&VERSION, fields) = record.split_first()? else { return None };
        let fields: Fields = serde_json::from_slice(fields).ok()?;
        Some(Self {
            id: fields.id,
            email: Email::from_stored(fields.email.0, fields.email.1),
            email_verified_at: fields.email_verified_at.map(Timestamp::from_unix_micros),
            full_name: fields.full_name.map(FullName::from_stored),
            locale: fields.locale.map(Locale::from_stored),
            status: UserStatus::from_name(&fields.status)?,
            auth_epoch: fields.auth_epoch,
            second_factors: FactorSet::from_bits(fields.second_factors)?,
            access: Access::from_stored(fields.access_version, fields.assignments.as_deref())?,
            version: fields.version,
            created_at: Timestamp::from_unix_micros(fields.created_at),
            updated_at: Timestamp::from_unix_micros(fields.updated_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::factor::FactorKind;

    fn user() -> User {
        User {
            id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
            email: Email::parse("Jane.Doe@Bücher.example").unwrap(),
            email_verified_at: Some(Timestamp::from_unix_micros(1_700_000_000_123_456)),
            full_name: Some(FullName::parse("Jane \"J\" Doe").unwrap()),
            locale: None,
            status: UserStatus::Suspended,
            auth_epoch: 3,
            second_factors: FactorSet::NONE.with(FactorKind::Totp),
            access: Access::from_stored(4, Some(r#"[{"role":"admin","scope":"tenant:acme","until":5,"at":1}]"#)).unwrap(),
            version: 9,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::from_unix_micros(-1),
        }
    }

    #[test]
    fn an_account_is_read_back_with_every_field() {
        let user = user();
        let read = User::from_record(&user.to_record()).unwrap();
        assert_eq!(read, user);
        assert_eq!(read.email.spelling(), user.email.spelling(), "equality looks at the normal form alone");
        let bare = User { email_verified_at: None, full_name: None, locale: Some(Locale::parse("pt-BR").unwrap()), ..user };
        assert_eq!(User::from_record(&bare.to_record()), Some(bare));
    }

    #[test]
    fn whatever_else_is_no_account() {
        let record = user().to_record();
        assert_eq!(User::from_record(&[]), None);
        assert_eq!(User::from_record(&[&[VERSION - 1], &record[1..]].concat()), None);
        for length in 0..record.len() {
            assert_eq!(User::from_record(&record[..length]), None, "{length}");
        }
    }
}
