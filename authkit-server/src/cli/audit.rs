//! What the command line says about the audit log: how it is verified, exported and purged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use authkit_core::audit::record;
use authkit_core::flows::{AuditAnchor, VerifyOptions};
use authkit_core::model::{AuditAction, AuditFilter, Outcome};
use authkit_core::token::SealVerifier;
use authkit_core::{RequestId, Timestamp, UserId};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::args::{ExportArgs, ExportFormat, PurgeArgs, VerifyArgs};

/// What `audit` does with the store, checked as far as that goes without one.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuditOperation {
    /// Verify the chain.
    Verify(VerifyOptions),
    /// Print its end.
    Anchor,
    /// Print the public keys.
    Keys,
    /// Seal.
    Seal,
    /// Forget what is older.
    Purge {
        /// Than this.
        older_than: Duration,
        /// Only say what would go.
        dry_run: bool,
    },
    /// Write events out.
    Export {
        /// Which.
        filter: AuditFilter,
        /// As CSV, not as JSON lines.
        csv: bool,
        /// And the seals behind them.
        with_seals: bool,
    },
    /// Say why a request was refused.
    Explain(RequestId),
}

/// Reads the arguments of `audit verify`.
pub(super) fn verify(args: &VerifyArgs) -> Result<AuditOperation, String> {
    let mut options = VerifyOptions::default();
    options.from_seal = args.from_seal.unwrap_or(0);
    options.anchor = args.anchor.as_deref().map(anchor).transpose()?;
    if let Some(file) = &args.public_key {
        options.trusted = public_keys(file)?;
    }
    Ok(AuditOperation::Verify(options))
}

fn anchor(text: &str) -> Result<AuditAnchor, String> {
    let parsed = text
        .split_once(':')
        .and_then(|(number, digest)| Some(AuditAnchor { number: number.parse().ok()?, digest: record::decode(digest.trim())? }));
    parsed.ok_or_else(|| "--anchor is NUMBER:DIGEST, as `authkit-server audit anchor` prints it".to_owned())
}

fn public_keys(file: &Path) -> Result<Vec<SealVerifier>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("--public-key {}: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Result<Vec<_>, _> = lines.map(SealVerifier::from_jwk).collect();
    let keys = keys.map_err(|error| format!("--public-key {}: {error}", file.display()))?;
    if keys.is_empty() { Err(format!("--public-key {}: there is no key in it", file.display())) } else { Ok(keys) }
}

/// Reads the arguments of `audit purge`.
pub(super) fn purge(args: &PurgeArgs) -> Result<AuditOperation, String> {
    let days = |text: &str| text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).map(|days| days.saturating_mul(24));
    let hours = |text: &str| text.strip_suffix('h').and_then(|hours| hours.parse::<u64>().ok());
    let age = days(&args.older_than).or_else(|| hours(&args.older_than)).filter(|age| (24..=24 * 36_500).contains(age));
    let age = age.ok_or("--older-than is a number of days or hours of at least a day, as in 365d or 48h")?;
    Ok(AuditOperation::Purge { older_than: Duration::from_hours(age), dry_run: !args.yes })
}

/// Reads the arguments of `audit export`.
pub(super) fn export(args: &ExportArgs) -> Result<AuditOperation, String> {
    let csv = args.format == ExportFormat::Csv;
    if csv && args.with_seals {
        return Err("--with-seals is for --format jsonl".to_owned());
    }
    let mut filter = AuditFilter::new().oldest_first();
    if let Some(text) = &args.from {
        filter = filter.since(instant("--from", text)?);
    }
    if let Some(text) = &args.to {
        filter = filter.until(instant("--to", text)?);
    }
    if let Some(text) = &args.actor {
        filter = filter.actor(user("--actor", text)?);
    }
    if let Some(text) = &args.subject {
        filter = filter.subject(user("--subject", text)?);
    }
    if let Some(text) = &args.action {
        let names = || AuditAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
        filter = filter.action(AuditAction::from_name(text).ok_or_else(|| format!("--action is one of {}", names()))?);
    }
    if let Some(text) = &args.outcome {
        filter = filter.outcome(Outcome::from_name(text).ok_or("--outcome is success or failure")?);
    }
    if let Some(text) = &args.request_id {
        filter = filter.request_id(request_id(text)?);
    }
    Ok(AuditOperation::Export { filter, csv, with_seals: args.with_seals })
}

/// Reads the id of a request.
pub(super) fn request_id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "--request-id is 8 to 64 characters of A-Z a-z 0-9 . _ -".to_owned())
}

/// Reads an instant as RFC 3339 has it.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
    Timestamp::deserialize(deserializer).ok()
}

fn instant(name: &str, text: &str) -> Result<Timestamp, String> {
    timestamp(text).ok_or_else(|| format!("{name} is an instant as in 2026-01-31T00:00:00Z"))
}

fn user(name: &str, text: &str) -> Result<UserId, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}
