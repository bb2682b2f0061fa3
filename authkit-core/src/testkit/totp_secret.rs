//! What an authenticator app makes of the secret that is typed into it.

use crate::primitives::SecretBytes;

/// Reads a secret as it is shown to be typed in: base32 (RFC 4648 §6) without padding. With [`totp::code_at`](crate::mfa::totp::code_at) it
/// gives the codes that the app would show.
///
/// # Panics
/// When it is no base32.
#[must_use]
pub fn totp_secret(base32: &str) -> SecretBytes {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter);
        bits =
            (bits << 5) | value.and_then(|value| u32::try_from(value).ok()).unwrap_or_else(|| panic!("{base32:?} is no base32"));
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    SecretBytes::new(bytes)
}
