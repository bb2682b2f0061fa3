//! What mails say, in each language: texts that are templates, and the frames that they are put in.
//!
//! A text is rendered as plain text, and what comes out is put into the frames as a value: the HTML frame escapes it whole, and nothing
//! that a user chose is ever read as a template.

use std::collections::BTreeMap;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::message::escaped;

/// The language for whoever reads none of the others, and of what the others lack.
pub(super) const FALLBACK: &str = "en";

/// The files that are built in.
const BUILT_IN: [(&str, &str); 4] = [
    ("en", include_str!("texts/en.toml")),
    ("de", include_str!("texts/de.toml")),
    ("fr", include_str!("texts/fr.toml")),
    ("es", include_str!("texts/es.toml")),
];
const FRAMES: [(&str, &str); 2] =
    [("layout.txt", include_str!("texts/layout.txt")), ("layout.html", include_str!("texts/layout.html"))];

/// The variables of a template.
pub(super) type Variables = BTreeMap<&'static str, Value>;

/// Why a file of texts cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct TextError {
    line: usize,
    what: String,
}

/// All texts and frames.
#[derive(Debug)]
pub(crate) struct Texts {
    templates: Environment<'static>,
    /// Language tags in lower case.
    languages: Vec<String>,
}

impl Texts {
    /// The texts that are built in.
    pub(crate) fn built_in() -> Self {
        let mut templates = Environment::new();
        // A variable that is misspelt is found when the texts are tried, not when the first mail is due.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // SECURITY: the name decides: `.html` is escaped, everything else is plain text that is put into a frame later.
        templates.set_auto_escape_callback(|name| if is_html(name) { AutoEscape::Html } else { AutoEscape::None });
        // The engine's own escaping turns every slash of a link into a character reference as well.
        templates.set_formatter(|out, state, value| match (state.auto_escape(), value.as_str()) {
            (AutoEscape::Html, Some(text)) if !value.is_safe() => Ok(out.write_str(&escaped(text))?),
            _ => minijinja::escape_formatter(out, state, value),
        });
        let mut texts = Self { templates, languages: Vec::new() };
        for (name, source) in FRAMES {
            texts.templates.add_template(name, source).expect("a frame that is built in, and tried by a test");
        }
        for (language, source) in BUILT_IN {
            texts.add_language(language, source).expect("a file that is built in, and tried by a test");
        }
        texts
    }

    /// Takes the texts of a file in: those that are there already are replaced.
    fn add_language(&mut self, language: &str, source: &str) -> Result<(), TextError> {
        let line_of = |at: usize| source.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        let root = DeTable::parse(source).map_err(|error| TextError {
            line: line_of(error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        let mut found = Vec::new();
        collect(String::new(), root.get_ref(), &mut found)
            .map_err(|(at, what)| TextError { line: line_of(at), what: what.to_owned() })?;
        for (key, text, at) in found {
            let added = self.templates.add_template_owned(format!("{language}/{key}"), text);
            added.map_err(|error| TextError { line: line_of(at) + error.line().unwrap_or(1) - 1, what: error.to_string() })?;
        }
        if !self.languages.iter().any(|known| known == language) {
            self.languages.push(language.to_owned());
        }
        Ok(())
    }

    /// The best of our languages for a language tag: the tag itself, else its language.
    pub(crate) fn language(&self, tag: &str) -> &str {
        let tag = tag.to_ascii_lowercase();
        let primary = tag.split('-').next().unwrap_or_default();
        let known = |wanted: &str| self.languages.iter().find(|language| *language == wanted);
        known(&tag).or_else(|| known(primary)).map_or(FALLBACK, String::as_str)
    }

    /// One text in a language, or in the language that it is a kind of, or in English.
    pub(super) fn text(&self, language: &str, key: &str, variables: &Variables) -> Result<String, minijinja::Error> {
        let primary = language.split('-').next().unwrap_or_default();
        let mut found = [language, primary].into_iter().map(|language| format!("{language}/{key}"));
        let found = found.find_map(|name| self.templates.get_template(&name).ok());
        match found {
            Some(template) => template.render(variables),
            None => self.templates.get_template(&format!("{FALLBACK}/{key}"))?.render(variables),
        }
    }

    /// A frame with everything in it.
    pub(super) fn frame(&self, name: &str, variables: &Variables) -> Result<String, minijinja::Error> {
        self.templates.get_template(name)?.render(variables)
    }

    /// The languages that there are texts in.
    #[cfg(test)]
    pub(super) fn languages(&self) -> &[String] {
        &self.languages
    }
}

fn is_html(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "html")
}

type Found = Vec<(String, String, usize)>;

/// Every text of a table, under its path in it.
fn collect(prefix: String, table: &DeTable<'_>, found: &mut Found) -> Result<(), (usize, &'static str)> {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let at = Spanned::span(value).start;
        match value.get_ref() {
            DeValue::String(text) => found.push((path, text.to_string(), at)),
            DeValue::Table(table) => collect(path, table, found)?,
            _ => return Err((at, "is no text: write it in double quotes")),
        }
    }
    Ok(())
}
