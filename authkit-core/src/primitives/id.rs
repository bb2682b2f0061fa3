//! Identifiers: one type per kind of thing, each a UUIDv7 (RFC 9562 §5.7), so that new rows are neighbours in an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::clock::Timestamp;
use super::entropy::{Entropy, random_bytes};

/// Text that is not a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: 36 characters are expected, as in 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct IdError;

/// The microsecond within the millisecond goes into the 12 bits behind the version (RFC 9562 §6.2, method 3), so that what
/// was drawn a microsecond later sorts later.
fn new_v7(at: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let millis = u64::try_from(at.unix_millis()).unwrap_or(0);
    let fraction = u16::try_from(at.unix_micros().rem_euclid(1_000) * 4_096 / 1_000).unwrap_or(0).to_be_bytes();
    let mut random = random_bytes::<10>(entropy);
    random[..2].copy_from_slice(&fraction);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn parse(text: &str) -> Result<Uuid, IdError> {
    // Only the hyphenated form: `Uuid::parse_str` also takes braces and URNs, and two spellings of one id are one too many.
    if text.len() != 36 {
        return Err(IdError);
    }
    Uuid::try_parse(text).map_err(|_| IdError)
}

impl AuditEventId {
    /// The least identifier of an instant: what was drawn earlier is below it, and nothing that is drawn then or later. A whole
    /// millisecond counts as one instant.
    #[must_use]
    pub fn first_of(at: Timestamp) -> Self {
        let millis = u64::try_from(at.unix_millis()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// The identifier right behind this one: the bound that leaves this one out, or, as an end, the first that is too great.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().saturating_add(1)))
    }

    /// The instant in its leading bits, in whole milliseconds. An identifier that was not drawn here may say anything.
    #[must_use]
    pub fn instant(self) -> Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(millis.saturating_mul(1_000))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Draws a fresh identifier whose leading bits are the time `at`.
            #[must_use]
            pub fn generate(at: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(new_v7(at, entropy))
            }

            /// Takes an identifier that a store kept.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The identifier as a store keeps it.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut buffer = Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// Names an account.
    UserId
}
id! {
    /// Names a session: one login on one device.
    SessionId
}
id! {
    /// Names an event of the audit log.
    AuditEventId
}
id! {
    /// Names a one-time token.
    OneTimeTokenId
}
id! {
    /// Names a message in the outbox; a mail's `Message-ID` is made of it.
    OutboxMessageId
}
id! {
    /// Names a device that is trusted for a while.
    TrustedDeviceId
}
id! {
    /// Names a passkey to its owner.
    PasskeyId
}
id! {
    /// Names a challenge that waits to be signed with a passkey.
    PasskeyChallengeId
}
id! {
    /// Names one access token: its `jti` claim (RFC 7519 §4.1.7).
    TokenId
}

/// Names one request, so that a reply, a log line and an audit event can be matched.
///
/// A caller's own id is kept when it is sane: 8 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// Draws a fresh id.
    #[must_use]
    pub fn generate(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(new_v7(at, entropy).to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let sane =
            (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if sane { Ok(Self(text.to_owned())) } else { Err(IdError) }
    }
}

impl TryFrom<String> for RequestId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::OsEntropy;

    #[test]
    fn ids_sort_by_the_time_they_were_drawn() {
        let early = UserId::generate(Timestamp::from_unix_seconds(1_700_000_000), &OsEntropy);
        let mut last = early;
        for micros in 1..=2_000 {
            let at = Timestamp::from_unix_micros(1_700_000_000_000_000 + micros);
            let next = UserId::generate(at, &OsEntropy);
            assert!(last < next, "at {at:?}");
            last = next;
        }
        assert_eq!(early.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn only_the_hyphenated_spelling_is_an_id() {
        let id = UserId::generate(Timestamp::UNIX_EPOCH, &OsEntropy);
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [format!("{{{id}}}"), format!("urn:uuid:{id}"), id.as_uuid().simple().to_string(), String::new()] {
            assert_eq!(other.parse::<UserId>(), Err(IdError), "{other}");
        }
    }

    #[test]
    fn a_hostile_request_id_is_refused() {
        for text in ["", "short", "has space in it", "line\nbreak-in-it", &"a".repeat(65), "ünïcödé-id"] {
            assert!(text.parse::<RequestId>().is_err(), "{text:?}");
        }
        assert!("trace.4bf92f35_77b3-4da6".parse::<RequestId>().is_ok());
    }
}
