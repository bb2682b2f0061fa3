//! bcrypt: `$2a$`, `$2b$` and `$2y$`, and Django's `bcrypt$$2b$…`.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use zeroize::Zeroizing;

use super::{ForeignHash, ForeignLimits, HashRefusal, Recipe, decode, encode, number};

const FORMAT: &str = "bcrypt";

/// OpenBSD's alphabet. The last sign of a salt or digest has bits to spare, which implementations leave as they like.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes of the key schedule: what is behind them never counted.
const KEY_BYTES: usize = 72;
/// Bytes of the digest that are kept: 23 of the 24, by an error of the first implementation that all others repeat.
const DIGEST_BYTES: usize = 23;

/// The cost and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    let malformed = HashRefusal::Malformed { format: FORMAT };
    if text.starts_with("bcrypt_sha256$") {
        return Err(HashRefusal::Unsupported { format: "bcrypt_sha256", why: "only Django makes them, and seldom" });
    }
    let text = text.strip_prefix("bcrypt$").unwrap_or(text);
    let rest = text.strip_prefix("$2").ok_or(malformed)?;
    let rest = match rest.as_bytes().first() {
        Some(b'a' | b'b' | b'y') => rest[1..].strip_prefix('$').ok_or(malformed)?,
        Some(b'x') => {
            let why = "a faulty implementation made them, which hashed other bytes than were typed";
            return Err(HashRefusal::Unsupported { format: "$2x$ bcrypt", why });
        }
        Some(b'$') => {
            let why = "the first version left out the end of the password; it was replaced in 1998";
            return Err(HashRefusal::Unsupported { format: "$2$ bcrypt", why });
        }
        _ => return Err(malformed),
    };
    let (cost, body) = rest.split_once('$').ok_or(malformed)?;
    if cost.len() != 2 || body.len() != 53 || !body.is_ascii() {
        return Err(malformed);
    }
    let cost = number(cost).ok_or(malformed)?;
    let (salt, digest) = body.split_at(22);
    let salt = BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(malformed)?;
    let digest = BASE64.decode(digest).ok().filter(|digest| digest.len() == DIGEST_BYTES).ok_or(malformed)?;
    Ok(ForeignHash { recipe: Recipe::Bcrypt(Bcrypt { cost, salt }), digest })
}

impl Bcrypt {
    /// Computes the digest as the origin did: over the password and a NUL, and of both the first 72 bytes.
    ///
    // SECURITY: only here is a password cut, because the system that made the hash cut it. The first login replaces the
    // hash by one that counts every byte.
    pub(super) fn derive(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        key.extend_from_slice(&password[..password.len().min(KEY_BYTES)]);
        key.push(0);
        key.truncate(KEY_BYTES);
        let digest = Zeroizing::new(bcrypt::bcrypt(self.cost, self.salt, &key));
        Zeroizing::new(digest[..DIGEST_BYTES].to_vec())
    }

    pub(super) fn check(&self, _: ForeignLimits) -> Result<(), HashRefusal> {
        if self.cost < 4 {
            return Err(HashRefusal::Malformed { format: FORMAT });
        }
        if self.cost > ForeignLimits::MAX_BCRYPT_COST {
            return Err(HashRefusal::BeyondLimits { format: FORMAT, what: "cost is above 15" });
        }
        Ok(())
    }

    /// About 57 µs for each doubling's unit.
    pub(super) fn work(&self) -> u64 {
        170 << self.cost
    }

    pub(super) fn to_text(&self) -> String {
        format!("bcrypt,{},{}", self.cost, encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, cost, salt] = fields else { return None };
        Some(Self { cost: number(cost)?, salt: decode(salt)?.try_into().ok()? })
    }
}
