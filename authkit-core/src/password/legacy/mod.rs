//! Hashes that other systems made: what is read of them, and how each is computed again.
//!
//! A stored hash is a [`Recipe`] (the algorithm, its parameters, its salt) and the digest that came of it. Both are kept
//! apart, because the digest may itself be hashed (see [`wrap`](super::wrap)) while the recipe must stay readable.

mod bcrypt;
mod firebase;
mod limits;
mod pbkdf2;
mod refusal;
mod salted_sha;
mod scrypt;
mod sha_crypt;
#[cfg(test)]
mod tests;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config::FirebaseSignerKeys;
use crate::primitives::Password;

use super::admission::HashError;

pub(super) use limits::ForeignLimits;
pub use refusal::HashRefusal;

/// How a digest is computed: the algorithm, its parameters, its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recipe {
    Bcrypt(bcrypt::Bcrypt),
    Scrypt(scrypt::Scrypt),
    Firebase(firebase::Firebase),
    Pbkdf2(pbkdf2::Pbkdf2),
    ShaCrypt(sha_crypt::ShaCrypt),
    SaltedSha(salted_sha::SaltedSha),
}

/// A hash that another system made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignHash {
    pub(super) recipe: Recipe,
    pub(super) digest: Vec<u8>,
}

impl ForeignHash {
    /// Reads a hash in the format of whoever made it.
    pub(super) fn parse(text: &str, limits: ForeignLimits) -> Result<Self, HashRefusal> {
        let hash = Self::read(text)?;
        hash.recipe.check(limits)?;
        if !ForeignLimits::DIGEST_BYTES.contains(&hash.digest.len()) {
            return Err(HashRefusal::BeyondLimits {
                format: "stored",
                what: "digest is shorter than 16 bytes or longer than 128",
            });
        }
        Ok(hash)
    }

    /// A hash of no password in a format, which is written as its recipe is, without the salt: `bcrypt,12`, `scrypt,14,8,1`,
    /// `pbkdf2,sha256,260000,32`, `sha-crypt,6,5000`.
    pub(super) fn imitated(format: &str, limits: ForeignLimits) -> Option<Self> {
        let recipe = Recipe::from_text(&format!("{format},{}", encode(&[0x5a; 16])), limits)?;
        // What needs a key of somebody's has no business here.
        (!matches!(recipe, Recipe::Firebase(_))).then(|| Self { recipe, digest: vec![0; 32] })
    }

    fn read(text: &str) -> Result<Self, HashRefusal> {
        let head = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if head(&["$2a$", "$2b$", "$2y$", "$2x$", "$2$", "bcrypt$", "bcrypt_sha256$"]) {
            return bcrypt::read(text);
        }
        if head(&["$scrypt$", "scrypt$"]) {
            return scrypt::read(text);
        }
        if head(&["$firebase-scrypt$"]) {
            return firebase::read(text);
        }
        if head(&["$pbkdf2", "pbkdf2_"]) || pbkdf2::is_aspnet(text) {
            return pbkdf2::read(text);
        }
        if head(&["$5$", "$6$"]) {
            return sha_crypt::read(text);
        }
        if text.starts_with('{') {
            return salted_sha::read(text);
        }
        Err(HashRefusal::of_unknown(text))
    }

    /// Whether the password is the one that was hashed.
    pub(super) fn matches(&self, password: &Password, signer_keys: &FirebaseSignerKeys) -> Result<bool, HashError> {
        let digest = self.recipe.derive(password, self.digest.len(), signer_keys)?;
        Ok(digest.ct_eq(&self.digest).into())
    }
}

impl Recipe {
    /// Computes the digest of a password, `bytes` long where the algorithm lets one choose.
    pub(super) fn derive(
        &self,
        password: &Password,
        bytes: usize,
        signer_keys: &FirebaseSignerKeys,
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let password = password.expose().as_bytes();
        match self {
            Self::Bcrypt(recipe) => Ok(recipe.derive(password)),
            Self::Scrypt(recipe) => recipe.derive(password, bytes),
            Self::Firebase(recipe) => recipe.derive(password, signer_keys),
            Self::Pbkdf2(recipe) => Ok(recipe.derive(password, bytes)),
            Self::ShaCrypt(recipe) => recipe.derive(password),
            Self::SaltedSha(recipe) => Ok(recipe.derive(password)),
        }
    }

