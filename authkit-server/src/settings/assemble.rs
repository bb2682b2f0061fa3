//! Checks the settings against each other and puts them together.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use authkit_core::config::LimitConfig;
use authkit_core::config::PasskeyConfig;
use authkit_core::config::{Argon2Params, HashingConfig, ReusePolicy};
use authkit_core::model::FactorKind;

use authkit_core::passkey::{RelyingParty, RelyingPartyError};

use super::entry::Entry;
use super::kinds::{self, JwtAlgorithm, Reuse};
use super::problem::Problems;
use super::reading::Reading;
use super::sources::{Inputs, Sources};
use super::table::{Parsed, TABLE};
use super::{Database, PublicUrl, RedisEndpoint, Settings, parse};
use crate::audit_stream::AuditTarget;

/// OWASP Password Storage: pairs of memory in KiB and passes of argon2id that are as strong as each other.
const OWASP_ARGON2ID: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

pub(super) fn load(inputs: &Inputs) -> Result<Settings, Problems> {
    let mut problems = Vec::new();
    let sources = Sources::collect(inputs, &mut problems);
    let mut reading = Reading::new(&sources, &mut problems);
    let parsed = Parsed::read(&mut reading);
    check_signing(&parsed, &mut reading);
    check_database(&parsed, &mut reading);
    check_redis(&mut reading);
    check_sessions(&parsed, &mut reading);
    check_argon2(&parsed, &mut reading);
    check_guesses(&parsed, &mut reading);
    check_mail(&mut reading);
    check_passkeys(&parsed, &mut reading);
    if let Some(problems) = Problems::some(problems) {
        return Err(problems);
    }
    Ok(complete(parsed, &sources, &inputs.working_dir).expect("a value is missing only where a problem was noted"))
}

/// A secret belongs to HS256, and HS256 needs one.
fn check_signing(parsed: &Parsed, reading: &mut Reading<'_>) {
    let has_secret = reading.is_chosen("JWT_SECRET_KEY");
    match parsed.algorithm {
        Some(JwtAlgorithm::Hs256) if !has_secret => reading.refuse(
            "JWT_SECRET_KEY",
            "is needed by JWT_ALGORITHM=HS256 and not set",
            "make one with `openssl rand -base64 48` or `authkit-server keys generate-secret`",
        ),
        Some(other) if other != JwtAlgorithm::Hs256 && has_secret => reading.refuse(
            "JWT_SECRET_KEY",
            format!("is set while JWT_ALGORITHM is {}, which signs with generated keys and would ignore it", other.as_str()),
            "remove it, or set JWT_ALGORITHM=HS256",
        ),
        _ => {}
    }
}

/// SQLite has no connections to count.
fn check_database(parsed: &Parsed, reading: &mut Reading<'_>) {
    if reading.is_chosen("AUTHKIT_DATABASE_CONNECTIONS") && !matches!(parsed.database, Some(Some(Database::Postgres(_))) | None) {
        let what = "is set while DATABASE_URL names no PostgreSQL, and would be ignored";
        reading.refuse("AUTHKIT_DATABASE_CONNECTIONS", what, "remove it, or set DATABASE_URL=postgresql://…");
    }
}

/// One way to say where Redis is.
fn check_redis(reading: &mut Reading<'_>) {
    let (has_url, has_host) = (reading.is_chosen("REDIS_URL"), reading.is_chosen("REDIS_HOST"));
    for part in ["REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"] {
        if has_url && reading.is_chosen(part) {
            reading.refuse(part, "is set beside REDIS_URL, which says it already", "keep one of the two");
        } else if !has_url && !has_host && part != "REDIS_HOST" && reading.is_chosen(part) {
            reading.refuse(part, "is set without REDIS_HOST", "set REDIS_HOST too, or remove it");
        }
    }
}

fn check_sessions(parsed: &Parsed, reading: &mut Reading<'_>) {
    let show = parse::show_duration;
    if let (Some(idle), Some(absolute)) = (parsed.session_idle, parsed.session_absolute)
        && idle > absolute
    {
        let what = format!("is {} and longer than AUTHKIT_SESSION_ABSOLUTE_TIMEOUT ({})", show(idle), show(absolute));
        reading.refuse("AUTHKIT_SESSION_IDLE_TIMEOUT", what, "make it the shorter of the two");
    }
    if let (Some(idle), Some(minutes)) = (parsed.session_idle, parsed.access_minutes)
        && minutes_of(minutes) > idle
    {
        let what = format!("is {minutes} minutes, so that tokens outlive AUTHKIT_SESSION_IDLE_TIMEOUT ({})", show(idle));
        reading.refuse("ACCESS_TOKEN_EXPIRE_MINUTES", what, "make it the shorter of the two");
    }
    if parsed.refresh_reuse == Some(Reuse::Strict) && reading.is_chosen("AUTHKIT_REFRESH_GRACE") {
        let what = "is set while AUTHKIT_REFRESH_REUSE is strict, which knows no grace";
        reading.refuse("AUTHKIT_REFRESH_GRACE", what, "remove it, or set AUTHKIT_REFRESH_REUSE=grace");
    }
}

