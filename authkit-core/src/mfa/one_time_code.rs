//! Codes of six digits that are sent to somebody, typed in, and forgotten.

use std::fmt;

use zeroize::ZeroizeOnDrop;

use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, Entropy};

/// How many codes there are.
const CODES: u32 = 1_000_000;
/// The greatest multiple of [`CODES`] that a draw can have: what is above it is drawn again, so that no code is likelier than another.
const UNBIASED: u32 = u32::MAX - u32::MAX % CODES;

/// A code of six decimal digits (SP 800-63B-4 §3.1.3.2 asks for as many at least).
///
/// # Security
/// It can be guessed. Whoever checks one counts the guesses, and ends the code after ten minutes at most.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct OneTimeCode(u32);

impl OneTimeCode {
    /// Draws a code, each with the same probability.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        loop {
            let drawn = u32::from_be_bytes(random_bytes(entropy));
            if drawn < UNBIASED {
                return Self(drawn % CODES);
            }
        }
    }

    /// Reads what was typed; spaces between the digits do not matter. `None` for anything else than six digits.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        six_digits(typed)?.parse().ok().map(Self)
    }

    /// The digits, as they are sent.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{:06}", self.0)
    }

    /// The code as a store keeps it, bound to `secret`: what only the holder of the request knows that the code was sent for.
    ///
    /// # Security
    /// Without the secret a million digests find the code; with 256 secret bits of the request in it none does, and a code
    /// that was sent for one request is wrong for every other (ASVS 6.6.2).
    #[must_use]
    pub fn digest(&self, secret: &[u8]) -> Digest {
        Digest::of(&[b"authkit one-time code v1\0".as_slice(), &self.0.to_be_bytes(), secret].concat())
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

/// The six ASCII digits of what was typed, spaces removed.
pub(super) fn six_digits(typed: &str) -> Option<String> {
    // Long text is not even looked through.
    if typed.len() > 16 {
        return None;
    }
    let digits: String = typed.chars().filter(|c| *c != ' ').collect();
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::primitives::OsEntropy;

    /// Hands out what it was given.
    #[derive(Debug)]
    struct Script(Mutex<Vec<u32>>);

    impl Entropy for Script {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&self.0.lock().unwrap().pop().unwrap().to_be_bytes());
        }
    }

    #[test]
    fn no_code_is_likelier_than_another() {
        assert_eq!(u64::from(UNBIASED) % u64::from(CODES), 0);
        assert_eq!(UNBIASED, 4_294_000_000);
        let drawn = |numbers: &[u32]| OneTimeCode::generate(&Script(Mutex::new(numbers.to_vec()))).expose();
        assert_eq!(drawn(&[7]), "000007");
        assert_eq!(drawn(&[UNBIASED - 1]), "999999");
        // The draws from the end: both of the first two are in the part that would favour low codes.
        assert_eq!(drawn(&[1_234_567, u32::MAX, UNBIASED]), "234567");
    }

    #[test]
    fn every_first_digit_comes_up() {
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            let digits = OneTimeCode::generate(&OsEntropy).expose();
            seen[usize::from(digits.as_bytes()[0] - b'0')] += 1;
        }
        // Nine standard deviations of a fair draw are 270.
        assert!(seen.iter().all(|count| (730..=1_270).contains(count)), "{seen:?}");
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert_eq!(OneTimeCode::parse(" 012 345 ").map(|code| code.expose()), Some("012345".to_owned()));
        for typed in
            ["", "12345", "1234567", "+12345", "-12345", "12345a", "１２３４５６", "123456\n", "0x1234", &"1".repeat(100_000)]
        {
            assert_eq!(OneTimeCode::parse(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn a_digest_is_of_its_code_and_its_request() {
        let [one, other] = ["123456", "123457"].map(|typed| OneTimeCode::parse(typed).unwrap());
        assert_eq!(one.digest(b"request"), OneTimeCode::parse("123456").unwrap().digest(b"request"));
        assert_ne!(one.digest(b"request"), other.digest(b"request"));
        assert_ne!(one.digest(b"request"), one.digest(b"another"));
        assert!(!format!("{one:?}").contains("123456"));
    }
}