    fn check(&self, limits: ForeignLimits) -> Result<(), HashRefusal> {
        match self {
            Self::Bcrypt(recipe) => recipe.check(limits),
            Self::Scrypt(recipe) => recipe.check(limits),
            Self::Firebase(recipe) => recipe.check(limits),
            Self::Pbkdf2(recipe) => recipe.check(limits),
            Self::ShaCrypt(recipe) => recipe.check(limits),
            Self::SaltedSha(_) => Ok(()),
        }
    }

    /// The work of one computation, in KiB that argon2 would write in the same time, as `benches/password` measured it on one core:
    /// a new hash 13 ms, bcrypt of cost 10 and 12 58 and 234 ms, scrypt of Django 23 ms, PBKDF2 of 260,000 iterations 33 ms, SHA-512-crypt
    /// 2.3 ms. It decides how much of its class's share a hash takes.
    pub(super) fn work(&self, password_bytes: usize) -> u64 {
        match self {
            Self::Bcrypt(recipe) => recipe.work(),
            Self::Scrypt(recipe) => recipe.work(),
            Self::Firebase(recipe) => recipe.work(),
            Self::Pbkdf2(recipe) => recipe.work(),
            Self::ShaCrypt(recipe) => recipe.work(password_bytes),
            Self::SaltedSha(_) => 1,
        }
    }

    /// The memory that it allocates while it computes, beside the blocks of argon2, in KiB.
    pub(super) fn memory_kib(&self) -> u64 {
        match self {
            Self::Scrypt(recipe) => recipe.memory_kib(),
            Self::Firebase(recipe) => recipe.memory_kib(),
            Self::Bcrypt(_) => 4,
            Self::Pbkdf2(_) | Self::ShaCrypt(_) | Self::SaltedSha(_) => 0,
        }
    }

    /// The key from the settings without which it cannot be computed, when that is missing.
    pub(super) fn missing_key(&self, signer_keys: &FirebaseSignerKeys) -> Option<HashError> {
        match self {
            Self::Firebase(recipe) if signer_keys.by_id(&recipe.key_id).is_none() => {
                Some(HashError::MissingSignerKey { id: recipe.key_id.clone() })
            }
            _ => None,
        }
    }

    /// The recipe as one word of letters, digits, `-`, `_`, `.` and `,`: what stands in a wrapped hash.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Bcrypt(recipe) => recipe.to_text(),
            Self::Scrypt(recipe) => recipe.to_text(),
            Self::Firebase(recipe) => recipe.to_text(),
            Self::Pbkdf2(recipe) => recipe.to_text(),
            Self::ShaCrypt(recipe) => recipe.to_text(),
            Self::SaltedSha(recipe) => recipe.to_text(),
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote, within the limits.
    pub(super) fn from_text(text: &str, limits: ForeignLimits) -> Option<Self> {
        let fields: Vec<&str> = text.split(',').collect();
        let recipe = match *fields.first()? {
            "bcrypt" => Self::Bcrypt(bcrypt::Bcrypt::from_fields(&fields)?),
            "scrypt" => Self::Scrypt(scrypt::Scrypt::from_fields(&fields)?),
            "firebase" => Self::Firebase(firebase::Firebase::from_fields(&fields)?),
            "pbkdf2" => Self::Pbkdf2(pbkdf2::Pbkdf2::from_fields(&fields)?),
            "sha-crypt" => Self::ShaCrypt(sha_crypt::ShaCrypt::from_fields(&fields)?),
            "salted-sha" => Self::SaltedSha(salted_sha::SaltedSha::from_fields(&fields)?),
            _ => return None,
        };
        recipe.check(limits).ok().map(|()| recipe)
    }
}

/// Base64 as others write it: in either alphabet, with or without padding.
pub(super) fn base64_lenient(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::DecodePaddingMode;
    use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) { base64::alphabet::URL_SAFE } else { base64::alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, config).decode(text).ok()
}

/// The base64 of our own texts.
fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

/// A decimal number as everybody writes one: digits, no sign, nothing in front.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
