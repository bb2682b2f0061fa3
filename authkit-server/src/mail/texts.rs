//! What mails and pages say, in each language: texts that are templates, and the frames that they are put in.
//!
//! A text is rendered as plain text, and what comes out is put into the frames as a value: an HTML frame escapes it whole, and nothing
//! that a user chose is ever read as a template.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use authkit_core::Locale;
use authkit_core::model::MailContent;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::message::escaped;

/// The language for whoever reads none of the others, and of what the others lack.
pub(crate) const FALLBACK: &str = "en";

/// The files that are built in.
const BUILT_IN: [(&str, &str); 4] = [
    ("en", include_str!("texts/en.toml")),
    ("de", include_str!("texts/de.toml")),
    ("fr", include_str!("texts/fr.toml")),
    ("es", include_str!("texts/es.toml")),
];
const FRAMES: [(&str, &str); 3] = [
    ("layout.txt", include_str!("texts/layout.txt")),
    ("layout.html", include_str!("texts/layout.html")),
    ("page.html", include_str!("texts/page.html")),
];

/// The variables of a template.
pub(crate) type Variables = BTreeMap<&'static str, Value>;

/// Why a file of texts or a frame cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {what}", file.display())]
pub(crate) struct TextError {
    file: PathBuf,
    line: usize,
    what: String,
}

impl TextError {
    fn new(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

/// All texts and frames.
#[derive(Debug)]
pub(crate) struct Texts {
    templates: Environment<'static>,
    /// Language tags in lower case.
    languages: Vec<String>,
    /// The keys of all texts that there are.
    keys: BTreeSet<String>,
    /// From which file and line a template is.
    origins: BTreeMap<String, (PathBuf, usize)>,
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
        let mut texts = Self { templates, languages: Vec::new(), keys: BTreeSet::new(), origins: BTreeMap::new() };
        for (name, source) in FRAMES {
            texts.templates.add_template(name, source).expect("a frame that is built in, and tried by a test");
        }
        for (language, source) in BUILT_IN {
            texts.add_language(language, source, Path::new(language)).expect("a file that is built in, and tried by a test");
        }
        texts
    }

    /// The texts that are built in, with those of a directory in their place. What is not there stays.
    pub(crate) fn with_overrides(directory: &Path) -> Result<Self, TextError> {
        let mut texts = Self::built_in();
        let unreadable = |path: &Path, error: &std::io::Error| TextError::new(path, 0, format!("cannot be read: {error}"));
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
            files.push(entry.map_err(|error| unreadable(directory, &error))?.path());
        }
        files.sort();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What editors and mounted volumes leave behind.
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let source = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            match name.rsplit_once('.') {
                Some((tag, "toml")) => {
                    let locale = Locale::parse(tag);
                    let locale = locale.map_err(|_| TextError::new(&path, 0, "its name is no language tag, as in de.toml"))?;
                    texts.add_language(&locale.as_str().to_ascii_lowercase(), &source, &path)?;
                }
                Some((stem, "txt" | "html")) if is_frame(stem, &name) => {
                    texts.origins.insert(name.clone(), (path.clone(), 1));
                    let added = texts.templates.add_template_owned(name, source);
                    added.map_err(|error| TextError::new(&path, error.line().unwrap_or(1), said(&error)))?;
                }
                _ => {
                    let what = "is none of the files that are read: LANGUAGE.toml, layout.txt, layout.html, page.html, and MAIL.txt \
                                and MAIL.html for one mail";
                    return Err(TextError::new(&path, 0, what));
                }
            }
        }
        Ok(texts)
    }

    /// Takes the texts of a file in: those that are there already are replaced.
    fn add_language(&mut self, language: &str, source: &str, file: &Path) -> Result<(), TextError> {
        let line_of = |at: usize| source.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        let root = DeTable::parse(source)
            .map_err(|error| TextError::new(file, line_of(error.span().map_or(0, |span| span.start)), error.message()))?;
        let mut found = Vec::new();
        collect("", root.get_ref(), &mut found).map_err(|(at, what)| TextError::new(file, line_of(at), what))?;
        // English says which texts there are.
        let is_first = self.languages.is_empty();
        for (key, text, at) in found {
            if is_first {
                self.keys.insert(key.clone());
            } else if !self.keys.contains(&key) {
                return Err(TextError::new(file, line_of(at), format!("there is no text `{key}`")));
            }
            let name = format!("{language}/{key}");
            self.origins.insert(name.clone(), (file.to_owned(), line_of(at)));
            let added = self.templates.add_template_owned(name, text);
            added.map_err(|error| TextError::new(file, line_of(at) + error.line().unwrap_or(1) - 1, said(&error)))?;
        }
        if !self.languages.iter().any(|known| known == language) {
            self.languages.push(language.to_owned());
        }
        Ok(())
    }

    /// Where a template is from that could not be rendered.
    pub(super) fn locate(&self, error: &minijinja::Error) -> TextError {
        let name = error.name().unwrap_or_default();
        let (file, line) = self.origins.get(name).cloned().unwrap_or_else(|| (PathBuf::from(name), 1));
        TextError::new(&file, line + error.line().unwrap_or(1) - 1, said(error))
    }

    /// The best of our languages for a language tag: the tag itself, else its language.
    pub(crate) fn language(&self, tag: &str) -> &str {
        let tag = tag.to_ascii_lowercase();
        let primary = tag.split('-').next().unwrap_or_default();
        let known = |wanted: &str| self.languages.iter().find(|language| *language == wanted);
        known(&tag).or_else(|| known(primary)).map_or(FALLBACK, String::as_str)
    }

    /// One text in a language, or in the language that it is a kind of, or in English.
    pub(crate) fn text(&self, language: &str, key: &str, variables: &Variables) -> Result<String, minijinja::Error> {
        let primary = language.split('-').next().unwrap_or_default();
        let mut found = [language, primary].into_iter().map(|language| format!("{language}/{key}"));
        let found = found.find_map(|name| self.templates.get_template(&name).ok());
        match found {
            Some(template) => template.render(variables),
            None => self.templates.get_template(&format!("{FALLBACK}/{key}"))?.render(variables),
        }
    }

    /// The frame of a mail, of its own or the common one, with everything in it. `kind` is `txt` or `html`.
    pub(super) fn mail(&self, name: &str, kind: &str, variables: &Variables) -> Result<String, minijinja::Error> {
        let own = self.templates.get_template(&format!("{name}.{kind}"));
        own.or_else(|_| self.templates.get_template(&format!("layout.{kind}")))?.render(variables)
    }

    /// The frame of a page, with everything in it.
    pub(crate) fn page(&self, variables: &Variables) -> Result<String, minijinja::Error> {
        self.templates.get_template("page.html")?.render(variables)
    }

    /// The languages that there are texts in.
    pub(super) fn languages(&self) -> &[String] {
        &self.languages
    }

    /// The keys of all texts.
    pub(super) const fn keys(&self) -> &BTreeSet<String> {
        &self.keys
    }
}

