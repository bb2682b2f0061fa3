//! PBKDF2 (RFC 8018 §5.2): PHC's and passlib's `$pbkdf2-sha256$…`, Django's `pbkdf2_sha256$…`, ASP.NET Core Identity's base64.

use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{ForeignHash, ForeignLimits, HashRefusal, Recipe, base64_lenient, decode, encode, number};

const FORMAT: &str = "PBKDF2";

/// The function under HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

impl Prf {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|prf| prf.name() == name)
    }

    const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The function, the iterations and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct Pbkdf2 {
    prf: Prf,
    iterations: u32,
    salt: Vec<u8>,
    /// Bytes of the digest, which the work depends on.
    bytes: usize,
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    let parts = if let Some(rest) = text.strip_prefix("$pbkdf2") {
        of_phc(rest)
    } else if let Some(rest) = text.strip_prefix("pbkdf2_") {
        of_django(rest)
    } else {
        of_aspnet(text)
    };
    let (prf, iterations, salt, digest) = parts.ok_or(HashRefusal::Malformed { format: FORMAT })?;
    Ok(ForeignHash { recipe: Recipe::Pbkdf2(Pbkdf2 { prf, iterations, salt, bytes: digest.len() }), digest })
}

type Parts = (Prf, u32, Vec<u8>, Vec<u8>);

/// `-sha256$i=29000,l=32$salt$hash` of PHC, `-sha256$29000$salt$hash` of passlib, and there without a name for SHA-1.
fn of_phc(rest: &str) -> Option<Parts> {
    let [name, params, salt, digest] = rest.split('$').collect::<Vec<_>>().try_into().ok()?;
    let prf = if name.is_empty() { Prf::Sha1 } else { Prf::from_name(name.strip_prefix('-')?)? };
    let mut length = None;
    let iterations = match params.strip_prefix("i=") {
        None => number(params)?,
        Some(params) => match params.split_once(",l=") {
            None => number(params)?,
            Some((iterations, bytes)) => {
                length = Some(number::<usize>(bytes)?);
                number(iterations)?
            }
        },
    };
    // passlib writes `.` where others write `+`.
    let (salt, digest) = (base64_lenient(&salt.replace('.', "+"))?, base64_lenient(&digest.replace('.', "+"))?);
    if length.is_some_and(|bytes| bytes != digest.len()) {
        return None;
    }
    Some((prf, iterations, salt, digest))
}

/// `sha256$iterations$salt$hash`, in which the salt is text and is hashed as it stands.
fn of_django(rest: &str) -> Option<Parts> {
    let [name, iterations, salt, digest] = rest.split('$').collect::<Vec<_>>().try_into().ok()?;
    Some((Prf::from_name(name)?, number(iterations)?, salt.as_bytes().to_vec(), base64_lenient(digest)?))
}

/// Whether a text looks like what ASP.NET Core Identity stores: base64 whose first byte is the version of the format, 0 or 1.
pub(super) fn is_aspnet(text: &str) -> bool {
    of_aspnet(text).is_some()
}

/// Version 3: 1, the function, the iterations, the bytes of the salt (each four bytes, the highest first), the salt, the digest.
/// Version 2: 0, 16 bytes of salt, 32 bytes of digest; 1,000 iterations of SHA-1.
fn of_aspnet(text: &str) -> Option<Parts> {
    if !text.starts_with('A') || text.contains(['-', '_', '$']) {
        return None;
    }
    let bytes = base64_lenient(text)?;
    if bytes.len() == 49 && bytes[0] == 0 {
        return Some((Prf::Sha1, 1_000, bytes[1..17].to_vec(), bytes[17..].to_vec()));
    }
    let header = bytes.get(1..13).filter(|_| bytes[0] == 1)?;
    let field = |at: usize| header.get(at..at + 4).and_then(|field| field.try_into().ok()).map(u32::from_be_bytes);
    let prf = match field(0)? {
        0 => Prf::Sha1,
        1 => Prf::Sha256,
        2 => Prf::Sha512,
        _ => return None,
    };
    let rest = &bytes[13..];
    let salt = rest.get(..usize::try_from(field(8)?).ok()?)?;
    Some((prf, field(4)?, salt.to_vec(), rest[salt.len()..].to_vec()))
}

impl Pbkdf2 {
    pub(super) fn derive(&self, password: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
        let mut output = Zeroizing::new(vec![0; bytes]);
        match self.prf {
            Prf::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, &self.salt, self.iterations, &mut output),
            Prf::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.iterations, &mut output),
            Prf::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, self.iterations, &mut output),
        }
        output
    }

    pub(super) fn check(&self, _: ForeignLimits) -> Result<(), HashRefusal> {
        let beyond = |what| Err(HashRefusal::BeyondLimits { format: FORMAT, what });
        if self.iterations == 0 {
            return Err(HashRefusal::Malformed { format: FORMAT });
        }
        if !ForeignLimits::DIGEST_BYTES.contains(&self.bytes) {
            return beyond("digest is shorter than 16 bytes or longer than 128");
        }
        if self.salt.len() > ForeignLimits::MAX_SALT_BYTES {
            return beyond("salt is longer than 128 bytes");
        }
        if self.all_iterations() > ForeignLimits::MAX_PBKDF2_ITERATIONS {
            return beyond("iterations are above 5,000,000");
        }
        Ok(())
    }

    fn all_iterations(&self) -> u64 {
        u64::from(self.iterations) * self.bytes.div_ceil(self.prf.output_bytes()) as u64
    }

    pub(super) fn work(&self) -> u64 {
        // Eighths of a KiB. SHA-256 has instructions of its own on today's processors, SHA-512 has not.
        let each = if self.prf == Prf::Sha512 { 6 } else { 3 };
        (self.all_iterations() * each).div_ceil(8)
    }

    pub(super) fn to_text(&self) -> String {
        format!("pbkdf2,{},{},{},{}", self.prf.name(), self.iterations, self.bytes, encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, prf, iterations, bytes, salt] = fields else { return None };
        let prf = Prf::from_name(prf)?;
        Some(Self { prf, iterations: number(iterations)?, bytes: number(bytes)?, salt: decode(salt)? })
    }
}
