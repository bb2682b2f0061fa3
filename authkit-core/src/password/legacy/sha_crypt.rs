//! SHA-crypt: `$5$` (SHA-256) and `$6$` (SHA-512) of crypt(3), after <https://www.akkadia.org/drepper/SHA-crypt.txt>.

use base64ct::{Base64ShaCrypt, Encoding as _};
use zeroize::Zeroizing;

use super::{ForeignHash, ForeignLimits, HashError, HashRefusal, Recipe, decode, encode, number};

const FORMAT: &str = "SHA-crypt";
/// Rounds where none are said.
const DEFAULT_ROUNDS: u32 = 5_000;
/// Bytes of a salt that count.
const SALT_BYTES: usize = 16;

/// The function, the rounds and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::password) struct ShaCrypt {
    wide: bool,
    rounds: u32,
    salt: Vec<u8>,
}

pub(super) fn read(text: &str) -> Result<ForeignHash, HashRefusal> {
    read_parts(text).ok_or(HashRefusal::Malformed { format: FORMAT })
}

fn read_parts(text: &str) -> Option<ForeignHash> {
    let wide = text.starts_with("$6$");
    let mut fields: Vec<&str> = text.get(3..)?.split('$').collect();
    let rounds = match fields.first()?.strip_prefix("rounds=") {
        None => DEFAULT_ROUNDS,
        Some(rounds) => {
            fields.remove(0);
            // crypt(3) raises what is below its minimum, and writes the number that it was given.
            number::<u32>(rounds)?.max(sha_crypt::Params::ROUNDS_MIN)
        }
    };
    let [salt, digest] = fields.try_into().ok()?;
    let salt = salt.as_bytes()[..salt.len().min(SALT_BYTES)].to_vec();
    let shuffled = Base64ShaCrypt::decode_vec(digest).ok()?;
    let mut digest = vec![0; if wide { 64 } else { 32 }];
    if shuffled.len() != digest.len() {
        return None;
    }
    for (at, byte) in shuffled.into_iter().enumerate() {
        digest[place(wide, at)] = byte;
    }
    Some(ForeignHash { recipe: Recipe::ShaCrypt(ShaCrypt { wide, rounds, salt }), digest })
}

/// Which byte of the digest stands at a place of the text: step 22 of the specification. Each group of three is the one
/// before it, moved on; what is left stands at the end.
const fn place(wide: bool, at: usize) -> usize {
    let (groups, first, step) = if wide { (63, [42, 21, 0], 22) } else { (30, [20, 10, 0], 21) };
    if at >= groups { at } else { (first[at % 3] + step * (at / 3)) % groups }
}

impl ShaCrypt {
    pub(super) fn derive(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let params = sha_crypt::Params::new(self.rounds).map_err(|_| HashError::Unsupported)?;
        Ok(Zeroizing::new(if self.wide {
            sha_crypt::sha512_crypt(password, &self.salt, params).to_vec()
        } else {
            sha_crypt::sha256_crypt(password, &self.salt, params).to_vec()
        }))
    }

    pub(super) fn check(&self, _: ForeignLimits) -> Result<(), HashRefusal> {
        if self.rounds > ForeignLimits::MAX_SHA_CRYPT_ROUNDS {
            return Err(HashRefusal::BeyondLimits { format: FORMAT, what: "rounds are above 1,000,000" });
        }
        if self.salt.len() > SALT_BYTES || self.rounds < sha_crypt::Params::ROUNDS_MIN {
            return Err(HashRefusal::Malformed { format: FORMAT });
        }
        Ok(())
    }

    /// Each round hashes the password once or twice, so that a long one takes longer.
    pub(super) fn work(&self, password_bytes: usize) -> u64 {
        u64::from(self.rounds) * 11 / 8 * (1 + password_bytes as u64 / 48)
    }

    pub(super) fn to_text(&self) -> String {
        format!("sha-crypt,{},{},{}", if self.wide { 6 } else { 5 }, self.rounds, encode(&self.salt))
    }

    pub(super) fn from_fields(fields: &[&str]) -> Option<Self> {
        let [_, function, rounds, salt] = fields else { return None };
        let wide = match *function {
            "6" => true,
            "5" => false,
            _ => return None,
        };
        Some(Self { wide, rounds: number(rounds)?, salt: decode(salt)? })
    }
}
