//! Signing and verifying with one library or another behind the same three names.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
mod rust_crypto;

#[cfg(feature = "aws-lc-rs")]
pub(super) use aws_lc::{SigningKey, VerifyingKey, generate};
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
pub(super) use rust_crypto::{SigningKey, VerifyingKey, generate};

use zeroize::Zeroizing;

use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, SecretBytes};

/// A new Ed25519 key as PKCS#8 version 1 (RFC 8410 §7), which is a fixed prefix and the seed. Version 2, which carries the
/// public key too, is refused by many readers, `jsonwebtoken` among them.
fn generate_ed25519(entropy: &dyn Entropy) -> SecretBytes {
    const PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let seed = Zeroizing::new(random_bytes::<32>(entropy));
    SecretBytes::new([PREFIX.as_slice(), seed.as_slice()].concat())
}
