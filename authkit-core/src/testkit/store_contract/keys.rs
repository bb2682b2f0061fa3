//! Promises about the server's keys.

use std::time::Duration;

use crate::model::{ChangeSet, KeyAlgorithm, KeyChange, KeyId, KeyPurpose, ServerKey};
use crate::ports::store::Conflict;
use crate::primitives::Sealed;

use super::Stores;
use super::trial::Trial;

pub async fn a_key_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let algorithms = [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa, KeyAlgorithm::Rs256, KeyAlgorithm::Hs256];
    let mut kept = Vec::new();
    for (serial, algorithm) in (1..).zip(algorithms) {
        kept.push(ServerKey { algorithm, ..trial.fixtures.key(KeyPurpose::AccessToken, serial) });
    }
    kept.push(ServerKey {
        id: KeyId::parse(&"aZ09_-xy".repeat(8)).expect("64 characters"),
        serial: u32::MAX,
        private: Sealed::from_bytes((0..=255).cycle().take(4_096).collect()),
        public_jwk: None,
        created_at: trial.now() - Duration::from_micros(1),
        activates_at: trial.now() + Duration::from_micros(1),
        ..trial.fixtures.key(KeyPurpose::RefreshToken, 1)
    });
    for key in &kept {
        trial.apply(KeyChange::Insert(key.clone())).await;
    }
    assert_eq!(trial.store.server_keys().await.expect("keys are read"), kept);
}

pub async fn keys_come_in_the_order_of_purpose_and_serial(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    assert_eq!(trial.store.server_keys().await.expect("keys are read"), []);
    for (purpose, serial) in [
        (KeyPurpose::RefreshToken, 2),
        (KeyPurpose::AccessToken, 10),
        (KeyPurpose::RefreshToken, 1),
        (KeyPurpose::AccessToken, 9),
        (KeyPurpose::AccessToken, 1),
    ] {
        trial.apply(KeyChange::Insert(trial.fixtures.key(purpose, serial))).await;
    }
    let read = trial.store.server_keys().await.expect("keys are read");
    let places: Vec<_> = read.iter().map(|key| (key.purpose.as_str(), key.serial)).collect();
    let expected = [("access_token", 1), ("access_token", 9), ("access_token", 10), ("refresh_token", 1), ("refresh_token", 2)];
    assert_eq!(places, expected);
}

pub async fn a_key_id_is_taken_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let key = trial.fixtures.key(KeyPurpose::AccessToken, 1);
    trial.apply(KeyChange::Insert(key.clone())).await;
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::RefreshToken] {
        let rival = ServerKey { id: key.id.clone(), ..trial.fixtures.key(purpose, 2) };
        trial.refuse_one(KeyChange::Insert(rival), Conflict::DuplicateId).await;
    }
    let shouted = KeyId::parse(&key.id.as_str().to_ascii_uppercase()).expect("a key id");
    if shouted != key.id {
        let other = ServerKey { id: shouted, ..trial.fixtures.key(KeyPurpose::AccessToken, 2) };
        trial.apply(KeyChange::Insert(other)).await;
    }
}

pub async fn a_serial_is_taken_once_for_each_purpose(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::RefreshToken] {
        trial.apply(KeyChange::Insert(trial.fixtures.key(purpose, 1))).await;
    }
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::RefreshToken] {
        trial.refuse_one(KeyChange::Insert(trial.fixtures.key(purpose, 1)), Conflict::KeySerialTaken).await;
    }
}

pub async fn a_deleted_key_is_gone_and_its_places_are_free(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (key, spared) = (trial.fixtures.key(KeyPurpose::AccessToken, 1), trial.fixtures.key(KeyPurpose::RefreshToken, 1));
    trial.commit(ChangeSet::new().and(KeyChange::Insert(key.clone())).and(KeyChange::Insert(spared.clone()))).await;
    trial.apply(KeyChange::Delete { id: key.id.clone() }).await;
    assert_eq!(trial.store.server_keys().await.expect("keys are read"), std::slice::from_ref(&spared));
    trial.refuse_one(KeyChange::Delete { id: key.id.clone() }, Conflict::KeyGone).await;
    trial.apply(KeyChange::Insert(key.clone())).await;
    assert_eq!(trial.store.server_keys().await.expect("keys are read"), [key, spared]);
}
