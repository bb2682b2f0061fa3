//! Short texts that people give to things: names, device names, locales, user agents.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// Why a text cannot be shown as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// Longer than the label allows.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most characters that are allowed.
        max: usize,
    },
    /// A character that could forge a line, a header or the direction of the text.
    #[error("must not contain control or invisible formatting characters")]
    Control,
    /// Not a language tag.
    #[error("must be a language tag such as en or pt-BR (BCP 47)")]
    Locale,
}

// SECURITY: line breaks forge log lines and mail headers, and bidirectional overrides forge what a reader sees (Trojan Source).
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A text that cannot forge anything in a log, however it is shown: what could is written as its escape, and what is longer than `max`
/// characters is cut.
#[must_use]
pub fn harmless(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut left = max;
    for c in text.chars() {
        if is_hostile(c) {
            let escape = c.escape_unicode();
            if escape.len() > left {
                break;
            }
            left -= escape.len();
            shown.extend(escape);
        } else if left == 0 {
            break;
        } else {
            left -= 1;
            shown.push(c);
        }
    }
    shown
}

fn clean(input: &str, max: usize) -> Result<String, LabelError> {
    // NFC grows a text at most threefold (UAX #15), so this bound loses no label that could fit.
    if input.len() > max * 16 {
        return Err(LabelError::TooLong { max });
    }
    let text: String = input.trim().nfc().collect();
    if text.is_empty() {
        return Err(LabelError::Empty);
    }
    if text.chars().any(is_hostile) {
        return Err(LabelError::Control);
    }
    if text.chars().count() > max {
        return Err(LabelError::TooLong { max });
    }
    Ok(text)
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The most characters.
            pub const MAX_CHARS: usize = $max;

            /// Trims, composes (NFC) and checks what was typed.
            pub fn parse(input: &str) -> Result<Self, LabelError> {
                clean(input, Self::MAX_CHARS).map(Self)
            }
        }

        text_access!($name);
    };
}

macro_rules! text_access {
    ($name:ident) => {
        plain_access!($name);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&<std::borrow::Cow<'de, str>>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! plain_access {
    ($name:ident) => {
        impl $name {
            /// Takes a text that a store kept.
            #[must_use]
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

label! {
    /// The name of a person, as she writes it herself: at most 200 characters.
    FullName, 200
}
label! {
    /// Why an administrator acts as somebody else, for the audit log: at most 200 characters.
    ImpersonationReason, 200
}
label! {
    /// What a user calls the device of a session: at most 100 characters.
    DeviceName, 100
}
label! {
    /// What a user calls a passkey: at most 100 characters.
    PasskeyName, 100
}
label! {
    /// What a role is for: at most 200 characters.
    RoleDescription, 200
}

/// A language tag in its canonical case (BCP 47): `en`, `de-CH`, `zh-Hant-TW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale(String);

impl Locale {
    /// Checks the form of a tag: a language of 2 or 3 letters, then at most 3 subtags.
    pub fn parse(input: &str) -> Result<Self, LabelError> {
        let mut subtags = input.split('-');
        let language = subtags.next().filter(|tag| (2..=3).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic()));
        let mut text = language.ok_or(LabelError::Locale)?.to_ascii_lowercase();
        for (index, subtag) in subtags.enumerate() {
            if index > 2 || !(2..=8).contains(&subtag.len()) || !subtag.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(LabelError::Locale);
            }
            text.push('-');
            match subtag.len() {
                2 => text.push_str(&subtag.to_ascii_uppercase()),
                4 => {
                    text.push_str(&subtag[..1].to_ascii_uppercase());
                    text.push_str(&subtag[1..].to_ascii_lowercase());
                }
                _ => text.push_str(&subtag.to_ascii_lowercase()),
            }
        }
        Ok(Self(text))
    }
}

text_access!(Locale);

/// What a client says it is: the `User-Agent` header, made harmless and cut at 256 characters. Never refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// The most characters that are kept.
    pub const MAX_CHARS: usize = 256;

    /// Keeps what is harmless of the header.
    #[must_use]
    pub fn from_header(header: &str) -> Option<Self> {
        let text: String = header.chars().filter(|c| !is_hostile(*c)).take(Self::MAX_CHARS).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

plain_access!(UserAgent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line_or_a_direction() {
        for text in ["a\r\nBcc: e@evil.example", "a\u{0}b", "\u{1b}[2Jx", "a\u{2028}b", "a\u{202e}b"] {
            assert_eq!(FullName::parse(text), Err(LabelError::Control), "{text:?}");
        }
        assert_eq!(FullName::parse(" \u{a0} "), Err(LabelError::Empty));
        assert_eq!(FullName::parse(&"x".repeat(201)), Err(LabelError::TooLong { max: 200 }));
        assert_eq!(FullName::parse(&"x".repeat(1_000_000)), Err(LabelError::TooLong { max: 200 }));
        assert_eq!(FullName::parse(" Zoe\u{308} ").map(|name| name.to_string()), Ok("Zo\u{eb}".to_owned()));
    }

    #[test]
    fn a_text_for_the_log_is_escaped_and_cut() {
        assert_eq!(harmless("a\r\n{\"x\":1}\u{202e}", 100), "a\\u{d}\\u{a}{\"x\":1}\\u{202e}");
        assert_eq!(harmless(&"\u{1b}x".repeat(1_000_000), 12), "\\u{1b}x");
        assert_eq!(harmless("Zo\u{eb} \u{1F511}", 5), "Zo\u{eb} \u{1F511}");
        assert_eq!(harmless("abcdef", 3), "abc");
    }

    #[test]
    fn a_locale_is_a_language_tag_in_canonical_case() {
        assert_eq!(Locale::parse("ZH-hant-tw").map(|l| l.to_string()), Ok("zh-Hant-TW".to_owned()));
        for text in ["", "e", "english", "en_US", "en-", "../etc", "en-US-x-y-z-w", "e\u{301}n"] {
            assert_eq!(Locale::parse(text), Err(LabelError::Locale), "{text:?}");
        }
    }

    #[test]
    fn a_user_agent_is_cut_and_made_harmless() {
        let agent = UserAgent::from_header(&format!("curl\r\n{}", "x".repeat(1_000))).expect("something is left");
        assert!(agent.as_str().starts_with("curlx") && agent.as_str().len() == 256);
        assert_eq!(UserAgent::from_header(" \n "), None);
    }
}
