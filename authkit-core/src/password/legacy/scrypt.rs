//! scrypt (RFC 7914): PHC's and passlib's `$scrypt$ln=…`, and Django's `scrypt$…`.

use zeroize::Zeroizing;

use super::{ForeignHash, ForeignLimits, HashError, HashRefusal, Recipe, base64_lenient, decode, encode, number};

const FORMAT: &str = "scrypt";

/// The parameters and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct Scrypt {
    pub(super) cost: ScryptCost,
    pub(super) salt: Vec<u8>,
}

/// The parameters of RFC 7914 §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::password) struct ScryptCost {
    pub(super) log_n: u8,
    pub(super) r: u32,
    pub(super) p: u32,
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    let parts = text.strip_prefix("$scrypt$").map_or_else(|| of_django(text), of_phc);
    let (cost, salt, digest) = parts.ok_or(HashRefusal::Malformed { format: FORMAT })?;
    Ok(ForeignHash { recipe: Recipe::Scrypt(Scrypt { cost, salt }), digest })
}

type Parts = (ScryptCost, Vec<u8>, Vec<u8>);

/// `ln=16,r=8,p=1$salt$hash`.
fn of_phc(rest: &str) -> Option<Parts> {
    let [params, salt, digest] = rest.split('$').collect::<Vec<_>>().try_into().ok()?;
    let [ln, r, p] = params.split(',').collect::<Vec<_>>().try_into().ok()?;
    let cost = ScryptCost {
        log_n: number(ln.strip_prefix("ln=")?)?,
        r: number(r.strip_prefix("r=")?)?,
        p: number(p.strip_prefix("p=")?)?,
    };
    Some((cost, base64_lenient(salt)?, base64_lenient(digest)?))
}

/// `scrypt$N$salt$r$p$hash`, in which the salt is text and is hashed as it stands.
fn of_django(text: &str) -> Option<Parts> {
    let [_, n, salt, r, p, digest] = text.split('$').collect::<Vec<_>>().try_into().ok()?;
    let n: u64 = number(n)?;
    let log_n = u8::try_from(n.checked_ilog2()?).ok().filter(|_| n.is_power_of_two())?;
    Some((ScryptCost { log_n, r: number(r)?, p: number(p)? }, salt.as_bytes().to_vec(), base64_lenient(digest)?))
}

impl ScryptCost {
    pub(super) fn derive(self, password: &[u8], salt: &[u8], bytes: usize) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let params = scrypt::Params::new(self.log_n, self.r, self.p).map_err(|_| HashError::Unsupported)?;
        let mut output = Zeroizing::new(vec![0; bytes]);
        scrypt::scrypt(password, salt, &params, &mut output).map_err(|_| HashError::Failed)?;
        Ok(output)
    }

    pub(super) fn check(self, format: &'static str, limits: ForeignLimits) -> Result<(), HashRefusal> {
        let beyond = |what| Err(HashRefusal::BeyondLimits { format, what });
        if self.log_n == 0 || self.r == 0 || self.p == 0 {
            return Err(HashRefusal::Malformed { format });
        }
        if self.log_n > 30 || self.r > 64 || self.memory_kib() > limits.max_memory_kib {
            return beyond("memory (128 * N * r) is above the limit of the hashing pool");
        }
        if self.p > ForeignLimits::MAX_SCRYPT_PARALLELISM || self.written_kib() > ForeignLimits::MAX_SCRYPT_KIB {
            return beyond("work (128 * N * r * p) is above 512 MiB, or its parallelism above 16");
        }
        if scrypt::Params::new(self.log_n, self.r, self.p).is_err() {
            return Err(HashRefusal::Malformed { format });
        }
        Ok(())
    }

    pub(super) fn memory_kib(self) -> u64 {
        (u64::from(self.r) << self.log_n) / 8
    }

    fn written_kib(self) -> u64 {
        self.memory_kib() * u64::from(self.p)
    }

    /// Salsa20/8 over a KiB, twice, takes about as long as argon2 takes for four and a quarter.
    pub(super) fn work(self) -> u64 {
        self.written_kib() * 17 / 4
    }
}

impl Scrypt {
    pub(super) fn derive(&self, password: &[u8], bytes: usize) -> Result<Zeroizing<Vec<u8>>, HashError> {
        self.cost.derive(password, &self.salt, bytes)
    }

    pub(super) fn check(&self, limits: ForeignLimits) -> Result<(), HashRefusal> {
        if self.salt.len() > ForeignLimits::MAX_SALT_BYTES {
            return Err(HashRefusal::BeyondLimits { format: FORMAT, what: "salt is longer than 128 bytes" });
        }
        self.cost.check(FORMAT, limits)
    }

    pub(super) fn work(&self) -> u64 {
        self.cost.work()
    }

    pub(super) fn memory_kib(&self) -> u64 {
        self.cost.memory_kib()
    }

    pub(super) fn to_text(&self) -> String {
        let ScryptCost { log_n, r, p } = self.cost;
        format!("scrypt,{log_n},{r},{p},{}", encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, log_n, r, p, salt] = fields else { return None };
        Some(Self { cost: ScryptCost { log_n: number(log_n)?, r: number(r)?, p: number(p)? }, salt: decode(salt)? })
    }
}
