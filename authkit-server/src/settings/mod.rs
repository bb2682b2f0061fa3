//! The settings of the server: read once at the start, checked together, and never weakened silently.
//!
//! The environment wins over `.env`, which wins over `authkit.toml`, which wins over the default. Every setting is declared
//! once, in [`table::TABLE`]; what `authkit-server config` prints, `.env.example` and the lines that refuse a value are made
//! from it. A setting that is unknown, malformed or weak stops the start, and all that is wrong is said at once.

mod assemble;
mod database;
mod dotenv;
mod entry;
mod kinds;
mod kubernetes;
mod origin;
mod parse;
mod problem;
mod proxies;
mod public_url;
mod reading;
mod redis;
mod sources;
mod suggest;
pub mod table;
mod toml_file;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use authkit_core::config::{
    Argon2Params, BreachListFailure, Config, FirebaseSignerKeys, HmacSecret, PasswordProfile, Peppers, ReusePolicy,
    SigningAlgorithm,
};
use authkit_core::config::{LimitConfig, MfaPolicy};
use authkit_core::embedded::MasterKey;
use authkit_core::model::FactorSet;
use ipnet::IpNet;

use crate::audit_stream::AuditTarget;
use crate::breach::BreachSource;
use crate::sms::GatewayUrl;
use crate::telemetry::LogFormat;

pub use database::{Database, Postgres};
pub(crate) use entry::as_text;
pub use entry::{Entry, env_example};
pub use kinds::{Exposure, JwtAlgorithm};
pub use origin::Origin;
pub use problem::{Problem, Problems, Refusal};
pub use proxies::{covers_loopback, show as show_networks};
pub use public_url::PublicUrl;
pub use redis::RedisEndpoint;
pub use sources::Inputs;
pub use table::{DefaultValue, Section, Setting, Visibility};

/// Everything that is configured, checked. [`table::TABLE`] says what each setting means.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Under which URL clients reach the server; the issuer of tokens.
    pub public_url: PublicUrl,
    /// Whose `Forwarded` and `X-Forwarded-For` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What passkeys are bound to.
    pub passkeys: authkit_core::config::PasskeyConfig,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most connections at once of one client address.
    pub max_connections_per_address: usize,
    /// How long requests are still taken after the signal to stop, while the readiness probe says so.
    pub drain_delay: Duration,
    /// Whether rate limits are kept.
    pub rate_limiting: bool,
    /// Whether whoever comes may make an account.
    pub registration_is_open: bool,
    /// Whether the answer to a registration may say that the address has an account.
    pub reveal_existing: bool,
    /// How often something may be tried, and what becomes of wrong passwords.
    pub limits: LimitConfig,
    /// How long a device is known after a login there.
    pub device_lifetime: Duration,
    /// How long wrong passwords in a row are counted on.
    pub keep_wrong_guesses: Duration,
    /// The data directory, as an absolute path.
    pub data_dir: PathBuf,
    /// The durable store, its file as an absolute path.
    pub database: Database,
    /// How many connections to PostgreSQL are open at most.
    pub database_connections: u32,
    /// The shared hot state, when there is one.
    pub redis: Option<RedisEndpoint>,
    /// The certificates of the authority that signed those of Redis.
    pub redis_ca_file: Option<PathBuf>,
    /// How access tokens are signed. The secret of HS256 is in [`Settings::core_config`].
    pub algorithm: JwtAlgorithm,
    /// How long an access token is valid.
    pub access_token_lifetime: Duration,
    /// How long an administrator may act as somebody else.
    pub impersonation_lifetime: Duration,
    /// The audience of access tokens.
    pub audience: String,
    /// The master keys, newest first; `None`: the generated one of the data directory.
    pub master_keys: Option<Vec<MasterKey>>,
    /// How long a session lives without being refreshed.
    pub session_idle_timeout: Duration,
    /// How long a session lives in any case.
    pub session_absolute_timeout: Duration,
    /// How many sessions a user may have.
    pub max_sessions_per_user: u32,
    /// What happens when a used refresh token comes back.
    pub refresh_reuse: ReusePolicy,
    /// How long a session is kept after it has ended.
    pub keep_ended_sessions: Duration,
    /// The SMTP server, its password included; `None`: mails are files in the data directory.
    pub smtp_url: Option<secrecy::SecretString>,
    /// Who sends.
    pub mail_from: lettre::message::Mailbox,
    /// `AUTHKIT_SMTP_CA_FILE`.
    pub smtp_ca_file: Option<PathBuf>,
    /// `AUTHKIT_TEMPLATES_DIR`.
    pub templates_dir: Option<PathBuf>,
    /// Of whom a second factor is demanded.
    pub mfa_policy: MfaPolicy,
    /// Which factors can be turned on.
    pub mfa_factors: FactorSet,
    /// What the service is called in authenticator apps and text messages; `None`: the host of the public URL.
    pub mfa_service_name: Option<String>,
    /// How long a code that was sent is good.
    pub mfa_code_lifetime: Duration,
    /// How long a device is trusted.
    pub mfa_trust_lifetime: Duration,
    /// The gateway for text messages and what is signed with; `None`: they are files in the data directory.
    pub(crate) sms_gateway: Option<(GatewayUrl, secrecy::SecretString)>,
    /// The calling codes of the countries to which text messages are sent; empty: to all.
    pub sms_countries: BTreeSet<u16>,
    /// How old an event of the audit log is before it is sealed.
    pub audit_seal_after: Duration,
    /// Where the audit log is handed on to.
    pub audit_stream: Option<AuditTarget>,
    /// The certificates of the authority that signed that of the receiver.
    pub audit_stream_ca_file: Option<PathBuf>,
    /// The rules for a new password.
    pub password_profile: PasswordProfile,
    /// The least strength of a new password.
    pub password_min_score: u8,
    /// The peppers of password hashes.
    pub password_peppers: Peppers,
    /// The signer keys of Firebase projects whose users were imported.
    pub firebase_signer_keys: FirebaseSignerKeys,
    /// The format of other systems' hashes that a failed login costs beside one of ours.
    pub imitated_hash: Option<String>,
    /// Where breached passwords are looked up.
    pub breach_list: Option<BreachSource>,
    /// What becomes of a new password while they cannot be looked up.
    pub breach_list_failure: BreachListFailure,
    /// The cost of a hash.
    pub argon2: Argon2Params,
    /// How many threads hash.
    pub hashing_threads: usize,
    /// How long a request may wait to be hashed.
    pub hashing_max_wait: Duration,
    /// Who may open `/docs` and `/openapi.json`.
    pub expose_docs: Exposure,
    /// Who may open `/metrics`.
    pub expose_metrics: Exposure,
    /// The log's filter, valid for `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// The log's format.
    pub log_format: LogFormat,
    /// What works and should be known, one line each.
    pub warnings: Vec<String>,
    secret_key: Option<HmacSecret>,
    entries: Vec<Entry>,
    files_with_secrets: Vec<PathBuf>,
}

