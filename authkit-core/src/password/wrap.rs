//! Hashing the hash: argon2id over the digest that another system made, for accounts whose owners do not log in.
//!
//! The text is `$authkit-wrap$` + the recipe of the inner hash in base64url + the PHC string of the outer one. The inner digest is
//! nowhere in it: verification computes it from the password, as its recipe says, and hashes that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::primitives::PasswordHash;

use super::argon2::Argon2Hash;
use super::legacy::{HashRefusal, Recipe};
use super::stored::Reader;

/// A wrapped hash, read and found acceptable.
#[derive(Debug)]
pub(super) struct WrappedHash {
    pub(super) inner: Recipe,
    /// Bytes of the inner digest.
    pub(super) inner_bytes: usize,
    pub(super) outer: Argon2Hash,
}

impl WrappedHash {
    pub(super) const PREFIX: &str = "$authkit-wrap$";
    const FORMAT: &str = "wrapped";

    pub(super) fn parse(text: &str, reader: &Reader) -> Result<Self, HashRefusal> {
        let malformed = HashRefusal::Malformed { format: Self::FORMAT };
        let rest = text.strip_prefix(Self::PREFIX).ok_or(malformed)?;
        let at = rest.find('$').ok_or(malformed)?;
        let recipe = URL_SAFE_NO_PAD.decode(&rest[..at]).ok().and_then(|recipe| String::from_utf8(recipe).ok());
        let recipe = recipe.ok_or(malformed)?;
        let (inner_bytes, recipe) = recipe.split_once(',').ok_or(malformed)?;
        let inner_bytes = inner_bytes.parse().ok().filter(|bytes| (16..=128).contains(bytes)).ok_or(malformed)?;
        let inner = Recipe::from_text(recipe, reader.limits()).ok_or(malformed)?;
        Ok(Self { inner, inner_bytes, outer: Argon2Hash::parse(&rest[at..], reader.max_memory_kib)? })
    }

    /// Writes a wrapped hash: the recipe, and the PHC string of the argon2id of its digest.
    pub(super) fn to_text(inner: &Recipe, inner_bytes: usize, outer: &PasswordHash) -> PasswordHash {
        let recipe = URL_SAFE_NO_PAD.encode(format!("{inner_bytes},{}", inner.to_text()));
        PasswordHash::from_phc(format!("{}{recipe}{}", Self::PREFIX, outer.expose()))
    }
}
