//! The test vectors of WebAuthn Level 3 (§16), verbatim, through everything that judges a reply.

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

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A registration of the vectors, and an authentication with the same key.
struct Vector {
    section: &'static str,
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

/// §16.2, ES256 without attestation, and §16.3, ES256 with self attestation.
const VECTORS: [Vector; 2] = [
    Vector {
        section: "16.2",
        credential_id: "f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4",
        aaguid: "8446ccb9ab1db374750b2367ff6f3a1f",
        created_client_data: "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d",
        attestation_object: "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
        created: (false, true, true),
        used_client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
        signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
        used: (false, true),
    },
    Vector {
        section: "16.3",
        credential_id: "455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c",
        aaguid: "df850e09db6afbdfab51697791506cfc",
        created_client_data: "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a2265476e4374334c55745936366b336a506a796e6962506b31716e666644616966715a774c33417032392d55222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a205539685458764b453255526b4d6e625f307859485667227d",
        attestation_object: "a363666d74667061636b65646761747453746d74a263616c672663736967584630440220067a20754ab925005dbf378097c92120031581c73228d1fb4f5b881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d68617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000df850e09db6afbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca5010203262001215820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2",
        created: (true, true, true),
        used_client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a225248696843784e534e493352594d45314f7731476d3132786e726b634a5f6666707637546e2d4a71386773222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a206754623533727a36456853576f6d58477a696d433151227d",
        authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50900000000",
        signature: "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
        used: (false, false),
    },
];

/// §16.4, the registration inside a frame of another site.
const CROSS_ORIGIN: [&str; 3] = [
    "6e1050c0d2ca2f07c755cb2c66a74c64fa43065c18f938354d9915db2bd5ce57",
    "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a224f2d57717a514e5463554a484930437257576e7951504859647862694332674872434d475666704c4f306b222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a747275652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a207a5a7175457444523944577170573574425754467567227d",
    "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b54500000000883f4f6014f19c09d87aa38123be48d000206e1050c0d2ca2f07c755cb2c66a74c64fa43065c18f938354d9915db2bd5ce57a501020326200121582022200a473f90b11078851550d03b4e44a2279f8c4eca27b3153dedfe03e4e97d225820cbd0be95e746ad6f5a8191be11756e4c0420e72f65b466d39bc56b8b123a9c6e",
];

/// The party of the vectors. It asks for the verification of users as ours does, or, to see the rest, does not.
fn party(insists: bool) -> RelyingParty {
    let party = RelyingParty::new("https://example.org", &PasskeyConfig::default()).unwrap().unwrap();
    if insists { party } else { party.verifying(UserVerificationPolicy::Preferred) }
}

fn credential(id: &str, response: &Value) -> Value {
    let id = encode(&hex(id));
    json!({ "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response })
}

fn created(id: &str, client_data: &str, attestation_object: &str) -> RegistrationReply {
    let response = json!({ "clientDataJSON": encode(&hex(client_data)), "attestationObject": encode(&hex(attestation_object)) });
    RegistrationReply::read(&credential(id, &response), |bytes| Some(Challenge::of_vector(bytes))).expect("a reply")
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
fn the_vectors_are_accepted_but_for_the_verification_that_they_lack() {
    for vector in &VECTORS {
        let section = vector.section;
        let reply = created(vector.credential_id, vector.created_client_data, vector.attestation_object);
        let (verified, eligible, backed_up) = vector.created;
        let insisting = party(true).register(&reply, &[]).map(drop);
        assert_eq!(insisting, if verified { Ok(()) } else { Err(ReplyError::NotVerified) }, "{section}");
        let key = party(false).register(&reply, &[]).unwrap_or_else(|error| panic!("{section}: {error}"));
        assert_eq!(key.credential_id, CredentialId::new(hex(vector.credential_id)).unwrap(), "{section}");
        assert_eq!(key.aaguid.as_bytes().as_slice(), hex(vector.aaguid), "{section}");
        assert_eq!((key.backup_eligible, key.backed_up, key.sign_count), (eligible, backed_up, 0), "{section}");
        let known = passkey(key);
        assert!(party(false).register(&reply, std::slice::from_ref(&known)).is_err(), "{section}: it is excluded");

        let (verified, backed_up) = vector.used;
        let reply = used(vector, &hex(vector.signature));
        let insisting = party(true).authenticate(&reply, &known).map(drop);
        assert_eq!(insisting, if verified { Ok(()) } else { Err(ReplyError::NotVerified) }, "{section}");
        let seen = party(false).verified_before(false).authenticate(&reply, &known);
        assert_eq!(seen, Ok(Used { sign_count: 0, backed_up }), "{section}");
        // Any bit of the signature.
        let right = hex(vector.signature);
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let seen = party(false).verified_before(false).authenticate(&used(vector, &wrong), &known);
            assert!(seen.is_err(), "{section}: bit {bit} of the signature");
        }
    }
}

#[test]
fn the_vector_of_a_frame_is_refused() {
    let [id, client_data, attestation_object] = CROSS_ORIGIN;
    assert_eq!(party(true).register(&created(id, client_data, attestation_object), &[]).map(drop), Err(ReplyError::Origin));
}
