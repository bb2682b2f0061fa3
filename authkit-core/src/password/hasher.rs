//! Hashes and verifies one password at a time on the thread that calls, in memory that it keeps.

use std::fmt;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::config::{Argon2Params, HashingConfig, PasswordConfig};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, Password, PasswordHash};

use super::admission::HashError;
use super::argon2::{Argon2Hash, OUTPUT_BYTES, SALT_BYTES, new_hash_params, to_phc, work};
use super::legacy::HashRefusal;
use super::stored::{Reader, StoredHash};
use super::wrap::WrappedHash;

/// What verifying a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The password is the one.
    Match {
        /// The stored hash is weaker than a new one would be: hash the password again while it is at hand.
        needs_upgrade: bool,
    },
    /// It is not, or there is no such account.
    Mismatch,
}

/// Hashes passwords with argon2id, one at a time, on the calling thread.
///
/// Each thread of a [`HashPool`](super::HashPool) has one. It is for embedders too that hash offline, in an import or a
/// benchmark; a server hashes through the pool.
///
/// ```
/// use std::sync::Arc;
/// use authkit_core::config::{HashingConfig, PasswordConfig};
/// use authkit_core::password::{Hasher, Verdict};
/// use authkit_core::{OsEntropy, Password};
///
/// let mut hasher = Hasher::new(&HashingConfig::default(), &PasswordConfig::default(), Arc::new(OsEntropy))?;
/// let password = Password::parse("correct horse battery staple")?;
/// let hash = hasher.hash(&password)?;
/// assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert_eq!(hasher.verify(&password, &hash)?, Verdict::Match { needs_upgrade: false });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hasher {
    policy: Argon2Params,
    params: Params,
    reader: Reader,
    entropy: Arc<dyn Entropy>,
    memory: Memory,
    /// KiB written since somebody asked.
    spent: u64,
}

impl Hasher {
    /// Takes the parameters of new hashes and the limits of stored ones. Allocates nothing yet.
    ///
    /// # Errors
    /// [`HashError::Unsupported`] when Argon2 or `max_memory_kib` does not allow the parameters.
    pub fn new(hashing: &HashingConfig, passwords: &PasswordConfig, entropy: Arc<dyn Entropy>) -> Result<Self, HashError> {
        let params = new_hash_params(&passwords.params, hashing.max_memory_kib, &passwords.peppers);
        let params = params.ok_or(HashError::Unsupported)?;
        Ok(Self {
            policy: passwords.params,
            memory: Memory::new(params.block_count()),
            params,
            reader: Reader::new(hashing, passwords),
            entropy,
            spent: 0,
        })
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`HashError::Failed`] when there is no memory for it.
    pub fn hash(&mut self, password: &Password) -> Result<PasswordHash, HashError> {
        self.hash_bytes(password.expose().as_bytes())
    }

