//! What a browser answers: `PublicKeyCredential.toJSON()` (WebAuthn Level 3 §5.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use webauthn_rs_proto::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::ceremony::Challenge;
use super::options::encode;
use crate::model::CredentialId;

/// The most bytes of a reply. One with an attestation of many certificates has some thousand.
const MAX_BYTES: usize = 32 * 1024;

/// Something that is no reply of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the JSON of a PublicKeyCredential (WebAuthn Level 3 §5.1.3)")]
pub struct InvalidReply;

/// Why a reply proves nothing. The outside is told that it does not; the reason is for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// It was given at another origin, or inside a frame of another site.
    #[error("the reply was given at another origin")]
    Origin,
    /// It is for another RP ID.
    #[error("the reply is for another RP ID")]
    RpId,
    /// It is the reply to another kind of request.
    #[error("the reply is to another kind of request")]
    Kind,
    /// Nobody touched the authenticator.
    #[error("nobody was present")]
    NotPresent,
    /// The authenticator did not verify its user.
    #[error("the user was not verified")]
    NotVerified,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The signature is right, and the counter is not greater than it was: a copy of the key may be in use.
    #[error("the signature counter went back")]
    CounterWentBack,
    /// The key says of itself what it did not when it was made.
    #[error("the backup flags contradict what they were")]
    BackupFlags,
    /// The key is of an algorithm that was not offered, or an RSA key of another length than 2048 bits.
    #[error("the key is of an algorithm that was not offered")]
    Algorithm,
    /// The attestation is wrong, or of a kind that was not asked for.
    #[error("the attestation cannot be accepted")]
    Attestation,
    /// It says of itself that it is somebody else's.
    #[error("the user handle is another one")]
    UserHandle,
    /// It contradicts itself or cannot be read.
    #[error("the reply cannot be read")]
    Malformed,
}

impl ReplyError {
    /// The stable name, as audited.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Origin => "wrong_origin",
            Self::RpId => "wrong_rp_id",
            Self::Kind => "wrong_ceremony",
            Self::NotPresent => "user_not_present",
            Self::NotVerified => "user_not_verified",
            Self::Signature => "wrong_signature",
            Self::CounterWentBack => "counter_went_back",
            Self::BackupFlags => "backup_flags",
            Self::Algorithm => "algorithm",
            Self::Attestation => "attestation",
            Self::UserHandle => "wrong_user_handle",
            Self::Malformed => "malformed",
        }
    }
}

/// What the browser says of itself (WebAuthn Level 3 §5.8.1).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    pub(super) kind: String,
    challenge: String,
    pub(super) origin: String,
    #[serde(default)]
    pub(super) cross_origin: bool,
    pub(super) top_origin: Option<String>,
}

impl ClientData {
    fn parse(json: &[u8], read: fn(&[u8]) -> Option<Challenge>) -> Result<Challenge, InvalidReply> {
        let data: Self = serde_json::from_slice(json).map_err(|_| InvalidReply)?;
        let challenge = URL_SAFE_NO_PAD.decode(&data.challenge).map_err(|_| InvalidReply)?;
        read(&challenge).ok_or(InvalidReply)
    }
}

/// A reply to the wish for a new passkey.
#[derive(Debug, Clone)]
pub struct RegistrationReply {
    pub(super) credential: RegisterPublicKeyCredential,
    pub(super) credential_id: CredentialId,
    /// By name, because the library keeps them only of some authenticators.
    pub(super) transports: Vec<String>,
    challenge: Challenge,
}

impl RegistrationReply {
    /// Reads a reply.
    ///
    /// # Errors
    /// When it is none, contradicts itself, or answers no challenge of ours.
    pub fn parse(json: &Value) -> Result<Self, InvalidReply> {
        Self::read(json, Challenge::of)
    }

    pub(super) fn read(json: &Value, challenge: fn(&[u8]) -> Option<Challenge>) -> Result<Self, InvalidReply> {
        let credential: RegisterPublicKeyCredential = deserialize(json)?;
        let credential_id = id(&credential.id, &credential.raw_id, &credential.type_)?;
        let challenge = ClientData::parse(&credential.response.client_data_json, challenge)?;
        let transports = json["response"]["transports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let transports = transports.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { credential, credential_id, transports, challenge })
    }

    /// The challenge that it answers.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    pub(super) fn client_data(&self) -> Result<ClientData, ReplyError> {
        client_data(&self.credential.response.client_data_json)
    }
}

/// A reply to the wish to use a passkey.
#[derive(Debug, Clone)]
pub struct AssertionReply {
    pub(super) credential: PublicKeyCredential,
    credential_id: CredentialId,
    challenge: Challenge,
}

impl AssertionReply {
    /// Reads a reply.
    ///
    /// # Errors
    /// When it is none, contradicts itself, or answers no challenge of ours.
    pub fn parse(json: &Value) -> Result<Self, InvalidReply> {
        Self::read(json, Challenge::of)
    }

    pub(super) fn read(json: &Value, challenge: fn(&[u8]) -> Option<Challenge>) -> Result<Self, InvalidReply> {
        let credential: PublicKeyCredential = deserialize(json)?;
        let credential_id = id(&credential.id, &credential.raw_id, &credential.type_)?;
        let challenge = ClientData::parse(&credential.response.client_data_json, challenge)?;
        Ok(Self { credential, credential_id, challenge })
    }

    /// The challenge that it answers.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Which passkey is said to have signed it.
    #[must_use]
    pub const fn credential_id(&self) -> &CredentialId {
        &self.credential_id
    }

    /// Whose passkey it says that it is. Authenticators always say it of a passkey that was found without being named (WebAuthn
    /// Level 3 §5.2.2).
    #[must_use]
    pub fn user_handle(&self) -> Option<&[u8]> {
        self.credential.response.user_handle.as_deref()
    }

    pub(super) fn client_data(&self) -> Result<ClientData, ReplyError> {
        client_data(&self.credential.response.client_data_json)
    }
}

fn client_data(json: &[u8]) -> Result<ClientData, ReplyError> {
    serde_json::from_slice(json).map_err(|_| ReplyError::Malformed)
}

fn deserialize<T: for<'de> Deserialize<'de>>(json: &Value) -> Result<T, InvalidReply> {
    // What came over a wire was limited there; this is for whoever has it from elsewhere.
    if json.to_string().len() > MAX_BYTES {
        return Err(InvalidReply);
    }
    T::deserialize(json).map_err(|_| InvalidReply)
}

/// SECURITY: a reply names its credential twice. One that names two would be looked up by one and shown as the other.
fn id(id: &str, raw_id: &[u8], kind: &str) -> Result<CredentialId, InvalidReply> {
    let same = kind == "public-key" && id == encode(raw_id);
    CredentialId::new(raw_id.to_vec()).filter(|_| same).ok_or(InvalidReply)
}
