//! Secrets that go into password hashes and are kept apart from them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::primitives::SecretBytes;

/// Why a text is not a list of secrets. Never says any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretListError {
    /// One of them is not `id:value`.
    #[error("entry {position} is not id:value")]
    Form {
        /// Which one, counted from 1.
        position: usize,
    },
    /// An identifier has another form.
    #[error("the id of entry {position} must be 1 to {max} letters, digits, '-' or '_'")]
    Id {
        /// Which one, counted from 1.
        position: usize,
        /// The most characters.
        max: usize,
    },
    /// A value cannot be read.
    #[error("the value of entry {position} is not {expected}")]
    Value {
        /// Which one, counted from 1.
        position: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// A value is one byte over and over.
    #[error("the value of entry {position} is no random key")]
    Guessable {
        /// Which one, counted from 1.
        position: usize,
    },
    /// Two have the same identifier.
    #[error("entry {position} has the id of another one")]
    DuplicateId {
        /// Which one, counted from 1.
        position: usize,
    },
    /// `none` stands behind a pepper, where it says nothing.
    #[error("'none' may only come first")]
    NoneBehind,
}

/// The secrets of a list, by their identifiers.
#[derive(Clone, Default)]
struct SecretList(Arc<[(String, SecretBytes)]>);

impl SecretList {
    fn by_id(&self, id: &str) -> Option<&SecretBytes> {
        self.0.iter().find(|(name, _)| name == id).map(|(_, key)| key)
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(id, _)| id.as_str())
    }

    fn new(
        entries: impl IntoIterator<Item = (String, SecretBytes)>,
        offset: usize,
        max: usize,
        sound: impl Fn(&[u8]) -> bool,
        expected: &'static str,
    ) -> Result<Self, SecretListError> {
        let mut list: Vec<(String, SecretBytes)> = Vec::new();
        for (index, (id, key)) in entries.into_iter().enumerate() {
            let position = index + 1 + offset;
            if !is_id(&id, max) {
                return Err(SecretListError::Id { position, max });
            }
            if !sound(key.expose()) {
                return Err(SecretListError::Value { position, expected });
            }
            if key.expose().windows(2).all(|pair| pair[0] == pair[1]) {
                return Err(SecretListError::Guessable { position });
            }
            if list.iter().any(|(other, _)| *other == id) {
                return Err(SecretListError::DuplicateId { position });
            }
            list.push((id, key));
        }
        Ok(Self(list.into()))
    }
}

fn is_id(id: &str, max: usize) -> bool {
    (1..=max).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// `id:value,id:value`, the first being number `offset + 1` of the list.
fn split(text: &str, offset: usize) -> Result<Vec<(String, &str)>, SecretListError> {
    let entry = |(index, part): (usize, &'_ str)| {
        let position = index + 1 + offset;
        let at = part.find(':').ok_or(SecretListError::Form { position })?;
        Ok((part[..at].trim().to_owned(), at))
    };
    let parts: Vec<&str> = text.split(',').collect();
    parts.into_iter().enumerate().map(|(index, part)| entry((index, part)).map(|(id, at)| (id, part[at + 1..].trim()))).collect()
}

/// Peppers: keys that every new hash is made with (argon2's secret input, RFC 9106 §3.1), so that a copy of the database
/// alone lets nobody guess at a password.
///
/// A hash says which pepper it was made with (`keyid` of its PHC string), so that none is tried in vain. New hashes take the
/// first; a hash of another one, or of none, is replaced at the next login. Take a pepper off the list only when no hash
/// needs it any more: those that do can then not be verified, which is answered as a failure of the service and never as a
/// wrong password.
///
/// # Security
/// Whoever loses a pepper loses every hash that was made with it. It is backed up like a master key, and apart from the
/// database (OWASP Password Storage, "Peppering").
#[derive(Clone, Default)]
pub struct Peppers {
    list: SecretList,
    /// New hashes are made without, while those that are there can still be verified.
    retired: bool,
}

impl Peppers {
    /// The most characters of an identifier (argon2's `keyid` has 8 bytes).
    pub const MAX_ID_CHARS: usize = 8;
    /// Bytes of a pepper.
    pub const KEY_BYTES: usize = 32;

    /// Takes peppers, the newest first.
    pub fn new(newest_first: impl IntoIterator<Item = (String, SecretBytes)>) -> Result<Self, SecretListError> {
        Self::of(newest_first, 0)
    }

    /// The same peppers for the hashes that were made with them, and none for new ones: the way out of peppering.
    #[must_use]
    pub fn retired(self) -> Self {
        Self { retired: true, ..self }
    }

    /// Reads `id:base64url(32 bytes)`, the newest first, separated by commas. `none` in the first place makes new hashes
    /// without a pepper.
    pub fn parse_list(text: &str) -> Result<Self, SecretListError> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::default());
        }
        let (retired, rest) = match text.split_once(',') {
            Some((first, rest)) if first.trim() == "none" => (true, rest),
            _ => (false, text),
        };
        if rest.split(',').any(|part| part.trim() == "none") {
            return Err(SecretListError::NoneBehind);
        }
        let offset = usize::from(retired);
        let entries = split(rest, offset)?.into_iter().enumerate().map(|(index, (id, value))| {
            let key = URL_SAFE_NO_PAD
                .decode(value.trim_end_matches('='))
                .map_err(|_| SecretListError::Value { position: index + 1 + offset, expected: Self::EXPECTED })?;
            Ok((id, SecretBytes::new(key)))
        });
        let peppers = Self::of(entries.collect::<Result<Vec<_>, SecretListError>>()?, offset)?;
        Ok(if retired { peppers.retired() } else { peppers })
    }

    const EXPECTED: &'static str = "32 random bytes in base64url";

    fn of(entries: impl IntoIterator<Item = (String, SecretBytes)>, offset: usize) -> Result<Self, SecretListError> {
        let sound = |key: &[u8]| key.len() == Self::KEY_BYTES;
        let list = SecretList::new(entries, offset, Self::MAX_ID_CHARS, sound, Self::EXPECTED)?;
        Ok(Self { list, retired: false })
    }

    /// The one for new hashes.
    #[must_use]
    pub fn newest(&self) -> Option<(&str, &SecretBytes)> {
        self.list.0.first().filter(|_| !self.retired).map(|(id, key)| (id.as_str(), key))
    }

    /// The one that a hash names.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&SecretBytes> {
        self.list.by_id(id)
    }

    /// The identifiers, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.list.ids()
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// The signer keys of Firebase projects whose users were imported: without its project's key, no hash of it can be verified.
///
/// Firebase shows it among the password hash parameters of the project (`base64_signer_key`). The key is needed until every
/// user of the project has logged in once, or reset the password.
#[derive(Clone, Default)]
pub struct FirebaseSignerKeys(SecretList);