/// The cost of a hash is at least one of OWASP's.
fn check_argon2(parsed: &Parsed, reading: &mut Reading<'_>) {
    let (Some(memory), Some(passes)) = (parsed.argon2_memory, parsed.argon2_iterations) else { return };
    if !OWASP_ARGON2ID.iter().any(|(least_memory, least_passes)| memory >= *least_memory && passes >= *least_passes) {
        // Blame the one that was chosen; when both were, the memory.
        let env = if reading.is_chosen("AUTHKIT_ARGON2_MEMORY_KIB") {
            "AUTHKIT_ARGON2_MEMORY_KIB"
        } else {
            "AUTHKIT_ARGON2_ITERATIONS"
        };
        let what = format!("{memory} KiB with {passes} passes is weaker than each of OWASP's choices for argon2id");
        reading.refuse(env, what, "use 47104 and 1, 19456 and 2, 12288 and 3, 9216 and 4, 7168 and 5, or more");
    }
}

/// Wrong passwords put off the next one before they close the way.
fn check_guesses(parsed: &Parsed, reading: &mut Reading<'_>) {
    if let (Some(free), Some(most)) = (parsed.guesses_before_delay, parsed.guesses_at_most)
        && free > most
    {
        let what = format!("is {free} and more than AUTHKIT_GUESSES_AT_MOST ({most})");
        reading.refuse("AUTHKIT_GUESSES_BEFORE_DELAY", what, "make it the smaller of the two");
    }
}

/// Whoever sends says who she is.
fn check_mail(reading: &mut Reading<'_>) {
    if reading.is_chosen("AUTHKIT_SMTP_URL") && !reading.is_chosen("AUTHKIT_MAIL_FROM") {
        let fix = "set it to an address that the SMTP server may send from, as in AuthKit <no-reply@my-company.com>";
        reading.refuse("AUTHKIT_MAIL_FROM", "is needed by AUTHKIT_SMTP_URL and not set", fix);
    }
    if reading.is_chosen("AUTHKIT_SMTP_CA_FILE") && !reading.is_chosen("AUTHKIT_SMTP_URL") {
        let what = "is set while AUTHKIT_SMTP_URL is not, and would be ignored";
        reading.refuse("AUTHKIT_SMTP_CA_FILE", what, "remove it, or set AUTHKIT_SMTP_URL");
    }
    let fix = "set it to a secret that the gateway checks what it is sent with";
    if reading.is_chosen("AUTHKIT_SMS_URL") && !reading.is_chosen("AUTHKIT_SMS_TOKEN") {
        reading.refuse("AUTHKIT_SMS_TOKEN", "is needed by AUTHKIT_SMS_URL and not set", fix);
    }
}

/// Passkeys belong to a domain, and origins to it.
fn check_passkeys(parsed: &Parsed, reading: &mut Reading<'_>) {
    let (Some(url), Some(passkeys)) = (&parsed.public_url, passkeys(parsed)) else { return };
    // Whatever else the public URL is by default, its host is this one.
    let url = url.as_ref().map_or("http://localhost", PublicUrl::as_str);
    match RelyingParty::new(url, &passkeys) {
        Ok(_) => {}
        Err(RelyingPartyError::RpId) => reading.refuse(
            "AUTHKIT_RP_ID",
            "is no domain",
            "write the domain in lower case, without scheme and port, as in my-company.com",
        ),
        Err(_) => {
            let env = if passkeys.origins.is_empty() { "AUTHKIT_RP_ID" } else { "AUTHKIT_WEBAUTHN_ORIGINS" };
            let fix = "write https origins without path at AUTHKIT_RP_ID or below it, as in https://app.my-company.com";
            reading.refuse(env, "names no origin, or one at which passkeys of the RP ID cannot be used", fix);
        }
    }
}

