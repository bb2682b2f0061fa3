//! What a foreign hash may cost.

/// The bounds of foreign hashes. What is beyond is refused before anything is computed.
///
// SECURITY: a hash comes from a file that somebody else wrote. One line with `ln=30` or a billion iterations would stop the
// process, or one thread of it for minutes, whenever that account's name is typed into a login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignLimits {
    /// The most memory of one scrypt, in KiB.
    pub(crate) max_memory_kib: u64,
}

impl ForeignLimits {
    /// The most rounds of bcrypt, as a power of two: about 2 s.
    pub(crate) const MAX_BCRYPT_COST: u32 = 15;
    /// The most iterations of PBKDF2, all blocks of the output together (OWASP asks for 600,000 of SHA-256): about 0.7 s.
    pub(crate) const MAX_PBKDF2_ITERATIONS: u64 = 5_000_000;
    /// The most rounds of SHA-crypt; passlib's default is 656,000, crypt(3)'s 5,000.
    pub(crate) const MAX_SHA_CRYPT_ROUNDS: u32 = 1_000_000;
    /// The most passes of scrypt over its memory.
    pub(crate) const MAX_SCRYPT_PARALLELISM: u32 = 16;
    /// The most KiB that scrypt writes, all passes together: about 0.8 s.
    pub(crate) const MAX_SCRYPT_KIB: u64 = 524_288;
    /// The most bytes of a salt.
    pub(crate) const MAX_SALT_BYTES: usize = 128;
    /// The bytes of a digest: fewer are guessed, and more are nobody's.
    pub(crate) const DIGEST_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
}
