//! Device tokens: what tells a device on which somebody has logged in before from a stranger's.
//!
//! ```text
//! ak_dt_  base64url( version 1 | key 8 | account 16 | device 16 | issued at 7 | epoch 4 | MAC 32 )
//! ```
//!
//! It proves nothing about who is at the device, and logs nobody in: whoever shows one is let past what strangers have used
//! up by guessing, and still needs the password (OWASP, Slow Down Online Guessing Attacks with Device Cookies). Nothing is stored
//! for it. The MAC covers all that stands before it and the address of the account, which is not in the token: it says
//! nothing about whose it is, and is worth nothing with another address.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::model::GuessSubject;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{DeviceToken, Email, Entropy, Timestamp, UserId};
use crate::token::keyring::Keyring;
use crate::token::refresh::RefreshTokenError;
use crate::token::refresh_key::FINGERPRINT_BYTES;

/// What every device token begins with.
pub const PREFIX: &str = "ak_dt_";

const VERSION: u8 = 1;
const ACCOUNT_AT: usize = 1 + FINGERPRINT_BYTES;
const DEVICE_AT: usize = ACCOUNT_AT + 16;
const ISSUED_AT: usize = DEVICE_AT + 16;
const EPOCH_AT: usize = ISSUED_AT + 7;
const MAC_AT: usize = EPOCH_AT + 4;
const TOKEN_BYTES: usize = MAC_AT + 32;

/// The length of every device token, in characters.
pub const TOKEN_CHARS: usize = PREFIX.len() + TOKEN_BYTES / 3 * 4;

// INVARIANT: a whole number of base64 quanta, so no bit of the last character is spare and each token has one spelling.
const _: () = assert!(TOKEN_BYTES.is_multiple_of(3));

/// A device that showed a token of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDevice {
    /// To which account it belongs.
    pub user_id: UserId,
    /// The epoch of the account when it got to know the device: after a change of the password it is a stranger again.
    pub auth_epoch: u32,
    id: [u8; 16],
}

impl KnownDevice {
    /// Reads a token that was presented with an address. `None` for whatever is no token of that address, was not made here,
    /// or is older than `lifetime` at `now`: then the device is a stranger, and nobody need know why.
    #[must_use]
    pub fn recognise(keyring: &Keyring, token: &DeviceToken, email: &Email, now: Timestamp, lifetime: Duration) -> Option<Self> {
        let text = token.expose();
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let mut bytes = [0_u8; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, &mut bytes) {
            Ok(TOKEN_BYTES) if bytes[0] == VERSION => {}
            _ => return None,
        }
        let key = keyring.refresh_by_fingerprint(field(&bytes, 1))?;
        let (body, mac) = bytes.split_at(MAC_AT);
        if !key.authenticates_device(body, email, mac) {
            return None;
        }
        let mut micros = [0; 8];
        micros[1..].copy_from_slice(&bytes[ISSUED_AT..EPOCH_AT]);
        let issued_at = Timestamp::from_unix_micros(i64::from_be_bytes(micros));
        // A clock that was set back is no reason to forget whom one knew.
        if now.since(issued_at) >= lifetime {
            return None;
        }
        Some(Self {
            user_id: UserId::from_uuid(Uuid::from_bytes(field(&bytes, ACCOUNT_AT))),
            auth_epoch: u32::from_be_bytes(field(&bytes, EPOCH_AT)),
            id: field(&bytes, DEVICE_AT),
        })
    }

    /// What is counted of the device.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Whose guesses are counted where the device guesses.
    #[must_use]
    pub fn guesses(&self) -> GuessSubject {
        GuessSubject::device(&self.id)
    }
}

/// Makes a token for a device on which the owner of an account has just logged in. Every login makes one of its own, so that a
/// copy that was stolen is counted apart from what its owner has by then.
pub fn mint(
    keyring: &Keyring,
    user_id: UserId,
    email: &Email,
    auth_epoch: u32,
    at: Timestamp,
    entropy: &dyn Entropy,
) -> Result<DeviceToken, RefreshTokenError> {
    let key = keyring.refresh_at(at).ok_or(RefreshTokenError::NoKey)?;
    let mut bytes = [0_u8; TOKEN_BYTES];
    bytes[0] = VERSION;
    bytes[1..ACCOUNT_AT].copy_from_slice(&key.fingerprint());
    bytes[ACCOUNT_AT..DEVICE_AT].copy_from_slice(user_id.as_uuid().as_bytes());
    bytes[DEVICE_AT..ISSUED_AT].copy_from_slice(&random_bytes::<16>(entropy));
    // Microseconds need seven bytes until the year 4253.
    bytes[ISSUED_AT..EPOCH_AT].copy_from_slice(&at.unix_micros().max(0).to_be_bytes()[1..]);
    bytes[EPOCH_AT..MAC_AT].copy_from_slice(&auth_epoch.to_be_bytes());
    let mac = key.device_mac(&bytes[..MAC_AT], email);
    bytes[MAC_AT..].copy_from_slice(&mac);
    let mut text = String::with_capacity(TOKEN_CHARS);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Ok(DeviceToken::new(text))
}

fn field<const N: usize>(bytes: &[u8; TOKEN_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}
