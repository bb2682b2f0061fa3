//! An authenticator in software, for the tests of passkeys, and everything that one can do wrong.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};

use crate::primitives::Digest;

/// What the authenticator, and the browser in front of it, say: as honest ones would, until a test changes it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the standard")]
pub struct Conduct {
    /// The origin that the browser writes down.
    pub origin: String,
    /// The RP ID that is hashed; `None`: the one that was asked for.
    pub rp_id: Option<String>,
    /// The kind that the browser writes down; `None`: the right one.
    pub kind: Option<String>,
    /// The challenge that is signed; `None`: the one that was asked for.
    pub challenge: Option<String>,
    /// Whether somebody touched the authenticator.
    pub user_present: bool,
    /// Whether it verified who.
    pub user_verified: bool,
    /// Whether keys may be copied to other devices.
    pub backup_eligible: bool,
    /// Whether they are.
    pub backed_up: bool,
    /// What is added to the counter with each use; with 0 it stays 0, as it does for synced passkeys.
    pub counts_by: i64,
    /// Whether the browser says that it is inside a frame of another site.
    pub cross_origin: bool,
    /// What the passkey says whose it is; `None`: what it was told when it was made.
    pub user_handle: Option<Vec<u8>>,
    /// Whether it says so at all.
    pub shows_user_handle: bool,
    /// A bit of the signature to turn around, to make it wrong.
    pub spoils_signature: bool,
    /// What is signed is not the key's own: whose key signs instead, by its place.
    pub signs_with: Option<usize>,
    /// The attestation format that it claims.
    pub format: String,
}

struct SoftKey {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    rp_id: String,
    user_handle: Vec<u8>,
    counter: i64,
}

/// An authenticator in software. Its keys are ES256, discoverable, and attested by nobody.
///
/// ```
/// use authkit_core::testkit::SoftAuthenticator;
/// use serde_json::json;
///
/// let mut authenticator = SoftAuthenticator::at("https://app.example");
/// let options = json!({
///     "rp": { "id": "app.example", "name": "App" },
///     "user": { "id": "AAAA", "name": "jane", "displayName": "Jane" },
///     "challenge": "AAAA",
///     "excludeCredentials": [],
/// });
/// let reply = authenticator.create(&options).expect("no passkey of this account is excluded");
/// assert_eq!(reply["type"], "public-key");
/// ```
pub struct SoftAuthenticator {
    /// What it does wrong.
    pub conduct: Conduct,
    keys: Vec<SoftKey>,
}

impl std::fmt::Debug for SoftAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftAuthenticator").field("conduct", &self.conduct).field("keys", &self.keys.len()).finish()
    }
}

impl SoftAuthenticator {
    /// An authenticator of a browser that is at an origin.
    #[must_use]
    pub fn at(origin: &str) -> Self {
        let conduct = Conduct {
            origin: origin.to_owned(),
            rp_id: None,
            kind: None,
            challenge: None,
            user_present: true,
            user_verified: true,
            backup_eligible: false,
            backed_up: false,
            counts_by: 1,
            cross_origin: false,
            user_handle: None,
            shows_user_handle: true,
            spoils_signature: false,
            signs_with: None,
            format: "none".to_owned(),
        };
        Self { conduct, keys: Vec::new() }
    }

