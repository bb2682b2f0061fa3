//! Email addresses, normalised once at the edge.

use std::fmt;

use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization;
use unicode_security::RestrictionLevelDetection;
use unicode_security::restriction_level::RestrictionLevel;

/// Why a text is not an address that an account can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Not of the form `local@domain`.
    #[error("an email address has the form name@example.com")]
    Malformed,
    /// Longer than mail systems accept.
    #[error("an email address has at most 254 characters, 64 of them before the @ (RFC 5321 §4.5.3.1)")]
    TooLong,
    /// Control, space, quote or another character that has no place in an address.
    #[error("the part before the @ may hold letters, digits and .!#$%&'*+/=?^_`{{|}}~- with single dots inside")]
    LocalPart,
    /// The domain is not a host name that can be registered.
    #[error("the part after the @ is not a domain name")]
    Domain,
    /// Letters of several scripts that together imitate another address.
    #[error("the address mixes letters of several scripts, which can imitate another address (UTS #39)")]
    MixedScripts,
}

/// An email address: the normal form that decides identity, and the spelling to show and to mail.
///
/// Two addresses are the same account when their normal forms are equal: NFKC (so that full-width and ligature
/// look-alikes fold), the domain in its ASCII form (IDNA, UTS #46), everything in lower case. The spelling keeps
/// the case that the user typed and nothing else.
///
/// # Security
/// Canonicalisation comes first and validation second, so that no character turns into `@`, a dot or a space
/// after it was checked. Quoted local parts, comments, lists and address literals are not accounts.
///
/// ```
/// use authkit_core::Email;
///
/// let email = Email::parse(" Jane.Doe@Bücher.example ").unwrap();
/// assert_eq!(email.normal(), "jane.doe@xn--bcher-kva.example");
/// assert_eq!(email.spelling(), "Jane.Doe@bücher.example");
/// assert!(Email::parse("victim@example.com,attacker@evil.example").is_err());
/// ```
#[derive(Clone)]
pub struct Email {
    normal: String,
    spelling: String,
}

impl Email {
    /// Normalises and checks an address as a user typed it.
    pub fn parse(input: &str) -> Result<Self, EmailError> {
        // Before any work that grows with the input: NFKC can make one character eighteen (UAX #15).
        if input.len() > 1_024 {
            return Err(EmailError::TooLong);
        }
        let folded: String = input.trim().nfkc().collect();
        let (local, domain) = folded.split_once('@').ok_or(EmailError::Malformed)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(EmailError::Malformed);
        }
        check_local(local)?;
        // A domain is the same in every case; its spelling is its Unicode form.
        let ascii = check_domain(domain)?;
        let (shown, shown_ok) = idna::domain_to_unicode(&ascii);
        shown_ok.map_err(|_| EmailError::Domain)?;
        if local.len() > 64 || local.len() + 1 + ascii.len() > 254 {
            return Err(EmailError::TooLong);
        }
        // Lower-casing can decompose (İ becomes i and a combining dot), so fold once more to reach a fixed point.
        let lowered: String = local.to_lowercase().nfkc().collect();
        check_local(&lowered)?;
        Ok(Self { normal: format!("{lowered}@{ascii}"), spelling: format!("{local}@{shown}") })
    }

    /// Takes an address that a store kept.
    #[must_use]
    pub fn from_stored(normal: String, spelling: String) -> Self {
        Self { normal, spelling }
    }

    /// The form that decides identity, and the one that is unique in the database.
    #[must_use]
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// The form to show and to mail: as typed, in the case that was typed.
    #[must_use]
    pub fn spelling(&self) -> &str {
        &self.spelling
    }
}

