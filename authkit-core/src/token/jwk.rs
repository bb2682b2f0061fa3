//! Public keys as JWKs (RFC 7517), and their names (RFC 7638).

use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::model::{KeyAlgorithm, KeyId};
use crate::token::key_material::KeyError;

/// The same algorithm in `jsonwebtoken`'s words.
pub(super) const fn jose(algorithm: KeyAlgorithm) -> Algorithm {
    match algorithm {
        KeyAlgorithm::Es256 => Algorithm::ES256,
        KeyAlgorithm::EdDsa => Algorithm::EdDSA,
        KeyAlgorithm::Rs256 => Algorithm::RS256,
        KeyAlgorithm::Hs256 => Algorithm::HS256,
    }
}

/// A public key as we publish it: with its thumbprint as `kid`, its algorithm, and `use` "sig".
pub(super) fn from_public_key(algorithm: KeyAlgorithm, key: &DecodingKey) -> Result<Jwk, KeyError> {
    let mut jwk = Jwk::from_decoding_key(key, Some(jose(algorithm))).map_err(|_| KeyError::Malformed)?;
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_id = Some(thumbprint(&jwk)?.as_str().to_owned());
    Ok(jwk)
}

/// The thumbprint of a public key: SHA-256 over its required members, as base64url (RFC 7638 §3).
pub(super) fn thumbprint(jwk: &Jwk) -> Result<KeyId, KeyError> {
    let text = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| KeyError::Malformed)?;
    KeyId::parse(&text).ok_or(KeyError::Malformed)
}
