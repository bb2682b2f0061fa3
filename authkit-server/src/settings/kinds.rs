//! The settings that are one of a few words.

use std::collections::BTreeSet;

use authkit_core::PhoneNumber;
use authkit_core::config::MfaPolicy;
use authkit_core::config::{
    BreachListFailure, FirebaseSignerKeys, HashingConfig, HmacSecret, HmacSecretError, PasswordProfile, Peppers,
};
use authkit_core::model::{FactorKind, FactorSet};
use tracing_subscriber::EnvFilter;

use super::parse;
use super::problem::Refusal;
use crate::audit_stream::AuditTarget;
use crate::breach::BreachSource;
use crate::sms::GatewayUrl;
use crate::telemetry::LogFormat;

/// How access tokens are signed, as it is named in a JWT (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA.
    Rs256,
    /// HMAC under a shared secret.
    Hs256,
}

const ALGORITHMS: [(&str, JwtAlgorithm); 4] = [
    ("ES256", JwtAlgorithm::Es256),
    ("EdDSA", JwtAlgorithm::EdDsa),
    ("RS256", JwtAlgorithm::Rs256),
    ("HS256", JwtAlgorithm::Hs256),
];

impl JwtAlgorithm {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.eq_ignore_ascii_case("none") {
            return Err(Refusal::new("would leave tokens unsigned", "use ES256, EdDSA, RS256 or HS256"));
        }
        parse::choice(text, &ALGORITHMS)
    }

    /// The name in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

/// Reads the secret of HS256: the bytes of the text as it stands, as other JWT libraries take it.
pub(super) fn hmac_secret(text: &str) -> Result<HmacSecret, Refusal> {
    const FIX: &str = "make one with `openssl rand -base64 48` or `authkit-server keys generate-secret`";
    let with_fix = |what: String| Refusal::new(what, FIX);
    if text.trim() != text {
        return Err(with_fix("the secret has white space around it, which other verifiers may not keep".into()));
    }
    let secret = HmacSecret::new(text.as_bytes().to_vec()).map_err(|error| match error {
        HmacSecretError::TooShort { bytes: 0 } => with_fix("the secret is empty".into()),
        other => with_fix(other.to_string()),
    })?;
    parse::not_a_placeholder(text).map_err(|_| with_fix("the secret is the placeholder of an example".into()))?;
    Ok(secret)
}

/// Reads the peppers.
pub(super) fn peppers(text: &str) -> Result<Peppers, Refusal> {
    Peppers::parse_list(text)
        .map_err(|error| Refusal::new(error.to_string(), "make one with `authkit-server keys generate-pepper`"))
}

/// Reads the signer keys of Firebase.
pub(super) fn signer_keys(text: &str) -> Result<FirebaseSignerKeys, Refusal> {
    const FIX: &str = "write NAME:KEY with the base64_signer_key that Firebase shows";
    FirebaseSignerKeys::parse_list(text).map_err(|error| Refusal::new(error.to_string(), FIX))
}

/// Reads the format of a hash that is imitated.
pub(super) fn imitated_hash(text: &str) -> Result<String, Refusal> {
    let text = parse::line(text)?;
    if authkit_core::password::is_imitable(text, &HashingConfig::default()) {
        Ok(text.to_owned())
    } else {
        Err(Refusal::new("is no format of a hash within the limits", "write it as in bcrypt,12 or pbkdf2,sha256,260000,32"))
    }
}

/// Reads where breached passwords are looked up.
pub(super) fn breach_list(text: &str) -> Result<Option<BreachSource>, Refusal> {
    const FIX: &str = "use off, https://api.pwnedpasswords.com or file:/path";
    if text == "off" || text == "false" {
        return Ok(None);
    }
    BreachSource::parse(text).map(Some).map_err(|error| Refusal::new(error.to_string(), FIX))
}

