//! LDAP's salted digests: `{SSHA}`, `{SSHA256}`, `{SSHA512}` with base64 of digest and salt behind it.
//!
//! One round of SHA is nothing to an attacker: import them, and wrap them at once.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::{ForeignHash, ForeignLimits, HashRefusal, Recipe, base64_lenient, decode, encode};

const FORMAT: &str = "LDAP salted SHA";

/// The function and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct SaltedSha {
    function: Function,
    salt: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Sha1,
    Sha256,
    Sha512,
}

impl Function {
    /// Its scheme in LDAP (RFC 3112 and its successors in use), and the bytes of its digest.
    const ALL: [(Self, &str, usize); 3] =
        [(Self::Sha1, "SSHA", 20), (Self::Sha256, "SSHA256", 32), (Self::Sha512, "SSHA512", 64)];

    fn by_scheme(scheme: &str) -> Option<(Self, usize)> {
        let found = Self::ALL.into_iter().find(|(_, name, _)| name.eq_ignore_ascii_case(scheme));
        found.map(|(function, _, bytes)| (function, bytes))
    }
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    let malformed = HashRefusal::Malformed { format: FORMAT };
    let (scheme, value) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(HashRefusal::Unknown)?;
    let Some((function, bytes)) = Function::by_scheme(scheme) else {
        return match scheme.to_ascii_uppercase().as_str() {
            "SHA" | "SHA256" | "SHA512" | "MD5" => {
                Err(HashRefusal::Unsupported { format: "unsalted LDAP", why: "one table breaks all of them at once" })
            }
            "SMD5" => Err(HashRefusal::Unsupported { format: "{SMD5}", why: "MD5 is not computed here" }),
            // OpenLDAP writes a hash of crypt(3) behind this.
            "CRYPT" | "BCRYPT" | "ARGON2" | "PBKDF2" => Err(HashRefusal::Unsupported {
                format: "{CRYPT}",
                why: "take the scheme off: what is behind it is a hash by itself",
            }),
            _ => Err(HashRefusal::Unknown),
        };
    };
    let mut digest = base64_lenient(value).ok_or(malformed)?;
    if digest.len() < bytes {
        return Err(malformed);
    }
    let salt = digest.split_off(bytes);
    if salt.is_empty() {
        return Err(HashRefusal::Unsupported { format: "unsalted LDAP", why: "one table breaks all of them at once" });
    }
    if salt.len() > ForeignLimits::MAX_SALT_BYTES {
        return Err(HashRefusal::BeyondLimits { format: FORMAT, what: "salt is longer than 128 bytes" });
    }
    Ok(ForeignHash { recipe: Recipe::SaltedSha(SaltedSha { function, salt }), digest })
}

impl SaltedSha {
    pub(super) fn derive(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self.function {
            Function::Sha1 => Sha1::new().chain_update(password).chain_update(&self.salt).finalize().to_vec(),
            Function::Sha256 => Sha256::new().chain_update(password).chain_update(&self.salt).finalize().to_vec(),
            Function::Sha512 => Sha512::new().chain_update(password).chain_update(&self.salt).finalize().to_vec(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let scheme = Function::ALL.into_iter().find(|(function, ..)| *function == self.function).map_or("", |(_, name, _)| name);
        format!("salted-sha,{scheme},{}", encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, scheme, salt] = fields else { return None };
        Some(Self { function: Function::by_scheme(scheme)?.0, salt: decode(salt)? })
    }
}