fn passkeys(parsed: &Parsed) -> Option<PasskeyConfig> {
    let mut config = PasskeyConfig::default();
    config.rp_id = parsed.rp_id.clone()?;
    config.rp_name = parsed.rp_name.clone()?;
    config.origins = parsed.webauthn_origins.clone()?;
    Some(config)
}

fn complete(parsed: Parsed, sources: &Sources, working_dir: &Path) -> Option<Settings> {
    let limits = limits(&parsed)?;
    let passkeys = passkeys(&parsed)?;
    let listen = parsed.listen?;
    let public_url = parsed.public_url?.unwrap_or_else(|| PublicUrl::of_listener(listen));
    let data_dir = tidy(&working_dir.join(parsed.data_dir?));
    let database = parsed.database?.map_or_else(|| Database::in_data_dir(&data_dir), |database| database.resolved(working_dir));
    let port = u16::try_from(parsed.redis_port?).ok()?;
    let redis_password = parsed.redis_password?.flatten();
    let redis = match (parsed.redis_url?, parsed.redis_host?) {
        (Some(url), _) => Some(url),
        (None, Some(host)) => Some(RedisEndpoint::of_parts(&host, port, redis_password.as_ref())),
        (None, None) => None,
    };
    let mut settings = Settings {
        listen,
        audience: parsed.audience?.unwrap_or_else(|| public_url.as_str().to_owned()),
        public_url,
        trusted_proxies: parsed.trusted_proxies?,
        passkeys,
        max_connections: parsed.max_connections? as usize,
        max_connections_per_address: parsed.max_connections_per_address? as usize,
        drain_delay: parsed.drain_delay?,
        rate_limiting: parsed.rate_limiting?,
        registration_is_open: parsed.registration?,
        reveal_existing: parsed.reveal_existing?,
        limits,
        device_lifetime: parsed.device_lifetime?,
        keep_wrong_guesses: parsed.keep_wrong_guesses?,
        data_dir,
        database,
        database_connections: parsed.database_connections?,
        redis,
        redis_ca_file: parsed.redis_ca_file?.map(|path| working_dir.join(path)),
        algorithm: parsed.algorithm?,
        access_token_lifetime: minutes_of(parsed.access_minutes?),
        impersonation_lifetime: parsed.impersonation_lifetime?,
        master_keys: parsed.master_keys?,
        session_idle_timeout: parsed.session_idle?,
        session_absolute_timeout: parsed.session_absolute?,
        max_sessions_per_user: parsed.sessions_per_user?,
        refresh_reuse: match parsed.refresh_reuse? {
            Reuse::Strict => ReusePolicy::Strict,
            Reuse::Grace => ReusePolicy::Grace(parsed.refresh_grace?),
        },
        keep_ended_sessions: parsed.keep_sessions?,
        audit_seal_after: parsed.audit_seal_after?,
        audit_stream: parsed.audit_stream?.flatten().map(|target| target.resolved(working_dir)),
        audit_stream_ca_file: parsed.audit_stream_ca_file?.map(|path| working_dir.join(path)),
        smtp_url: parsed.smtp_url?,
        mfa_policy: parsed.mfa_required?,
        mfa_factors: parsed.mfa_factors?,
        mfa_service_name: parsed.mfa_service_name?,
        mfa_code_lifetime: parsed.mfa_code_lifetime?,
        mfa_trust_lifetime: parsed.mfa_trust_lifetime?,
        sms_gateway: parsed.sms_url?.zip(parsed.sms_token?),
        sms_countries: parsed.sms_countries?.unwrap_or_default(),
        mail_from: parsed.mail_from?.unwrap_or_else(kinds::nobody),
        smtp_ca_file: parsed.smtp_ca_file?.map(|path| working_dir.join(path)),
        templates_dir: parsed.templates_dir?.map(|path| working_dir.join(path)),
        password_profile: parsed.password_profile?,
        password_min_score: u8::try_from(parsed.password_min_score?).ok()?,
        password_peppers: parsed.password_peppers?.unwrap_or_default(),
        firebase_signer_keys: parsed.firebase_signer_keys?.unwrap_or_default(),
        imitated_hash: parsed.imitated_hash?,
        breach_list: parsed.breach_list?.flatten().map(|source| source.resolved(working_dir)),
        breach_list_failure: parsed.breach_list_failure?,
        argon2: Argon2Params { memory_kib: parsed.argon2_memory?, iterations: parsed.argon2_iterations?, ..Argon2Params::OWASP },
        hashing_threads: parsed.hashing_threads?.map_or_else(|| HashingConfig::default().threads, |n| n as usize),
        hashing_max_wait: parsed.hashing_max_wait?,
        expose_docs: parsed.expose_docs?,
        expose_metrics: parsed.expose_metrics?,
        log_filter: parsed.log?,
        log_format: parsed.log_format?.unwrap_or_else(crate::telemetry::LogFormat::for_stderr),
        warnings: Vec::new(),
        secret_key: parsed.secret_key?,
        entries: Vec::new(),
        files_with_secrets: sources.files_with_secrets.clone(),
    };
    settings.warnings = warnings(&settings);
    settings.entries = TABLE.iter().map(|setting| Entry::of(setting, sources.value(setting.env), &settings)).collect();
    Some(settings)
}