impl Settings {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// Everything that is wrong, each in one line that names the setting. No line shows a secret.
    pub fn load(inputs: &Inputs) -> Result<Self, Problems> {
        assemble::load(inputs)
    }

    /// The settings of the library.
    #[must_use]
    pub fn core_config(&self) -> Config {
        let mut config = Config::new(self.public_url.as_str());
        config.tokens.audience.clone_from(&self.audience);
        config.tokens.lifetime = self.access_token_lifetime;
        config.tokens.impersonation_lifetime = self.impersonation_lifetime;
        config.tokens.algorithm = match (self.algorithm, &self.secret_key) {
            (JwtAlgorithm::Hs256, Some(secret)) => SigningAlgorithm::Hs256(secret.clone()),
            (JwtAlgorithm::Hs256, None) => unreachable!("HS256 without a secret is refused when the settings are read"),
            (JwtAlgorithm::Es256, _) => SigningAlgorithm::Es256,
            (JwtAlgorithm::EdDsa, _) => SigningAlgorithm::EdDsa,
            (JwtAlgorithm::Rs256, _) => SigningAlgorithm::Rs256,
        };
        config.sessions.idle_timeout = self.session_idle_timeout;
        config.sessions.absolute_timeout = self.session_absolute_timeout;
        config.sessions.max_per_user = self.max_sessions_per_user;
        config.sessions.reuse = self.refresh_reuse;
        config.retention.ended_sessions = self.keep_ended_sessions;
        config.audit.seal_after = self.audit_seal_after;
        config.passwords.profile = self.password_profile;
        config.passwords.min_score = self.password_min_score;
        config.passwords.params = self.argon2;
        config.passwords.peppers = self.password_peppers.clone();
        config.passwords.firebase_signer_keys = self.firebase_signer_keys.clone();
        config.passwords.imitated_hash.clone_from(&self.imitated_hash);
        config.passwords.breach_list_failure = self.breach_list_failure;
        config.hashing.threads = self.hashing_threads;
        config.hashing.max_wait = self.hashing_max_wait;
        config.limits = self.limits.clone();
        config.limits.enabled = self.rate_limiting;
        config.mfa.policy = self.mfa_policy;
        config.mfa.factors = self.mfa_factors;
        config.mfa.service_name.clone_from(&self.mfa_service_name);
        config.mfa.code_lifetime = self.mfa_code_lifetime;
        config.mfa.trust_lifetime = self.mfa_trust_lifetime;
        config.mfa.sms_countries.clone_from(&self.sms_countries);
        config.registration.open = self.registration_is_open;
        config.registration.reveal_existing = self.reveal_existing;
        config.sessions.device_lifetime = self.device_lifetime;
        config.retention.wrong_guesses = self.keep_wrong_guesses;
        config.passkeys = self.passkeys.clone();
        config
    }

    /// Whether only this machine can reach the listener.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// Whether `/docs` and `/openapi.json` are open.
    #[must_use]
    pub fn docs_are_open(&self) -> bool {
        self.is_open(self.expose_docs)
    }

    /// Whether `/metrics` is open.
    #[must_use]
    pub fn metrics_are_open(&self) -> bool {
        self.is_open(self.expose_metrics)
    }

    /// Every setting with its value, where that came from, and its default; secrets are left out.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files that hold a secret among the settings; nobody else should be able to read them.
    #[must_use]
    pub fn files_with_secrets(&self) -> &[PathBuf] {
        &self.files_with_secrets
    }

    fn is_open(&self, exposure: Exposure) -> bool {
        match exposure {
            Exposure::On => true,
            Exposure::Off => false,
            // SECURITY: behind a proxy on this machine the listener is loopback and the pages are public all the same.
            Exposure::Auto => self.is_loopback() && self.trusted_proxies.is_empty() && self.public_url.is_loopback(),
        }
    }
}

#[cfg(test)]
mod tests;
