//! Every setting, declared once: what reads it, prints it, documents it and complains about it is made from this table.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use authkit_core::config::MfaPolicy;
use authkit_core::config::{BreachListFailure, FirebaseSignerKeys, HmacSecret, PasswordProfile, Peppers};
use authkit_core::embedded::MasterKey;
use authkit_core::model::{FactorSet, Quota};
use ipnet::IpNet;
use secrecy::SecretString;

use super::database::Database;
use super::kinds::{self, Exposure, JwtAlgorithm, Reuse};
use super::problem::Refusal;
use super::public_url::PublicUrl;
use super::reading::Reading;
use super::redis::{self, RedisEndpoint, RedisHost};
use super::{parse, proxies};
use crate::audit_stream::AuditTarget;
use crate::breach::BreachSource;
use crate::sms::GatewayUrl;

/// What a setting is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultValue {
    /// This text.
    Text(&'static str),
    /// Something that depends on other settings or on the machine, as described.
    Derived(&'static str),
    /// Nothing, which means what is described.
    Unset(&'static str),
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visibility {
    /// All of it.
    Public,
    /// A URL, without its password; and nothing of one that cannot be read.
    Url,
    /// Nothing.
    Secret,
}

/// What a setting belongs to: a section of the output, and mostly a table of `authkit.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// Where it listens and what it is called.
    Server,
    /// Where it keeps things.
    Storage,
    /// Access tokens and keys.
    Tokens,
    /// Sessions and refresh tokens.
    Sessions,
    /// How long what is over is kept.
    Retention,
    /// The audit log.
    Audit,
    /// Mail.
    Mail,
    /// Second factors.
    Mfa,
    /// Who may make an account.
    Registration,
    /// How often something may be tried.
    Limits,
    /// Passkeys.
    Passkeys,
    /// Passwords and how they are hashed.
    Passwords,
    /// The log and the pages of operations.
    Operations,
}

impl Section {
    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Storage => "Storage",
            Self::Tokens => "Access tokens and keys",
            Self::Sessions => "Sessions",
            Self::Retention => "Retention",
            Self::Audit => "Audit log",
            Self::Mail => "Mail",
            Self::Mfa => "Second factors",
            Self::Registration => "Registration",
            Self::Limits => "Limits",
            Self::Passkeys => "Passkeys",
            Self::Passwords => "Passwords",
            Self::Operations => "Operations",
        }
    }
}

/// One setting: its names, its meaning and its default.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The environment variable.
    pub env: &'static str,
    /// The path of the key in `authkit.toml`.
    pub key: &'static str,
    /// What it belongs to.
    pub section: Section,
    /// What it means, in whole sentences.
    doc_lines: &'static [&'static str],
    /// What it is when nobody sets it.
    pub default: DefaultValue,
    /// How much of its value may be shown.
    pub visibility: Visibility,
}

impl Setting {
    /// What it means, in whole sentences on one line.
    #[must_use]
    pub fn doc(&self) -> String {
        self.doc_lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The setting of an environment variable.
    #[must_use]
    pub fn by_env(env: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.env == env)
    }

    /// The setting of a key of `authkit.toml`.
    #[must_use]
    pub fn by_key(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }
}

