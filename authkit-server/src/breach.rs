//! The list of breached passwords that the settings name.

mod range_service;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authkit_core::embedded::FileBreachList;
use authkit_core::ports::BreachList;
use url::{Host, Url};

use crate::cli::OperationError;

pub use range_service::RangeService;

/// Where breached passwords are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreachSource {
    /// A service that answers ranges of hashes by their first five digits, as Have I Been Pwned does.
    Service(Url),
    /// A file ordered by hash, or a folder of ranges.
    File(PathBuf),
}

/// Why a text names no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BreachSourceError {
    /// It is neither of the two.
    #[error("is neither a URL nor file:/path")]
    Form,
    /// What is asked could be read on the way, and answers forged.
    #[error("is not https: whoever is on the way could forge the answers")]
    Insecure,
    /// A part that the address of a service does not have.
    #[error("has a user, a query or a fragment")]
    Parts,
}

impl BreachSource {
    /// Reads `https://host[:port][/path]` or `file:/path`.
    pub fn parse(text: &str) -> Result<Self, BreachSourceError> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(BreachSourceError::Form) } else { Ok(Self::File(path.into())) };
        }
        let url = Url::parse(text).map_err(|_| BreachSourceError::Form)?;
        let on_this_machine = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(BreachSourceError::Form),
        };
        match url.scheme() {
            "https" => {}
            "http" if on_this_machine => {}
            "http" => return Err(BreachSourceError::Insecure),
            _ => return Err(BreachSourceError::Form),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(BreachSourceError::Parts);
        }
        Ok(Self::Service(url))
    }

    /// The same, a file being found from `directory` when its path is relative.
    pub(crate) fn resolved(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            service @ Self::Service(_) => service,
        }
    }

    /// Opens the list. A service is not asked yet.
    pub(crate) fn open(&self) -> Result<Arc<dyn BreachList>, OperationError> {
        match self {
            Self::Service(url) => Ok(Arc::new(RangeService::new(url)?)),
            Self::File(path) => match FileBreachList::open(path) {
                Ok(list) => Ok(Arc::new(list)),
                Err(error) => Err(format!("AUTHKIT_BREACH_LIST: {}: {error}", path.display()).into()),
            },
        }
    }
}

impl fmt::Display for BreachSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(url) => url.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_service_or_a_file_is_a_list() {
        for text in
            ["https://api.pwnedpasswords.com", "https://mirror.example:8443/hibp/", "http://127.0.0.1:9000", "http://[::1]:1"]
        {
            assert!(matches!(BreachSource::parse(text), Ok(BreachSource::Service(_))), "{text}");
        }
        assert_eq!(BreachSource::parse("file:/var/lib/pwned.txt"), Ok(BreachSource::File("/var/lib/pwned.txt".into())));
        assert_eq!(BreachSource::parse("file:///var/lib/pwned"), Ok(BreachSource::File("/var/lib/pwned".into())));
        for (text, error) in [
            ("http://api.pwnedpasswords.com", BreachSourceError::Insecure),
            ("http://localhost.evil.example", BreachSourceError::Insecure),
            ("https://user:password@host", BreachSourceError::Parts),
            ("https://host/?q", BreachSourceError::Parts),
            ("ftp://host", BreachSourceError::Form),
            ("on", BreachSourceError::Form),
            ("file:", BreachSourceError::Form),
        ] {
            assert_eq!(BreachSource::parse(text), Err(error), "{text}");
        }
    }
}
