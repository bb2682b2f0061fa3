//! A mail as it is sent (RFC 5322), from what it says.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::OutboxMessageId;
use authkit_core::model::{Mail, MailContent, Notice, Occurrence};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use minijinja::context;
use minijinja::value::Value;

use super::texts::{FALLBACK, Texts, Variables};

/// What every mail of this server has in common.
#[derive(Debug, Clone)]
pub(crate) struct Letterhead {
    from: Mailbox,
    public_url: String,
    texts: Arc<Texts>,
}

/// What a mail says, in words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Letterhead {
    /// Mails from this sender, whose links lead to this URL: the configured one, never one from a request.
    pub(crate) fn new(from: Mailbox, public_url: &str, texts: Arc<Texts>) -> Self {
        Self { from, public_url: public_url.to_owned(), texts }
    }

    /// The words.
    pub(crate) const fn texts(&self) -> &Arc<Texts> {
        &self.texts
    }

    /// Where the link of a mail leads.
    pub(crate) fn link(&self, mail: &Mail) -> Option<String> {
        // It leads to where a link for a new password is asked for, and opens nothing by itself.
        if matches!(mail.content, MailContent::Notice(Notice::RegistrationAttempted)) {
            return Some(format!("{}/account/forgot-password", self.public_url));
        }
        let token = mail.content.token()?;
        let page = match mail.content.name() {
            "admin_password_reset" => "reset-password".to_owned(),
            "email_changed" => "undo-email-change".to_owned(),
            name => name.replace('_', "-"),
        };
        Some(format!("{}/account/{page}?token={}", self.public_url, token.expose()))
    }

    /// Puts a mail together.
    ///
    /// SECURITY: nothing that a user chose stands in a header but the address, which was checked. Her name is in the text alone, and
    /// escaped in the HTML.
    pub(crate) fn compose(&self, id: OutboxMessageId, mail: &Mail) -> Result<Message, Box<dyn Error + Send + Sync>> {
        let to = recipient(mail)?;
        let Written { subject, text, html } = self.write(mail)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(text, html))?;
        Ok(message)
    }

    /// The words of a mail, in the language that its recipient prefers.
    pub(super) fn write(&self, mail: &Mail) -> Result<Written, minijinja::Error> {
        let language = self.texts.language(mail.locale.as_ref().map_or(FALLBACK, |locale| locale.as_str()));
        let name = mail.content.name();
        let mut variables = Variables::new();
        variables.insert("service", self.service().into());
        variables.insert("language", language.into());
        variables.insert("address", mail.to.to_string().into());
        variables.insert("full_name", mail.full_name.as_ref().map(|name| name.as_str().to_owned()).into());
        variables.insert("link", self.link(mail).into());
        variables.insert("left", mail.content.codes_left().into());
        variables.insert("code", mail.content.code().map(|code| code.expose().to_owned()).into());
        let good_for = mail.good_for.map(|good_for| self.duration(language, good_for)).transpose()?;
        variables.insert("good_for", good_for.into());
        let factor = mail.content.factor().map(|factor| format!("factors.{}", factor.as_str()));
        let factor = factor.map(|key| self.texts.text(language, &key, &variables)).transpose()?;
        variables.insert("factor", factor.into());
        for key in ["greeting", "ignore", "not_you", "fallback", "automatic"] {
            let text = self.texts.text(language, &format!("common.{key}"), &variables)?;
            variables.insert(key, text.into());
        }
        let facts = mail.occurred.as_ref().map(|occurred| self.facts(language, occurred, &variables)).transpose()?;
        variables.insert("facts", facts.unwrap_or_default().into());
        for key in ["subject", "body", "action", "closing"] {
            let is_there = key != "action" || self.link(mail).is_some();
            let text =
                if is_there { self.texts.text(language, &format!("mails.{name}.{key}"), &variables)? } else { String::new() };
            variables.insert(key, text.into());
        }
        // One line, whatever the template was.
        let subject = variables["subject"].to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let paragraphs: Vec<Value> = variables["body"].to_string().split("\n\n").map(Value::from).collect();
        variables.insert("subject", subject.clone().into());
        variables.insert("paragraphs", paragraphs.into());
        let frame = |kind: &str| self.texts.mail(name, kind, &variables);
        Ok(Written { subject, text: frame("txt")?, html: frame("html")? })
    }

    /// What the service is called: the name of the sender.
    pub(crate) fn service(&self) -> &str {
        self.from.name.as_deref().unwrap_or_else(|| self.from.email.domain())
    }

    /// A duration in words: `24 hours`.
    fn duration(&self, language: &str, duration: Duration) -> Result<String, minijinja::Error> {
        let minutes = duration.as_secs().div_ceil(60);
        let (unit, n) = match minutes {
            days if days % 1_440 == 0 && days > 1_440 => ("days", days / 1_440),
            hours if hours % 60 == 0 => ("hours", hours / 60),
            minutes => ("minutes", minutes),
        };
        self.texts.text(language, &format!("common.{unit}"), &Variables::from([("n", n.into())]))
    }

    /// When and from where something happened, line by line.
    fn facts(&self, language: &str, occurred: &Occurrence, variables: &Variables) -> Result<Vec<Value>, minijinja::Error> {
        let at = occurred.at.to_string();
        let at = format!("{} {} UTC", at.get(..10).unwrap_or_default(), at.get(11..16).unwrap_or_default());
        let known = [("when", Some(at)), ("from", occurred.ip.map(|ip| ip.to_string())), ("device", occurred.device.clone())];
        let mut facts = Vec::new();
        for (key, value) in known {
            if let Some(value) = value {
                let name = self.texts.text(language, &format!("common.{key}"), variables)?;
                facts.push(context! { name => name, value => value });
            }
        }
        Ok(facts)
    }
}