/// Declares the table, and the struct that holds what was read of it. A field is `None` when its value was refused.
macro_rules! settings {
    ($($section:ident { $(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:expr, $visibility:ident, $env:literal, $key:literal, $read:ident($parse:expr);
    )+ })+) => {
        /// Every setting, in the order in which they are shown.
        pub static TABLE: &[Setting] = &[$($(
            Setting {
                env: $env,
                key: $key,
                section: Section::$section,
                doc_lines: &[$($doc),+],
                default: $default,
                visibility: Visibility::$visibility,
            },
        )+)+];

        /// What was read of each setting; `None` where the value was refused.
        pub(super) struct Parsed {
            $($($(#[doc = $doc])+ pub(super) $name: Option<$type>,)+)+
        }

        impl Parsed {
            /// Reads every setting, the refused ones too, so that all problems are found at once.
            pub(super) fn read(reading: &mut Reading<'_>) -> Self {
                Self { $($($name: reading.$read($env, $parse),)+)+ }
            }
        }
    };
}

use DefaultValue::{Derived, Text, Unset};

settings! {
    Server {
        /// The address and port on which the server listens.
        listen: SocketAddr = Text("127.0.0.1:8000"), Public, "AUTHKIT_LISTEN", "server.listen", required(listen);
        /// The URL under which clients reach the server: what links and the issuer of tokens say. It is never taken from the
        /// Host header.
        public_url: Option<PublicUrl> = Derived("http://localhost and the port of AUTHKIT_LISTEN"), Url,
            "AUTHKIT_PUBLIC_URL", "server.public_url", optional(PublicUrl::parse);
        /// The networks (CIDR) of proxies whose Forwarded and X-Forwarded-For headers are believed, separated by commas.
        trusted_proxies: Vec<IpNet> = Text(""), Public,
            "AUTHKIT_TRUSTED_PROXIES", "server.trusted_proxies", required(proxies::parse);
        /// How many connections may be open at once, lowered to what the process's file descriptors allow.
        max_connections: u32 = Text("10000"), Public,
            "AUTHKIT_MAX_CONNECTIONS", "server.max_connections", required(|t| parse::number(t, 1, 1_000_000));
        /// How many connections one client address (one /64 for IPv6) may have open at once.
        max_connections_per_address: u32 = Text("256"), Public,
            "AUTHKIT_MAX_CONNECTIONS_PER_ADDRESS", "server.max_connections_per_address",
            required(|t| parse::number(t, 1, 1_000_000));
        /// How long the server still takes requests after SIGTERM, while /health/ready says 503 already: as long as the
        /// balancer takes to notice, so that a rolling restart loses no request. 0s where nothing is in front.
        drain_delay: Duration = Text("0s"), Public, "AUTHKIT_DRAIN_DELAY", "server.drain_delay",
            required(|t| parse::duration(t, Duration::ZERO, Duration::from_mins(5)));
        /// Whether requests are counted, by client address and by account, and refused with 429 when there are too many, and wrong
        /// passwords put off the next one: on or off. Off is for tests and for load that comes from one address.
        rate_limiting: bool = Text("on"), Public, "AUTHKIT_RATE_LIMITING", "server.rate_limiting", required(kinds::switch);
    }
    Storage {
        /// The directory for the SQLite file and the generated master key. It is made when it is missing.
        data_dir: PathBuf = Text("./authkit-data"), Public, "AUTHKIT_DATA_DIR", "storage.data_dir", required(path);
        /// The durable store: postgresql://user:password@host:5432/database (with ?sslmode=verify-full across a network), or
        /// sqlite://path/to/file.
        database: Option<Database> = Derived("authkit.sqlite3 in the data directory"), Url,
            "DATABASE_URL", "storage.database_url", optional(Database::parse);
        /// With PostgreSQL: how many connections this server opens at most. All servers together must stay below its
        /// max_connections.
        database_connections: u32 = Text("16"), Public, "AUTHKIT_DATABASE_CONNECTIONS", "storage.database_connections",
            required(|t| parse::number(t, 1, 1_000));
        /// Shared hot state: redis://user:password@host:6379, redis+cluster://host:port,host:port for a cluster, or
        /// redis+sentinel://host:port,host:port/service; rediss for redis is TLS.
        redis_url: Option<RedisEndpoint> = Unset("hot state stays in this process"), Url,
            "REDIS_URL", "redis.url", optional(RedisEndpoint::parse);
        /// Instead of REDIS_URL: the name or address of the Redis server.
        redis_host: Option<RedisHost> = Unset("no Redis"), Public, "REDIS_HOST", "redis.host", optional(RedisHost::parse);
        /// With REDIS_HOST: the port.
        redis_port: u32 = Text("6379"), Public, "REDIS_PORT", "redis.port", required(|t| parse::number(t, 1, 65_535));
        /// With REDIS_HOST: the password. Empty means none.
        redis_password: Option<Option<SecretString>> = Unset("no password"), Secret,
            "REDIS_PASSWORD", "redis.password", optional(redis::password);
        /// With rediss: a file with the certificates (PEM) of the authority that signed those of Redis.
        redis_ca_file: Option<PathBuf> = Unset("the authorities of the web"), Public,
            "REDIS_CA_FILE", "redis.ca_file", optional(path);
    }
    Tokens {
        /// How access tokens are signed: ES256, EdDSA or RS256 with generated keys, or HS256 with JWT_SECRET_KEY.
        algorithm: JwtAlgorithm = Text("ES256"), Public, "JWT_ALGORITHM", "tokens.algorithm", required(JwtAlgorithm::parse);
        /// The secret of HS256, at least 32 bytes (RFC 7518 §3.2). Only for JWT_ALGORITHM=HS256.
        secret_key: Option<HmacSecret> = Unset("keys are generated and kept sealed"), Secret,
            "JWT_SECRET_KEY", "tokens.secret_key", optional(kinds::hmac_secret);
        /// How many minutes an access token is valid. Logging out does not wait for it.
        access_minutes: u32 = Text("15"), Public,
            "ACCESS_TOKEN_EXPIRE_MINUTES", "tokens.access_token_expire_minutes", required(|t| parse::number(t, 1, 1_440));
        /// How long an administrator may act as somebody else before she has to say why again; at most an hour.
        impersonation_lifetime: Duration = Text("15m"), Public,
            "AUTHKIT_IMPERSONATION_LIFETIME", "tokens.impersonation_lifetime",
            required(|t| parse::duration(t, Duration::from_mins(1), Duration::from_hours(1)));
        /// The audience of access tokens: the resource that they are for (RFC 9068 §2.2).
        audience: Option<String> = Derived("AUTHKIT_PUBLIC_URL"), Public,
            "AUTHKIT_AUDIENCE", "tokens.audience", optional(|t| parse::line(t).map(str::to_owned));
        /// The keys that seal what is stored reversibly, newest first, separated by commas: id:base64url(32 bytes). Make one
        /// with `authkit-server keys generate-master`.
        master_keys: Option<Vec<MasterKey>> = Unset("master.key in the data directory, generated when it is missing"), Secret,
            "AUTHKIT_MASTER_KEYS", "tokens.master_keys", optional(master_keys_of);
    }
    Sessions {
        /// How long a session lives without being refreshed.
        session_idle: Duration = Text("7d"), Public, "AUTHKIT_SESSION_IDLE_TIMEOUT", "sessions.idle_timeout",
            required(|t| parse::duration(t, Duration::from_mins(1), Duration::from_hours(24 * 365)));
        /// How long a session lives in any case (SP 800-63B-4 §2.1.3 allows 30 days).
        session_absolute: Duration = Text("30d"), Public, "AUTHKIT_SESSION_ABSOLUTE_TIMEOUT", "sessions.absolute_timeout",
            required(|t| parse::duration(t, Duration::from_mins(1), Duration::from_hours(24 * 365)));
        /// How many sessions a user may have; the longest unused one makes room.
        sessions_per_user: u32 = Text("50"), Public, "AUTHKIT_SESSION_MAX_PER_USER", "sessions.max_per_user",
            required(|t| parse::number(t, 1, 10_000));
        /// What happens when a used refresh token comes back. grace: its successor is given again for AUTHKIT_REFRESH_GRACE,
        /// so that a lost reply logs nobody out. strict: the session ends at once.
        refresh_reuse: Reuse = Text("grace"), Public, "AUTHKIT_REFRESH_REUSE", "sessions.refresh_reuse", required(kinds::reuse);
        /// How long the successor of a refresh token is given again.
        refresh_grace: Duration = Text("10s"), Public, "AUTHKIT_REFRESH_GRACE", "sessions.refresh_grace",
            required(|t| parse::duration(t, Duration::from_secs(1), Duration::from_mins(1)));
    }
    Registration {
        /// Whether whoever comes may make an account: open, or closed, which is answered with 403. Administrators make accounts in
        /// either case.
        registration: bool = Text("open"), Public, "AUTHKIT_REGISTRATION", "registration.mode", required(kinds::registration);
        /// Whether the answer to a registration may say that the address has an account: on or off. off: it is 202 for every address,
        /// a mail says the rest, and the password works once the link of that mail was opened.
        reveal_existing: bool = Text("on"), Public,
            "AUTHKIT_REVEAL_EXISTING", "registration.reveal_existing", required(kinds::switch);
    }
    Limits {
        /// Logins from one address (one /64 for IPv6), whatever account they are for: so many at once, and one more per interval.
        login_per_address: Quota = Text("100/1s"), Public,
            "AUTHKIT_LIMIT_LOGIN_PER_ADDRESS", "limits.login_per_address", required(parse::quota);
        /// Logins to one account from one address.
        login_per_address_and_account: Quota = Text("10/30s"), Public,
            "AUTHKIT_LIMIT_LOGIN_PER_ADDRESS_AND_ACCOUNT", "limits.login_per_address_and_account", required(parse::quota);
        /// Logins to one account from unknown devices, from wherever.
        login_per_account: Quota = Text("20/15s"), Public,
            "AUTHKIT_LIMIT_LOGIN_PER_ACCOUNT", "limits.login_per_account", required(parse::quota);
        /// Logins by one known device.
        login_per_device: Quota = Text("10/30s"), Public,
            "AUTHKIT_LIMIT_LOGIN_PER_DEVICE", "limits.login_per_device", required(parse::quota);
        /// Logins from unknown devices on one node, whatever account and address.
        logins_per_node: Quota = Text("500/20ms"), Public,
            "AUTHKIT_LIMIT_LOGINS_PER_NODE", "limits.logins_per_node", required(parse::quota);
        /// Registrations from one address.
        registration_per_address: Quota = Text("50/1m"), Public,
            "AUTHKIT_LIMIT_REGISTRATION_PER_ADDRESS", "limits.registration_per_address", required(parse::quota);
        /// Registrations on one node, from whatever address.
        registrations_per_node: Quota = Text("200/200ms"), Public,
            "AUTHKIT_LIMIT_REGISTRATIONS_PER_NODE", "limits.registrations_per_node", required(parse::quota);
        /// Refreshes of one session.
        refresh_per_session: Quota = Text("60/1s"), Public,
            "AUTHKIT_LIMIT_REFRESH_PER_SESSION", "limits.refresh_per_session", required(parse::quota);
        /// Checks of the password of somebody who is logged in.
        password_per_account: Quota = Text("10/30s"), Public,
            "AUTHKIT_LIMIT_PASSWORD_PER_ACCOUNT", "limits.password_per_account", required(parse::quota);
        /// Requests of any kind from one address, on one node. Loopback is not counted.
        requests_per_address: Quota = Text("1000/10ms"), Public,
            "AUTHKIT_LIMIT_REQUESTS_PER_ADDRESS", "limits.requests_per_address", required(parse::quota);
        /// Among how many nodes these are divided while Redis is away and each counts by itself.
        limit_nodes: u32 = Text("3"), Public, "AUTHKIT_LIMIT_NODES", "limits.nodes", required(|t| parse::number(t, 1, 1_000));
        /// After how many wrong passwords in a row the next one has to wait: 1 s, 2 s, 4 s and so on.
        guesses_before_delay: u32 = Text("5"), Public,
            "AUTHKIT_GUESSES_BEFORE_DELAY", "limits.guesses_before_delay", required(|t| parse::number(t, 1, 100));
        /// How long it has to wait at most.
        guess_max_delay: Duration = Text("15m"), Public, "AUTHKIT_GUESS_MAX_DELAY", "limits.guess_max_delay",
            required(|t| parse::duration(t, Duration::from_secs(1), Duration::from_hours(24)));
        /// After how many wrong passwords in a row none is taken from unknown devices any more, until the owner has logged in on
        /// a known one or the operator has unlocked the account. Never more than 100 (SP 800-63B-4 §3.2.2).
        guesses_at_most: u32 = Text("100"), Public,
            "AUTHKIT_GUESSES_AT_MOST", "limits.guesses_at_most", required(|t| parse::number(t, 1, 100));
        /// How long a device is known after a login there, so that strangers who guess at the account do not hold it up.
        device_lifetime: Duration = Text("180d"), Public, "AUTHKIT_DEVICE_LIFETIME", "limits.device_lifetime",
            required(|t| parse::duration(t, Duration::from_mins(1), Duration::from_hours(24 * 400)));
        /// How long wrong passwords in a row are counted on after the last of them.
        keep_wrong_guesses: Duration = Text("30d"), Public, "AUTHKIT_KEEP_WRONG_GUESSES", "limits.keep_wrong_guesses",
            required(|t| parse::duration(t, Duration::from_hours(24), Duration::from_hours(24 * 3_650)));
    }
    Retention {
        /// How long a session is kept after it has ended.
        keep_sessions: Duration = Text("30d"), Public, "AUTHKIT_KEEP_ENDED_SESSIONS", "retention.ended_sessions",
            required(|t| parse::duration(t, Duration::from_hours(25), Duration::from_hours(24 * 3_650)));
    }
    Audit {
        /// How old an event of the audit log is before it is sealed; what lands later than that is sealed as late.
        audit_seal_after: Duration = Text("90s"), Public, "AUTHKIT_AUDIT_SEAL_AFTER", "audit.seal_after",
            required(|t| parse::duration(t, Duration::from_secs(1), Duration::from_mins(15)));
        /// Where events are handed on to as they happen, each at least once: file:/path for JSON lines (synced to the disk; with
        /// ?sync=off not), syslog:///dev/log, syslog+udp://host:514, syslog+tcp://host:601 or syslog+tls://host:6514.
        audit_stream: Option<Option<AuditTarget>> = Unset("events stay in the database"), Public,
            "AUTHKIT_AUDIT_STREAM", "audit.stream", optional(kinds::audit_stream);
        /// With syslog+tls: a file with the certificates (PEM) of the authority that signed that of the receiver.
        audit_stream_ca_file: Option<PathBuf> = Unset("the authorities of the web"), Public,
            "AUTHKIT_AUDIT_STREAM_CA_FILE", "audit.stream_ca_file", optional(path);
    }
    Mail {
        /// The SMTP server: smtps://user:password@host:465, or smtp://user:password@host:587?tls=required for STARTTLS.
        smtp_url: Option<SecretString> = Unset("mails are written to outbox/ in the data directory, and their links to the log"),
            Secret, "AUTHKIT_SMTP_URL", "mail.smtp_url", optional(kinds::smtp_url);
        /// The sender of mails: AuthKit <no-reply@my-company.com>. With AUTHKIT_SMTP_URL it has to be set.
        mail_from: Option<lettre::message::Mailbox> = Derived("AuthKit <no-reply@localhost>"), Public,
            "AUTHKIT_MAIL_FROM", "mail.from", optional(kinds::mailbox);
        /// The authorities that may vouch for the mail server, instead of those of the web: a PEM file.
        smtp_ca_file: Option<PathBuf> = Unset("the authorities of the web"), Public,
            "AUTHKIT_SMTP_CA_FILE", "mail.smtp_ca_file", optional(path);
        /// A directory with texts and frames of mails and pages, in place of those that are built in: see the manual on mail. What is
        /// not there stays, and what cannot be used stops the start.
        templates_dir: Option<PathBuf> = Unset("the texts that are built in"), Public,
            "AUTHKIT_TEMPLATES_DIR", "mail.templates_dir", optional(path);
    }
    Mfa {
        /// Of whom a second factor is demanded. roles: of whoever has a role that demands it. admins: of whoever holds every permission
        /// as well. all: of everybody. Who has none turns one on at her next login, before a session begins.
        mfa_required: MfaPolicy = Text("roles"), Public, "AUTHKIT_MFA_REQUIRED", "mfa.required", required(kinds::mfa_policy);
        /// Which factors can be turned on: totp, email, sms, separated by commas. Text messages can be read by whoever has a number moved
        /// to another card, and each costs money. What is on stays on.
        mfa_factors: FactorSet = Text("totp,email"), Public, "AUTHKIT_MFA_FACTORS", "mfa.factors", required(kinds::mfa_factors);
        /// What the service is called in authenticator apps and text messages.
        mfa_service_name: Option<String> = Derived("the host of AUTHKIT_PUBLIC_URL"), Public,
            "AUTHKIT_MFA_SERVICE_NAME", "mfa.service_name", optional(kinds::service_name);
        /// How long a code that was sent is good.
        mfa_code_lifetime: Duration = Text("10m"), Public, "AUTHKIT_MFA_CODE_LIFETIME", "mfa.code_lifetime",
            required(|t| parse::duration(t, Duration::from_mins(1), Duration::from_mins(10)));
        /// How long no second factor is asked for on a device that its user trusts.
        mfa_trust_lifetime: Duration = Text("30d"), Public, "AUTHKIT_MFA_TRUST_LIFETIME", "mfa.trust_lifetime",
            required(|t| parse::duration(t, Duration::from_hours(1), Duration::from_hours(24 * 90)));
        /// The HTTP gateway for text messages: it is sent a signed JSON POST for each. https://, or http:// on this machine.
        sms_url: Option<GatewayUrl> = Unset("text messages are written to outbox/ in the data directory"), Url,
            "AUTHKIT_SMS_URL", "sms.url", optional(kinds::sms_url);
        /// The secret that signs what the gateway is sent, at least 16 bytes. With AUTHKIT_SMS_URL it has to be set.
        sms_token: Option<SecretString> = Unset("nothing is signed"), Secret,
            "AUTHKIT_SMS_TOKEN", "sms.token", optional(kinds::sms_token);
        /// The calling codes of the countries to which text messages are sent, separated by commas: 49,43,41.
        sms_countries: Option<BTreeSet<u16>> = Unset("to all countries"), Public,
            "AUTHKIT_SMS_COUNTRIES", "sms.countries", optional(kinds::sms_countries);
    }
    Passkeys {
        /// The RP ID: the domain that passkeys are made for, without scheme and port. It can be a parent domain of AUTHKIT_PUBLIC_URL.
        /// Changing it makes every passkey useless.
        rp_id: Option<String> = Derived("the host of AUTHKIT_PUBLIC_URL"), Public, "AUTHKIT_RP_ID", "passkeys.rp_id",
            optional(|t| parse::line(t).map(str::to_owned));
        /// What the service is called while a passkey is made.
        rp_name: Option<String> = Derived("AUTHKIT_RP_ID"), Public, "AUTHKIT_RP_NAME", "passkeys.rp_name",
            optional(|t| parse::line(t).map(str::to_owned));
        /// The origins beside AUTHKIT_PUBLIC_URL at which passkeys may be used, separated by commas: https://app.my-company.com at the RP
        /// ID or below it, http://localhost:3000, or of an app android:apk-key-hash:….
        webauthn_origins: Vec<String> = Text(""), Public, "AUTHKIT_WEBAUTHN_ORIGINS", "passkeys.origins",
            required(kinds::origins);
    }
    Passwords {
        /// The rules for a new password: standard (8 characters that are hard to guess) or nist-800-63b-4 (15 of them).
        password_profile: PasswordProfile = Text("standard"), Public,
            "AUTHKIT_PASSWORD_PROFILE", "passwords.profile", required(kinds::profile);
        /// The least strength of a new password, 1 to 4 on the scale of zxcvbn; 2 is over a million guesses.
        password_min_score: u32 = Text("2"), Public,
            "AUTHKIT_PASSWORD_MIN_SCORE", "passwords.min_score", required(|t| parse::number(t, 1, 4));
        /// Keys that go into every new password hash and are kept apart from the database, so that a copy of it alone lets nobody
        /// guess at passwords: id:base64url(32 bytes), the newest first, separated by commas. Make one with `authkit-server keys
        /// generate-pepper`. Lose one, and every hash made with it is lost. none in front makes new hashes without.
        password_peppers: Option<Peppers> = Unset("hashes are made without a pepper"), Secret,
            "AUTHKIT_PASSWORD_PEPPERS", "passwords.peppers", optional(kinds::peppers);
        /// The signer keys of Firebase projects whose users were imported: id:base64, separated by commas.
        firebase_signer_keys: Option<FirebaseSignerKeys> = Unset("hashes of Firebase cannot be verified"), Secret,
            "AUTHKIT_FIREBASE_SIGNER_KEYS", "passwords.firebase_signer_keys", optional(kinds::signer_keys);
        /// What a failed login costs beside a hash of ours, while many accounts hold hashes of another system that take longer: their
        /// format and its parameters, as in bcrypt,12 or scrypt,14,8,1 or pbkdf2,sha256,260000,32 or sha-crypt,6,5000. So time does not
        /// tell whose address is not known here. Logins that succeed cost what they did.
        imitated_hash: Option<String> = Unset("nothing"), Public,
            "AUTHKIT_IMITATED_HASH", "passwords.imitated_hash", optional(kinds::imitated_hash);
        /// Where new passwords are looked up among those known from breaches: https://api.pwnedpasswords.com (which learns five of
        /// forty digits of a SHA-1), another service that speaks its protocol, or file:/path to its download. Unset or off: nowhere;
        /// the built-in list of 30,000 common passwords always holds.
        breach_list: Option<Option<BreachSource>> = Unset("off"), Public,
            "AUTHKIT_BREACH_LIST", "passwords.breach_list", optional(kinds::breach_list);
        /// What becomes of a new password while the list cannot be asked. open: it is judged by everything else. closed: 503.
        breach_list_failure: BreachListFailure = Text("open"), Public,
            "AUTHKIT_BREACH_LIST_FAILURE", "passwords.breach_list_failure", required(kinds::breach_list_failure);
        /// The memory of one argon2id hash in KiB. OWASP's pairs with the iterations: 47104 and 1, 19456 and 2, 12288 and 3,
        /// 9216 and 4, 7168 and 5.
        argon2_memory: u32 = Text("19456"), Public,
            "AUTHKIT_ARGON2_MEMORY_KIB", "passwords.argon2_memory_kib", required(|t| parse::number(t, 7_168, 262_144));
        /// The passes of argon2id over its memory.
        argon2_iterations: u32 = Text("2"), Public,
            "AUTHKIT_ARGON2_ITERATIONS", "passwords.argon2_iterations", required(|t| parse::number(t, 1, 10));
        /// How many threads hash passwords, each with memory of its own.
        hashing_threads: Option<u32> = Derived("as many as there are cores"), Public,
            "AUTHKIT_HASHING_THREADS", "passwords.hashing_threads", optional(|t| parse::number(t, 1, 256));
        /// How long a request may wait for its turn to hash; what would wait longer is refused at once with 503.
        hashing_max_wait: Duration = Text("2s"), Public, "AUTHKIT_HASHING_MAX_WAIT", "passwords.hashing_max_wait",
            required(|t| parse::duration(t, Duration::from_millis(50), Duration::from_secs(30)));
    }
    Operations {
        /// Who may open /docs and /openapi.json: auto (everybody while listener and public URL are on loopback and no proxy is
        /// trusted, else nobody), on or off.
        expose_docs: Exposure = Text("auto"), Public, "AUTHKIT_EXPOSE_DOCS", "operations.expose_docs", required(kinds::exposure);
        /// Who may open /metrics: auto, on or off, as for AUTHKIT_EXPOSE_DOCS.
        expose_metrics: Exposure = Text("auto"), Public,
            "AUTHKIT_EXPOSE_METRICS", "operations.expose_metrics", required(kinds::exposure);
        /// What is logged: a level (error, warn, info, debug, trace), or levels per module as in warn,authkit_server=debug.
        log: String = Text("info"), Public, "AUTHKIT_LOG", "operations.log", required(kinds::log_filter);
        /// How it is logged: pretty or json.
        log_format: Option<crate::telemetry::LogFormat> = Derived("pretty on a terminal, else json"), Public,
            "AUTHKIT_LOG_FORMAT", "operations.log_format", optional(kinds::log_format);
    }
}

fn listen(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        let fix = "write it as in 127.0.0.1:8000, 0.0.0.0:8000 for every address, or [::1]:8000";
        Refusal::new("is not an IP address and a port", fix)
    })
}

fn path(text: &str) -> Result<PathBuf, Refusal> {
    parse::line(text).map(PathBuf::from)
}

fn master_keys_of(text: &str) -> Result<Vec<MasterKey>, Refusal> {
    MasterKey::parse_list(text)
        .map_err(|error| Refusal::new(error.to_string(), "make a key with `authkit-server keys generate-master`"))
}
