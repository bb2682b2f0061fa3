//! The header of an access token, read strictly: three members and nothing else.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::error::Category;

use crate::model::{KeyAlgorithm, KeyId};
use crate::token::access::AccessTokenError;
use crate::token::access_key::AccessKey;
use crate::token::jws;
use crate::token::keyring::Keyring;

/// The most bytes of a decoded header. Ours has about 90; a `kid` has at most 64.
const MAX_BYTES: usize = 512;

/// What an access token's header may say.
///
/// SECURITY: an unknown member is refused instead of ignored. Among them are `crit`, `b64` and `zip`, which change what is
/// signed (RFC 7515 §4.1.11, RFC 7797), and `jwk`, `jku`, `x5u` and `x5c`, with which a token brings its own key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default)]
    typ: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
}

/// Reads an encoded header and finds the key that it names; its type and algorithm must be that key's.
pub(super) fn select<'k>(segment: &str, keyring: &'k Keyring) -> Result<&'k AccessKey, AccessTokenError> {
    // Our own tokens have one header for each key, letter by letter, so there is nothing to parse.
    if let Some(key) = keyring.access_keys().iter().find(|key| key.header() == segment) {
        return Ok(key);
    }
    // Four characters carry three bytes; what is longer is no header of ours, so it is not even decoded.
    if segment.len() > MAX_BYTES / 3 * 4 {
        return Err(AccessTokenError::UnsupportedHeader);
    }
    let mut buffer = [0_u8; MAX_BYTES];
    let json = jws::decode_into(segment, &mut buffer).ok_or(AccessTokenError::Malformed)?;
    let header: Header<'_> = serde_json::from_slice(json).map_err(|error| match error.classify() {
        Category::Data => AccessTokenError::UnsupportedHeader,
        Category::Io | Category::Syntax | Category::Eof => AccessTokenError::Malformed,
    })?;
    if !header.typ.is_some_and(|typ| is_access_token(&typ)) {
        return Err(AccessTokenError::WrongType);
    }
    let key = header.kid.and_then(|kid| keyring.access_by_id(&kid)).ok_or(AccessTokenError::UnknownKey)?;
    if header.alg != key.algorithm().as_str() {
        return Err(AccessTokenError::AlgorithmMismatch);
    }
    Ok(key)
}

/// The encoded header of the tokens that a key signs.
pub(super) fn encode(algorithm: KeyAlgorithm, id: &KeyId) -> String {
    // Neither an algorithm nor a key id has a character that JSON would escape.
    jws::encode(format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{id}"}}"#, algorithm.as_str()).as_bytes())
}

// RFC 9068 §4: "at+jwt" or "application/at+jwt"; media types are compared without case (RFC 2045 §5.1).
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}
