//! A key that authenticates refresh tokens and derives their successors, and authenticates device tokens.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::model::{KeyAlgorithm, KeyId, KeyPurpose, ServerKey};
use crate::primitives::{Email, SecretBytes, Timestamp};
use crate::token::key_material::{KeyError, secret_id};

/// How many bytes of a key's name stand in a refresh token.
pub(super) const FINGERPRINT_BYTES: usize = 8;

// INVARIANT: no label is the beginning of another, so no input of one use is an input of the other.
const MAC_LABEL: &[u8] = b"authkit refresh token mac v1\0";
const ROTATE_LABEL: &[u8] = b"authkit refresh token rotate v1\0";
const DEVICE_LABEL: &[u8] = b"authkit device token mac v1\0";

/// A key of refresh tokens: 32 random bytes, used with HMAC-SHA256 (RFC 2104) under one label for each use.
pub struct RefreshKey {
    id: KeyId,
    fingerprint: [u8; FINGERPRINT_BYTES],
    serial: u32,
    activates_at: Timestamp,
    keyed: Hmac<Sha256>,
}

impl RefreshKey {
    /// Loads a stored key with its opened secret. The id must be the one of this secret.
    pub fn load(key: &ServerKey, secret: &SecretBytes) -> Result<Self, KeyError> {
        if key.purpose != KeyPurpose::RefreshToken || key.algorithm != KeyAlgorithm::Hs256 {
            return Err(KeyError::WrongPurpose);
        }
        if secret.expose().len() != 32 {
            return Err(KeyError::Malformed);
        }
        if secret_id(secret.expose()) != key.id {
            return Err(KeyError::WrongId);
        }
        let digest: [u8; 32] = Sha256::digest(key.id.as_str()).into();
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&digest[..FINGERPRINT_BYTES]);
        let keyed = Hmac::new_from_slice(secret.expose()).map_err(|_| KeyError::Malformed)?;
        Ok(Self { id: key.id.clone(), fingerprint, serial: key.serial, activates_at: key.activates_at, keyed })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its place among the refresh keys.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// When it starts to authenticate new tokens.
    #[must_use]
    pub const fn activates_at(&self) -> Timestamp {
        self.activates_at
    }

    pub(super) const fn fingerprint(&self) -> [u8; FINGERPRINT_BYTES] {
        self.fingerprint
    }

    pub(super) fn mac(&self, body: &[u8]) -> [u8; 32] {
        self.labelled(MAC_LABEL, body).finalize().into_bytes().into()
    }

    /// Whether `mac` is this key's for `body`, in constant time.
    pub(super) fn authenticates(&self, body: &[u8], mac: &[u8]) -> bool {
        self.labelled(MAC_LABEL, body).verify_slice(mac).is_ok()
    }

    /// The secret of the token that follows `presented`.
    pub(super) fn successor_secret(&self, presented: &[u8]) -> [u8; 32] {
        self.labelled(ROTATE_LABEL, presented).finalize().into_bytes().into()
    }

    /// The MAC of a device token, of a fixed length, with the address that it is for behind it.
    pub(super) fn device_mac(&self, body: &[u8], email: &Email) -> [u8; 32] {
        self.labelled(DEVICE_LABEL, body).chain_update(email.normal()).finalize().into_bytes().into()
    }

    /// Whether `mac` is this key's for a device token of an address, in constant time.
    pub(super) fn authenticates_device(&self, body: &[u8], email: &Email, mac: &[u8]) -> bool {
        self.labelled(DEVICE_LABEL, body).chain_update(email.normal()).verify_slice(mac).is_ok()
    }

    fn labelled(&self, label: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(label).chain_update(bytes)
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKey").field("id", &self.id).field("serial", &self.serial).finish_non_exhaustive()
    }
}