    fn hash_bytes(&mut self, bytes: &[u8]) -> Result<PasswordHash, HashError> {
        let salt: [u8; SALT_BYTES] = random_bytes(self.entropy.as_ref());
        let mut output = Zeroizing::new([0_u8; OUTPUT_BYTES]);
        let peppers = self.reader.peppers.clone();
        let argon2 = match peppers.newest() {
            None => Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone()),
            Some((_, key)) => Argon2::new_with_secret(key.expose(), Algorithm::Argon2id, Version::V0x13, self.params.clone())
                .map_err(|_| HashError::Failed)?,
        };
        self.run(&argon2, bytes, &salt, output.as_mut_slice())?;
        to_phc(&self.params, &salt, output.as_slice())
    }

    /// Hashes a hash that another system made, so that it is as hard to guess at as one of ours. `None` when there is nothing
    /// to gain: it is one of ours, or was hashed before.
    ///
    /// # Errors
    /// [`HashError::Unsupported`] for what [`verify`](Self::verify) could not verify, [`HashError::Failed`] when there is no
    /// memory for it.
    pub fn wrap(&mut self, hash: &PasswordHash) -> Result<Option<PasswordHash>, HashError> {
        match StoredHash::parse(hash, &self.reader).map_err(|_| HashError::Unsupported)? {
            StoredHash::Argon2(_) | StoredHash::Wrapped(_) => Ok(None),
            StoredHash::Foreign(foreign) => {
                let outer = self.hash_bytes(&foreign.digest)?;
                Ok(Some(WrappedHash::to_text(&foreign.recipe, foreign.digest.len(), &outer)))
            }
        }
    }

    /// Verifies a password against a stored hash: a PHC string of argon2, or a hash of another system in one of the formats
    /// that [`manual::passwords`](crate::manual::passwords) lists.
    ///
    /// # Errors
    /// [`HashError::Unsupported`] for another format or parameters beyond the limits, [`HashError::MissingPepper`] and
    /// [`HashError::MissingSignerKey`] when the settings lack a secret that the hash names, [`HashError::Failed`] when there
    /// is no memory for it.
    pub fn verify(&mut self, password: &Password, hash: &PasswordHash) -> Result<Verdict, HashError> {
        let stored = StoredHash::parse(hash, &self.reader).map_err(|_| HashError::Unsupported)?;
        self.verify_stored(password, &stored)
    }

    /// Says whether a hash can be verified here, without computing anything: for imports.
    ///
    /// # Errors
    /// Why not, in words for whoever imports it.
    pub fn examine(&self, hash: &PasswordHash) -> Result<(), HashRefusal> {
        examine(hash, &self.reader)
    }

    pub(super) fn verify_stored(&mut self, password: &Password, stored: &StoredHash) -> Result<Verdict, HashError> {
        if let Some(error) = stored.missing_key(&self.reader) {
            return Err(error);
        }
        let (matches, needs_upgrade) = match stored {
            StoredHash::Argon2(hash) => {
                let matches = self.matches(hash, password.expose().as_bytes())?;
                (matches, hash.needs_upgrade(&self.policy, &self.reader.peppers))
            }
            StoredHash::Foreign(hash) => {
                self.spent += stored.work(password.expose().len());
                (hash.matches(password, &self.reader.signer_keys)?, true)
            }
            StoredHash::Wrapped(hash) => {
                self.spent += hash.inner.work(password.expose().len());
                let inner = hash.inner.derive(password, hash.inner_bytes, &self.reader.signer_keys)?;
                (self.matches(&hash.outer, &inner)?, true)
            }
        };
        Ok(if matches { Verdict::Match { needs_upgrade } } else { Verdict::Mismatch })
    }

    fn matches(&mut self, hash: &Argon2Hash, bytes: &[u8]) -> Result<bool, HashError> {
        let mut output = Zeroizing::new(vec![0_u8; hash.output().len()]);
        let peppers = self.reader.peppers.clone();
        let argon2 = hash.argon2(&peppers).ok_or(HashError::Failed)?;
        self.run(&argon2, bytes, hash.salt(), &mut output)?;
        Ok(output.ct_eq(hash.output()).into())
    }

    /// A hash of no password, with the parameters of a new one: what an unknown account is verified against.
    pub(super) fn decoy(&self) -> Result<PasswordHash, HashError> {
        let salt: [u8; SALT_BYTES] = random_bytes(self.entropy.as_ref());
        let output: [u8; OUTPUT_BYTES] = random_bytes(self.entropy.as_ref());
        to_phc(&self.params, &salt, &output)
    }

    /// The work of one new hash, in KiB written.
    pub(super) fn unit(&self) -> u64 {
        work(&self.params)
    }

    /// The KiB written since the last call.
    pub(super) fn take_spent(&mut self) -> u64 {
        std::mem::take(&mut self.spent)
    }

    /// Whether [`wipe`](Self::wipe) has something to do.
    pub(super) fn is_dirty(&self) -> bool {
        self.memory.dirty
    }

    /// Overwrites what the last hash left in memory, and keeps the memory. Dropping the hasher wipes too.
    pub fn wipe(&mut self) {
        self.memory.wipe();
    }

    fn run(&mut self, argon2: &Argon2<'_>, bytes: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), HashError> {
        self.spent += work(argon2.params());
        self.memory
            .with(argon2.params().block_count(), |blocks| argon2.hash_password_into_with_memory(bytes, salt, output, blocks))?
            .map_err(|_| HashError::Failed)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("params", &self.policy).finish_non_exhaustive()
    }
}

