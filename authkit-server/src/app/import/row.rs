//! One row, in words: what each column means, and what is wrong with a value.

use std::fmt::Display;

use authkit_core::flows::AccountImport;
use authkit_core::model::UserStatus;
use authkit_core::{Email, FullName, Locale, PasswordHash, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::lines::{LINE_BYTES, Line};

/// The most bytes of what an account was called elsewhere.
const EXTERNAL_ID_BYTES: usize = 256;

/// A column of a CSV file, or a member of a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Email,
    EmailVerified,
    EmailVerifiedAt,
    FullName,
    Locale,
    Status,
    CreatedAt,
    PasswordHash,
    ExternalId,
    Roles,
}

impl Column {
    const NAMES: [(&str, Self); 10] = [
        ("email", Self::Email),
        ("email_verified", Self::EmailVerified),
        ("email_verified_at", Self::EmailVerifiedAt),
        ("full_name", Self::FullName),
        ("locale", Self::Locale),
        ("status", Self::Status),
        ("created_at", Self::CreatedAt),
        ("password_hash", Self::PasswordHash),
        ("external_id", Self::ExternalId),
        ("roles", Self::Roles),
    ];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, column)| column)
    }

    /// Whether a name says that it holds passwords as they are typed.
    pub(super) fn is_plain_text(name: &str) -> bool {
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        ["password", "plaintextpassword", "passwordplain", "plainpassword", "cleartextpassword", "passwd", "pwd"]
            .contains(&letters.to_ascii_lowercase().as_str())
    }
}

/// Why a line is no account. The reason never repeats a hash, or what may be a password.
#[derive(Debug)]
pub(super) struct RowError {
    /// The address, where one could be read.
    pub(super) email: String,
    pub(super) reason: String,
}

impl RowError {
    pub(super) fn of_line(reason: impl Into<String>) -> Self {
        Self { email: String::new(), reason: reason.into() }
    }

    pub(super) fn plain_text(name: &str) -> Self {
        Self::of_line(format!(
            "{name}: passwords in plain text are never imported: have them hashed where they are, or let the user set a new one"
        ))
    }

    pub(super) fn about(mut self, email: Option<&String>) -> Self {
        self.email = email.cloned().unwrap_or_default();
        self
    }
}

impl Line {
    /// Its text, if it is one.
    pub(super) fn text(self) -> Result<String, RowError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::TooLong => Err(RowError::of_line(format!("the line has more than {LINE_BYTES} bytes"))),
            Self::NotUtf8 => Err(RowError::of_line("the line is not UTF-8")),
        }
    }
}

/// The values of a row, by column.
#[derive(Debug, Default)]
pub(super) struct Row(Vec<(Column, String)>);

impl Row {
    pub(super) fn of(values: impl IntoIterator<Item = (Column, String)>) -> Self {
        Self(values.into_iter().collect())
    }

    fn value(&self, column: Column) -> Option<&str> {
        self.0.iter().find(|(named, _)| *named == column).map(|(_, value)| value.as_str())
    }

    /// The account that it describes, and what it was called elsewhere.
    pub(super) fn into_account(self, source: String) -> Result<(AccountImport, Option<String>), RowError> {
        let email = self.value(Column::Email).unwrap_or_default();
        self.account(source).map_err(|reason| RowError { email: email.to_owned(), reason })
    }

    fn account(&self, source: String) -> Result<(AccountImport, Option<String>), String> {
        let email = self.value(Column::Email).ok_or("email: is missing")?;
        let mut account = AccountImport::new(Email::parse(email).map_err(said("email"))?);
        account.full_name = self.value(Column::FullName).map(FullName::parse).transpose().map_err(said("full_name"))?;
        account.locale = self.value(Column::Locale).map(Locale::parse).transpose().map_err(said("locale"))?;
        if let Some(status) = self.value(Column::Status) {
            account.status = UserStatus::from_name(status).ok_or("status: is neither active nor suspended")?;
        }
        account.created_at = self.value(Column::CreatedAt).map(instant).transpose().map_err(said("created_at"))?;
        let verified_at = self.value(Column::EmailVerifiedAt).map(instant).transpose().map_err(said("email_verified_at"))?;
        account.email_verified_at = match (self.value(Column::EmailVerified).map(flag).transpose()?, verified_at) {
            (Some(false), Some(_)) => return Err("email_verified: says no, and email_verified_at says when".to_owned()),
            (None | Some(true), Some(at)) => Some(at),
            // When is not known: at the latest now, at the earliest when the account was made.
            (Some(true), None) => Some(account.created_at.unwrap_or(authkit_core::Clock::now(&authkit_core::SystemClock))),
            (None | Some(false), None) => None,
        };
        account.password_hash = self.value(Column::PasswordHash).map(|hash| PasswordHash::from_phc(hash.trim().to_owned()));
        let roles = self.value(Column::Roles).unwrap_or_default().split([' ', ';']).filter(|name| !name.is_empty());
        account.roles = roles.map(str::parse).collect::<Result<_, _>>().map_err(said("roles"))?;
        let external_id = self.value(Column::ExternalId).map(str::to_owned);
        if external_id.as_ref().is_some_and(|id| id.len() > EXTERNAL_ID_BYTES || id.chars().any(char::is_control)) {
            return Err(format!("external_id: has more than {EXTERNAL_ID_BYTES} bytes, or a control character"));
        }
        account.source = Some(match &external_id {
            Some(id) => format!("{source} {id}"),
            None => source,
        });
        Ok((account, external_id))
    }
}

fn said<E: Display>(column: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{column}: {error}")
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "f" | "n" => Ok(false),
        _ => Err("email_verified: is neither true nor false".to_owned()),
    }
}

fn instant(text: &str) -> Result<Timestamp, &'static str> {
    const EXPECTED: &str = "is not a time as in 2024-05-17T09:30:00Z (RFC 3339)";
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| EXPECTED)?;
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000).map_err(|_| EXPECTED)?;
    if micros < 0 {
        return Err("lies before 1970");
    }
    Ok(Timestamp::from_unix_micros(micros))
}