/// Where the audit log is handed on to; `off` is nowhere.
pub(super) fn audit_stream(text: &str) -> Result<Option<AuditTarget>, Refusal> {
    const FIX: &str =
        "use off, file:/path, syslog:///dev/log, syslog+udp://host:514, syslog+tcp://host:601 or syslog+tls://host:6514";
    if text == "off" || text == "false" {
        return Ok(None);
    }
    AuditTarget::parse(parse::line(text)?).map(Some).map_err(|error| Refusal::new(error.to_string(), FIX))
}

/// What becomes of a new password while the list cannot be asked.
pub(super) fn breach_list_failure(text: &str) -> Result<BreachListFailure, Refusal> {
    parse::choice(text, &[("open", BreachListFailure::Open), ("closed", BreachListFailure::Closed)])
}

/// Reads a list of origins. Whether passkeys can be used there is checked with the RP ID.
pub(super) fn origins(text: &str) -> Result<Vec<String>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|origin| parse::line(origin.trim()).map(str::to_owned)).collect()
}

/// What happens when a used refresh token comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    Strict,
    Grace,
}

pub(super) fn reuse(text: &str) -> Result<Reuse, Refusal> {
    parse::choice(text, &[("grace", Reuse::Grace), ("strict", Reuse::Strict)])
}

pub(super) fn profile(text: &str) -> Result<PasswordProfile, Refusal> {
    parse::choice(text, &[("standard", PasswordProfile::Standard), ("nist-800-63b-4", PasswordProfile::Nist80063b4)])
}

/// Who may open a page of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposure {
    /// Open while only this machine can reach the listener.
    Auto,
    /// Open.
    On,
    /// Closed.
    Off,
}

pub(super) fn exposure(text: &str) -> Result<Exposure, Refusal> {
    parse::choice(text, &[("auto", Exposure::Auto), ("on", Exposure::On), ("off", Exposure::Off)])
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Refusal> {
    parse::choice(text, &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)])
}

/// Whether whoever comes may make an account.
pub(super) fn registration(text: &str) -> Result<bool, Refusal> {
    parse::choice(text, &[("open", true), ("closed", false)])
}

pub(super) fn switch(text: &str) -> Result<bool, Refusal> {
    parse::choice(text, &[("on", true), ("off", false)])
}

/// Checks a log filter (`info`, `warn,authkit_server=debug`).
///
/// A single word that is no level is refused, though the filter's language reads it as "everything of the module of that
/// name": it is a misspelt level, and the log would be silent.
pub(super) fn log_filter(text: &str) -> Result<String, Refusal> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = parse::line(text)?;
    let refusal = || Refusal::new("is not a log filter", "write it as in info, or warn,authkit_server=debug");
    let is_directive = |part: &str| {
        // Only the fields of a span, in brackets, may contain white space.
        part.contains('[') || (part.contains('=') && !part.contains(char::is_whitespace))
    };
    let is_level = |part: &str| LEVELS.contains(&part.to_ascii_lowercase().as_str());
    let is_sane = text.split(',').map(str::trim).all(|part| is_directive(part) || is_level(part));
    if !is_sane || EnvFilter::try_new(text).is_err() {
        return Err(refusal());
    }
    Ok(text.to_owned())
}

/// The URL of an SMTP server. What cannot be read is not shown: it may hold a password.
pub(super) fn smtp_url(text: &str) -> Result<secrecy::SecretString, Refusal> {
    const FORM: &str = "write it as in smtps://user:password@host:465, or smtp://user:password@host:587?tls=required";
    let text = parse::line(text)?;
    if !text.starts_with("smtp://") && !text.starts_with("smtps://") {
        return Err(Refusal::new("is not the URL of an SMTP server", FORM));
    }
    lettre::AsyncSmtpTransport::<lettre::Tokio1Executor>::from_url(text)
        .map(|_| text.to_owned().into())
        .map_err(|_| Refusal::new("is not the URL of an SMTP server", FORM))
}

