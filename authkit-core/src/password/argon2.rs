//! Stored Argon2 hashes: what a PHC string says, what of it is accepted, and whether it is still good enough.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version};

use crate::config::{Argon2Params, Peppers};
use crate::primitives::PasswordHash;

use super::admission::HashError;
use super::legacy::HashRefusal;

const FORMAT: &str = "argon2";

/// Bytes of a new salt (RFC 9106 §3.1: 16 bytes is recommended for password hashing).
pub(super) const SALT_BYTES: usize = 16;
/// Bytes of a new hash (RFC 9106 §4: a 256-bit tag).
pub(super) const OUTPUT_BYTES: usize = 32;
/// The fewest bytes of a stored hash (RFC 9106 §4 goes down to 128 bits). What is shorter is guessed, not verified.
const MIN_OUTPUT_BYTES: usize = 16;
/// The most passes of a stored hash.
const MAX_ITERATIONS: u32 = 10;
/// The most lanes of a stored hash.
const MAX_PARALLELISM: u32 = 8;

/// A stored hash of argon2, read and found acceptable.
#[derive(Debug)]
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: phc::Salt,
    output: phc::Output,
}

impl Argon2Hash {
    /// Reads a PHC string.
    pub(super) fn parse(text: &str, max_memory_kib: u32) -> Result<Self, HashRefusal> {
        let malformed = HashRefusal::Malformed { format: FORMAT };
        let phc = phc::PasswordHash::new(text).map_err(|_| malformed)?;
        // Left out, the crate would take its defaults for them, and nothing would ever match.
        if ["m", "t", "p"].iter().any(|name| phc.params.get_decimal(*name).is_none()) {
            return Err(malformed);
        }
        let algorithm = Algorithm::new(phc.algorithm.as_str()).map_err(|_| malformed)?;
        // libargon2 wrote no version before 1.3 and reads its absence as 0x10.
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| malformed)?;
        let params = Params::try_from(&phc).map_err(|_| malformed)?;
        let beyond = |what| Err(HashRefusal::BeyondLimits { format: FORMAT, what });
        if params.m_cost() > max_memory_kib {
            return beyond("memory is above the limit of the hashing pool");
        }
        if params.t_cost() > MAX_ITERATIONS {
            return beyond("passes are above 10");
        }
        if params.p_cost() > MAX_PARALLELISM {
            return beyond("lanes are above 8");
        }
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else { return Err(malformed) };
        if output.len() < MIN_OUTPUT_BYTES {
            return beyond("output is shorter than 16 bytes");
        }
        if !params.data().is_empty() {
            return Err(HashRefusal::Unsupported {
                format: "argon2 with associated data",
                why: "what the data was is not known",
            });
        }
        Ok(Self { algorithm, version, params, salt, output })
    }

    /// The function that it was made with. `None` when the pepper that it names is not there.
    pub(super) fn argon2<'key>(&self, peppers: &'key Peppers) -> Option<Argon2<'key>> {
        if self.params.keyid().is_empty() {
            return Some(Argon2::new(self.algorithm, self.version, self.params.clone()));
        }
        let key = self.key_id().and_then(|id| peppers.by_id(id))?;
        Argon2::new_with_secret(key.expose(), self.algorithm, self.version, self.params.clone()).ok()
    }

    /// The pepper that it was made with; `None` for none, or for an identifier that none can have.
    pub(super) fn key_id(&self) -> Option<&str> {
        std::str::from_utf8(self.params.keyid()).ok().filter(|id| !id.is_empty())
    }

    /// The pepper that it names, when that is not there.
    pub(super) fn missing_pepper(&self, peppers: &Peppers) -> Option<HashError> {
        let named = !self.params.keyid().is_empty();
        let there = self.key_id().is_some_and(|id| peppers.by_id(id).is_some());
        (named && !there).then(|| HashError::MissingPepper { id: self.key_id().unwrap_or_default().to_owned() })
    }

    pub(super) fn work(&self) -> u64 {
        work(&self.params)
    }

    pub(super) fn block_count(&self) -> usize {
        self.params.block_count()
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(super) fn output(&self) -> &[u8] {
        self.output.as_bytes()
    }

    /// Whether a new hash would be stronger. What is above the policy stays: a login never makes a hash weaker. Another pepper
    /// than the one of the day is replaced in any case.
    pub(super) fn needs_upgrade(&self, policy: &Argon2Params, peppers: &Peppers) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.params.m_cost() < policy.memory_kib
            || self.params.t_cost() < policy.iterations
            || self.salt.len() < SALT_BYTES
            || self.output.len() < OUTPUT_BYTES
            || self.key_id() != peppers.newest().map(|(id, _)| id)
    }
}

