//! What a browser is asked for: the JSON that `PublicKeyCredential.parseCreationOptionsFromJSON` and
//! `parseRequestOptionsFromJSON` take (WebAuthn Level 3 §5.1.8, §5.1.9).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::model::{Passkey, PasskeyTransport};

/// Bytes as the JSON of WebAuthn has them: base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a browser is asked for when a passkey is made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    pub(super) rp: Rp,
    pub(super) user: Owner,
    pub(super) challenge: String,
    pub(super) pub_key_cred_params: Vec<Algorithm>,
    /// Milliseconds.
    pub(super) timeout: u64,
    pub(super) exclude_credentials: Vec<Descriptor>,
    pub(super) authenticator_selection: Selection,
    pub(super) attestation: &'static str,
}

/// What a browser is asked for when a passkey is used.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    pub(super) challenge: String,
    /// Milliseconds.
    pub(super) timeout: u64,
    pub(super) rp_id: String,
    /// Empty for a login: whoever it is has to be told by the passkey.
    pub(super) allow_credentials: Vec<Descriptor>,
    pub(super) user_verification: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Rp {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) display_name: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Algorithm {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) alg: i64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selection {
    pub(super) resident_key: &'static str,
    /// For browsers of Level 1 of the standard.
    pub(super) require_resident_key: bool,
    pub(super) user_verification: &'static str,
}

/// A passkey, as a browser is told of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transports: Vec<&'static str>,
}

impl From<&Passkey> for Descriptor {
    fn from(passkey: &Passkey) -> Self {
        Self {
            kind: "public-key",
            id: encode(passkey.credential_id.as_bytes()),
            transports: passkey.transports.iter().copied().map(PasskeyTransport::as_str).collect(),
        }
    }
}
