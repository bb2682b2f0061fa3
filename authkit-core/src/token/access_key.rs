//! A key that signs and verifies access tokens, loaded and tried.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;

use crate::config::HmacSecret;
use crate::model::{KeyAlgorithm, KeyId, KeyPurpose, ServerKey};
use crate::primitives::{SecretBytes, Timestamp};
use crate::token::backend::{SigningKey, VerifyingKey};
use crate::token::jws::Compact;
use crate::token::key_material::{KeyError, secret_id};
use crate::token::{header, jwk};

/// A key of access tokens, parsed once and tried before its first use.
#[derive(Debug)]
pub struct AccessKey {
    id: Arc<KeyId>,
    algorithm: KeyAlgorithm,
    serial: u32,
    activates_at: Timestamp,
    signing: SigningKey,
    verifying: VerifyingKey,
    public_jwk: Option<String>,
    header: String,
}

impl AccessKey {
    /// Loads a stored key with its opened private half, PKCS#8 DER.
    ///
    /// The public half is derived from the private one, not taken from the row, and the id must be its thumbprint. Then the
    /// key signs a test message, and both our verification and `jsonwebtoken`'s, from the JWK as published, must accept it.
    pub fn load(key: &ServerKey, private: &SecretBytes) -> Result<Self, KeyError> {
        if key.purpose != KeyPurpose::AccessToken || key.algorithm == KeyAlgorithm::Hs256 {
            return Err(KeyError::WrongPurpose);
        }
        let signing = SigningKey::from_pkcs8(key.algorithm, private.expose())?;
        let public = signing.public_jwk()?;
        if jwk::thumbprint(&public)? != key.id {
            return Err(KeyError::WrongId);
        }
        let verifying = VerifyingKey::from_jwk(key.algorithm, &public)?;
        let public_jwk = serde_json::to_string(&public).map_err(|_| KeyError::Malformed)?;
        let loaded = Self {
            id: Arc::new(key.id.clone()),
            algorithm: key.algorithm,
            serial: key.serial,
            activates_at: key.activates_at,
            header: header::encode(key.algorithm, &key.id),
            signing,
            verifying,
            public_jwk: Some(public_jwk),
        };
        loaded.try_out(DecodingKey::from_jwk(&public).ok().as_ref())?;
        Ok(loaded)
    }

    /// The key of HS256, made from the configured secret. It is stored nowhere, and while it is configured it is the current
    /// key; its id is a digest of the secret, so that verifiers can tell an old secret from a new one.
    pub fn shared(secret: &HmacSecret) -> Result<Self, KeyError> {
        let id = secret_id(secret.expose());
        let loaded = Self {
            algorithm: KeyAlgorithm::Hs256,
            serial: u32::MAX,
            activates_at: Timestamp::UNIX_EPOCH,
            signing: SigningKey::from_secret(secret.expose()),
            verifying: VerifyingKey::from_secret(secret.expose()),
            public_jwk: None,
            header: header::encode(KeyAlgorithm::Hs256, &id),
            id: Arc::new(id),
        };
        loaded.try_out(Some(&DecodingKey::from_secret(secret.expose())))?;
        Ok(loaded)
    }

    /// Its name: the `kid` of the tokens it signs.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Its place among the access keys; the greatest there is for a shared secret.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// When it starts to sign.
    #[must_use]
    pub const fn activates_at(&self) -> Timestamp {
        self.activates_at
    }

    /// Whether it is the configured secret rather than a stored key.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.algorithm, KeyAlgorithm::Hs256)
    }

    /// Its public half as a JWK, as JSON; `None` for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<&str> {
        self.public_jwk.as_deref()
    }

    pub(super) fn shared_id(&self) -> Arc<KeyId> {
        Arc::clone(&self.id)
    }

    /// The encoded header of every token that it signs.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs a payload: the whole token.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, KeyError> {
        // Four characters for three bytes; 344 are the signature of RSA 2048, the longest that we make.
        let mut token = String::with_capacity(self.header.len() + payload.len().div_ceil(3) * 4 + 346);
        token.push_str(&self.header);
        token.push('.');
        super::jws::encode_into(payload, &mut token);
        let mut signature = String::with_capacity(344);
        self.signing.sign_into(token.as_bytes(), &mut signature)?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    fn try_out(&self, published: Option<&DecodingKey>) -> Result<(), KeyError> {
        let published = published.ok_or(KeyError::Malformed)?;
        let token = self.sign(br#"{"self-test":true}"#)?;
        let compact = Compact::split(&token).ok_or(KeyError::SelfTest)?;
        let message = compact.signing_input.as_bytes();
        let accepted = jsonwebtoken::crypto::verify(compact.signature, message, published, jwk::jose(self.algorithm));
        if compact.is_signed_by(&self.verifying) && accepted == Ok(true) { Ok(()) } else { Err(KeyError::SelfTest) }
    }
}