impl FirebaseSignerKeys {
    /// The most characters of an identifier.
    pub const MAX_ID_CHARS: usize = 32;

    const EXPECTED: &'static str = "16 to 128 bytes in base64, as Firebase shows them";

    /// Takes signer keys, each under a name of one's own choice.
    pub fn new(keys: impl IntoIterator<Item = (String, SecretBytes)>) -> Result<Self, SecretListError> {
        let sound = |key: &[u8]| (16..=128).contains(&key.len());
        Ok(Self(SecretList::new(keys, 0, Self::MAX_ID_CHARS, sound, Self::EXPECTED)?))
    }

    /// Reads `id:base64`, separated by commas.
    pub fn parse_list(text: &str) -> Result<Self, SecretListError> {
        let entries = split(text.trim(), 0)?.into_iter().enumerate().map(|(index, (id, value))| {
            let refused = SecretListError::Value { position: index + 1, expected: Self::EXPECTED };
            Ok((id, SecretBytes::new(STANDARD.decode(value).map_err(|_| refused)?)))
        });
        Self::new(entries.collect::<Result<Vec<_>, SecretListError>>()?)
    }

    /// The key that a hash names.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&SecretBytes> {
        self.0.by_id(id)
    }

    /// The identifiers.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.ids()
    }

    /// Whether a text can name a key.
    #[must_use]
    pub fn is_id(text: &str) -> bool {
        is_id(text, Self::MAX_ID_CHARS)
    }
}

impl fmt::Debug for FirebaseSignerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode((byte..byte + 32).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_pepper_is_for_new_hashes_and_none_retires_all() {
        let peppers = Peppers::parse_list(&format!("2026:{} , 2025:{}", key(1), key(2))).unwrap();
        assert_eq!((peppers.newest().map(|(id, _)| id), peppers.ids().count()), (Some("2026"), 2));
        assert_eq!(peppers.by_id("2025").unwrap().expose()[0], 2);
        assert!(peppers.by_id("2024").is_none());
        let retired = Peppers::parse_list(&format!("none,2025:{}", key(2))).unwrap();
        assert!(retired.newest().is_none() && retired.by_id("2025").is_some());
        assert!(Peppers::parse_list("none").unwrap().newest().is_none());
    }

    #[test]
    fn what_is_no_list_is_refused_by_place_and_never_shown() {
        let (a, b) = (key(1), key(2));
        for (text, position) in [
            (String::new(), 1),
            (a.clone(), 1),
            (format!("a:{a},{b}"), 2),
            (format!("a:{a},"), 2),
            (format!("ninechars:{a}"), 1),
            (format!("none,a b:{a}"), 2),
            (format!("a:{a},a:{b}"), 2),
            (format!("a:{}", &a[1..]), 1),
            (format!("a:{}", URL_SAFE_NO_PAD.encode([7; 32])), 1),
        ] {
            let error = Peppers::parse_list(&text).expect_err(&text);
            assert!(error.to_string().contains(&format!("entry {position} ")), "{text}: {error}");
            assert!(!error.to_string().contains(&a[4..]), "{error}");
        }
        assert_eq!(Peppers::parse_list(&format!("a:{a},none")).unwrap_err(), SecretListError::NoneBehind);
        let shown = format!("{:?}", Peppers::parse_list(&format!("a:{a}")).unwrap());
        assert_eq!(shown, r#"["a"]"#);
    }
}
