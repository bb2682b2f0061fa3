//! Texts and frames tried before anybody needs them: every mail and every page, in every language, with and without all that may be
//! missing.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::model::{Mail, MailContent, Occurrence, RequestContext};
use authkit_core::{Email, FullName, Locale, Timestamp};

use super::message::Letterhead;
use super::texts::{TextError, Texts, Variables};

/// Tries everything, and says what is wrong with the first that cannot be written.
pub(crate) fn tried(texts: &Arc<Texts>) -> Result<(), TextError> {
    let from =
        lettre::message::Mailbox::new(Some("AuthKit".to_owned()), lettre::Address::new("no-reply", "auth.example").expect("one"));
    let head = Letterhead::new(from, "https://auth.example", Arc::clone(texts));
    for language in texts.languages() {
        for content in MailContent::examples() {
            for is_bare in [true, false] {
                head.write(&example(content.clone(), language, is_bare)).map_err(|error| texts.locate(&error))?;
            }
        }
        page(texts, language).map_err(|error| texts.locate(&error))?;
    }
    Ok(())
}

/// A mail that says this, with nothing that may be missing or with all of it.
pub(super) fn example(content: MailContent, language: &str, is_bare: bool) -> Mail {
    let mut mail = Mail::new(Email::parse("Zoe@bücher.example").expect("an address"), content);
    mail.locale = Locale::parse(language).ok();
    let has_an_end = mail.content.token().is_some() || mail.content.code().is_some();
    mail.good_for = has_an_end.then(|| Duration::from_hours(if is_bare { 1 } else { 72 }));
    if !is_bare {
        mail.full_name = FullName::parse("Zoë <b>O'Hara</b> & Co").ok();
        let at = Timestamp::from_unix_micros(1_795_435_200_000_000);
        let mut occurred = Occurrence::of(&RequestContext::default(), at);
        occurred.ip = "203.0.113.7".parse().ok();
        occurred.device = Some("Firefox, Linux".to_owned());
        mail.occurred = Some(occurred);
    }
    mail
}

/// Every text that pages have, and the frame of every kind of page.
fn page(texts: &Texts, language: &str) -> Result<(), minijinja::Error> {
    let mut variables = Variables::from([("address", "zoe@example.com".into()), ("language", language.into())]);
    for key in texts.keys().iter().filter(|key| key.starts_with("pages.") || key.starts_with("errors.")) {
        texts.text(language, key, &variables)?;
    }
    for name in PAGE_VARIABLES {
        variables.insert(name, "x".into());
    }
    for form in [None, Some("plain"), Some("password"), Some("email"), Some("code")] {
        variables.insert("form", form.into());
        texts.page(&variables)?;
    }
    Ok(())
}

/// What the frame of a page is given beside `address`, `language` and `form`.
const PAGE_VARIABLES: [&str; 17] = [
    "service",
    "title",
    "problem",
    "message",
    "question",
    "token",
    "post_to",
    "action",
    "tokens",
    "new_password",
    "password_hint",
    "email_label",
    "factor_label",
    "factor_totp",
    "factor_recovery_code",
    "code_label",
    "done",
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    /// Writes the golden files instead of comparing with them.
    const UPDATE: &str = "AUTHKIT_UPDATE_GOLDEN";

    #[test]
    fn what_is_built_in_can_be_written() {
        tried(&Arc::new(Texts::built_in())).expect("can be written");
    }

    #[test]
    fn every_mail_in_every_language_is_its_golden_file() {
        let texts = Arc::new(Texts::built_in());
        let from = "AuthKit <no-reply@auth.example>".parse().expect("a mailbox");
        let head = Letterhead::new(from, "https://auth.example", Arc::clone(&texts));
        for language in texts.languages() {
            let (mut text, mut html) = (String::new(), String::new());
            for content in MailContent::examples() {
                let mail = example(content, language, false);
                let written = head.write(&mail).expect("is written");
                let _ = write!(text, "=== {}\nSubject: {}\n\n{}\n", mail.content.name(), written.subject, written.text);
                let _ = write!(html, "<!-- {} -->\n{}\n", mail.content.name(), written.html);
            }
            for (kind, now) in [("txt", text), ("html", html)] {
                let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/mails/{language}.{kind}"));
                if std::env::var_os(UPDATE).is_some() {
                    std::fs::create_dir_all(golden.parent().expect("a folder")).expect("is made");
                    std::fs::write(&golden, &now).expect("is written");
                }
                let expected = std::fs::read_to_string(&golden).unwrap_or_default();
                assert!(now == expected, "{language} says something else: set {UPDATE}=1 to write {}", golden.display());
            }
        }
    }
}
