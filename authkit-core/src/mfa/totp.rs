//! Codes of authenticator apps (RFC 6238), and how an app is told the secret.

use std::fmt;

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use totp_rs::{Builder, Totp};

use crate::mfa::one_time_code::six_digits;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, SecretBytes, Timestamp};

/// How long a code is current, in seconds (RFC 6238 §5.2).
pub const STEP_SECONDS: u32 = 30;
/// How many steps either side of the current one are accepted: as many as RFC 6238 §5.2 recommends at most.
pub const DRIFT: u32 = 1;

/// What an app needs to be told. Shown once, to the owner.
pub struct TotpEnrolment {
    /// The secret in base32, to be typed in.
    pub secret: String,
    /// The secret as an `otpauth` address, to be opened on the phone.
    pub otpauth_uri: String,
    /// The same as a QR code, to be photographed.
    pub qr_svg: String,
}

impl fmt::Debug for TotpEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpEnrolment(…)")
    }
}

/// An app cannot be told the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The stored secret is none that we drew.
    #[error("the secret of an authenticator app has an unusable form")]
    Secret,
    /// The name of the service and the address do not fit in a QR code.
    #[error("the name of the service is too long for a QR code")]
    TooLong,
}

/// Draws a secret of 160 bits (RFC 4226 §4, R6).
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> SecretBytes {
    SecretBytes::new(random_bytes::<20>(entropy).to_vec())
}

/// Tells an app the secret: what the service and the account are called there.
///
/// SHA-1, six digits and thirty seconds, because apps ignore what else is asked of them; as a MAC, SHA-1 is not broken
/// (RFC 4226 appendix B.2).
pub fn enrolment(secret: &SecretBytes, service: &str, account: &str) -> Result<TotpEnrolment, EnrolmentError> {
    let plain = |name: &str| name.replace(':', " ");
    let service = Some(plain(service)).filter(|name| !name.trim().is_empty());
    let builder = Builder::new().with_secret(secret.expose()).with_account_name(plain(account)).with_issuer(service);
    let totp = builder.build().map_err(|_| EnrolmentError::Secret)?;
    let otpauth_uri = totp.to_url().map_err(|_| EnrolmentError::Secret)?;
    let qr = QrCode::with_error_correction_level(&otpauth_uri, EcLevel::M).map_err(|_| EnrolmentError::TooLong)?;
    // Black on white whatever the page looks like: an app reads no other. A quiet zone of four modules is part of the code.
    let qr_svg = qr.render::<svg::Color<'_>>().min_dimensions(240, 240).quiet_zone(true).build();
    Ok(TotpEnrolment { secret: totp.secret().to_base32(), otpauth_uri, qr_svg })
}

/// The time step of an instant.
#[must_use]
pub fn step_at(at: Timestamp) -> u32 {
    u32::try_from(at.unix_seconds() / i64::from(STEP_SECONDS)).unwrap_or(0)
}

/// The time step whose code was typed: the current one, or one of its neighbours, and later than `last_step`. `None` when it is
/// no such code, or the secret is none.
///
/// # Security
/// Whoever accepts the code keeps the step, in the write that accepts it: a code is good once (RFC 6238 §5.2), and one of an earlier
/// step is not good after it.
#[must_use]
pub fn matching_step(secret: &SecretBytes, typed: &str, at: Timestamp, last_step: Option<u32>) -> Option<u32> {
    let (typed, totp) = (six_digits(typed)?, checker(secret)?);
    let now = step_at(at);
    // Every step is tried, so that the time it takes does not tell which matched.
    let matches = |step: u32| totp.check(&typed, u64::from(step) * u64::from(STEP_SECONDS)).is_some();
    let tried = (now.saturating_sub(DRIFT)..=now.saturating_add(DRIFT)).map(|step| (step, matches(step))).collect::<Vec<_>>();
    tried.into_iter().find(|(step, matched)| *matched && last_step.is_none_or(|last| *step > last)).map(|(step, _)| step)
}

fn checker(secret: &SecretBytes) -> Option<Totp> {
    Builder::new().with_secret(secret.expose()).with_skew(0).build().ok()
}

