//! A mail as it is sent (RFC 5322), from what it says.

use std::error::Error;
use std::fmt::Write as _;

use authkit_core::OutboxMessageId;
use authkit_core::model::{Mail, MailContent};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use super::words::words;

/// What every mail of this server has in common.
#[derive(Debug, Clone)]
pub(crate) struct Letterhead {
    from: Mailbox,
    public_url: String,
}

impl Letterhead {
    /// Mails from this sender, whose links lead to this URL: the configured one, never one from a request.
    pub(crate) fn new(from: Mailbox, public_url: &str) -> Self {
        Self { from, public_url: public_url.to_owned() }
    }

    /// Where the link of a mail leads.
    pub(crate) fn link(&self, mail: &Mail) -> Option<String> {
        if matches!(mail.content, MailContent::RegistrationAttempted) {
            return Some(format!("{}/account/forgot-password", self.public_url));
        }
        let token = mail.content.token()?;
        Some(format!("{}/account/{}?token={}", self.public_url, mail.content.name().replace('_', "-"), token.expose()))
    }

    /// Puts a mail together.
    ///
    /// SECURITY: nothing that a user chose stands in a header but the address, which was checked. Her name is in the text alone, and
    /// escaped in the HTML.
    pub(crate) fn compose(&self, id: OutboxMessageId, mail: &Mail) -> Result<Message, Box<dyn Error + Send + Sync>> {
        let (words, link) = (words(mail), self.link(mail));
        let greeting = match &mail.full_name {
            Some(name) => format!("{} {name},", words.greeting),
            None => format!("{},", words.greeting),
        };
        let mut text = format!("{greeting}\n\n{}\n", words.body);
        let mut html = format!("<p>{}</p><p>{}</p>", escaped(&greeting), escaped(words.body));
        if let Some(link) = &link {
            let _ = write!(text, "\n{}:\n{link}\n", words.action);
            let _ = write!(html, "<p><a href=\"{}\">{}</a></p>", escaped(link), escaped(words.action));
        }
        if !words.closing.is_empty() {
            let _ = write!(text, "\n{}\n", words.closing);
            let _ = write!(html, "<p>{}</p>", escaped(words.closing));
        }
        let html = format!("<!doctype html><html><body>{html}</body></html>");
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient(mail)?))
            .subject(words.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(text, html))?;
        Ok(message)
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

    fn composed(name: &str, locale: &str) -> String {
        let head = Letterhead::new("AuthKit <no-reply@auth.example>".parse().expect("a mailbox"), "https://auth.example");
        let token = OneTimeTokenText::new("ak_ot_token".to_owned());
        let mut mail = Mail::new(Email::parse("Zoe@bücher.example").expect("an address"), MailContent::MagicLink { token });
        mail.full_name = Some(FullName::from_stored(name.to_owned()));
        mail.locale = Some(Locale::from_stored(locale.to_owned()));
        let id = OutboxMessageId::generate(Timestamp::UNIX_EPOCH, &OsEntropy);
        String::from_utf8(head.compose(id, &mail).expect("a mail").formatted()).expect("ASCII")
    }

    #[test]
    fn no_name_gets_into_a_header_or_becomes_html() {
        // A store that was written to by somebody else: a name that was checked here could not be one of these.
        for name in ["x\r\nBcc: a@evil.example", "<a href=//evil.example>x</a>", "\u{202e}moc.live"] {
            let mail = composed(name, "en");
            let (head, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
            assert!(!head.contains("evil") && head.matches("\r\nTo: ").count() == 1, "{head}");
            assert!(head.contains("To: Zoe@xn--bcher-kva.example") && head.contains("Auto-Submitted: auto-generated"), "{head}");
            let (_, html) = body.split_once("text/html").expect("an HTML part");
            assert!(!html.contains("<a href=//evil"), "{html}");
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
