//! Settings as they are shown: by `authkit-server config`, and in `.env.example`.

use std::fmt::Write as _;

use url::Url;

use super::Settings;
use super::origin::{Origin, Raw};
use super::table::{DefaultValue, Setting, TABLE, Visibility};

/// One setting with its value in force.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// What it is.
    pub setting: &'static Setting,
    /// Its value as it may be shown; `None`: not set.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

impl Entry {
    /// Shows one setting.
    ///
    /// # Security
    /// A secret is told to be set, and nothing more: not its length, and no part of it.
    pub(super) fn of(setting: &'static Setting, raw: Option<&Raw>, settings: &Settings) -> Self {
        let value = match (raw, setting.visibility) {
            (Some(_), Visibility::Secret) => Some(secret_hint(setting, settings)),
            (Some(raw), Visibility::Url) => Some(without_password(raw.expose())),
            (Some(raw), Visibility::Public) => Some(raw.expose().to_owned()),
            (None, _) => match setting.default {
                DefaultValue::Text(text) => Some(text.to_owned()),
                DefaultValue::Derived(_) => derived(setting.env, settings),
                DefaultValue::Unset(_) => None,
            },
        };
        let origin = raw.map_or(Origin::Default, |raw| raw.origin.clone());
        Self { setting, value, origin }
    }

    /// What `--format json` prints.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let (default, default_is) = match self.setting.default {
            DefaultValue::Text(text) => (Some(text), None),
            DefaultValue::Derived(text) | DefaultValue::Unset(text) => (None, Some(text)),
        };
        serde_json::json!({
            "name": self.setting.env,
            "key": self.setting.key,
            "section": self.setting.section.title(),
            "value": self.value,
            "source": self.origin.to_string(),
            "default": default,
            "default_is": default_is,
            "secret": self.setting.visibility == Visibility::Secret,
            "description": self.setting.doc(),
        })
    }
}

/// What `authkit-server config` prints.
#[must_use]
pub(crate) fn as_text(entries: &[Entry]) -> String {
    let mut text = String::from("# The environment wins over .env, which wins over authkit.toml, which wins over the default.\n");
    let mut section = None;
    let width = entries.iter().map(|entry| entry.setting.env.len()).max().unwrap_or(0);
    for entry in entries {
        if section.replace(entry.setting.section) != Some(entry.setting.section) {
            let _ = writeln!(text, "\n# {}", entry.setting.section.title());
        }
        let value = entry.value.as_deref().map_or_else(|| "-".to_owned(), printable);
        let source = match (&entry.origin, entry.setting.default) {
            (Origin::Default, DefaultValue::Text(_)) => "default".to_owned(),
            (Origin::Default, DefaultValue::Derived(what)) => format!("default: {what}"),
            (Origin::Default, DefaultValue::Unset(what)) => format!("not set: {what}"),
            (origin, DefaultValue::Text("")) => format!("{origin}; default: none"),
            (origin, DefaultValue::Text(default) | DefaultValue::Derived(default)) => format!("{origin}; default: {default}"),
            (origin, DefaultValue::Unset(_)) => format!("{origin}; default: not set"),
        };
        let _ = writeln!(text, "{:width$} = {value}  [{source}]", entry.setting.env);
    }
    text
}

/// The text of `.env.example`: every setting with its meaning and its default, all commented out.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every setting of authkit-server. Copy this file to .env and take the # away from what should differ.\n\
         # The environment wins over .env, .env over authkit.toml, authkit.toml over the defaults that stand here.\n\
         # Made by `authkit-server config --format env-example`.\n",
    );
    let mut section = None;
    for setting in TABLE {
        if section.replace(setting.section) != Some(setting.section) {
            let _ = writeln!(text, "\n## {}", setting.section.title());
        }
        let (value, meaning) = match setting.default {
            DefaultValue::Text("") => ("", Some("none")),
            DefaultValue::Text(default) => (default, None),
            DefaultValue::Derived(what) | DefaultValue::Unset(what) => ("", Some(what)),
        };
        let mut doc = setting.doc();
        if let Some(meaning) = meaning {
            let _ = write!(doc, " Default: {meaning}.");
        }
        let _ = write!(doc, " In authkit.toml: {}.", setting.key);
        text.push('\n');
        wrap(&doc, 110, &mut text);
        let _ = writeln!(text, "#{}={value}", setting.env);
    }
    text
}

/// Breaks a paragraph into comment lines of at most `width` characters.
fn wrap(paragraph: &str, width: usize, out: &mut String) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if column == 0 || column + 1 + length > width {
            out.push_str(if column == 0 { "# " } else { "\n# " });
            column = 2;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// The value of a setting that nobody set and that follows from others.
fn derived(env: &str, settings: &Settings) -> Option<String> {
    match env {
        "AUTHKIT_PUBLIC_URL" => Some(settings.public_url.to_string()),
        "DATABASE_URL" => Some(settings.database.to_string()),
        "AUTHKIT_AUDIENCE" => Some(settings.audience.clone()),
        "AUTHKIT_HASHING_THREADS" => Some(settings.hashing_threads.to_string()),
        "AUTHKIT_LOG_FORMAT" => Some(settings.log_format.as_str().to_owned()),
        _ => None,
    }
}

fn secret_hint(setting: &Setting, settings: &Settings) -> String {
    match (setting.env, &settings.master_keys) {
        // The names of master keys are no secret, and which one is the newest is what an operator wants to see.
        ("AUTHKIT_MASTER_KEYS", Some(keys)) => {
            format!("(set: {})", keys.iter().map(|key| key.id().as_str()).collect::<Vec<_>>().join(", "))
        }
        ("AUTHKIT_PASSWORD_PEPPERS", _) => {
            format!("(set: {})", settings.password_peppers.ids().collect::<Vec<_>>().join(", "))
        }
        _ => "(set)".to_owned(),
    }
}

/// A URL with its password struck out.
fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.password().is_none() => text.to_owned(),
        Ok(mut url) => url.set_password(Some("***")).map_or_else(|()| "(set)".to_owned(), |()| url.into()),
        // A relative sqlite: path may be no URL in the strict sense, and never has a password.
        Err(_) if text.starts_with("sqlite:") => text.to_owned(),
        Err(_) => "(set)".to_owned(),
    }
}

/// One line, without control characters, whatever the value is.
fn printable(value: &str) -> String {
    if value.is_empty() {
        return "(none)".to_owned();
    }
    value.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
