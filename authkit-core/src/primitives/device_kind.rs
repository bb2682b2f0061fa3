//! What a device looks like, in words that nobody else can choose.

use crate::primitives::UserAgent;

/// What a `User-Agent` header says of a device, in a closed vocabulary: `Firefox, Windows`.
///
/// SECURITY: the header is whatever its sender likes. It is never quoted to the owner of an account, in a mail from a sender whom she
/// trusts: "your account is locked, call …" would be said in our name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceKind {
    program: Option<&'static str>,
    system: Option<&'static str>,
}

/// What a header contains and what that says: the first that fits counts, because later ones pretend to be earlier ones.
const PROGRAMS: [(&str, &str); 12] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
    ("Go-http-client", "Go"),
    ("okhttp", "Android app"),
];
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

impl DeviceKind {
    /// What a header says.
    #[must_use]
    pub fn of(user_agent: &UserAgent) -> Self {
        let first = |known: &[(&str, &'static str)]| {
            known.iter().find(|(part, _)| user_agent.as_str().contains(part)).map(|(_, word)| *word)
        };
        Self { program: first(&PROGRAMS), system: first(&SYSTEMS) }
    }

    /// The words: `Firefox, Windows`; `None` where nothing is known.
    #[must_use]
    pub fn words(self) -> Option<String> {
        match (self.program, self.system) {
            (Some(program), Some(system)) => Some(format!("{program}, {system}")),
            (program, system) => program.or(system).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_header_is_quoted() {
        let words = |header: &str| UserAgent::from_header(header).and_then(|agent| DeviceKind::of(&agent).words());
        let known = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", Some("Firefox, Linux")),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0",
                Some("Edge, Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                Some("Safari, iPhone"),
            ),
            ("curl/8.10.1", Some("curl")),
            ("Your account is locked: call +1 555 0100 https://evil.example", None),
            ("Firefox/1 https://evil.example", Some("Firefox")),
        ];
        for (header, expected) in known {
            assert_eq!(words(header).as_deref(), expected, "{header}");
        }
    }
}
