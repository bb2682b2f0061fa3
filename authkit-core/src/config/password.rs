//! Settings of passwords.

use super::pepper::{FirebaseSignerKeys, Peppers};

/// The cost of argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Argon2Params {
    /// 19 MiB, 2 passes, 1 lane: OWASP Password Storage's first choice, and the default.
    pub const OWASP: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    /// 12 MiB, 3 passes, 1 lane: as strong by OWASP's table, for a host with little memory.
    pub const SMALL_HOST: Self = Self { memory_kib: 12_288, iterations: 3, parallelism: 1 };
    /// 64 MiB, 3 passes, 4 lanes: the second recommended option of RFC 9106 §4.
    pub const RFC_9106_SECOND: Self = Self { memory_kib: 65_536, iterations: 3, parallelism: 4 };
}

impl Default for Argon2Params {
    fn default() -> Self {
        Self::OWASP
    }
}

/// A named set of password rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PasswordProfile {
    /// At least 8 characters that are hard to guess: the default.
    #[default]
    Standard,
    /// At least 15 characters that are hard to guess, as SP 800-63B-4 §3.1.1.2 asks where the password is the only factor.
    Nist80063b4,
}

impl PasswordProfile {
    /// The fewest characters (Unicode code points).
    #[must_use]
    pub const fn min_chars(self) -> usize {
        match self {
            Self::Standard => 8,
            Self::Nist80063b4 => 15,
        }
    }
}

/// What becomes of a new password while the list of breached ones cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreachListFailure {
    /// It is judged by the list of common passwords and the estimate of strength alone, and a warning is logged.
    #[default]
    Open,
    /// It is refused: 503, to be tried again.
    Closed,
}

/// Settings of passwords. There are no composition rules and no expiry on purpose (SP 800-63B-4 §3.1.1.2 "SHALL NOT").
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasswordConfig {
    /// The rules for a new password.
    pub profile: PasswordProfile,
    /// The least strength of a new password, 0 to 4 on the scale of zxcvbn. Default 2: over a million guesses.
    pub min_score: u8,
    /// Words that a password must not lean on: the service's and the company's name.
    pub context_words: Vec<String>,
    /// The cost of a new hash. Existing hashes of less are replaced at the next login.
    pub params: Argon2Params,
    /// Keys that go into every new hash and are kept apart from the hashes. Default none.
    pub peppers: Peppers,
    /// The signer keys of Firebase projects whose users were imported. Default none.
    pub firebase_signer_keys: FirebaseSignerKeys,
    /// What becomes of a new password while the list of breached ones, if there is one, cannot be asked. Default: it is accepted, when
    /// everything else about it is.
    pub breach_list_failure: BreachListFailure,
    /// What a failed login costs beside a hash of ours, e.g. `bcrypt,12`; see [`manual::passwords`](crate::manual::passwords). Default
    /// nothing.
    ///
    /// For as long as many accounts hold hashes of another system that take longer than ours: time would tell whose address is
    /// not known here. It makes a failed login as dear as that hash, and leaves those that succeed alone.
    pub imitated_hash: Option<String>,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            profile: PasswordProfile::default(),
            min_score: 2,
            context_words: vec!["authkit".to_owned()],
            params: Argon2Params::default(),
            peppers: Peppers::default(),
            firebase_signer_keys: FirebaseSignerKeys::default(),
            breach_list_failure: BreachListFailure::default(),
            imitated_hash: None,
        }
    }
}
