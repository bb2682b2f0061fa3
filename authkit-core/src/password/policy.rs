//! What a new password must be (NIST SP 800-63B-4 §3.1.1.2): long enough and hard to guess, also for somebody who knows
//! the account. No composition rules.

use zeroize::Zeroizing;

use crate::config::PasswordConfig;
use crate::primitives::{Email, FullName, Password};

use super::weakness::{Weakness, WeaknessReason};

/// How many characters are estimated at a time, so that the cost stays near that of a hash: zxcvbn's grows faster than
/// its input.
const WINDOW_CHARS: usize = 64;
/// How many when there are more than [`MAX_SIGNS`] different signs, which is strong in itself.
const SIGN_WINDOW_CHARS: usize = 24;
/// zxcvbn tries what every sign may stand for: all of its 22 took 780 ms at 64 characters and 80 ms at 24, 13 of them
/// 44 ms at 64 (on a loaded machine).
const MAX_SIGNS: usize = 12;
/// Shorter words than this occur by chance and are left to the estimate.
const MIN_CONTEXT_CHARS: usize = 3;

const EMAIL: &str = "your email address";
const NAME: &str = "your name";
const SERVICE: &str = "the name of this service";

/// What an attacker may know about the person who chooses a password.
#[derive(Debug, Clone, Default)]
pub struct PolicyContext {
    /// The address of the account.
    pub email: Option<Email>,
    /// The name of the person.
    pub full_name: Option<FullName>,
}

/// The rules for a new password.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    min_chars: usize,
    min_score: u8,
    service: Vec<Word>,
}

#[derive(Debug, Clone)]
struct Word {
    /// In lower case.
    text: String,
    what: &'static str,
}

impl PasswordPolicy {
    /// Takes the rules from the settings.
    #[must_use]
    pub fn new(config: &PasswordConfig) -> Self {
        let mut service = Vec::new();
        for text in &config.context_words {
            push_with_parts(&mut service, text, SERVICE);
        }
        Self { min_chars: config.profile.min_chars(), min_score: config.min_score.min(4), service }
    }

    /// Checks a new password; takes milliseconds. Everything that is wrong with it comes back at once.
    pub fn check(&self, password: &Password, context: &PolicyContext) -> Result<(), Weakness> {
        let words = self.words(context);
        let inputs: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let chars = Zeroizing::new(password.expose().chars().collect::<Vec<char>>());
        let mut reasons = Vec::new();
        if chars.len() < self.min_chars {
            reasons.push(WeaknessReason::TooShort { min: self.min_chars });
        }
        if let Err(advice) = self.estimate(&chars, &inputs) {
            reasons.push(WeaknessReason::TooGuessable { advice });
        } else if is_common(password.expose()) {
            // The estimate says so too, and why; this holds where the least strength was set lower.
            reasons.push(WeaknessReason::TooCommon);
        }
        // SECURITY: zxcvbn counts a known word as one more piece to guess, which makes `authkit-user` look fine. What an
        // attacker knows must not count at all: the rest has to be hard to guess by itself.
        let (rest, leans_on) = without(&chars, &words);
        if !leans_on.is_empty() && self.estimate(&rest, &inputs).is_err() {
            reasons.extend(leans_on.into_iter().map(|what| WeaknessReason::LeansOn { what }));
        }
        Weakness::of(reasons).map_or(Ok(()), Err)
    }

    /// Whether some part of the text is hard enough to guess; then the whole is, too. Otherwise the advice about its beginning.
    fn estimate(&self, chars: &[char], inputs: &[&str]) -> Result<(), String> {
        let mut advice = None;
        for window in windows(without_repeats(chars)) {
            let text = Zeroizing::new(window.iter().collect::<String>());
            let estimate = zxcvbn::zxcvbn(&text, inputs);
            if u8::from(estimate.score()) >= self.min_score {
                return Ok(());
            }
            advice.get_or_insert_with(|| estimate.feedback().map(sentences).unwrap_or_default());
        }
        if self.min_score == 0 { Ok(()) } else { Err(advice.unwrap_or_default()) }
    }