/// The work of one hash, in KiB written.
pub(super) fn work(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

/// The parameters of a new hash, when Argon2 allows them and our own limits for stored hashes do too.
pub(super) fn new_hash_params(policy: &Argon2Params, max_memory_kib: u32, peppers: &Peppers) -> Option<Params> {
    let within =
        policy.memory_kib <= max_memory_kib && policy.iterations <= MAX_ITERATIONS && policy.parallelism <= MAX_PARALLELISM;
    let mut builder = ParamsBuilder::new();
    builder.m_cost(policy.memory_kib).t_cost(policy.iterations).p_cost(policy.parallelism).output_len(OUTPUT_BYTES);
    if let Some((id, _)) = peppers.newest() {
        builder.keyid(KeyId::new(id.as_bytes()).ok()?);
    }
    builder.build().ok().filter(|_| within)
}

/// Writes a new hash as a PHC string.
pub(super) fn to_phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<PasswordHash, HashError> {
    let phc = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: phc::ParamsString::try_from(params).map_err(|_| HashError::Failed)?,
        salt: Some(phc::Salt::new(salt).map_err(|_| HashError::Failed)?),
        hash: Some(phc::Output::new(output).map_err(|_| HashError::Failed)?),
    };
    Ok(PasswordHash::from_phc(phc.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT_AND_HASH: &str = "c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn parse(phc: &str) -> Result<Argon2Hash, HashRefusal> {
        Argon2Hash::parse(phc, 262_144)
    }

    #[test]
    fn absurd_or_foreign_hashes_are_refused_without_any_work() {
        for head in [
            "$argon2id$v=19$m=262145,t=2,p=1$",
            "$argon2id$v=19$m=4294967295,t=2,p=1$",
            "$argon2id$v=19$m=19456,t=11,p=1$",
            "$argon2id$v=19$m=19456,t=2,p=9$",
            "$argon2id$v=19$m=19456,t=2,p=16777215$",
            "$argon2id$v=19$m=19456,t=0,p=1$",
            "$argon2id$v=19$m=19456,t=2,p=0$",
            "$argon2id$v=19$m=15,t=2,p=2$",
            "$argon2id$v=18$m=19456,t=2,p=1$",
            "$argon2id$v=19$t=2,p=1$",
            "$argon2id$v=19$",
            "$argon2x$v=19$m=19456,t=2,p=1$",
            "$scrypt$ln=16,r=8,p=1$",
        ] {
            let phc = format!("{head}{SALT_AND_HASH}");
            assert!(parse(&phc).is_err(), "{phc}");
        }
        for phc in [
            "",
            "hunter2",
            "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAA",
        ] {
            assert!(parse(phc).is_err(), "{phc}");
        }
    }

    #[test]
    fn a_hash_below_the_policy_is_upgraded_and_one_above_it_is_kept() {
        let upgraded = |head: &str| {
            parse(&format!("{head}{SALT_AND_HASH}")).unwrap().needs_upgrade(&Argon2Params::OWASP, &Peppers::default())
        };
        assert!(!upgraded("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(!upgraded("$argon2id$v=19$m=65536,t=3,p=4$"));
        assert!(upgraded("$argon2id$v=19$m=19455,t=2,p=1$"));
        assert!(upgraded("$argon2id$v=19$m=19456,t=1,p=1$"));
        assert!(upgraded("$argon2id$v=16$m=19456,t=2,p=1$"));
        assert!(upgraded("$argon2id$m=19456,t=2,p=1$"));
        assert!(upgraded("$argon2i$v=19$m=19456,t=2,p=1$"));
        assert!(upgraded("$argon2d$v=19$m=65536,t=3,p=4$"));
        let short_salt = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(parse(short_salt).unwrap().needs_upgrade(&Argon2Params::OWASP, &Peppers::default()));
    }
}
