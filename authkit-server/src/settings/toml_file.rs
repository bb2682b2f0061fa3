//! `authkit.toml`, flattened to keys and texts.

use std::path::Path;

use config::{ConfigError, File, FileFormat, Source as _, Value, ValueKind};

use super::problem::{Problem, Refusal};
use super::table::{Setting, TABLE};

/// Reads TOML and flattens it: `[server] listen = "…"` becomes `server.listen`. Arrays become comma-separated texts.
pub(super) fn flatten(text: &str, name: &Path, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let root = match File::from_str(text, FileFormat::Toml).collect() {
        Ok(root) => root,
        Err(error) => {
            let fix = "mend the syntax: text is written in double quotes, sections as [server]";
            problems.push(Problem::new(name.display().to_string(), Refusal::new(syntax_error(&error), fix)));
            return Vec::new();
        }
    };
    let mut flat = Vec::new();
    let mut root: Vec<(String, Value)> = root.into_iter().collect();
    root.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in root {
        walk(key, value, name, &mut flat, problems);
    }
    flat
}

fn walk(key: String, value: Value, name: &Path, flat: &mut Vec<(String, String)>, problems: &mut Vec<Problem>) {
    let is_section = TABLE.iter().any(|setting| setting.key.starts_with(&format!("{key}.")));
    match value.kind {
        ValueKind::Table(table) if is_section => {
            let mut entries: Vec<(String, Value)> = table.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (inner, value) in entries {
                walk(format!("{key}.{inner}"), value, name, flat, problems);
            }
        }
        // A table that is no section, or a value where a section belongs: the caller knows no such key.
        kind => match scalar_text(&kind) {
            Some(text) => flat.push((key, text)),
            None if Setting::by_key(&key).is_none() => flat.push((key, String::new())),
            None => {
                let refusal =
                    Refusal::new("is neither a text, a whole number, true or false, nor a list of them", "write a text");
                let env = Setting::by_key(&key).map_or(key.as_str(), |setting| setting.env);
                problems.push(Problem::new(env, refusal).at(format!("{key} in {}", name.display())));
            }
        },
    }
}

fn scalar_text(kind: &ValueKind) -> Option<String> {
    match kind {
        ValueKind::String(text) => Some(text.clone()),
        ValueKind::Boolean(value) => Some(value.to_string()),
        ValueKind::I64(value) => Some(value.to_string()),
        ValueKind::Array(items) => {
            let items = items.iter().map(|item| match &item.kind {
                ValueKind::Array(_) => None,
                kind => scalar_text(kind),
            });
            items.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// Says where the syntax is broken.
///
/// # Security
/// The parser's own message shows the line, which may hold a secret: only its position is kept.
fn syntax_error(error: &ConfigError) -> String {
    let message = match error {
        ConfigError::FileParse { cause, .. } => cause.to_string(),
        _ => String::new(),
    };
    let position = message.lines().next().and_then(|first| first.strip_prefix("TOML parse error at "));
    position.map_or_else(|| "is not valid TOML".to_owned(), |position| format!("is not valid TOML at {position}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut problems = Vec::new();
        let flat = flatten(text, Path::new("authkit.toml"), &mut problems);
        (flat, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sections_and_lists_become_keys_and_texts() {
        let (flat, problems) =
            read("[server]\nlisten = \"[::1]:1\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n[redis]\nport = 7000\n");
        let expected = [("redis.port", "7000"), ("server.listen", "[::1]:1"), ("server.trusted_proxies", "10.0.0.0/8,::1")];
        assert_eq!(flat, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn broken_syntax_is_placed_and_never_quoted() {
        for text in [
            "[tokens]\nsecret_key = \"canary",
            "secret_key = canary",
            "canary",
            "a = 1\na = \"canary\"",
            "a = 99999999999999999999",
        ] {
            let (flat, problems) = read(text);
            assert!(flat.is_empty() && problems.len() == 1, "{text:?}");
            assert!(
                problems[0].starts_with("authkit.toml: is not valid TOML") && !problems[0].contains("canary"),
                "{problems:?}"
            );
            assert_eq!(problems[0].lines().count(), 1);
        }
    }

    #[test]
    fn a_value_of_a_wrong_shape_is_named() {
        assert!(read("[server]\nlisten = { port = 1 }").1[0].starts_with("AUTHKIT_LISTEN (server.listen in authkit.toml)"));
        assert!(read("[server]\nmax_connections = 1.5").1[0].contains("AUTHKIT_MAX_CONNECTIONS"));
        // Unknown sections and values in place of a section are left to the caller, who names them.
        assert_eq!(read("[strange]\nx = 1").0, [("strange".to_owned(), String::new())]);
        assert_eq!(read("server = 1").0, [("server".to_owned(), "1".to_owned())]);
    }
}
