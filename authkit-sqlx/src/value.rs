//! What is bound to a statement, before either database knows of it.

use std::fmt;

use authkit_core::{AuditEventId, Digest, SessionId, Timestamp, UserId};
use authkit_core::{OneTimeTokenId, OutboxMessageId};
use authkit_core::{PasskeyChallengeId, PasskeyId};
use uuid::Uuid;

/// One argument of a statement. A missing value keeps its type, because PostgreSQL asks for the type of a `NULL`.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Id(Option<Uuid>),
}

// SECURITY: a password hash is an argument too. What is logged with a statement is its text, never its arguments.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int(…)",
            Self::Text(_) => "Text(…)",
            Self::Bytes(_) => "Bytes(…)",
            Self::Id(_) => "Id(…)",
        })
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

impl From<Option<u32>> for Value {
    fn from(number: Option<u32>) -> Self {
        Self::Int(number.map(i64::from))
    }
}

/// A number of a seal: it counts from one, and does not come near the end of either type.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(Some(flag.into()))
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(Some(at.unix_micros()))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Int(at.map(Timestamp::unix_micros))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Digest> for Value {
    fn from(digest: Digest) -> Self {
        Self::Bytes(Some(digest.as_bytes().to_vec()))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<Option<&[u8]>> for Value {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self::Bytes(bytes.map(<[u8]>::to_vec))
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Id(Some(id))
    }
}

macro_rules! from_id {
    ($($id:ty),*) => {
        $(impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Id(Some(id.as_uuid()))
            }
        }

        impl From<Option<$id>> for Value {
            fn from(id: Option<$id>) -> Self {
                Self::Id(id.map(|id| id.as_uuid()))
            }
        })*
    };
}

from_id!(PasskeyId, PasskeyChallengeId);
from_id!(UserId, SessionId, AuditEventId, OneTimeTokenId, OutboxMessageId);

/// The arguments of a statement, in the order of `$1`, `$2`, …
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::value::Value::from($value)),*]
    };
}

pub(crate) use args;
