//! Secrets: never shown by `Debug`, never serialised, zeroed when dropped, read through one loud method.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization;

macro_rules! redacted {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

/// Why a password can be neither set nor tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// No character at all.
    #[error("the password is empty")]
    Empty,
    /// More bytes than are ever hashed. It is refused, never cut (OWASP Password Storage, ASVS 6.2.8).
    #[error("the password is longer than {} bytes", Password::MAX_BYTES)]
    TooLong,
    /// A NUL, which other systems cut passwords at.
    #[error("the password contains a NUL character")]
    Nul,
}

/// A password as it is hashed: composed (Unicode NFC), so that two keyboards type the same one, and otherwise untouched.
///
/// NFC is less than the NFKC of SP 800-63B-4's wording on purpose: a full-width `Ａ` stays another character than `A`.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// The most bytes, before and after composition. Above it nothing is normalised and nothing hashed.
    pub const MAX_BYTES: usize = 1_024;

    /// Takes what was typed.
    pub fn parse(input: &str) -> Result<Self, PasswordError> {
        if input.is_empty() {
            return Err(PasswordError::Empty);
        }
        if input.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        if input.contains('\0') {
            return Err(PasswordError::Nul);
        }
        let composed: String = input.nfc().collect();
        if composed.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(composed.into()))
    }

    /// The password in the clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

redacted!(Password);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&<std::borrow::Cow<'de, str>>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A password hash in PHC string format (`$argon2id$v=19$m=…`), or in that of the system that it was imported from.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// The most bytes of a hash that is imported. What is longer is no hash of a known format.
    pub const MAX_BYTES: usize = 512;

    /// Takes a PHC string.
    #[must_use]
    pub fn from_phc(phc: String) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for PasswordHash {}

redacted!(PasswordHash);

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes a token as it was presented.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(text.into())
            }

            /// The token in the clear.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        redacted!($name);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

token! {
    /// A signed access token (RFC 9068).
    AccessToken
}
token! {
    /// A refresh token: `ak_rt_` and opaque text.
    RefreshToken
}
token! {
    /// A one-time token as it travels, in a link or in a request: `ak_ot_` and opaque text.
    OneTimeTokenText
}

token! {
    /// What somebody holds between her first factor and her second: `ak_mfa_` and opaque text.
    MfaToken
}
token! {
    /// A code of a second factor, as it was typed.
    FactorCode
}
token! {
    /// What a trusted device holds: `ak_trust_` and opaque text. It stands in for a second factor at a login, beside the first.
    TrustToken
}
token! {
    /// A device token: `ak_dt_` and opaque text. It tells a known device from a stranger's, and logs nobody in.
    DeviceToken
}

/// Secret bytes: a key, or what a key sealed.
pub struct SecretBytes(SecretBox<[u8]>);

impl SecretBytes {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(bytes.into_boxed_slice()))
    }

    /// The bytes in the clear.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl Clone for SecretBytes {
    fn clone(&self) -> Self {
        Self::new(self.expose().to_vec())
    }
}

redacted!(SecretBytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_shows_itself() {
        let shown = format!(
            "{:?}{:?}{:?}{:?}{:?}",
            Password::parse("canary-1").expect("a password"),
            PasswordHash::from_phc("canary-2".into()),
            AccessToken::new("canary-3".into()),
            RefreshToken::new("canary-4".into()),
            SecretBytes::new(b"canary-5".to_vec()),
        );
        assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
    }

    #[test]
    fn a_password_is_refused_whole_or_kept_whole() {
        assert_eq!(Password::parse("").map(|_| ()), Err(PasswordError::Empty));
        assert_eq!(Password::parse("abc\0def").map(|_| ()), Err(PasswordError::Nul));
        assert_eq!(Password::parse(&"a".repeat(1_025)).map(|_| ()), Err(PasswordError::TooLong));
        // U+1D160 grows threefold under NFC: the bound holds after composition too.
        assert_eq!(Password::parse(&"\u{1d160}".repeat(200)).map(|_| ()), Err(PasswordError::TooLong));
        let kept = Password::parse(&"a".repeat(1_024)).expect("the longest");
        assert_eq!(kept.expose().len(), 1_024);
    }

    #[test]
    fn a_password_is_composed_but_not_folded() {
        let typed = Password::parse("cafe\u{301} \u{ff21}").expect("a password");
        assert_eq!(typed.expose(), "caf\u{e9} \u{ff21}");
    }
}