/// The code that an app shows at an instant: for tests of hosts, which have no phone.
#[cfg(any(test, feature = "testkit"))]
#[must_use]
pub fn code_at(secret: &SecretBytes, at: Timestamp) -> Option<String> {
    Some(checker(secret)?.generate(u64::from(step_at(at)) * u64::from(STEP_SECONDS)).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use totp_rs::Algorithm;

    use super::*;
    use crate::primitives::OsEntropy;

    fn rfc_secret() -> SecretBytes {
        SecretBytes::new(b"12345678901234567890".to_vec())
    }

    fn at_step(step: u32) -> Timestamp {
        Timestamp::from_unix_seconds(i64::from(step) * 30)
    }

    /// RFC 4226 appendix D, the column `HOTP`: the counter is the time step.
    #[test]
    fn the_vectors_of_rfc_4226_appendix_d() {
        let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (count, code) in (0..).zip(codes) {
            assert_eq!(code_at(&rfc_secret(), at_step(count)).as_deref(), Some(code), "count {count}");
            assert_eq!(matching_step(&rfc_secret(), code, at_step(count), None), Some(count));
        }
    }

    /// RFC 6238 appendix B, with the seeds of its errata: eight digits there, of which ours are the last six.
    #[test]
    fn the_vectors_of_rfc_6238_appendix_b() {
        let vectors = [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000_u64, "65353130", "77737706", "47863826"),
        ];
        let digits = b"1234567890";
        let seed = |bytes: usize| digits.iter().copied().cycle().take(bytes).collect::<Vec<u8>>();
        let algorithms = [(Algorithm::SHA1, 20), (Algorithm::SHA256, 32), (Algorithm::SHA512, 64)];
        for (time, sha1, sha256, sha512) in vectors {
            for ((algorithm, bytes), code) in algorithms.into_iter().zip([sha1, sha256, sha512]) {
                let builder = Builder::new().with_algorithm(algorithm).with_digits(8).with_secret(seed(bytes));
                assert_eq!(builder.build().expect("a seed").generate(time).to_string(), code, "{algorithm} at {time}");
            }
            let at = Timestamp::from_unix_seconds(i64::try_from(time).expect("a date"));
            assert_eq!(code_at(&rfc_secret(), at).as_deref(), Some(&sha1[2..]), "at {time}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_either_side_and_no_further() {
        let (secret, now) = (generate(&OsEntropy), 58_000_000);
        for step in now - 3..=now + 3 {
            let code = code_at(&secret, at_step(step)).expect("a code");
            let expected = (now - 1..=now + 1).contains(&step).then_some(step);
            assert_eq!(matching_step(&secret, &code, at_step(now) + Duration::from_secs(29), None), expected, "{step}");
        }
    }

    #[test]
    fn a_code_is_good_only_behind_the_last_step() {
        let (secret, now) = (generate(&OsEntropy), 58_000_000);
        let code = |step| code_at(&secret, at_step(step)).expect("a code");
        let step = |typed: &str, last| matching_step(&secret, typed, at_step(now), Some(last));
        assert_eq!(step(&code(now), now - 1), Some(now));
        assert_eq!(step(&code(now), now), None, "the same again");
        assert_eq!(step(&code(now - 1), now), None, "an earlier one");
        assert_eq!(step(&code(now + 1), now), Some(now + 1), "the clock of the phone is ahead");
        assert_eq!(step(&code(now + 1), now + 1), None);
        assert_eq!(step(&code(now), u32::MAX), None);
    }

    #[test]
    fn what_is_no_code_matches_nothing_and_breaks_nothing() {
        let code = code_at(&rfc_secret(), at_step(5)).expect("a code");
        assert_eq!(matching_step(&rfc_secret(), &format!(" {} {} ", &code[..3], &code[3..]), at_step(5), None), Some(5));
        for typed in ["", "+54676", "25467", "2546761", "２５４６７６", "254676\0", "abcdef", &"9".repeat(1_000_000)] {
            assert_eq!(matching_step(&rfc_secret(), typed, at_step(5), None), None, "{typed:.10}");
        }
        for bytes in [0, 1, 15] {
            assert_eq!(matching_step(&SecretBytes::new(vec![0; bytes]), &code, at_step(5), None), None);
        }
        // Before 1970, and at the end of time.
        assert_eq!(step_at(Timestamp::from_unix_seconds(-1)), 0);
        assert_eq!(matching_step(&rfc_secret(), "000000", Timestamp::from_unix_seconds(i64::from(u32::MAX) * 30), None), None);
    }

    #[test]
    fn an_app_is_told_who_we_are() {
        let told = enrolment(&rfc_secret(), "Bücher & Co: Shop", "jane+x@example.com").expect("fits");
        assert_eq!(told.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            told.otpauth_uri,
            "otpauth://totp/B%C3%BCcher%20%26%20Co%20%20Shop:jane%2Bx%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=B%C3%BCcher%20%26%20Co%20%20Shop"
        );
        assert!(told.qr_svg.starts_with("<?xml") && told.qr_svg.contains("<svg") && !told.qr_svg.contains("<script"));
        assert_eq!(format!("{told:?}"), "TotpEnrolment(…)");
        assert!(enrolment(&rfc_secret(), "", "jane@example.com").expect("fits").otpauth_uri.starts_with("otpauth://totp/jane"));
        assert_eq!(enrolment(&rfc_secret(), &"x".repeat(4_000), "j@x.example").map(drop), Err(EnrolmentError::TooLong));
    }
}
