//! `keys generate-master` and `keys generate-secret`: secrets for the operator to keep.

use authkit_core::embedded::MasterKey;
use authkit_core::{Entropy as _, OsEntropy, SystemClock};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A new master key, as `AUTHKIT_MASTER_KEYS` reads it.
pub(super) fn master() -> String {
    MasterKey::generate_dated(&SystemClock, &OsEntropy).to_text()
}

/// A new pepper, as `AUTHKIT_PASSWORD_PEPPERS` reads it, under a name that no other one has.
pub(super) fn pepper() -> String {
    let mut bytes = [0; 36];
    OsEntropy.fill(&mut bytes);
    let id: String = bytes[32..].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{id}:{}", URL_SAFE_NO_PAD.encode(&bytes[..32]))
}

/// A new secret for `JWT_SECRET_KEY`: 48 random bytes, what `openssl rand -base64 48` prints.
pub(super) fn secret() -> String {
    let mut bytes = [0_u8; 48];
    OsEntropy.fill(&mut bytes);
    STANDARD.encode(bytes)
}
