//! Codes that were sent to somebody and wait to be typed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::factor::FactorKind;
use crate::primitives::{Digest, Sealed, Timestamp};

/// What a code that was sent is good for. One lives for each use, so that a stranger who begins logins of an account voids no code
/// that its owner waits for in her session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CodeUse {
    /// The second half of a login.
    Login,
    /// A renewed proof of identity within a session.
    Reauthentication,
    /// Turning a factor on.
    Enrolment,
}

impl CodeUse {
    /// Every use.
    pub const ALL: [Self; 3] = [Self::Login, Self::Reauthentication, Self::Enrolment];

    /// The stable name, as it is hashed and sealed with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Reauthentication => "reauthentication",
            Self::Enrolment => "enrolment",
        }
    }
}

/// A code that was sent, as a store keeps it: never the digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCode {
    /// What it is good for.
    pub used_for: CodeUse,
    /// By which way it was sent.
    pub kind: FactorKind,
    /// The key of the digest, sealed with the account's id and the use as associated data: without the master key nobody can even
    /// begin to try a million codes against the digest.
    pub key: Sealed,
    /// The digest of the code and of what it was asked for with: the challenge of a login, or a session.
    pub digest: Digest,
    /// How many codes are still compared with it.
    pub attempts_left: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

impl SentCode {
    /// Codes as text; `None` when there are none.
    #[must_use]
    pub fn to_stored(codes: &[Self]) -> Option<String> {
        if codes.is_empty() {
            return None;
        }
        let fields: Vec<Fields> = codes.iter().map(Fields::of).collect();
        // Text and numbers always serialise.
        serde_json::to_string(&fields).ok()
    }

    /// The codes of a text; `None` when it is none of this version of the library.
    #[must_use]
    pub fn from_stored(text: Option<&str>) -> Option<Vec<Self>> {
        let Some(text) = text else { return Some(Vec::new()) };
        let fields: Vec<Fields> = serde_json::from_str(text).ok()?;
        fields.into_iter().map(Fields::code).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(rename = "for")]
    used_for: CodeUse,
    by: String,
    key: String,
    digest: String,
    left: u32,
    at: i64,
    until: i64,
}

impl Fields {
    fn of(code: &SentCode) -> Self {
        Self {
            used_for: code.used_for,
            by: code.kind.as_str().to_owned(),
            key: URL_SAFE_NO_PAD.encode(code.key.as_bytes()),
            digest: URL_SAFE_NO_PAD.encode(code.digest.as_bytes()),
            left: code.attempts_left,
            at: code.sent_at.unix_micros(),
            until: code.expires_at.unix_micros(),
        }
    }

    fn code(self) -> Option<SentCode> {
        Some(SentCode {
            used_for: self.used_for,
            kind: FactorKind::from_name(&self.by)?,
            key: Sealed::from_bytes(URL_SAFE_NO_PAD.decode(self.key).ok()?),
            digest: Digest::from_bytes(URL_SAFE_NO_PAD.decode(self.digest).ok()?.try_into().ok()?),
            attempts_left: self.left,
            sent_at: Timestamp::from_unix_micros(self.at),
            expires_at: Timestamp::from_unix_micros(self.until),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_and_nothing_else_is_taken_for_them() {
        let code = |used_for| SentCode {
            used_for,
            kind: FactorKind::Sms,
            key: Sealed::from_bytes(vec![7; 60]),
            digest: Digest::of(b"a code"),
            attempts_left: 5,
            sent_at: Timestamp::from_unix_micros(-1),
            expires_at: Timestamp::from_unix_micros(1_700_000_000_123_456),
        };
        let codes = CodeUse::ALL.map(code).to_vec();
        let text = SentCode::to_stored(&codes).expect("there are some");
        assert_eq!(SentCode::from_stored(Some(&text)), Some(codes));
        assert_eq!((SentCode::to_stored(&[]), SentCode::from_stored(None)), (None, Some(Vec::new())));
        let other_way = text.replace("sms", "pigeon");
        for other in ["", "{}", "[{}]", &text[1..], &other_way] {
            assert_eq!(SentCode::from_stored(Some(other)), None, "{other}");
        }
    }
}