/// What is wrong with a template.
fn said(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Whether a file is a frame: the common ones, or that of one mail.
fn is_frame(stem: &str, name: &str) -> bool {
    FRAMES.iter().any(|(frame, _)| *frame == name) || MailContent::examples().iter().any(|content| content.name() == stem)
}

fn is_html(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "html")
}

type Found = Vec<(String, String, usize)>;

/// Every text of a table, under its path in it.
fn collect(prefix: &str, table: &DeTable<'_>, found: &mut Found) -> Result<(), (usize, &'static str)> {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let at = Spanned::span(value).start;
        match value.get_ref() {
            DeValue::String(text) => found.push((path, text.to_string(), at)),
            DeValue::Table(table) => collect(&path, table, found)?,
            _ => return Err((at, "is no text: write it in double quotes")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn refused(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("is written");
        }
        let outcome = Texts::with_overrides(folder.path()).and_then(|texts| super::super::trial::tried(&Arc::new(texts)));
        let error = outcome.err().map_or_else(|| "nothing".to_owned(), |error| error.to_string());
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn a_broken_override_is_named_by_file_and_line() {
        let mail = |key: &str, text: &str| format!("# one\n[mails.verify_email]\n{key} = \"{text}\"\n");
        let cases: [(&str, String, &str); 9] = [
            ("de.toml", "[mails".to_owned(), "de.toml:1:"),
            ("de.toml", mail("subjekt", "x"), "de.toml:3: there is no text `mails.verify_email.subjekt`"),
            ("de.toml", mail("subject", "{{ nobody }}"), "de.toml:3: undefined value"),
            ("de.toml", mail("subject", "{{ open"), "de.toml:3: syntax error"),
            ("de.toml", "[mails.verify_email]\nsubject = 1\n".to_owned(), "de.toml:2: is no text"),
            ("layout.html", "<p>\n{{ bodi }}".to_owned(), "layout.html:2: undefined value"),
            ("verify_email.txt", "{% if %}".to_owned(), "verify_email.txt:1: syntax error"),
            ("verify_emial.txt", "x".to_owned(), "verify_emial.txt:0: is none of the files"),
            ("deutsch.toml", String::new(), "deutsch.toml:0: its name is no language tag"),
        ];
        for (name, text, expected) in cases {
            let said = refused(&[(name, &text)]);
            assert!(said.starts_with(expected), "{name} {text:?}: {said}");
        }
        assert!(refused(&[]).starts_with("nothing"));
        assert!(Texts::with_overrides(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn what_is_not_there_falls_back_text_by_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("is written");
        write("de-CH.toml", "[mails.magic_link]\nsubject = \"Grüezi\"\n");
        write("it.toml", "[mails.magic_link]\nsubject = \"Il suo link\"\n");
        write(".hidden", "x");
        let texts = Arc::new(Texts::with_overrides(folder.path()).expect("is taken"));
        super::super::trial::tried(&texts).expect("can be written");
        let none = Variables::new();
        let subject = |tag: &str, mail: &str| {
            texts.text(texts.language(tag), &format!("mails.{mail}.subject"), &none).expect("is rendered")
        };
        assert_eq!(subject("de-CH", "magic_link"), "Grüezi");
        assert_eq!(
            subject("de-CH", "reset_password"),
            "Neues Passwort setzen",
            "what a kind of a language lacks, the language has"
        );
        assert_eq!(subject("de-AT", "magic_link"), "Ihr Anmelde-Link");
        assert_eq!(subject("it-IT", "magic_link"), "Il suo link");
        assert_eq!(subject("it", "reset_password"), "Set a new password", "and what a language lacks, English");
    }

    #[test]
    fn every_language_has_every_text() {
        let texts = Texts::built_in();
        for language in texts.languages() {
            for key in texts.keys() {
                assert!(texts.templates.get_template(&format!("{language}/{key}")).is_ok(), "{language} lacks {key}");
            }
        }
    }
}
