//! Settings: one file per concern, every field with its unit, its default and its source.
//!
//! Start from `Config::new(issuer)` and change what has to differ.

pub mod audit;
pub mod guessing;
pub mod hashing;
mod invalid;
pub mod limits;
pub mod mail;
pub mod mfa;
pub mod passkey;
pub mod password;
pub mod pepper;
pub mod registration;
pub mod retention;
pub mod session;
pub mod token;

pub use audit::AuditConfig;
pub use guessing::GuessingConfig;
pub use hashing::HashingConfig;
pub use invalid::InvalidConfig;
pub use limits::LimitConfig;
pub use mail::MailConfig;
pub use mfa::{MfaConfig, MfaPolicy};
pub use passkey::PasskeyConfig;
pub use password::{Argon2Params, BreachListFailure, PasswordConfig, PasswordProfile};
pub use pepper::{FirebaseSignerKeys, Peppers, SecretListError};
pub use registration::RegistrationConfig;
pub use retention::RetentionConfig;
pub use session::{ReusePolicy, SessionConfig};
pub use token::{HmacSecret, HmacSecretError, SigningAlgorithm, TokenConfig};

/// All settings of the library.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Access tokens and the keys that sign them.
    pub tokens: TokenConfig,
    /// Sessions and refresh tokens.
    pub sessions: SessionConfig,
    /// What a password must be, and how it is hashed.
    pub passwords: PasswordConfig,
    /// The pool that hashes.
    pub hashing: HashingConfig,
    /// How long what is over is kept.
    pub retention: RetentionConfig,
    /// How often something may be tried.
    pub limits: LimitConfig,
    /// Second factors.
    pub mfa: MfaConfig,
    /// Passkeys.
    pub passkeys: PasskeyConfig,
    /// Links that are mailed, and the outbox.
    pub mail: MailConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Who may make an account, and what the answer says about others.
    pub registration: RegistrationConfig,
}

impl Config {
    /// The defaults, for the service whose tokens say `issuer`: an `https` URL without query or fragment (RFC 9068 §2.2).
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            tokens: TokenConfig::new(issuer.into()),
            sessions: SessionConfig::default(),
            passwords: PasswordConfig::default(),
            hashing: HashingConfig::default(),
            retention: RetentionConfig::default(),
            limits: LimitConfig::default(),
            mfa: MfaConfig::default(),
            passkeys: PasskeyConfig::default(),
            mail: MailConfig::default(),
            audit: AuditConfig::default(),
            registration: RegistrationConfig::default(),
        }
    }
}
