//! A stored hash of any kind: of ours, of another system, or of another system and hashed once more.

use crate::config::{FirebaseSignerKeys, HashingConfig, PasswordConfig, Peppers};
use crate::primitives::PasswordHash;

use super::admission::HashError;
use super::argon2::Argon2Hash;
use super::legacy::{ForeignHash, ForeignLimits, HashRefusal, Recipe};
use super::wrap::WrappedHash;

/// What is needed to read stored hashes: the limits, and the secrets that they name.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) max_memory_kib: u32,
    pub(super) peppers: Peppers,
    pub(super) signer_keys: FirebaseSignerKeys,
}

impl Reader {
    pub(super) fn new(hashing: &HashingConfig, passwords: &PasswordConfig) -> Self {
        Self {
            max_memory_kib: hashing.max_memory_kib,
            peppers: passwords.peppers.clone(),
            signer_keys: passwords.firebase_signer_keys.clone(),
        }
    }

    pub(super) fn limits(&self) -> ForeignLimits {
        ForeignLimits { max_memory_kib: u64::from(self.max_memory_kib) }
    }
}

/// The secrets of the settings that a hash was made with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HashSecrets {
    /// The identifier of its pepper.
    pub pepper: Option<String>,
    /// The identifier of the signer key of its Firebase project.
    pub signer_key: Option<String>,
}

/// A stored hash, read and found acceptable.
#[derive(Debug)]
pub(super) enum StoredHash {
    /// Argon2 of the password.
    Argon2(Argon2Hash),
    /// What another system made.
    Foreign(ForeignHash),
    /// Argon2 of what another system made.
    Wrapped(WrappedHash),
}

impl StoredHash {
    /// Reads a stored hash in whichever format it has.
    ///
    // SECURITY: a hash comes from an import file as often as from ourselves. `m=4194304` in one row would otherwise
    // stop the process at that user's next login.
    pub(super) fn parse(hash: &PasswordHash, reader: &Reader) -> Result<Self, HashRefusal> {
        let text = hash.expose();
        if text.len() > PasswordHash::MAX_BYTES {
            return Err(HashRefusal::BeyondLimits { format: "stored", what: "text is longer than 512 bytes" });
        }
        if text.starts_with(WrappedHash::PREFIX) {
            return WrappedHash::parse(text, reader).map(Self::Wrapped);
        }
        // Django writes the name of its hasher in front.
        let phc = text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2")).unwrap_or(text);
        if phc.starts_with("$argon2") {
            return Argon2Hash::parse(phc, reader.max_memory_kib).map(Self::Argon2);
        }
        ForeignHash::parse(text, reader.limits()).map(Self::Foreign)
    }

    /// The secret of the settings that the hash names, when that is missing: it cannot be verified, whatever the password is.
    pub(super) fn missing_key(&self, reader: &Reader) -> Option<HashError> {
        let pepper = |hash: &Argon2Hash| hash.missing_pepper(&reader.peppers);
        match self {
            Self::Argon2(hash) => pepper(hash),
            Self::Foreign(hash) => hash.recipe.missing_key(&reader.signer_keys),
            Self::Wrapped(hash) => pepper(&hash.outer).or_else(|| hash.inner.missing_key(&reader.signer_keys)),
        }
    }

    /// The secrets of the settings that it names.
    pub(super) fn secrets(&self) -> HashSecrets {
        let signer_key = |recipe: &Recipe| match recipe {
            Recipe::Firebase(recipe) => Some(recipe.key_id.clone()),
            _ => None,
        };
        let pepper = |hash: &Argon2Hash| hash.key_id().map(str::to_owned);
        match self {
            Self::Argon2(hash) => HashSecrets { pepper: pepper(hash), signer_key: None },
            Self::Foreign(hash) => HashSecrets { pepper: None, signer_key: signer_key(&hash.recipe) },
            Self::Wrapped(hash) => HashSecrets { pepper: pepper(&hash.outer), signer_key: signer_key(&hash.inner) },
        }
    }

    /// The work of one verification, in KiB that argon2 would write in the same time.
    pub(super) fn work(&self, password_bytes: usize) -> u64 {
        match self {
            Self::Argon2(hash) => hash.work(),
            Self::Foreign(hash) => hash.recipe.work(password_bytes),
            Self::Wrapped(hash) => hash.outer.work() + hash.inner.work(password_bytes),
        }
    }

    /// Whether it needs memory beyond the `kept` blocks (KiB) that each thread holds for new hashes.
    pub(super) fn needs_more_than(&self, kept: usize) -> bool {
        let extra = |kib: u64| kib > SMALL_KIB;
        match self {
            Self::Argon2(hash) => hash.block_count() > kept,
            Self::Foreign(hash) => extra(hash.recipe.memory_kib()),
            Self::Wrapped(hash) => hash.outer.block_count() > kept || extra(hash.inner.memory_kib()),
        }
    }
}

/// What a foreign hash may allocate for itself without being counted, in KiB.
const SMALL_KIB: u64 = 64;