/// Of whom a second factor is demanded.
pub(super) fn mfa_policy(text: &str) -> Result<MfaPolicy, Refusal> {
    let choices = [("roles", MfaPolicy::Roles), ("admins", MfaPolicy::Administrators), ("all", MfaPolicy::Everybody)];
    parse::choice(text, &choices)
}

/// The factors that can be turned on.
pub(super) fn mfa_factors(text: &str) -> Result<FactorSet, Refusal> {
    const FIX: &str = "use totp, email and sms, separated by commas";
    let mut factors = FactorSet::NONE;
    for name in text.split(',').map(str::trim) {
        match FactorKind::from_name(name) {
            Some(kind @ (FactorKind::Totp | FactorKind::Email | FactorKind::Sms)) => factors = factors.with(kind),
            _ => return Err(Refusal::new("names what is no such factor", FIX)),
        }
    }
    Ok(factors)
}

/// What the service is called.
pub(super) fn service_name(text: &str) -> Result<String, Refusal> {
    let text = parse::line(text)?.trim();
    if text.is_empty() || text.chars().count() > 64 || text.contains(':') {
        return Err(Refusal::new("is no name that apps show", "use 1 to 64 characters without a colon"));
    }
    Ok(text.to_owned())
}

/// The gateway for text messages.
pub(super) fn sms_url(text: &str) -> Result<GatewayUrl, Refusal> {
    let fix = "write it as in https://sms.my-company.com/send";
    GatewayUrl::parse(parse::line(text)?).map_err(|error| Refusal::new(error.to_string(), fix))
}

/// What is sent to the gateway is signed with this.
pub(super) fn sms_token(text: &str) -> Result<secrecy::SecretString, Refusal> {
    const FIX: &str = "make one with `openssl rand -base64 48` and tell the gateway";
    if text.trim() != text || text.len() < 16 {
        return Err(Refusal::new("is shorter than 16 bytes, or has white space around it", FIX));
    }
    parse::not_a_placeholder(text).map_err(|_| Refusal::new("is the placeholder of an example", FIX))?;
    Ok(text.to_owned().into())
}

/// Calling codes of countries.
pub(super) fn sms_countries(text: &str) -> Result<BTreeSet<u16>, Refusal> {
    let code = |part: &str| part.trim().trim_start_matches('+').parse().ok().filter(|code| PhoneNumber::is_country(*code));
    let codes: Option<BTreeSet<u16>> = text.split(',').map(code).collect();
    codes.ok_or_else(|| Refusal::new("names what is no calling code of a country", "write them as in 49,43,41"))
}

/// A sender: an address, or a name and an address.
pub(super) fn mailbox(text: &str) -> Result<lettre::message::Mailbox, Refusal> {
    let fix = "write it as in AuthKit <no-reply@my-company.com>";
    parse::line(text)?.parse().map_err(|_| Refusal::new("is not a name and an email address", fix))
}

/// The sender where nobody has named one, whose mails are files.
pub(super) fn nobody() -> lettre::message::Mailbox {
    "AuthKit <no-reply@localhost>".parse().expect("a constant mailbox")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_instead_of_silencing_the_log() {
        for text in ["info", "WARN", "warn,authkit_server=debug", "info,[request]=debug"] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["inof", "", "info,", "authkit=loud", "authkit_server", "info authkit=debug"] {
            assert!(log_filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_algorithm_is_read_as_it_is_shown_and_none_is_refused() {
        for (name, algorithm) in ALGORITHMS {
            assert_eq!(JwtAlgorithm::parse(name), Ok(algorithm));
            assert_eq!(algorithm.as_str(), name);
        }
        for text in ["none", "None", "es256", "HS512", "ES256 ", ""] {
            assert!(JwtAlgorithm::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_long_placeholder_is_no_secret() {
        assert!(hmac_secret("your_secret_key_your_secret_key_your_secret_key").is_err());
        assert!(hmac_secret("change-me-to-something-long-and-unguessable").is_err());
        assert!(hmac_secret("q8Zr+0c5Qm1xZ0T9yq2nVwKc7B4dS6fG").is_ok());
    }
}