/// The address as it was typed, with the domain in the form that every server understands.
fn recipient(mail: &Mail) -> Result<Address, Box<dyn Error + Send + Sync>> {
    let local = mail.to.spelling().rsplit_once('@').map_or("", |(local, _)| local);
    let domain = mail.to.normal().rsplit_once('@').map_or("", |(_, domain)| domain);
    Ok(Address::new(local, domain)?)
}

/// A text that is nothing but text in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): no answering machine replies.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use authkit_core::model::MailContent;
    use authkit_core::{Email, FullName, Locale, OneTimeTokenText, OsEntropy, Timestamp};

    use super::*;

    fn letterhead() -> Letterhead {
        let texts = Arc::new(Texts::built_in());
        Letterhead::new("AuthKit <no-reply@auth.example>".parse().expect("a mailbox"), "https://auth.example", texts)
    }

    fn mail(content: MailContent, locale: &str) -> Mail {
        let mut mail = Mail::new(Email::parse("Zoe@bücher.example").expect("an address"), content);
        mail.locale = Some(Locale::from_stored(locale.to_owned()));
        mail.good_for = mail.content.token().map(|_| Duration::from_mins(10));
        mail
    }

    fn composed(name: &str, locale: &str) -> String {
        let token = OneTimeTokenText::new("ak_ot_token".to_owned());
        let mut mail = mail(MailContent::MagicLink { token }, locale);
        mail.full_name = Some(FullName::from_stored(name.to_owned()));
        let id = OutboxMessageId::generate(Timestamp::UNIX_EPOCH, &OsEntropy);
        String::from_utf8(letterhead().compose(id, &mail).expect("a mail").formatted()).expect("ASCII")
    }

    #[test]
    fn no_name_gets_into_a_header_or_becomes_html_or_a_template() {
        // A store that was written to by somebody else: a name that was checked here could not be one of the first.
        let names =
            ["x\r\nBcc: a@evil.example", "<a href=//evil.example>x</a>", "\u{202e}moc.live", "{{ 6*7 }}{% include 'x' %}"];
        for name in names {
            let mail = composed(name, "en");
            let (head, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
            assert!(!head.contains("evil") && head.matches("\r\nTo: ").count() == 1, "{head}");
            assert!(head.contains("To: Zoe@xn--bcher-kva.example") && head.contains("Auto-Submitted: auto-generated"), "{head}");
            let (_, html) = body.split_once("text/html").expect("an HTML part");
            assert!(!html.contains("<a href=//evil") && !html.contains("42"), "{html}");
        }
    }

    #[test]
    fn a_mail_speaks_the_language_of_its_reader() {
        for (locale, word) in
            [("en", "Your login link"), ("de-CH", "Ihr Anmelde-Link"), ("fr", "Votre lien"), ("es-MX", "Su enlace")]
        {
            assert!(composed("Zoe", locale).contains(&format!("Subject: {word}")), "{locale}");
        }
        assert!(composed("Zoe", "tlh").contains("Subject: Your login link"), "and English for everybody else");
        let mail = composed("Zoe", "en").replace("=\r\n", "").replace("=3D", "=");
        assert!(mail.contains("https://auth.example/account/magic-link?token=ak_ot_token"), "{mail}");
    }
}
