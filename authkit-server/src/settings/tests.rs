use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use authkit_core::OsEntropy;
use authkit_core::model::KeyId;
use tempfile::TempDir;

use super::table::TABLE;
use super::*;

const SECRET: &str = "q8Zr+0c5Qm1xZ0T9yq2nVwKc7B4dS6fG";

/// A working directory of its own, and the environment of a process that starts in it.
struct Place {
    dir: TempDir,
    environment: Vec<(OsString, OsString)>,
    config_file: Option<PathBuf>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new(), config_file: None }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    fn load(&self) -> Result<Settings, Problems> {
        Settings::load(&Inputs {
            environment: self.environment.clone(),
            working_dir: self.dir.path().to_owned(),
            config_file: self.config_file.clone(),
        })
    }

    fn lines(&self) -> Vec<String> {
        self.load().map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect()
    }
}

fn env(pairs: &[(&str, &str)]) -> Place {
    pairs.iter().fold(Place::new(), |place, (name, value)| place.env(name, value))
}

fn master_key(id: &str) -> String {
    MasterKey::generate(KeyId::parse(id).unwrap(), &OsEntropy).to_text()
}

#[test]
fn nothing_set_gives_safe_defaults() {
    let place = Place::new();
    let settings = place.load().unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.public_url.as_str(), "http://localhost:8000");
    assert_eq!(settings.data_dir, place.dir.path().join("authkit-data"));
    assert_eq!(settings.database, Database::Sqlite { path: place.dir.path().join("authkit-data/authkit.sqlite3") });
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert!(settings.redis.is_none() && settings.master_keys.is_none() && settings.trusted_proxies.is_empty());
    assert!(settings.entries().iter().all(|entry| entry.origin == Origin::Default));
    // The library's own defaults and the server's say the same.
    let (config, library) = (settings.core_config(), Config::new("http://localhost:8000"));
    assert_eq!(format!("{config:?}"), format!("{library:?}"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a line a setting")]
fn every_setting_that_is_broken_is_refused_by_name_in_one_line() {
    let key = master_key("k1");
    let twins = format!("{key},{key}");
    let cut = &key[..key.len() - 4];
    // The setting that is at fault, and what is set; of each value not more than its name may be told where it is a secret.
    let broken: &[(&str, &[(&str, &str)])] = &[
        ("AUTHKIT_LISTEN", &[("AUTHKIT_LISTEN", "localhost")]),
        ("AUTHKIT_LISTEN", &[("AUTHKIT_LISTEN", ":8000")]),
        ("AUTHKIT_LISTEN", &[("AUTHKIT_LISTEN", "127.0.0.1:99999")]),
        ("AUTHKIT_LISTEN", &[("AUTHKIT_LISTEN", "")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "auth.shop.com")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "http://auth.shop.com")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "ftp://auth.shop.com")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "https://auth.shop.com/?a=b")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "https://auth.shop.com/#x")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "https://me:canary@auth.shop.com")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "http://0.0.0.0:8000")]),
        ("AUTHKIT_PUBLIC_URL", &[("AUTHKIT_PUBLIC_URL", "https://*.shop.com/ \u{7}")]),
        ("AUTHKIT_TRUSTED_PROXIES", &[("AUTHKIT_TRUSTED_PROXIES", "0.0.0.0/0")]),
        ("AUTHKIT_TRUSTED_PROXIES", &[("AUTHKIT_TRUSTED_PROXIES", "*")]),
        ("AUTHKIT_TRUSTED_PROXIES", &[("AUTHKIT_TRUSTED_PROXIES", "10.0.0.1/8")]),
        ("AUTHKIT_MAX_CONNECTIONS", &[("AUTHKIT_MAX_CONNECTIONS", "0")]),
        ("AUTHKIT_RATE_LIMITING", &[("AUTHKIT_RATE_LIMITING", "no")]),
        ("AUTHKIT_RATE_LIMITING", &[("AUTHKIT_RATE_LIMITING", "")]),
        ("AUTHKIT_DATA_DIR", &[("AUTHKIT_DATA_DIR", "")]),
        ("DATABASE_URL", &[("DATABASE_URL", "postgresql://user:canary@localhost:5432")]),
        ("DATABASE_URL", &[("DATABASE_URL", "postgresql://user:canary@localhost:5432/userdb?sslmode=canary")]),
        ("AUTHKIT_DATABASE_CONNECTIONS", &[("AUTHKIT_DATABASE_CONNECTIONS", "8")]),
        ("DATABASE_URL", &[("DATABASE_URL", "mysql://user:canary@localhost/userdb")]),
        ("DATABASE_URL", &[("DATABASE_URL", "sqlite::memory:")]),
        ("DATABASE_URL", &[("DATABASE_URL", "sqlite://")]),
        ("DATABASE_URL", &[("DATABASE_URL", "sqlite://a.db?mode=ro")]),
        ("DATABASE_URL", &[("DATABASE_URL", "users.db")]),
        ("REDIS_URL", &[("REDIS_URL", "localhost:6379")]),
        ("REDIS_URL", &[("REDIS_URL", "rediss://:canary@r#insecure")]),
        ("REDIS_URL", &[("REDIS_URL", "redis://:canary@")]),
        ("REDIS_HOST", &[("REDIS_URL", "redis://r"), ("REDIS_HOST", "r")]),
        ("REDIS_HOST", &[("REDIS_HOST", "r:6379")]),
        ("REDIS_PORT", &[("REDIS_HOST", "r"), ("REDIS_PORT", "65536")]),
        ("REDIS_PORT", &[("REDIS_PORT", "6379")]),
        ("REDIS_PASSWORD", &[("REDIS_PASSWORD", "canary-canary")]),
        ("REDIS_PASSWORD", &[("REDIS_HOST", "r"), ("REDIS_PASSWORD", "your_redis_password")]),
        ("JWT_ALGORITHM", &[("JWT_ALGORITHM", "none")]),
        ("JWT_ALGORITHM", &[("JWT_ALGORITHM", "HS512")]),
        ("JWT_ALGORITHM", &[("JWT_ALGORITHM", "")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "your_secret_key")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "canary-of-thirty-one-characters")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "cacacacacacacacacacacacacacacacacacacaca")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "your_secret_key_canary_your_secret_key")]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", " canary with white space in front of it")]),
        ("JWT_SECRET_KEY", &[("JWT_SECRET_KEY", SECRET)]),
        ("JWT_SECRET_KEY", &[("JWT_ALGORITHM", "EdDSA"), ("JWT_SECRET_KEY", SECRET)]),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", &[("ACCESS_TOKEN_EXPIRE_MINUTES", "0")]),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", &[("ACCESS_TOKEN_EXPIRE_MINUTES", "30m")]),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", &[("ACCESS_TOKEN_EXPIRE_MINUTES", "60"), ("AUTHKIT_SESSION_IDLE_TIMEOUT", "30m")]),
        ("AUTHKIT_AUDIENCE", &[("AUTHKIT_AUDIENCE", " ")]),
        ("AUTHKIT_MASTER_KEYS", &[("AUTHKIT_MASTER_KEYS", "")]),
        ("AUTHKIT_MASTER_KEYS", &[("AUTHKIT_MASTER_KEYS", cut)]),
        ("AUTHKIT_MASTER_KEYS", &[("AUTHKIT_MASTER_KEYS", &twins)]),
        ("AUTHKIT_MASTER_KEYS", &[("AUTHKIT_MASTER_KEYS", "k1:Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E")]),
        ("AUTHKIT_SESSION_IDLE_TIMEOUT", &[("AUTHKIT_SESSION_IDLE_TIMEOUT", "3600")]),
        ("AUTHKIT_SESSION_IDLE_TIMEOUT", &[("AUTHKIT_SESSION_IDLE_TIMEOUT", "31d")]),
        ("AUTHKIT_SESSION_ABSOLUTE_TIMEOUT", &[("AUTHKIT_SESSION_ABSOLUTE_TIMEOUT", "-1d")]),
        ("AUTHKIT_SESSION_MAX_PER_USER", &[("AUTHKIT_SESSION_MAX_PER_USER", "many")]),
        ("AUTHKIT_REFRESH_REUSE", &[("AUTHKIT_REFRESH_REUSE", "lenient")]),
        ("AUTHKIT_REFRESH_GRACE", &[("AUTHKIT_REFRESH_GRACE", "1h")]),
        ("AUTHKIT_REFRESH_GRACE", &[("AUTHKIT_REFRESH_REUSE", "strict"), ("AUTHKIT_REFRESH_GRACE", "10s")]),
        ("AUTHKIT_PASSWORD_PROFILE", &[("AUTHKIT_PASSWORD_PROFILE", "none")]),
        ("AUTHKIT_PASSWORD_MIN_SCORE", &[("AUTHKIT_PASSWORD_MIN_SCORE", "0")]),
        ("AUTHKIT_ARGON2_MEMORY_KIB", &[("AUTHKIT_ARGON2_MEMORY_KIB", "64")]),
        ("AUTHKIT_ARGON2_MEMORY_KIB", &[("AUTHKIT_ARGON2_MEMORY_KIB", "9216")]),
        ("AUTHKIT_ARGON2_ITERATIONS", &[("AUTHKIT_ARGON2_ITERATIONS", "1")]),
        ("AUTHKIT_HASHING_THREADS", &[("AUTHKIT_HASHING_THREADS", "0")]),
        ("AUTHKIT_HASHING_MAX_WAIT", &[("AUTHKIT_HASHING_MAX_WAIT", "1 second")]),
        ("AUTHKIT_EXPOSE_DOCS", &[("AUTHKIT_EXPOSE_DOCS", "yes")]),
        ("AUTHKIT_LOG", &[("AUTHKIT_LOG", "inof")]),
        ("AUTHKIT_LOG_FORMAT", &[("AUTHKIT_LOG_FORMAT", "xml")]),
        ("AUTHKIT_MAIL_FROM", &[("AUTHKIT_SMTP_URL", "smtp://me:canary@mail")]),
        ("AUTHKIT_MAIL_FROM", &[("AUTHKIT_MAIL_FROM", "nobody")]),
        ("AUTHKIT_SMTP_URL", &[("AUTHKIT_SMTP_URL", "http://me:canary@mail"), ("AUTHKIT_MAIL_FROM", "me@mail.example")]),
        ("AUTHKIT_SMS_URL", &[("AUTHKIT_SMS_URL", "https://me:canary@sms"), ("AUTHKIT_SMS_TOKEN", "canary-of-the-gateway")]),
        ("AUTHKIT_SMS_TOKEN", &[("AUTHKIT_SMS_URL", "https://sms.example/")]),
        ("AUTHKIT_MFA_FACTORS", &[("AUTHKIT_MFA_FACTORS", "totp,pigeon")]),
        ("AUTHKIT_LISTN", &[("AUTHKIT_LISTN", "127.0.0.1:8000")]),
        ("authkit_listen", &[("authkit_listen", "127.0.0.1:8000")]),
        ("AUTHKIT_PORT", &[("AUTHKIT_PORT", "9000")]),
    ];
    assert!(broken.len() >= 30);
    for (setting, pairs) in broken {
        let lines = env(pairs).lines();
        assert_eq!(lines.len(), 1, "{pairs:?}: {lines:#?}");
        let line = &lines[0];
        assert!(line.starts_with(&format!("{setting} (environment): ")) || line.starts_with(&format!("{setting}: ")), "{line}");
        assert!(line.contains("; "), "says what to do: {line}");
        assert!(!line.contains(['\n', '\r', '\u{7}']), "one line: {line:?}");
        for (name, value) in *pairs {
            let secret = Setting::by_env(name).is_none_or(|known| known.visibility != Visibility::Public);
            assert!(!secret || value.len() < 10 || !line.contains(value), "{name} is shown: {line}");
            assert!(!line.contains("canary"), "{line}");
        }
    }
}

