//! One-time tokens: what travels in a link, and what is kept of it.
//!
//! ```text
//! ak_ot_  base64url( id 16 | secret 32 )
//! ```
//!
//! The digest that is kept covers the purpose, the id and the secret: a token of one purpose is another token for every other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::OneTimePurpose;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, Entropy, OneTimeTokenId, OneTimeTokenText};

/// What every one-time token begins with, so that scanners of leaked secrets know one.
pub const PREFIX: &str = "ak_ot_";

const SECRET_BYTES: usize = 32;
const TOKEN_BYTES: usize = 16 + SECRET_BYTES;

// INVARIANT: a whole number of base64 quanta, so no bit of the last character is spare and each token has one spelling.
const _: () = assert!(TOKEN_BYTES.is_multiple_of(3));

/// Makes the text of a token and the digest to keep.
#[must_use]
pub fn mint(id: OneTimeTokenId, purpose: OneTimePurpose, entropy: &dyn Entropy) -> (OneTimeTokenText, Digest) {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    bytes[..16].copy_from_slice(id.as_uuid().as_bytes());
    bytes[16..].copy_from_slice(&*Zeroizing::new(random_bytes::<SECRET_BYTES>(entropy)));
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*bytes));
    (OneTimeTokenText::new(text), digest(purpose, id, &bytes[16..]))
}

/// Takes a token apart that somebody presented for a purpose: its id and the digest that the kept one has to equal. `None` for
/// what is no token.
#[must_use]
pub fn parse(text: &OneTimeTokenText, purpose: OneTimePurpose) -> Option<(OneTimeTokenId, Digest)> {
    let encoded = text.expose().strip_prefix(PREFIX).filter(|encoded| encoded.len() == TOKEN_BYTES / 3 * 4)?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
    let id = OneTimeTokenId::from_uuid(Uuid::from_slice(bytes.get(..16)?).ok()?);
    Some((id, digest(purpose, id, bytes.get(16..)?)))
}

/// The digest of a secret, be it drawn or a short code, that belongs to a token of a purpose.
#[must_use]
pub fn digest(purpose: OneTimePurpose, id: OneTimeTokenId, secret: &[u8]) -> Digest {
    let mut input = Zeroizing::new(b"authkit one-time token\n".to_vec());
    input.extend_from_slice(purpose.as_str().as_bytes());
    input.push(b'\n');
    input.extend_from_slice(id.as_uuid().as_bytes());
    input.extend_from_slice(secret);
    Digest::of(&input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::{OsEntropy, Timestamp};

    #[test]
    fn a_token_is_one_of_its_purpose_and_has_one_spelling() {
        let id = OneTimeTokenId::generate(Timestamp::UNIX_EPOCH, &OsEntropy);
        let (text, kept) = mint(id, OneTimePurpose::MagicLink, &OsEntropy);
        assert_eq!(parse(&text, OneTimePurpose::MagicLink), Some((id, kept)));
        for &other in OneTimePurpose::ALL {
            let same = parse(&text, other).is_some_and(|(_, digest)| digest == kept);
            assert_eq!(same, other == OneTimePurpose::MagicLink, "{other:?}");
        }
        let shown = text.expose();
        let bad = [
            String::new(),
            PREFIX.to_owned(),
            shown[PREFIX.len()..].to_owned(),
            format!("{shown}="),
            format!(" {shown}"),
            shown.replace("ak_ot_", "ak_rt_"),
            format!("{}+", &shown[..shown.len() - 1]),
            format!("{PREFIX}{}", "\u{e9}".repeat(32)),
            "A".repeat(1_000_000),
        ];
        for text in bad {
            let shown: String = text.chars().take(90).collect();
            assert_eq!(parse(&OneTimeTokenText::new(text), OneTimePurpose::MagicLink), None, "{shown:?}");
        }
    }
}