    fn words(&self, context: &PolicyContext) -> Vec<Word> {
        let mut words = self.service.clone();
        if let Some(email) = &context.email {
            push(&mut words, email.normal(), EMAIL);
            for address in [email.normal(), email.spelling()] {
                let (local, domain) = address.split_once('@').unwrap_or((address, ""));
                push_with_parts(&mut words, local, EMAIL);
                // The top level says nothing about anybody.
                for label in domain.rsplit('.').skip(1) {
                    push_with_parts(&mut words, label, EMAIL);
                }
            }
        }
        if let Some(name) = &context.full_name {
            push_with_parts(&mut words, name.as_str(), NAME);
        }
        words
    }
}

/// Whether the whole text is one of the 30,000 common passwords that zxcvbn holds (MIT; from leaks, ordered by frequency), in
/// any case, backwards, or with digits for letters. It holds whatever `min_score` is.
///
// SECURITY: the longest of them has fewer characters than this; more need not be estimated to know that they are none.
fn is_common(text: &str) -> bool {
    const LONGEST_COMMON: usize = 32;
    if text.chars().count() > LONGEST_COMMON {
        return false;
    }
    let estimate = zxcvbn::zxcvbn(text, &[]);
    let [only] = estimate.sequence() else { return false };
    match &only.pattern {
        zxcvbn::matching::patterns::MatchPattern::Dictionary(word) => format!("{:?}", word.dictionary_name) == "Passwords",
        _ => false,
    }
}

/// The text itself, its parts between punctuation, and the letters of those: `jane.doe77` is also `jane`, `doe77`, `doe`.
fn push_with_parts(words: &mut Vec<Word>, text: &str, what: &'static str) {
    push(words, text, what);
    for part in text.split(|c: char| !c.is_alphanumeric()) {
        push(words, part, what);
        for letters in part.split(|c: char| !c.is_alphabetic()) {
            push(words, letters, what);
        }
    }
}

fn push(words: &mut Vec<Word>, text: &str, what: &'static str) {
    let text = text.trim().to_lowercase();
    if text.chars().count() >= 2 && !words.iter().any(|word| word.text == text) {
        words.push(Word { text, what });
    }
}

/// The password without the words that are known of its owner, and whose they were.
fn without(chars: &[char], words: &[Word]) -> (Zeroizing<Vec<char>>, Vec<&'static str>) {
    let mut covered = vec![false; chars.len()];
    let mut leans_on = Vec::new();
    for word in words {
        let letters: Vec<char> = word.text.chars().collect();
        if letters.len() < MIN_CONTEXT_CHARS {
            continue;
        }
        for start in 0..=chars.len().saturating_sub(letters.len()) {
            let Some(place) = chars.get(start..start + letters.len()) else { break };
            if place.iter().zip(&letters).all(|(typed, letter)| stands_for(*typed, *letter)) {
                covered[start..start + letters.len()].fill(true);
                if !leans_on.contains(&word.what) {
                    leans_on.push(word.what);
                }
            }
        }
    }
    let rest = chars.iter().zip(covered).filter(|(_, covered)| !covered).map(|(c, _)| *c).collect();
    (Zeroizing::new(rest), leans_on)
}

/// In either case, and in the usual disguises.
fn stands_for(typed: char, letter: char) -> bool {
    typed == letter
        || typed.to_lowercase().eq(std::iter::once(letter))
        || matches!(
            (typed, letter),
            ('0', 'o') | ('1' | '!' | '|', 'i' | 'l') | ('3', 'e') | ('4' | '@', 'a') | ('5' | '$', 's') | ('7' | '+', 't')
        )
}

/// What is repeated, when the whole text is that: who guesses the unit guesses the text. Windows would cut it in pieces
/// that look like something new.
fn without_repeats(chars: &[char]) -> &[char] {
    let period = (1..=chars.len() / 2).find(|period| chars[*period..] == chars[..chars.len() - period]);
    &chars[..period.unwrap_or(chars.len())]
}

fn windows(chars: &[char]) -> std::slice::Chunks<'_, char> {
    let mut signs = Zeroizing::new(chars.iter().copied().filter(|c| !c.is_alphabetic()).collect::<Vec<char>>());
    signs.sort_unstable();
    signs.dedup();
    chars.chunks(if signs.len() > MAX_SIGNS { SIGN_WINDOW_CHARS } else { WINDOW_CHARS })
}

