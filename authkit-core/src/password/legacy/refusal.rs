//! Why a hash of another system is not taken.

/// Why a stored hash cannot be used. Never repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashRefusal {
    /// It has the form of no hash that is known, and may be a password in plain text.
    #[error(
        "not a password hash of a known format; passwords in plain text are never imported: leave the field empty and let the \
         user set one by a reset mail"
    )]
    Unknown,
    /// It has the beginning of a known format, and not its form.
    #[error("not a complete {format} hash")]
    Malformed {
        /// The format.
        format: &'static str,
    },
    /// It costs more than is computed for anybody, or its parts are longer than those of any real hash.
    #[error("a {format} hash whose {what}")]
    BeyondLimits {
        /// The format.
        format: &'static str,
        /// What is beyond which limit.
        what: &'static str,
    },
    /// The format is known, and there is a reason against it.
    #[error("{format} hashes are not taken: {why}")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// The reason.
        why: &'static str,
    },
}

impl HashRefusal {
    /// Says what is known of a text that no reader wants.
    pub(super) fn of_unknown(text: &str) -> Self {
        let hex = |bytes: usize| text.len() == bytes * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unsupported = |format, why| Self::Unsupported { format, why };
        if text.starts_with("$1$") || text.starts_with("$apr1$") || text.starts_with("md5$") {
            return unsupported("MD5-crypt", "no maintained library computes them; let these users reset their passwords");
        }
        if text.starts_with("$y$") || text.starts_with("$gy$") || text.starts_with("$7$") {
            return unsupported("yescrypt", "no maintained library computes them; let these users reset their passwords");
        }
        if text.starts_with("$P$") || text.starts_with("$H$") {
            return unsupported("phpass", "they are iterated MD5, and no maintained library computes them");
        }
        if hex(16) || hex(20) || hex(32) || hex(64) {
            return unsupported("bare hexadecimal", "without salt and cost they are as good as plain text once they leak");
        }
        Self::Unknown
    }
}
