//! The compact serialisation of a JSON Web Signature (RFC 7515 §7.1): splitting, decoding, checking the signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::token::backend::VerifyingKey;

/// The three segments of a compact serialisation, as they stand in the token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact<'t> {
    /// The encoded header.
    pub(super) header: &'t str,
    /// The encoded payload.
    pub(super) payload: &'t str,
    /// The encoded signature.
    pub(super) signature: &'t str,
    /// What is signed: header and payload with the dot between them.
    pub(super) signing_input: &'t str,
}

impl<'t> Compact<'t> {
    /// Splits a token; `None` unless it has exactly three segments. The JSON serialisations (RFC 7515 §7.2) are not read.
    pub(super) fn split(token: &'t str) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, payload, signature, signing_input })
    }

    /// Whether the signature is the key's. The key alone says with which algorithm.
    pub(super) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify(self.signing_input.as_bytes(), self.signature)
    }
}

/// Decodes base64url as RFC 7515 §2 has it: no padding, no white space, no other alphabet, one spelling for each value.
pub(super) fn decode(segment: &str) -> Option<Vec<u8>> {
    // SECURITY: this engine refuses padding and non-zero trailing bits, so that no two tokens mean the same.
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// [`decode`] into a buffer, for what has a bound; `None` as well when it does not fit.
pub(super) fn decode_into<'b>(segment: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(segment, buffer).ok()?;
    buffer.get(..length)
}

/// Appends `bytes` as base64url.
pub(super) fn encode_into(bytes: &[u8], token: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, token);
}

/// `bytes` as base64url.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