/// A dot-atom (RFC 5322 §3.2.3), with letters and digits of one script beyond ASCII (RFC 6531).
fn check_local(local: &str) -> Result<(), EmailError> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c) || (!c.is_ascii() && c.is_alphanumeric());
    let marks = |c: char| unicode_normalization::char::is_combining_mark(c);
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(EmailError::LocalPart);
    }
    if local.starts_with(marks) || !local.chars().all(|c| allowed(c) || marks(c)) {
        return Err(EmailError::LocalPart);
    }
    single_script(local)
}

/// A registrable host name: at least two labels, each an LDH label of at most 63 octets (RFC 1035 §2.3.1, RFC 5891).
fn check_domain(domain: &str) -> Result<String, EmailError> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::Domain)?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let last_is_numeric = labels.last().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if labels.len() < 2 || last_is_numeric || labels.iter().any(|label| label.is_empty()) {
        return Err(EmailError::Domain);
    }
    let (shown, _) = idna::domain_to_unicode(&ascii);
    shown.split('.').try_for_each(single_script)?;
    Ok(ascii)
}

// SECURITY: `аdmin` with a Cyrillic а is another account that looks the same. UTS #39 §5.2 "highly restrictive"
// allows one script, and Latin beside Han with the syllabaries that are written together with it.
fn single_script(text: &str) -> Result<(), EmailError> {
    if text.is_ascii() {
        return Ok(());
    }
    // The detection asks for identifier characters; ASCII punctuation says nothing about scripts.
    let letters: String = text.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    if letters.detect_restriction_level() <= RestrictionLevel::HighlyRestrictive { Ok(()) } else { Err(EmailError::MixedScripts) }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&<std::borrow::Cow<'de, str>>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for Email {}

impl std::hash::Hash for Email {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.normal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_address_are_one_account() {
        let email = Email::parse("user@example.com").expect("plain");
        for same in
            ["User@Example.COM", "  user@example.com\t", "ｕｓｅｒ@example.com", "user@ｅxample.com", "u\u{17f}er@example.com"]
        {
            assert_eq!(Email::parse(same), Ok(email.clone()), "{same:?}");
        }
        let composed = Email::parse("jos\u{e9}@example.com").expect("composed");
        assert_eq!(Email::parse("jose\u{301}@example.com"), Ok(composed));
    }

    #[test]
    fn hostile_addresses_are_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b.example",
            "plain",
            "a b@x.example",
            "a@b",
            "a@@x.example",
            "v@x.example,a@evil.example",
            "\"a@evil.example\"@x.example",
            "a@evil.example\u{ff20}x.example",
            "a@x.example\r\nBcc: e@evil.example",
            "a\0@x.example",
            "a@x.exam\0ple",
            "\u{202e}a@x.example",
            "a\u{200b}b@x.example",
            ".a@x.example",
            "a.@x.example",
            "a..b@x.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@x..example",
            "a@-x.example",
            "a@x_y.example",
            "<a@x.example>",
            "a@x.example.",
            "a(comment)@x.example",
            "\u{301}a@x.example",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?} gave {:?}", Email::parse(text));
        }
        assert_eq!(Email::parse("\u{430}dmin@example.com"), Err(EmailError::MixedScripts));
        assert_eq!(Email::parse("admin@ex\u{430}mple.com"), Err(EmailError::MixedScripts));
        assert_eq!(Email::parse(&format!("{}@x.example", "a".repeat(65))), Err(EmailError::TooLong));
        assert_eq!(Email::parse(&"a".repeat(1_000_000)), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_a_fixed_point_with_one_at(text in "\\PC{0,40}@\\PC{1,20}\\.[a-z]{2,3}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(email.normal().matches('@').count(), 1);
                prop_assert!(!email.normal().chars().any(|c| c.is_control() || c.is_whitespace()));
                let again = Email::parse(email.normal()).expect("the normal form is an address");
                prop_assert_eq!(again.normal(), email.normal());
                let shown = Email::parse(email.spelling()).expect("the spelling is an address");
                prop_assert_eq!(shown.normal(), email.normal());
            }
        }
    }
}
