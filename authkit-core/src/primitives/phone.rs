//! Telephone numbers in the international form.

use std::fmt;
use std::str::FromStr;

use phonenumber::Type;
use phonenumber::metadata::DATABASE;
use zeroize::ZeroizeOnDrop;

/// Why text is no number that a code can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneNumberError {
    /// It is no number of any country, or does not begin with `+` and the country.
    #[error("the telephone number is not valid: write it with + and the code of the country")]
    Invalid,
    /// No text message reaches such a number, or it costs more than a message should.
    #[error("text messages cannot be sent to this kind of telephone number")]
    NoMessages,
}

/// The number of a telephone that takes text messages (ITU-T E.164): `+4915112345678`. It is valid in its country's plan of numbers.
///
/// # Security
/// Numbers that cost their caller extra are refused: whoever has a share in what they cost would have codes sent to them (toll
/// fraud, "SMS pumping").
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct PhoneNumber {
    e164: String,
    country: u16,
}

impl PhoneNumber {
    /// Reads what was typed: with `+`, the code of the country, and any spaces, hyphens, dots and brackets in between.
    pub fn parse(input: &str) -> Result<Self, PhoneNumberError> {
        let typed = input.trim();
        // Long text is not even looked through; extensions, letters and URIs are none of ours.
        let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/');
        if typed.len() > 32 || !typed.starts_with('+') || !typed.chars().all(is_plain) {
            return Err(PhoneNumberError::Invalid);
        }
        let number = phonenumber::parse(None, typed).map_err(|_| PhoneNumberError::Invalid)?;
        if !number.is_valid() {
            return Err(PhoneNumberError::Invalid);
        }
        match number.number_type(&DATABASE) {
            Type::Mobile | Type::FixedLineOrMobile | Type::PersonalNumber | Type::Voip => {}
            _ => return Err(PhoneNumberError::NoMessages),
        }
        let country = number.code().value();
        let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
        Ok(Self { e164, country })
    }

    /// Takes a number that was kept; `None` when it is not of the form of one.
    #[must_use]
    pub fn from_stored(e164: String) -> Option<Self> {
        let country = phonenumber::parse(None, &e164).ok()?.code().value();
        Some(Self { e164, country })
    }

    /// The number: `+` and digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.e164
    }

    /// The calling code of its country: 49 for Germany, 1 for North America.
    #[must_use]
    pub const fn country(&self) -> u16 {
        self.country
    }

    /// Enough of it for its owner to know it by, and not enough for anybody else: the last two digits.
    #[must_use]
    pub fn hint(&self) -> String {
        let digits = self.e164.len().saturating_sub(2);
        format!("…{}", self.e164.get(digits..).unwrap_or_default())
    }

    /// Whether anything is known of the numbers of a country.
    #[must_use]
    pub fn is_country(code: u16) -> bool {
        DATABASE.by_code(&code).is_some_and(|regions| !regions.is_empty())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.hint())
    }
}

impl FromStr for PhoneNumber {
    type Err = PhoneNumberError;

    fn from_str(text: &str) -> Result<Self, PhoneNumberError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_any_spelling_and_kept_in_one() {
        for typed in ["+4915112345678", " +49 151 12345678 ", "+49 (151) 123-456/78", "+49.151.12345678", "+49 0151 12345678"] {
            let number = PhoneNumber::parse(typed).expect(typed);
            assert_eq!((number.expose(), number.country()), ("+4915112345678", 49), "{typed}");
            assert_eq!(PhoneNumber::from_stored(number.expose().to_owned()), Some(number));
        }
        assert_eq!(PhoneNumber::parse("+1 201 555 0123").map(|number| number.country()), Ok(1));
        let shown = format!("{:?}", PhoneNumber::parse("+4915112345678").expect("valid"));
        assert_eq!(shown, "PhoneNumber(…78)");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = format!("+49{}", "1".repeat(100_000));
        for typed in [
            "",
            "+",
            "015112345678",
            "004915112345678",
            "+49",
            "+491",
            "+999151123456",
            "+4915112345678;ext=1",
            "tel:+4915112345678",
            "+49151\r\nTo: +1",
            "+４９１５１１２３４５６７８",
            "+4915112345678+4915112345678",
            "+1 800 FLOWERS",
            &long,
        ] {
            assert_eq!(PhoneNumber::parse(typed), Err(PhoneNumberError::Invalid), "{typed:?}");
        }
    }

    #[test]
    fn numbers_that_cost_extra_or_ring_a_house_are_refused() {
        for typed in ["+49 900 1 123456", "+1 900 234 5678", "+44 909 8790 123", "+49 30 12345678"] {
            assert_eq!(PhoneNumber::parse(typed), Err(PhoneNumberError::NoMessages), "{typed}");
        }
    }
}
