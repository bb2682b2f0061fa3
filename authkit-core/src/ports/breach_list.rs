//! Passwords that are known from breaches elsewhere.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use sha1::{Digest as _, Sha1};

use crate::primitives::Password;

/// The SHA-1 of a password, which is what lists of breached passwords are made of. It protects nothing: it never leaves the process
/// whole, is never stored, and `Debug` does not show it.
#[derive(Clone)]
pub struct BreachDigest([u8; 40]);

impl BreachDigest {
    /// Characters of the part that a range is asked for by.
    pub const PREFIX_CHARS: usize = 5;

    /// Digests a password.
    #[must_use]
    pub fn of(password: &Password) -> Self {
        const HEX: [u8; 16] = *b"0123456789ABCDEF";
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(password.expose().as_bytes())) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Self(hex)
    }

    /// The first five hexadecimal digits, in upper case: what a service of ranges is told. Some 20 bits of 160, which millions of
    /// passwords share (k-anonymity).
    #[must_use]
    pub fn prefix(&self) -> &str {
        std::str::from_utf8(&self.0[..Self::PREFIX_CHARS]).unwrap_or_default()
    }

    /// The other 35 digits: what is looked for in a range, and never sent.
    #[must_use]
    pub fn suffix(&self) -> &str {
        std::str::from_utf8(&self.0[Self::PREFIX_CHARS..]).unwrap_or_default()
    }

    /// All 40 digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How often the password occurs in a range: lines of `suffix:count`, in any order and either case, of which those that say 0
    /// are padding (<https://haveibeenpwned.com/API/v3#PwnedPasswords>).
    ///
    /// # Errors
    /// A line that is none: then it is not known whether the others are all.
    pub fn times_in(&self, range: &str) -> Result<u64, BreachListError> {
        let mut times = 0;
        for line in range.lines().map(str::trim_ascii).filter(|line| !line.is_empty()) {
            let (suffix, count) = line.split_once(':').ok_or_else(|| BreachListError::new(NoRange))?;
            let sound = suffix.len() == 35 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit());
            let count: u64 = count.parse().ok().filter(|_| sound).ok_or_else(|| BreachListError::new(NoRange))?;
            if suffix.eq_ignore_ascii_case(self.suffix()) {
                times = times.max(count);
            }
        }
        Ok(times)
    }
}

impl fmt::Debug for BreachDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreachDigest(…)")
    }
}

/// The answer is no range of suffixes.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not a range of suffixes and counts")]
struct NoRange;

/// The list cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("the list of breached passwords cannot be asked")]
pub struct BreachListError(#[source] Box<dyn Error + Send + Sync>);

impl BreachListError {
    /// It cannot, for this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A list of passwords that are known from breaches. It is asked for each new password, before anything is hashed and outside of
/// any transaction.
///
/// **When it is down** the settings decide: `Open` (the default) accepts what the built-in list of common passwords and the estimate of
/// strength accept, `Closed` answers 503. Either way a rule is never weaker than without a list.
#[async_trait]
pub trait BreachList: fmt::Debug + Send + Sync {
    /// How often the password was seen in breaches; 0 when never. Answers within a few seconds, or fails.
    async fn times_seen(&self, digest: &BreachDigest) -> Result<u64, BreachListError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> BreachDigest {
        BreachDigest::of(&Password::parse("password").expect("a password"))
    }

    #[test]
    fn the_digest_is_the_published_one_and_is_cut_after_five() {
        // The example of the API's documentation: SHA-1 of "password".
        assert_eq!(digest().hex(), "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
        assert_eq!((digest().prefix(), digest().suffix()), ("5BAA6", "1E4C9B93F3F0682250B6CF8331B7EE68FD8"));
        assert_eq!(format!("{:?}", digest()), "BreachDigest(…)");
    }

    #[test]
    fn a_range_is_read_whole_or_not_at_all() {
        let own = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
        let other = "1D2DA4053E34E76F6576ED1DA63134B5E2A";
        assert_eq!(digest().times_in(&format!("{other}:2\r\n{own}:3861493\r\n")).unwrap(), 3_861_493);
        assert_eq!(digest().times_in(&format!("{other}:2\n{}:7", own.to_lowercase())).unwrap(), 7);
        assert_eq!(digest().times_in(&format!("{own}:0\r\n{other}:0\r\n")).unwrap(), 0, "padding");
        assert_eq!(digest().times_in("").unwrap(), 0);
        for garbage in ["<html>", &format!("{own}"), &format!("{own}:x"), &format!("{own}:-1"), &format!("{}:1", &own[1..])] {
            assert!(digest().times_in(&format!("{other}:1\n{garbage}\n{own}:1")).is_err(), "{garbage}");
        }
    }
}