    /// Makes a passkey, as `navigator.credentials.create()` does: the reply, or `None` when one of the excluded is here.
    ///
    /// # Panics
    /// When the options are none.
    pub fn create(&mut self, options: &Value) -> Option<Value> {
        let excluded = options["excludeCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_here = |id: &Value| self.keys.iter().any(|key| id == &json!(encode(&key.id)));
        if excluded.iter().any(|credential| is_here(&credential["id"])) {
            return None;
        }
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let id = Digest::of(pair.public_key().as_ref()).as_bytes().to_vec();
        let rp_id = text(&options["rp"]["id"]);
        let user_handle = decode(&options["user"]["id"]);
        let mut data = self.authenticator_data(&rp_id, 0, 0b0100_0000);
        data.extend([0; 16]);
        data.extend(u16::try_from(id.len()).expect("short").to_be_bytes());
        data.extend(&id);
        data.extend(serde_cbor_2::to_vec(&cose_key(pair.public_key().as_ref())).expect("CBOR"));
        let attestation = Cbor::Map(BTreeMap::from([
            (Cbor::Text("fmt".to_owned()), Cbor::Text(self.conduct.format.clone())),
            (Cbor::Text("attStmt".to_owned()), Cbor::Map(BTreeMap::new())),
            (Cbor::Text("authData".to_owned()), Cbor::Bytes(data)),
        ]));
        let client_data = self.client_data("webauthn.create", &options["challenge"]);
        let reply = json!({
            "id": encode(&id),
            "rawId": encode(&id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "attestationObject": encode(&serde_cbor_2::to_vec(&attestation).expect("CBOR")),
                "transports": ["internal", "hybrid", "of-a-later-edition"],
            },
        });
        self.keys.push(SoftKey { pair, id, rp_id, user_handle, counter: 0 });
        Some(reply)
    }

    /// Signs with the youngest passkey that may be used, as `navigator.credentials.get()` does; `None` when there is none.
    ///
    /// # Panics
    /// When the options are none.
    pub fn get(&mut self, options: &Value) -> Option<Value> {
        let allowed = options["allowCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rp_id = text(&options["rpId"]);
        let fits = |key: &SoftKey| {
            let is_named = allowed.iter().any(|credential| credential["id"] == json!(encode(&key.id)));
            key.rp_id == rp_id && (allowed.is_empty() || is_named)
        };
        let place = self.keys.iter().rposition(fits)?;
        Some(self.sign_with(place, options))
    }

    /// Signs with the passkey at a place, whether it was asked for or not.
    ///
    /// # Panics
    /// When the options are none, or there is no such passkey.
    pub fn sign_with(&mut self, place: usize, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        self.keys[place].counter += self.conduct.counts_by;
        let key = &self.keys[place];
        let data = self.authenticator_data(&text(&options["rpId"]), key.counter, 0);
        let message = [data.as_slice(), Digest::of(&client_data).as_bytes()].concat();
        let by = &self.keys[self.conduct.signs_with.unwrap_or(place)];
        let signature = by.pair.sign(&SystemRandom::new(), &message).expect("signs");
        let mut signature = signature.as_ref().to_vec();
        if self.conduct.spoils_signature {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        let handle = self.conduct.user_handle.as_deref().unwrap_or(&key.user_handle);
        let handle = self.conduct.shows_user_handle.then(|| encode(handle));
        json!({
            "id": encode(&key.id),
            "rawId": encode(&key.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "signature": encode(&signature),
                "userHandle": handle,
            },
        })
    }

    /// Sets the counter of the youngest passkey, as that of a copy that was used less often.
    pub fn set_counter(&mut self, counter: u32) {
        if let Some(key) = self.keys.last_mut() {
            key.counter = counter.into();
        }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let Conduct { origin, cross_origin, .. } = &self.conduct;
        let kind = self.conduct.kind.as_deref().unwrap_or(kind);
        let challenge = self.conduct.challenge.clone().unwrap_or_else(|| text(challenge));
        let data = json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": cross_origin });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, rp_id: &str, counter: i64, flags: u8) -> Vec<u8> {
        let Conduct { user_present, user_verified, backup_eligible, backed_up, .. } = self.conduct;
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = flags
            | flag(user_present, 0b0000_0001)
            | flag(user_verified, 0b0000_0100)
            | flag(backup_eligible, 0b0000_1000)
            | flag(backed_up, 0b0001_0000);
        let rp_id = self.conduct.rp_id.as_deref().unwrap_or(rp_id);
        let mut data = Digest::of(rp_id.as_bytes()).as_bytes().to_vec();
        data.push(flags);
        data.extend(u32::try_from(counter).unwrap_or(0).to_be_bytes());
        data
    }
}

/// A public key in the uncompressed form of SEC 1, as COSE has it (RFC 9053 §7.1.1).
fn cose_key(point: &[u8]) -> Cbor {
    let (x, y) = point[1..].split_at(32);
    let number = |number: i128| Cbor::Integer(number);
    Cbor::Map(BTreeMap::from([
        (number(1), number(2)),
        (number(3), number(-7)),
        (number(-1), number(1)),
        (number(-2), Cbor::Bytes(x.to_vec())),
        (number(-3), Cbor::Bytes(y.to_vec())),
    ]))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text(value)).expect("base64url")
}
