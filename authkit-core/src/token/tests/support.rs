//! Keys, keyrings and forged tokens for the tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, HmacSecret, SigningAlgorithm, TokenConfig};
use crate::model::{AuthMethod, KeyAlgorithm, KeyPurpose, ServerKey};
use crate::primitives::{Entropy, Sealed, SecretBytes, SessionId, Timestamp, UserId};
use crate::token::backend::SigningKey;
use crate::token::{AccessKey, Issuance, KeyMaterial, Keyring, RefreshKey, access, jws};

pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// Bytes that depend on a seed alone.
#[derive(Debug)]
pub(super) struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Seeded {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(drawn.to_be_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// The algorithms that this build signs with.
pub(super) fn algorithms() -> Vec<KeyAlgorithm> {
    let mut all = vec![KeyAlgorithm::Es256, KeyAlgorithm::EdDsa, KeyAlgorithm::Hs256];
    if cfg!(feature = "aws-lc-rs") {
        all.push(KeyAlgorithm::Rs256);
    }
    all
}

pub(super) fn config() -> TokenConfig {
    Config::new("https://auth.example").tokens
}

pub(super) fn config_of(algorithm: KeyAlgorithm) -> TokenConfig {
    let mut config = config();
    config.algorithm = match algorithm {
        KeyAlgorithm::Es256 => SigningAlgorithm::Es256,
        KeyAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
        KeyAlgorithm::Rs256 => SigningAlgorithm::Rs256,
        KeyAlgorithm::Hs256 => SigningAlgorithm::Hs256(hmac_secret()),
    };
    config
}

pub(super) fn hmac_secret() -> HmacSecret {
    HmacSecret::new((100..164).collect()).expect("64 different bytes")
}

pub(super) fn stored(material: &KeyMaterial, purpose: KeyPurpose, serial: u32, activates_at: Timestamp) -> ServerKey {
    ServerKey {
        id: material.id.clone(),
        purpose,
        serial,
        algorithm: material.algorithm,
        private: Sealed::from_bytes(Vec::new()),
        public_jwk: material.public_jwk.clone(),
        created_at: activates_at,
        activates_at,
    }
}

/// The key of a seed. Each is made once: an RSA key takes its time.
pub(super) fn material(algorithm: KeyAlgorithm, seed: u64) -> KeyMaterial {
    static MADE: LazyLock<Mutex<HashMap<(KeyAlgorithm, u64), KeyMaterial>>> = LazyLock::new(Mutex::default);
    let made = || KeyMaterial::generate(algorithm, &Seeded::new(seed)).expect("a key");
    MADE.lock().expect("not poisoned").entry((algorithm, seed)).or_insert_with(made).clone()
}

pub(super) fn access_key(algorithm: KeyAlgorithm, serial: u32, activates_at: Timestamp) -> Arc<AccessKey> {
    let material = material(algorithm, u64::from(serial));
    let key = stored(&material, KeyPurpose::AccessToken, serial, activates_at);
    Arc::new(AccessKey::load(&key, &material.private).expect("the key loads"))
}

pub(super) fn refresh_key(serial: u32, activates_at: Timestamp) -> Arc<RefreshKey> {
    let material = material(KeyAlgorithm::Hs256, u64::from(serial));
    let key = stored(&material, KeyPurpose::RefreshToken, serial, activates_at);
    Arc::new(RefreshKey::load(&key, &material.private).expect("the key loads"))
}

/// A service with one access key, whose private half a test may also sign other things with.
pub(super) struct Service {
    pub(super) keyring: Keyring,
    pub(super) config: TokenConfig,
    pub(super) signing: SigningKey,
}

impl Service {
    pub(super) fn new(algorithm: KeyAlgorithm) -> Self {
        let (key, signing) = if algorithm == KeyAlgorithm::Hs256 {
            let secret = hmac_secret();
            (AccessKey::shared(&secret).expect("a key"), SigningKey::from_secret(secret.expose()))
        } else {
            let material = material(algorithm, 7);
            let stored = stored(&material, KeyPurpose::AccessToken, 1, NOW - MINUTE);
            let signing = SigningKey::from_pkcs8(algorithm, material.private.expose()).expect("a key");
            (AccessKey::load(&stored, &material.private).expect("a key"), signing)
        };
        Self { keyring: Keyring::new(vec![Arc::new(key)], Vec::new()), config: config_of(algorithm), signing }
    }

    pub(super) fn key(&self) -> &AccessKey {
        &self.keyring.access_keys()[0]
    }

    pub(super) fn issue(&self) -> String {
        issue(&self.keyring, &self.config, NOW)
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.key().algorithm().as_str(), "typ": "at+jwt", "kid": self.key().id().as_str() })
    }

    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": self.config.issuer, "aud": self.config.audience, "client_id": "authkit",
            "sub": user().to_string(), "sid": session().to_string(), "jti": "01890a5d-ac96-774b-bcce-b302099a8057",
            "iat": NOW.unix_seconds(), "exp": NOW.unix_seconds() + 900, "auth_time": NOW.unix_seconds(), "amr": ["pwd"],
        })
    }

    /// A token with any header and any payload, and a signature that holds.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        self.sign_bytes(header.as_bytes(), payload.as_bytes())
    }

    pub(super) fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> String {
        let mut token = format!("{}.{}", jws::encode(header), jws::encode(payload));
        sign_text(&self.signing, &mut token);
        token
    }

    pub(super) fn verify(&self, token: &str) -> Result<crate::token::AccessClaims, crate::token::AccessTokenError> {
        access::verify(&self.keyring, &self.config, token, NOW)
    }
}

/// Appends a signature to `header.payload`.
pub(super) fn sign_text(signing: &SigningKey, token: &mut String) {
    let mut signature = String::new();
    signing.sign_into(token.as_bytes(), &mut signature).expect("a signature");
    token.push('.');
    token.push_str(&signature);
}

pub(super) fn user() -> UserId {
    "01890a5d-ac96-774b-bcce-b302099a8001".parse().expect("an id")
}

pub(super) fn session() -> SessionId {
    "01890a5d-ac96-774b-bcce-b302099a8002".parse().expect("an id")
}

pub(super) fn issue(keyring: &Keyring, config: &TokenConfig, now: Timestamp) -> String {
    let issuance = Issuance {
        user_id: user(),
        session_id: session(),
        methods: &[AuthMethod::Password],
        authenticated_at: now,
        session_ends_at: now + Duration::from_hours(24),
        access: &crate::model::Access::default(),
    };
    access::issue(keyring, config, issuance, now, &Seeded::new(99)).expect("a token").token.expose().to_owned()
}

pub(super) fn secret_bytes(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}