fn limits(parsed: &Parsed) -> Option<LimitConfig> {
    let mut limits = LimitConfig::default();
    limits.login_per_address = parsed.login_per_address?;
    limits.login_per_address_and_account = parsed.login_per_address_and_account?;
    limits.login_per_account = parsed.login_per_account?;
    limits.login_per_device = parsed.login_per_device?;
    limits.logins_per_node = parsed.logins_per_node?;
    limits.registration_per_address = parsed.registration_per_address?;
    limits.registrations_per_node = parsed.registrations_per_node?;
    limits.refresh_per_session = parsed.refresh_per_session?;
    limits.password_per_account = parsed.password_per_account?;
    limits.requests_per_address = parsed.requests_per_address?;
    limits.nodes = parsed.limit_nodes?;
    limits.guessing.free = parsed.guesses_before_delay?;
    limits.guessing.max_delay = parsed.guess_max_delay?;
    limits.guessing.at_most = parsed.guesses_at_most?;
    Some(limits)
}

/// What works and should be known.
fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    let url = &settings.public_url;
    if !settings.is_loopback() && url.is_loopback() {
        warnings.push(format!(
            "AUTHKIT_PUBLIC_URL is {url} while AUTHKIT_LISTEN is {}: links and tokens name a host that only this machine reaches",
            settings.listen
        ));
    } else if !url.is_https() && !url.is_loopback() {
        warnings
            .push(format!("AUTHKIT_PUBLIC_URL is {url}: passwords and tokens cross the local network in the clear; use https"));
    }
    if url.is_https() && settings.trusted_proxies.is_empty() {
        warnings.push(
            "AUTHKIT_PUBLIC_URL is https, so a proxy ends TLS in front of this server, but AUTHKIT_TRUSTED_PROXIES is empty: \
             every client seems to have the proxy's address"
                .to_owned(),
        );
    }
    if !settings.reveal_existing && settings.smtp_url.is_none() {
        warnings.push(
            "AUTHKIT_REVEAL_EXISTING is off while AUTHKIT_SMTP_URL is not set: nobody gets the mail that completes a registration"
                .to_owned(),
        );
    }
    if settings.mfa_factors.has(FactorKind::Sms) && settings.sms_gateway.is_none() {
        warnings.push("AUTHKIT_MFA_FACTORS has sms while AUTHKIT_SMS_URL is not set: nobody gets the codes".to_owned());
    }
    if !settings.rate_limiting {
        warnings.push("AUTHKIT_RATE_LIMITING is off: passwords can be guessed as fast as they can be hashed".to_owned());
    }
    if let Database::Postgres(postgres) = &settings.database
        && postgres.options().is_exposed()
    {
        warnings.push(
            "DATABASE_URL names another machine, and its certificate is not verified: who is on the network between can read and \
             change what crosses it; add ?sslmode=verify-full"
                .to_owned(),
        );
    }
    if settings.audit_stream.as_ref().is_some_and(AuditTarget::is_exposed) {
        warnings.push(
            "AUTHKIT_AUDIT_STREAM names another machine, and what is sent there is not encrypted: who is on the network between can \
             read who did what, and forge it; use syslog+tls"
                .to_owned(),
        );
    }
    if settings.algorithm == JwtAlgorithm::Hs256 {
        warnings.push("JWT_ALGORITHM is HS256: whoever can verify a token can also issue one; prefer ES256".to_owned());
    }
    if settings.password_min_score < 2 {
        warnings.push("AUTHKIT_PASSWORD_MIN_SCORE is 1: passwords of ten thousand guesses are accepted".to_owned());
    }
    warnings
}

fn minutes_of(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

/// Leaves out the `.` of a path, which only makes it harder to read.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}