fn sentences(feedback: &zxcvbn::feedback::Feedback) -> String {
    let warning = feedback.warning().map(|warning| warning.to_string());
    let suggestions = feedback.suggestions().iter().map(ToString::to_string);
    warning.into_iter().chain(suggestions).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PasswordProfile;

    fn john() -> PolicyContext {
        PolicyContext { email: Email::parse("user@example.com").ok(), full_name: FullName::parse("John Doe").ok() }
    }

    fn check(text: &str) -> Result<(), Weakness> {
        PasswordPolicy::new(&PasswordConfig::default()).check(&Password::parse(text).expect("a password"), &john())
    }

    fn codes(text: &str) -> Vec<&'static str> {
        check(text).err().map(|weakness| weakness.reasons().iter().map(WeaknessReason::code).collect()).unwrap_or_default()
    }

    #[test]
    fn good_passwords_pass_without_composition_rules() {
        for text in [
            "SecurePass123",
            "correct horse battery staple",
            "q7w-Gzp4",
            "тихий океан зелёный чайник",
            "a b c d e f g 🦀",
            "the example of a wandering teapot",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn common_passwords_are_refused_with_reasons_that_help() {
        for text in ["password1234567", "12345678", "qwertyuiop", "aaaaaaaaaaaaaaaa", "P@ssw0rd", "abcdefgh", "iloveyou"] {
            let weakness = check(text).expect_err(text);
            assert!(codes(text).contains(&"too_guessable"), "{text}: {weakness}");
            assert!(weakness.to_string().starts_with("This password is too easy to guess. "), "{weakness}");
            assert!(weakness.to_string().ends_with('.') && !weakness.to_string().contains(text), "{weakness}");
        }
        assert!(check("12345678").unwrap_err().to_string().contains("top-10 common password"));
    }

    #[test]
    fn the_list_of_common_passwords_holds_whatever_strength_is_asked_for() {
        let lax = PasswordPolicy::new(&PasswordConfig { min_score: 0, ..PasswordConfig::default() });
        for text in ["password", "PASSWORD", "P@ssw0rd", "drowssap", "trustno1", "liverpool", "q1w2e3r4t5y6", "baseball"] {
            let weakness = lax.check(&Password::parse(text).expect("a password"), &PolicyContext::default()).expect_err(text);
            assert_eq!(weakness.reasons(), [WeaknessReason::TooCommon], "{text}");
        }
        for text in ["passwort-passwort", "aaaaaaaa", "abcdefgh"] {
            assert_eq!(lax.check(&Password::parse(text).expect("a password"), &PolicyContext::default()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_known_of_the_account_does_not_count() {
        for (text, what) in [
            ("user@example.com", EMAIL),
            ("User@Example.COM1", EMAIL),
            ("authkit-user", SERVICE),
            ("4uthK1t-us3r", SERVICE),
            ("JohnDoe2024!", NAME),
            ("j0hnd0e-77", NAME),
        ] {
            let weakness = check(text).expect_err(text);
            let expected = WeaknessReason::LeansOn { what };
            assert!(weakness.reasons().contains(&expected), "{text}: {weakness}");
            assert!(weakness.to_string().contains(what), "{weakness}");
            assert_eq!(expected.code(), "contains_context");
        }
        assert_eq!(check("JohnDoe and nineteen wooden ducks"), Ok(()));
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(codes("q7wGzp4").contains(&"too_short"));
        assert!(!codes("ö7ü-Gäp4").contains(&"too_short"));
        assert!(codes("ö7ü-Gäp").contains(&"too_short"));
        let config = PasswordConfig { profile: PasswordProfile::Nist80063b4, ..PasswordConfig::default() };
        let nist = PasswordPolicy::new(&config);
        let short = nist.check(&Password::parse("SecurePass123").expect("a password"), &john()).unwrap_err();
        assert_eq!(short.reasons(), [WeaknessReason::TooShort { min: 15 }]);
        assert_eq!(short.to_string(), "Use at least 15 characters; a few unrelated words work well.");
    }

    #[test]
    fn a_long_password_is_as_strong_as_its_strongest_part() {
        let padded = format!("{}{}{}", "a".repeat(100), "correct horse battery staple", "a".repeat(800));
        assert_eq!(check(&padded), Ok(()));
        assert_eq!(codes(&"a".repeat(Password::MAX_BYTES)), ["too_guessable"]);
        for unit in ["password", "P@ssw0rd", "1234567890", "qwertyuiop", "abcdefghijklm", "19901991"] {
            for times in [4, 5, 6, 40] {
                assert_eq!(codes(&unit.repeat(times)), ["too_guessable"], "{unit} {times}");
            }
        }
    }
}
