//! The test vectors of WebAuthn Level 3 (§16), verbatim, through everything that judges a reply.

mod table;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use webauthn_rs_core::proto::UserVerificationPolicy;

use super::ceremony::Challenge;
use super::options::encode;
use super::reply::{AssertionReply, RegistrationReply, ReplyError};
use super::{NewKey, RelyingParty, Used};
use crate::config::PasskeyConfig;
use crate::model::{CredentialId, Passkey};
use crate::primitives::{OsEntropy, PasskeyId, PasskeyName, Timestamp, UserId};
use table::VECTORS;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A registration of the vectors, and an authentication with the same key.
struct Vector {
    section: &'static str,
    /// Why the registration cannot be accepted.
    refused: Option<ReplyError>,
    credential_id: &'static str,
    aaguid: &'static str,
    created_client_data: &'static str,
    attestation_object: &'static str,
    /// Whether the authenticator verified its user, could be backed up, and was.
    created: (bool, bool, bool),
    used_client_data: &'static str,
    authenticator_data: &'static str,
    signature: &'static str,
    /// Whether it verified its user, and was backed up.
    used: (bool, bool),
}

/// The party of the vectors. It asks for the verification of users as ours does, or, to see the rest, does not.
fn party(insists: bool) -> RelyingParty {
    let party = RelyingParty::new("https://example.org", &PasskeyConfig::default()).unwrap().unwrap();
    if insists { party } else { party.verifying(UserVerificationPolicy::Preferred) }
}

fn credential(id: &str, response: &Value) -> Value {
    let id = encode(&hex(id));
    json!({ "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response })
}

fn created(id: &str, client_data: &[u8], attestation_object: &[u8]) -> RegistrationReply {
    let response = json!({ "clientDataJSON": encode(client_data), "attestationObject": encode(attestation_object) });
    RegistrationReply::read(&credential(id, &response), |bytes| Some(Challenge::of_vector(bytes))).expect("a reply")
}

/// The same key without its attestation, which browsers take away where none is asked for, and outside of any frame.
fn bare(vector: &Vector) -> RegistrationReply {
    let client_data = br#"{"type":"webauthn.create","challenge":"AAAA","origin":"https://example.org","crossOrigin":false}"#;
    // The last of the three entries is "authData".
    let (_, data) = vector.attestation_object.rsplit_once("686175746844617461").expect("authData");
    let object = hex(&format!("a363666d74646e6f6e656761747453746d74a0686175746844617461{data}"));
    created(vector.credential_id, client_data, &object)
}

fn used(vector: &Vector, signature: &[u8]) -> AssertionReply {
    let response = json!({
        "clientDataJSON": encode(&hex(vector.used_client_data)),
        "authenticatorData": encode(&hex(vector.authenticator_data)),
        "signature": encode(signature),
        "userHandle": null,
    });
    AssertionReply::read(&credential(vector.credential_id, &response), |bytes| Some(Challenge::of_vector(bytes)))
        .expect("a reply")
}

fn passkey(key: NewKey) -> Passkey {
    let at = Timestamp::UNIX_EPOCH;
    Passkey {
        id: PasskeyId::generate(at, &OsEntropy),
        user_id: UserId::generate(at, &OsEntropy),
        credential_id: key.credential_id,
        public_key: key.public_key,
        name: PasskeyName::from_stored("vector".to_owned()),
        sign_count: key.sign_count,
        backup_eligible: key.backup_eligible,
        backed_up: key.backed_up,
        transports: BTreeSet::new(),
        aaguid: key.aaguid,
        created_at: at,
        last_used_at: None,
    }
}

#[test]
fn of_the_vectors_every_one_is_accepted_or_refused_for_its_reason() {
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    for vector in &VECTORS {
        let section = vector.section;
        let reply = created(vector.credential_id, &hex(vector.created_client_data), &hex(vector.attestation_object));
        let seen = party(false).register(&reply, &[]);
        assert_eq!(seen.as_ref().err().copied(), vector.refused, "{section}");
        let key = match (seen, vector.refused) {
            (Ok(key), _) => {
                accepted.push(section);
                let insisting = party(true).register(&reply, &[]).map(drop);
                assert_eq!(insisting, verified(vector.created.0), "{section}");
                key
            }
            (Err(_), reason) => {
                refused.push(section);
                let key = party(false).register(&bare(vector), &[]);
                // An algorithm that was not offered is none either without attestation, and there is no key to use.
                if reason == Some(ReplyError::Algorithm) {
                    assert_eq!(key.map(drop), Err(ReplyError::Algorithm), "{section}");
                    continue;
                }
                key.unwrap_or_else(|error| panic!("{section}: {error}"))
            }
        };
        let (_, eligible, backed_up) = vector.created;
        assert_eq!(key.credential_id, CredentialId::new(hex(vector.credential_id)).unwrap(), "{section}");
        assert_eq!(key.aaguid.as_bytes().as_slice(), hex(vector.aaguid), "{section}");
        assert_eq!((key.backup_eligible, key.backed_up, key.sign_count), (eligible, backed_up, 0), "{section}");
        let known = passkey(key);
        assert!(party(false).register(&reply, std::slice::from_ref(&known)).is_err(), "{section}: it is excluded");
        is_used(vector, &known);
    }
    assert_eq!(accepted, ["16.2", "16.3", "16.6", "16.7", "16.8"]);
    assert_eq!(refused, ["16.4", "16.5", "16.9", "16.10", "16.11", "16.12", "16.13", "16.14", "16.15", "16.16"]);
}

fn verified(verified: bool) -> Result<(), ReplyError> {
    if verified { Ok(()) } else { Err(ReplyError::NotVerified) }
}

/// The authentication of a vector: only that in a frame is refused, because an attestation is part of registrations alone.
fn is_used(vector: &Vector, known: &Passkey) {
    let section = vector.section;
    let (user_verified, backed_up) = vector.used;
    let right = hex(vector.signature);
    let framed = vector.refused == Some(ReplyError::Origin);
    let seen = party(false).verified_before(false).authenticate(&used(vector, &right), known);
    assert_eq!(seen, if framed { Err(ReplyError::Origin) } else { Ok(Used { sign_count: 0, backed_up }) }, "{section}");
    if framed {
        return;
    }
    assert_eq!(party(true).authenticate(&used(vector, &right), known).map(drop), verified(user_verified), "{section}");
    // Any bit of the signature, or one in each of its bytes.
    let step = if ["16.2", "16.3"].contains(&section) { 1 } else { 9 };
    for bit in (0..right.len() * 8).step_by(step) {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let seen = party(false).verified_before(false).authenticate(&used(vector, &wrong), known);
        assert!(seen.is_err(), "{section}: bit {bit} of the signature");
    }
}
