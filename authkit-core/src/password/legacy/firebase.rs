//! Firebase's modified scrypt: the signer key of the project, encrypted under what scrypt makes of the password
//! (<https://github.com/firebase/scrypt>).
//!
//! A hash is written `$firebase-scrypt$ln=14,r=8,k=ID$salt$separator$hash`, all three in base64 as Firebase exports them; `ln`
//! is its `mem_cost`, `r` its `rounds`, and `k` names the signer key. That key is the secret of the project and the same for
//! all of its hashes, as a pepper is: it is kept with the peppers, in the settings, and never beside the hashes.

use aes::Aes256;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

use crate::config::FirebaseSignerKeys;

use super::scrypt::ScryptCost;
use super::{ForeignHash, ForeignLimits, HashError, HashRefusal, Recipe, base64_lenient, decode, encode, number};

const FORMAT: &str = "Firebase scrypt";
/// Bytes of a key of AES-256, taken from the front of what scrypt makes.
const KEY_BYTES: usize = 32;

/// The parameters of the project, and the salt of the user with the project's separator behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct Firebase {
    cost: ScryptCost,
    pub(in crate::password) key_id: String,
    salt: Vec<u8>,
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    read_parts(text).ok_or(HashRefusal::Malformed { format: FORMAT })
}

fn read_parts(text: &str) -> Option<ForeignHash> {
    let rest = text.strip_prefix("$firebase-scrypt$")?;
    let [params, salt, separator, digest] = rest.split('$').collect::<Vec<_>>().try_into().ok()?;
    let [ln, r, k] = params.split(',').collect::<Vec<_>>().try_into().ok()?;
    let cost = ScryptCost { log_n: number(ln.strip_prefix("ln=")?)?, r: number(r.strip_prefix("r=")?)?, p: 1 };
    let key_id = k.strip_prefix("k=").filter(|id| FirebaseSignerKeys::is_id(id))?.to_owned();
    let mut salt = base64_lenient(salt)?;
    salt.extend(base64_lenient(separator)?);
    Some(ForeignHash { recipe: Recipe::Firebase(Firebase { cost, key_id, salt }), digest: base64_lenient(digest)? })
}

impl Firebase {
    pub(super) fn derive(&self, password: &[u8], signer_keys: &FirebaseSignerKeys) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let signer_key =
            signer_keys.by_id(&self.key_id).ok_or_else(|| HashError::MissingSignerKey { id: self.key_id.clone() })?;
        let key = self.cost.derive(password, &self.salt, KEY_BYTES)?;
        let mut digest = Zeroizing::new(signer_key.expose().to_vec());
        let cipher = ctr::Ctr128BE::<Aes256>::new_from_slices(&key, &[0; 16]);
        cipher.map_err(|_| HashError::Failed)?.apply_keystream(&mut digest);
        Ok(digest)
    }

    pub(super) fn check(&self, limits: ForeignLimits) -> Result<(), HashRefusal> {
        if self.salt.len() > ForeignLimits::MAX_SALT_BYTES {
            return Err(HashRefusal::BeyondLimits { format: FORMAT, what: "salt is longer than 128 bytes" });
        }
        self.cost.check(FORMAT, limits)
    }

    pub(super) fn work(&self) -> u64 {
        self.cost.work()
    }

    pub(super) fn memory_kib(&self) -> u64 {
        self.cost.memory_kib()
    }

    pub(super) fn to_text(&self) -> String {
        format!("firebase,{},{},{},{}", self.cost.log_n, self.cost.r, self.key_id, encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, log_n, r, key_id, salt] = fields else { return None };
        let cost = ScryptCost { log_n: number(log_n)?, r: number(r)?, p: 1 };
        let key_id = Some((*key_id).to_owned()).filter(|id| FirebaseSignerKeys::is_id(id))?;
        Some(Self { cost, key_id, salt: decode(salt)? })
    }
}