#[test]
fn a_weak_secret_is_answered_with_how_to_make_a_strong_one() {
    let lines = env(&[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET_KEY", "your_secret_key")]).lines();
    let expected = "JWT_SECRET_KEY (environment): the secret has 15 bytes and needs at least 32 (RFC 7518 §3.2); \
                    make one with `openssl rand -base64 48` or `authkit-server keys generate-secret`";
    assert_eq!(lines, [expected]);
}

#[test]
fn all_problems_are_shown_at_once() {
    let seed = "DATABASE_URL=postgresql://user:password@localhost:5432/userdb\n\
                JWT_SECRET_KEY=your_secret_key\nJWT_ALGORITHM=HS256\nACCESS_TOKEN_EXPIRE_MINUTES=30\n\
                REDIS_HOST=localhost\nREDIS_PORT=6379\nREDIS_PASSWORD=your_redis_password\n";
    let lines = Place::new().file(".env", seed).env("AUTHKIT_LISTEN", "x").file("authkit.toml", "[server]\nlisen = 1\n").lines();
    let named = ["server.lisen (authkit.toml)", "AUTHKIT_LISTEN (environment)", "DATABASE_URL (.env line 1)"];
    let also = ["REDIS_PASSWORD (.env line 7)", "JWT_SECRET_KEY (.env line 2)"];
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for name in named.into_iter().chain(also) {
        assert!(lines.iter().any(|line| line.starts_with(name)), "{name} in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("user:password") || line.contains("your_")), "{lines:#?}");
}

#[test]
fn the_names_of_the_seed_work_with_values_of_ones_own() {
    let dotenv = format!(
        "DATABASE_URL=postgresql://user:hunter-one-canary@localhost:5432/userdb\nJWT_SECRET_KEY={SECRET}\nJWT_ALGORITHM=HS256\nACCESS_TOKEN_EXPIRE_MINUTES=30\n\
         REDIS_HOST=localhost\nREDIS_PORT=6380\nREDIS_PASSWORD=hunter-two-canary\nPOSTGRES_USER=somebody\n"
    );
    let place = Place::new().file(".env", &dotenv);
    let settings = place.load().unwrap();
    let config = settings.core_config();
    assert!(matches!(&config.tokens.algorithm, SigningAlgorithm::Hs256(secret) if secret.expose() == SECRET.as_bytes()));
    assert_eq!(config.tokens.lifetime, Duration::from_mins(30));
    assert_eq!(settings.database.to_string(), "postgresql://user:***@localhost:5432/userdb");
    assert_eq!(settings.redis.as_ref().unwrap().expose_url(), "redis://:hunter-two-canary@localhost:6380");
    assert!(settings.warnings.iter().any(|w| w.contains("HS256")));
    assert_eq!(settings.files_with_secrets(), [place.dir.path().join(".env")]);
}

#[test]
fn the_environment_wins_over_dotenv_over_toml_over_the_default() {
    let toml = "[server]\nlisten = \"127.0.0.1:1\"\n[sessions]\nmax_per_user = 3\n[tokens]\naudience = \"toml\"\n";
    let settings = Place::new()
        .file("authkit.toml", toml)
        .file(".env", "AUTHKIT_LISTEN=127.0.0.1:2\nAUTHKIT_AUDIENCE=dotenv\n")
        .env("AUTHKIT_LISTEN", "127.0.0.1:3")
        .load()
        .unwrap();
    assert_eq!((settings.listen.port(), settings.audience.as_str(), settings.max_sessions_per_user), (3, "dotenv", 3));
    let origin = |env: &str| settings.entries().iter().find(|entry| entry.setting.env == env).unwrap().origin.clone();
    assert_eq!(origin("AUTHKIT_LISTEN"), Origin::Environment);
    assert_eq!(origin("AUTHKIT_AUDIENCE"), Origin::DotEnv { line: 2 });
    assert_eq!(origin("AUTHKIT_SESSION_MAX_PER_USER"), Origin::File("authkit.toml".into()));
    assert_eq!(origin("AUTHKIT_LOG"), Origin::Default);
    // What is derived follows what it is derived from.
    assert_eq!(settings.public_url.as_str(), "http://localhost:3");
}

#[test]
fn a_named_file_replaces_authkit_toml_and_has_to_exist() {
    let mut place = Place::new().file("authkit.toml", "nonsense = 1").file("other.toml", "[operations]\nlog = \"warn\"\n");
    place.config_file = Some("other.toml".into());
    assert_eq!(place.load().unwrap().log_filter, "warn");
    place.config_file = Some("missing.toml".into());
    assert!(place.lines()[0].starts_with("missing.toml: cannot be read"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a line for each setting")]
fn every_setting_can_be_set_in_toml_as_in_the_environment() {
    let key = master_key("k1");
    // Values that differ from the defaults, so that a setting which is read from nowhere would be noticed.
    let toml = format!(
        r#"
        [server]
        listen = "0.0.0.0:9000"
        public_url = "https://auth.shop.com/id/"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        max_connections = 7
        max_connections_per_address = 6
        drain_delay = "5s"
        rate_limiting = false
        [storage]
        data_dir = "/srv/authkit"
        database_url = "postgresql://app:p4ss@db/users"
        database_connections = 5
        [redis]
        url = "rediss://u:p4ss@r:1/2"
        ca_file = "/etc/redis/ca.pem"
        [tokens]
        algorithm = "EdDSA"
        access_token_expire_minutes = 5
        impersonation_lifetime = "10m"
        audience = "shop"
        master_keys = "{key}"
        [sessions]
        idle_timeout = "1h"
        absolute_timeout = "2h"
        max_per_user = 9
        refresh_reuse = "grace"
        refresh_grace = "20s"
        [limits]
        login_per_address = "1/2s"
        login_per_address_and_account = "2/2s"
        login_per_account = "3/2s"
        login_per_device = "4/2s"
        logins_per_node = "5/2s"
        registration_per_address = "6/2s"
        registrations_per_node = "7/2s"
        refresh_per_session = "8/2s"
        password_per_account = "9/2s"
        requests_per_address = "10/2s"
        nodes = 11
        guesses_before_delay = 3
        guess_max_delay = "5m"
        guesses_at_most = 50
        device_lifetime = "90d"
        keep_wrong_guesses = "60d"
        [retention]
        ended_sessions = "48h"
        [audit]
        seal_after = "5s"
        stream = "syslog+tls://logs.example"
        stream_ca_file = "/etc/logs/ca.pem"
        [mail]
        smtp_url = "smtps://me:canary@mail.example"
        from = "AuthKit <me@mail.example>"
        smtp_ca_file = "/etc/mail/ca.pem"
        templates_dir = "/srv/words"
        [mfa]
        required = "all"
        factors = "totp,sms"
        service_name = "The shop"
        code_lifetime = "5m"
        trust_lifetime = "7d"
        [sms]
        url = "https://sms.example/send"
        token = "canary-of-the-gateway"
        countries = "49,43"
        [registration]
        mode = "closed"
        reveal_existing = "off"
        [passkeys]
        rp_id = "shop.com"
        rp_name = "The shop"
        origins = "https://app.shop.com"
        [passwords]
        imitated_hash = "bcrypt,12"
        profile = "nist-800-63b-4"
        min_score = 3
        peppers = "p1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        firebase_signer_keys = "fb:jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
        breach_list = "file:pwned.txt"
        breach_list_failure = "closed"
        argon2_memory_kib = 65536
        argon2_iterations = 4
        hashing_threads = 2
        hashing_max_wait = "250ms"
        [operations]
        expose_docs = true
        expose_metrics = false
        log = "warn,authkit_server=debug"
        log_format = "json"
        "#
    );
    let settings = Place::new().file("authkit.toml", &toml).load().unwrap();
    let config = settings.core_config();
    assert_eq!(config.tokens.issuer, "https://auth.shop.com/id");
    assert_eq!(config.tokens.audience, "shop");
    assert!(matches!(config.tokens.algorithm, SigningAlgorithm::EdDsa));
    assert_eq!(config.tokens.lifetime, Duration::from_mins(5));
    assert_eq!(config.sessions.idle_timeout, Duration::from_hours(1));
    assert_eq!(config.sessions.absolute_timeout, Duration::from_hours(2));
    assert_eq!(config.sessions.max_per_user, 9);
    assert_eq!(config.sessions.reuse, ReusePolicy::Grace(Duration::from_secs(20)));
    assert_eq!(config.retention.ended_sessions, Duration::from_hours(48));
    assert_eq!(config.audit.seal_after, Duration::from_secs(5));
    assert_eq!(config.mfa.policy, authkit_core::config::MfaPolicy::Everybody);
    assert_eq!(config.mfa.factors.iter().map(authkit_core::model::FactorKind::as_str).collect::<Vec<_>>(), ["totp", "sms"]);
    assert_eq!(config.mfa.service_name.as_deref(), Some("The shop"));
    assert_eq!((config.mfa.code_lifetime, config.mfa.trust_lifetime), (Duration::from_mins(5), Duration::from_hours(24 * 7)));
    assert_eq!(config.mfa.sms_countries, [43, 49].into());
    assert!(settings.sms_gateway.as_ref().is_some_and(|(url, _)| url.to_string() == "https://sms.example/send"));
    assert!(!config.registration.open && !config.registration.reveal_existing);
    assert!(settings.audit_stream.as_ref().is_some_and(|target| target.to_string() == "syslog+tls://logs.example:6514"));
    assert_eq!(settings.audit_stream_ca_file, Some(PathBuf::from("/etc/logs/ca.pem")));
    assert_eq!((config.passwords.profile, config.passwords.min_score), (PasswordProfile::Nist80063b4, 3));
    assert_eq!(config.passwords.params, Argon2Params { memory_kib: 65_536, iterations: 4, parallelism: 1 });
    assert_eq!(config.passwords.peppers.newest().map(|(id, _)| id), Some("p1"));
    assert!(config.passwords.firebase_signer_keys.by_id("fb").is_some());
    assert!(settings.breach_list.as_ref().is_some_and(|source| source.to_string().ends_with("/pwned.txt")));
    assert_eq!(config.passwords.breach_list_failure, authkit_core::config::BreachListFailure::Closed);
    assert_eq!((config.hashing.threads, config.hashing.max_wait), (2, Duration::from_millis(250)));
    assert_eq!((settings.max_connections, settings.max_connections_per_address), (7, 6));
    assert_eq!(settings.drain_delay, Duration::from_secs(5));
    assert!(!config.limits.enabled);
    let limits = &config.limits;
    let quotas = [
        limits.login_per_address,
        limits.login_per_address_and_account,
        limits.login_per_account,
        limits.login_per_device,
        limits.logins_per_node,
        limits.registration_per_address,
        limits.registrations_per_node,
        limits.refresh_per_session,
        limits.password_per_account,
        limits.requests_per_address,
    ];
    for (burst, quota) in (1..).zip(quotas) {
        assert_eq!((quota.burst(), quota.interval()), (burst, Duration::from_secs(2)));
    }
    assert_eq!((limits.nodes, limits.guessing.free, limits.guessing.at_most), (11, 3, 50));
    assert_eq!(limits.guessing.max_delay, Duration::from_mins(5));
    assert_eq!(config.sessions.device_lifetime, Duration::from_hours(24 * 90));
    assert_eq!(config.retention.wrong_guesses, Duration::from_hours(24 * 60));
    assert_eq!(settings.smtp_ca_file, Some(PathBuf::from("/etc/mail/ca.pem")));
    assert_eq!(settings.templates_dir, Some(PathBuf::from("/srv/words")));
    assert_eq!(settings.data_dir, PathBuf::from("/srv/authkit"));
    assert_eq!(settings.database.to_string(), "postgresql://app:***@db/users");
    assert_eq!(settings.database_connections, 5);
    assert!(settings.redis.as_ref().unwrap().is_tls());
    assert_eq!(settings.redis_ca_file, Some(PathBuf::from("/etc/redis/ca.pem")));
    assert_eq!(settings.master_keys.as_ref().unwrap()[0].to_text(), key);
    assert_eq!(show_networks(&settings.trusted_proxies), "10.0.0.0/8,::1/128");
    assert!(settings.docs_are_open() && !settings.metrics_are_open());
    assert_eq!((settings.log_filter.as_str(), settings.log_format), ("warn,authkit_server=debug", LogFormat::Json));
    let elsewhere = ["REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "JWT_SECRET_KEY"];
    for entry in settings.entries().iter().filter(|entry| !elsewhere.contains(&entry.setting.env)) {
        assert!(entry.origin.is_chosen(), "{} is not covered here", entry.setting.env);
    }
}

#[test]
fn the_limits_are_those_of_the_library_unless_somebody_sets_them() {
    let (ours, library) = (Place::new().load().unwrap().core_config(), authkit_core::Config::new("https://auth.example"));
    assert_eq!(format!("{:?}", ours.limits), format!("{:?}", library.limits));
    assert_eq!(ours.sessions.device_lifetime, library.sessions.device_lifetime);
    assert_eq!(ours.retention.wrong_guesses, library.retention.wrong_guesses);
    let lines = Place::new().env("AUTHKIT_LIMIT_LOGIN_PER_ACCOUNT", "20").env("AUTHKIT_GUESSES_AT_MOST", "101").lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let lines = Place::new().env("AUTHKIT_GUESSES_BEFORE_DELAY", "6").env("AUTHKIT_GUESSES_AT_MOST", "5").lines();
    assert!(lines.len() == 1 && lines[0].contains("AUTHKIT_GUESSES_BEFORE_DELAY"), "{lines:?}");
}

#[test]
fn unknown_names_are_refused_wherever_they_stand_and_foreign_ones_are_not_ours_to_judge() {
    let place =
        Place::new().file(".env", "AUTHKIT_SMS_URI=x\nEDITOR=vi\n").file("authkit.toml", "[server]\nJWT_ALGORITHM = \"x\"\n");
    let lines = place.env("PATH", "/bin").lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(
        lines[0],
        "server.JWT_ALGORITHM (authkit.toml): is not a setting of this version; in this file it is called tokens.algorithm"
    );
    assert!(lines[1].starts_with("AUTHKIT_SMS_URI (.env line 1): is not a setting of this version"));
    let near = env(&[("AUTHKIT_LISTN", "x")]).lines();
    assert!(near[0].ends_with("did you mean AUTHKIT_LISTEN?"), "{near:?}");
}

#[test]
fn a_dotenv_that_cannot_mean_what_it_says_is_refused() {
    for (text, start) in [
        ("JWT_ALGORITHM", ".env line 1: "),
        ("AUTHKIT_LOG=info\nAUTHKIT_LOG=warn", "AUTHKIT_LOG (.env line 2): is set already in line 1"),
        ("AUTHKIT_AUDIENCE=${HOST}", "AUTHKIT_AUDIENCE (.env line 1): asks for a substitution"),
        ("AUTHKIT_AUDIENCE=\"canary", ".env line 1: the quote is never closed"),
    ] {
        let lines = Place::new().file(".env", text).lines();
        assert!(lines.len() == 1 && lines[0].starts_with(start) && !lines[0].contains("canary"), "{lines:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_by_name() {
    let mut place = Place::new();
    place.environment.push(("AUTHKIT_AUDIENCE".into(), OsString::from_vec(vec![0x66, 0xff])));
    // A foreign variable may hold what it likes.
    place.environment.push((OsString::from_vec(vec![0xff]), OsString::from_vec(vec![0xff])));
    assert_eq!(place.lines(), ["AUTHKIT_AUDIENCE (environment): is not UTF-8; write it in UTF-8"]);
    fs::write(place.dir.path().join(".env"), [0xff]).unwrap();
    assert!(place.lines()[0].starts_with(".env: is not UTF-8"));
}

#[test]
fn the_links_of_kubernetes_are_not_taken_for_settings() {
    let settings = env(&[
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("AUTHKIT_PORT", "tcp://10.0.0.2:80"),
        ("AUTHKIT_SERVICE_HOST", "10.0.0.2"),
    ]);
    assert!(settings.load().unwrap().redis.is_none());
}

#[test]
fn no_secret_is_shown_by_any_way_to_print_settings() {
    let key = master_key("visible-name");
    let secret = key.split_once(':').unwrap().1.to_owned();
    let settings = Place::new()
        .file(".env", &format!("JWT_ALGORITHM=HS256\nJWT_SECRET_KEY=canary-one-{SECRET}\nAUTHKIT_MASTER_KEYS={key}\n"))
        .env("REDIS_URL", "redis://:canary-two@r:6379")
        .load()
        .unwrap();
    let json: Vec<String> = settings.entries().iter().map(|entry| entry.to_json().to_string()).collect();
    let banner = crate::banner::Banner::new(&settings, settings.listen).to_string();
    let shown = format!("{}{json:?}{settings:?}{settings:#?}{banner}", entry::as_text(settings.entries()));
    for canary in ["canary", SECRET, &secret, "99, 97, 110"] {
        assert!(!shown.contains(canary), "{canary}");
    }
    for told in ["JWT_SECRET_KEY", "(set)", "visible-name", "redis://:***@r:6379"] {
        assert!(shown.contains(told), "{told}");
    }
}

#[test]
fn pages_of_operations_are_open_only_while_nobody_else_can_reach_them() {
    let open = |pairs: &[(&str, &str)]| {
        let settings = env(pairs).load().unwrap();
        (settings.docs_are_open(), settings.metrics_are_open())
    };
    assert_eq!(open(&[]), (true, true));
    assert_eq!(open(&[("AUTHKIT_LISTEN", "[::1]:8000")]), (true, true));
    assert_eq!(open(&[("AUTHKIT_LISTEN", "0.0.0.0:8000")]), (false, false));
    // A proxy on this machine makes a loopback listener public.
    assert_eq!(open(&[("AUTHKIT_PUBLIC_URL", "https://auth.shop.com")]), (false, false));
    assert_eq!(open(&[("AUTHKIT_TRUSTED_PROXIES", "127.0.0.1")]), (false, false));
    assert_eq!(open(&[("AUTHKIT_LISTEN", "0.0.0.0:8000"), ("AUTHKIT_EXPOSE_DOCS", "on")]), (true, false));
    assert_eq!(open(&[("AUTHKIT_EXPOSE_METRICS", "off")]), (true, false));
}

#[test]
fn what_works_and_should_be_known_is_warned_of() {
    let warned = |pairs: &[(&str, &str)], of: &str| {
        let warnings = env(pairs).load().unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(of), "{warnings:?}");
    };
    warned(&[("AUTHKIT_LISTEN", "0.0.0.0:8000")], "AUTHKIT_PUBLIC_URL is http://localhost:8000");
    warned(&[("AUTHKIT_PUBLIC_URL", "http://192.168.0.7:8000")], "in the clear");
    warned(&[("AUTHKIT_PUBLIC_URL", "https://auth.shop.com")], "AUTHKIT_TRUSTED_PROXIES is empty");
    warned(&[("DATABASE_URL", "postgresql://app:p4ss@db.internal/users")], "sslmode=verify-full");
    warned(&[("AUTHKIT_PASSWORD_MIN_SCORE", "1")], "AUTHKIT_PASSWORD_MIN_SCORE is 1");
    warned(&[("AUTHKIT_RATE_LIMITING", "off")], "AUTHKIT_RATE_LIMITING is off");
}

#[test]
fn the_table_has_one_name_and_one_key_for_each_setting_and_says_what_it_means() {
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    for setting in TABLE {
        assert!(names.insert(setting.env) && keys.insert(setting.key), "{} is declared twice", setting.env);
        assert!(setting.doc().ends_with('.') && setting.doc().len() > 15, "{}", setting.env);
        assert_eq!(setting.key.split('.').count(), 2, "{}", setting.key);
    }
    // The contract of the HTTP API fixes these.
    for fixed in [
        "DATABASE_URL",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "JWT_ALGORITHM",
        "JWT_SECRET_KEY",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "AUTHKIT_LISTEN",
        "AUTHKIT_DATA_DIR",
        "AUTHKIT_MASTER_KEYS",
        "AUTHKIT_PUBLIC_URL",
        "AUTHKIT_TRUSTED_PROXIES",
        "AUTHKIT_RATE_LIMITING",
        "AUTHKIT_LOG",
        "AUTHKIT_LOG_FORMAT",
    ] {
        assert!(names.contains(fixed), "{fixed}");
    }
}

/// After a change of the table: `cargo run -p authkit-server -- config --format env-example > .env.example`.
#[test]
fn env_example_is_what_the_table_says() {
    let golden = include_str!("../../../.env.example");
    assert_eq!(golden, env_example(), "run `cargo run -p authkit-server -- config --format env-example > .env.example`");
}

#[test]
fn env_example_can_be_copied_and_uncommented() {
    assert!(Place::new().file(".env", &env_example()).load().is_ok());
    // The defaults that it names are the defaults: uncommented, they change nothing.
    let uncommented: String = env_example()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with([' ', '#']) && !line.ends_with('='))
        .map(|line| format!("{line}\n"))
        .collect();
    // Both belong to something that the defaults do not have.
    let chosen = uncommented.replace("REDIS_PORT=6379\n", "").replace("AUTHKIT_DATABASE_CONNECTIONS=16\n", "");
    assert!(chosen.lines().count() > 15);
    let (set, unset) = (Place::new().file(".env", &chosen).load().unwrap(), Place::new().load().unwrap());
    assert_eq!(format!("{:?}", set.core_config()), format!("{:?}", unset.core_config()));
    assert_eq!((set.listen, set.warnings), (unset.listen, unset.warnings));
}