/// Says whether a hash can be verified.
pub(super) fn examine(hash: &PasswordHash, reader: &Reader) -> Result<(), HashRefusal> {
    let stored = StoredHash::parse(hash, reader)?;
    match stored.missing_key(reader) {
        None => Ok(()),
        Some(HashError::MissingSignerKey { .. }) => Err(HashRefusal::Unsupported {
            format: "Firebase scrypt",
            why: "the settings hold no signer key of the name that it says (AUTHKIT_FIREBASE_SIGNER_KEYS)",
        }),
        Some(_) => Err(HashRefusal::Unsupported {
            format: "peppered argon2",
            why: "the settings hold no pepper of the name that it says (AUTHKIT_PASSWORD_PEPPERS)",
        }),
    }
}

/// The blocks that hashes are computed in: enough for a new hash, allocated at the first one and kept.
struct Memory {
    kept: usize,
    blocks: Vec<Block>,
    dirty: bool,
}

impl Memory {
    fn new(kept: usize) -> Self {
        Self { kept, blocks: Vec::new(), dirty: false }
    }

    /// Lends `count` blocks: of the kept ones, or, when that is more than are kept, of an allocation for this once.
    ///
    // SECURITY: blocks tell about the password, so that none may outlive the work. The kept ones are overwritten by
    // the next hash, which writes every block it uses before it reads it, or wiped when there is none.
    fn with<T>(&mut self, count: usize, work: impl FnOnce(&mut [Block]) -> T) -> Result<T, HashError> {
        if count > self.kept {
            let mut blocks = Zeroizing::new(allocate(count)?);
            return Ok(work(&mut blocks));
        }
        if self.blocks.is_empty() {
            self.blocks = allocate(self.kept)?;
        }
        self.dirty = true;
        Ok(work(&mut self.blocks[..count]))
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.blocks.iter_mut().zeroize();
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Under a memory limit an allocation can fail, and `vec!` would end the process.
fn allocate(count: usize) -> Result<Vec<Block>, HashError> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(count).map_err(|_| HashError::Failed)?;
    blocks.resize(count, Block::new());
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::OsEntropy;
    use argon2::{AssociatedData, ParamsBuilder};

    fn hasher(memory_kib: u32, iterations: u32) -> Hasher {
        let params = Argon2Params { memory_kib, iterations, parallelism: 1 };
        let passwords = PasswordConfig { params, ..PasswordConfig::default() };
        Hasher::new(&HashingConfig::default(), &passwords, Arc::new(OsEntropy)).expect("the parameters are allowed")
    }

    fn password(text: &str) -> Password {
        Password::parse(text).expect("a password")
    }

    fn phc(text: &str) -> PasswordHash {
        PasswordHash::from_phc(text.to_owned())
    }

    /// Hashes of `password` from test.c of the reference implementation, phc-winner-argon2 20190702.
    const PUBLISHED: [&str; 5] = [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=65536,t=1,p=1$c29tZXNhbHQAAAAAAAAAAA$+r0d29hqEB0yasKr55ZgICsQGSkl0v0kgwhd+U3wyRo",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
    ];

    #[test]
    fn published_hashes_verify_in_kept_and_in_borrowed_memory() {
        for kept_kib in [8, 65_536] {
            let mut hasher = hasher(kept_kib, 1);
            for hash in PUBLISHED {
                assert!(matches!(hasher.verify(&password("password"), &phc(hash)), Ok(Verdict::Match { .. })), "{hash}");
                assert_eq!(hasher.verify(&password("sassword"), &phc(hash)).unwrap(), Verdict::Mismatch, "{hash}");
            }
        }
    }

    #[test]
    fn reused_memory_gives_the_tag_of_rfc_9106_section_5_3() {
        let params =
            ParamsBuilder::new().m_cost(32).t_cost(3).p_cost(4).data(AssociatedData::new(&[4; 12]).unwrap()).build().unwrap();
        let secret = [3; 8];
        let argon2 = Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        let mut memory = Memory::new(64);
        memory.with(64, |blocks| blocks.iter_mut().for_each(|block| block.as_mut().fill(u64::MAX))).unwrap();
        for _ in 0..2 {
            let mut tag = [0; 32];
            memory
                .with(32, |blocks| argon2.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, blocks))
                .unwrap()
                .unwrap();
            assert_eq!(tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
        }
    }

    #[test]
    fn the_same_password_never_has_the_same_hash() {
        let mut hasher = hasher(8, 1);
        let (one, other) = (hasher.hash(&password("twice")).unwrap(), hasher.hash(&password("twice")).unwrap());
        assert_ne!(one.expose(), other.expose());
        for hash in [one, other] {
            assert_eq!(hasher.verify(&password("twice"), &hash).unwrap(), Verdict::Match { needs_upgrade: false });
        }
    }

    #[test]
    fn every_byte_of_the_longest_password_counts() {
        let mut hasher = hasher(8, 1);
        for length in [72, Password::MAX_BYTES - 1] {
            let common = "a".repeat(length);
            let hash = hasher.hash(&password(&format!("{common}X"))).unwrap();
            assert_eq!(hasher.verify(&password(&format!("{common}Y")), &hash).unwrap(), Verdict::Mismatch);
            assert_eq!(hasher.verify(&password(&common), &hash).unwrap(), Verdict::Mismatch);
        }
    }

    #[test]
    fn a_stronger_policy_asks_for_an_upgrade() {
        let hash = hasher(8, 1).hash(&password("older")).unwrap();
        for mut stronger in [hasher(16, 1), hasher(8, 2)] {
            assert_eq!(stronger.verify(&password("older"), &hash).unwrap(), Verdict::Match { needs_upgrade: true });
        }
    }

    #[test]
    fn parameters_that_could_not_be_verified_again_are_refused_at_start() {
        let impossible = [(7, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 2), (262_145, 1, 1), (19_456, 11, 1), (19_456, 1, 9)];
        for (memory_kib, iterations, parallelism) in impossible {
            let passwords =
                PasswordConfig { params: Argon2Params { memory_kib, iterations, parallelism }, ..PasswordConfig::default() };
            let refused = Hasher::new(&HashingConfig::default(), &passwords, Arc::new(OsEntropy));
            assert!(matches!(refused, Err(HashError::Unsupported)), "{memory_kib} {iterations} {parallelism}");
        }
    }

    #[test]
    fn nothing_of_a_hash_is_left_after_a_wipe() {
        let mut hasher = hasher(8, 1);
        let _ = hasher.hash(&password("gone")).unwrap();
        assert!(hasher.is_dirty() && hasher.memory.blocks.iter().any(|block| block.as_ref().iter().any(|word| *word != 0)));
        hasher.wipe();
        assert!(!hasher.is_dirty() && hasher.memory.blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }

    #[test]
    fn heavy_hashes_do_not_grow_what_is_kept() {
        let mut hasher = hasher(8, 1);
        let _ = hasher.verify(&password("password"), &phc(PUBLISHED[0])).unwrap();
        assert!(hasher.memory.blocks.is_empty() && !hasher.is_dirty());
    }
}
