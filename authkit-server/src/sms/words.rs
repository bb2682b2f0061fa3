//! What text messages say, in each language. They are short: each part of 70 characters beyond the first costs once more.

use authkit_core::model::{Sms, SmsContent};

/// The language for whoever reads none of the others.
const FALLBACK: &str = "en";

/// The words of a code, by language: `{service}` and `{code}` are put in.
const CODES: [(&str, &str); 4] = [
    ("en", "{code} is your code for {service}. Never tell it to anybody."),
    ("de", "{code} ist Ihr Code für {service}. Nennen Sie ihn niemandem."),
    ("fr", "{code} est votre code pour {service}. Ne le communiquez à personne."),
    ("es", "{code} es su código para {service}. No se lo diga a nadie."),
];

/// What all text messages of this server have in common.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    service: String,
    host: String,
}

impl Wording {
    /// Messages of a service that browsers reach at this host.
    pub(crate) const fn new(service: String, host: String) -> Self {
        Self { service, host }
    }

    /// The text of a message. Its last line binds the code to the host, so that a browser fills it in there and nowhere else
    /// (<https://wicg.github.io/sms-one-time-codes/>).
    pub(crate) fn text(&self, sms: &Sms) -> String {
        let SmsContent::Code(code) = &sms.content else { return String::new() };
        let tag = sms.locale.as_ref().map_or(FALLBACK, |locale| locale.as_str());
        let primary = tag.split('-').next().unwrap_or_default();
        let found = CODES.iter().find(|(language, _)| *language == primary).unwrap_or(&CODES[0]);
        let words = found.1.replace("{service}", &self.service).replace("{code}", code.expose());
        format!("{words}\n\n@{} #{}", self.host, code.expose())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use authkit_core::{FactorCode, Locale, PhoneNumber};

    use super::*;

    #[test]
    fn a_code_is_told_in_the_language_of_whoever_gets_it() {
        let wording = Wording::new("Example".to_owned(), "auth.example".to_owned());
        let text = |locale: Option<&str>| {
            let to = PhoneNumber::parse("+4915112345678").expect("a number");
            let locale = locale.map(|tag| Locale::parse(tag).expect("a tag"));
            let content = SmsContent::Code(FactorCode::new("012345".to_owned()));
            wording.text(&Sms::new(to, locale, content, Duration::from_mins(10)))
        };
        let english = "012345 is your code for Example. Never tell it to anybody.\n\n@auth.example #012345";
        assert_eq!(text(None), english);
        assert_eq!(text(Some("pt-BR")), english);
        assert!(text(Some("de-AT")).starts_with("012345 ist Ihr Code für Example."));
        assert!(text(Some("fr")).starts_with("012345 est") && text(Some("es-MX")).starts_with("012345 es su"));
    }
}
