//! Recovery codes: ten secrets on paper, for the day on which the phone is gone.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::ZeroizeOnDrop;

use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, Entropy, SecretBytes};

/// How many codes a set has.
pub const SET: usize = 10;
/// The bytes of a code: 80 bits, of which SP 800-63B-4 §4.2.1.1 asks for 64.
const BYTES: usize = 10;
/// Crockford's alphabet: no letter that is read as a digit or as another letter.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A recovery code: sixteen characters in groups of four, of 80 random bits.
///
/// # Security
/// It is kept as an HMAC under a random key of the account, which is itself sealed by the key custody. SHA-256 alone would do
/// against guessing online, but whoever steals the table could try 2^80 codes at leisure, which ASVS 6.5.2 draws the line at
/// (112 bits). With the key sealed he has nothing to try them against, and a check costs no slow hash of each of ten.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; BYTES]);

impl RecoveryCode {
    /// Draws a code.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_bytes(entropy))
    }

    /// Draws a set.
    #[must_use]
    pub fn generate_set(entropy: &dyn Entropy) -> Vec<Self> {
        (0..SET).map(|_| Self::generate(entropy)).collect()
    }

    /// Reads what was typed: in any case, with or without hyphens and spaces, with letters for the digits that look like
    /// them. `None` for what cannot be a code.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        // Long text is not even looked through.
        if typed.len() > 64 {
            return None;
        }
        let (mut bits, mut count, mut bytes, mut filled) = (0_u32, 0_u32, [0_u8; BYTES], 0);
        for character in typed.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            let character = match character.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|letter| *letter == character)?;
            bits = (bits << 5) | u32::try_from(value).ok()?;
            count += 5;
            if count >= 8 {
                count -= 8;
                *bytes.get_mut(filled)? = (bits >> count).to_le_bytes()[0];
                filled += 1;
            }
        }
        (filled == BYTES && count == 0).then_some(Self(bytes))
    }

    /// The code as it is shown, once.
    #[must_use]
    pub fn expose(&self) -> String {
        let number = self.0.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        let mut text = String::with_capacity(19);
        for index in 0..16 {
            if index > 0 && index % 4 == 0 {
                text.push('-');
            }
            let value = (number >> (75 - 5 * index)) & 31;
            text.push(char::from(ALPHABET[value as usize]));
        }
        text
    }

    /// The code as a store keeps it.
    #[must_use]
    pub fn digest(&self, key: &SecretBytes) -> Option<Digest> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
        mac.update(b"authkit recovery code v1\0");
        mac.update(&self.0);
        Some(Digest::from_bytes(mac.finalize().into_bytes().into()))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// Draws the key of an account's digests.
#[must_use]
pub fn generate_key(entropy: &dyn Entropy) -> SecretBytes {
    SecretBytes::new(random_bytes::<32>(entropy).to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::primitives::OsEntropy;

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        for code in RecoveryCode::generate_set(&OsEntropy) {
            let shown = code.expose();
            assert_eq!((shown.len(), shown.matches('-').count()), (19, 3), "{shown}");
            let typed = [shown.clone(), shown.to_uppercase(), shown.replace('-', ""), format!("  {} ", shown.replace('-', " "))];
            let lookalike = shown.replace('0', "O").replacen('1', "l", 1).replace('1', "I");
            for typed in typed.into_iter().chain([lookalike]) {
                assert_eq!(RecoveryCode::parse(&typed), Some(code.clone()), "{typed}");
            }
        }
        let known = RecoveryCode::parse("0123-4567-89ab-cdef").expect("sixteen characters");
        assert_eq!(known.0, [0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf]);
        assert_eq!(known.expose(), "0123-4567-89ab-cdef");
    }

    #[test]
    fn nothing_else_is_a_code() {
        let shown = RecoveryCode::generate(&OsEntropy).expose();
        for typed in
            ["", "u123-4567-89ab-cdef", &shown[..18], &format!("{shown}0"), "０123-4567-89ab-cdef", "123456", &"0".repeat(9_999)]
        {
            assert_eq!(RecoveryCode::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_digest_is_of_its_code_and_its_key() {
        let codes: BTreeSet<_> = RecoveryCode::generate_set(&OsEntropy).iter().map(RecoveryCode::expose).collect();
        assert_eq!(codes.len(), SET, "no two are equal");
        let (code, other) = (RecoveryCode::generate(&OsEntropy), RecoveryCode::generate(&OsEntropy));
        let (key, stranger) = (generate_key(&OsEntropy), generate_key(&OsEntropy));
        assert_eq!(code.digest(&key), code.digest(&key));
        assert_ne!(code.digest(&key), other.digest(&key));
        assert_ne!(code.digest(&key), code.digest(&stranger));
        assert_eq!(format!("{code:?}"), "RecoveryCode(…)");
    }
}
