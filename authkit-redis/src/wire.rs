//! What the nodes tell one another, as bytes on a channel.
//!
//! A message of revocations is the byte 1, the version, and then for each revocation the 16 bytes of the session's id and the 8
//! bytes of the instant, big-endian microseconds since 1970. None at all is a valid message: it shows that the way is open.
//!
//! The byte 2 alone says that roles have changed: look into the store.

use std::time::Duration;

use authkit_core::model::Revocation;
use authkit_core::{SessionId, Timestamp};
use uuid::Uuid;

/// Where revocations are published. The braces are a hash tag: all keys of the bus live in one slot of a cluster.
pub(crate) const CHANNEL: &str = "authkit:{bus}:revocations";

const VERSION: u8 = 1;
const LOOK: u8 = 2;
const ENTRY: usize = 24;
/// The most revocations in one message, which is then 24 KiB long.
const MAX_ENTRIES: usize = 1_024;
/// How far a node's clock may be ahead of ours before its instants are cut. A server is not ready beyond 30 s of skew.
const MAX_AHEAD: Duration = Duration::from_mins(2);

/// Bytes that are no message of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The messages that carry these revocations: one, or several where they are too many.
pub(crate) fn encode(revocations: &[Revocation]) -> impl Iterator<Item = Vec<u8>> {
    revocations.chunks(MAX_ENTRIES).map(|chunk| {
        let mut message = Vec::with_capacity(1 + chunk.len() * ENTRY);
        message.push(VERSION);
        for revocation in chunk {
            message.extend_from_slice(revocation.session_id.as_uuid().as_bytes());
            message.extend_from_slice(&revocation.at.unix_micros().to_be_bytes());
        }
        message
    })
}

/// The message without a revocation.
pub(crate) const fn probe() -> &'static [u8] {
    &[VERSION]
}

/// The message that roles have changed.
pub(crate) const fn look() -> &'static [u8] {
    &[LOOK]
}

/// What somebody published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// These sessions were revoked.
    Revoked(Vec<Revocation>),
    /// Roles have changed: what of them, the store tells.
    Look,
}

/// Reads what somebody published.
pub(crate) fn decode(message: &[u8], now: Timestamp) -> Result<Message, Malformed> {
    if message == look() { Ok(Message::Look) } else { Ok(Message::Revoked(revocations(message, now)?)) }
}

/// Reads a message of revocations.
///
/// SECURITY: a revocation is remembered until its tokens have expired, counted from its instant. A forged instant in the far
/// future would be remembered for ever, so instants end shortly after `now`; the store knows the true one.
fn revocations(message: &[u8], now: Timestamp) -> Result<Vec<Revocation>, Malformed> {
    let (&version, entries) = message.split_first().ok_or(Malformed)?;
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    if version != VERSION || !rest.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(Malformed);
    }
    let latest = now + MAX_AHEAD;
    let read = |entry: &[u8; ENTRY]| {
        let (id, at) = entry.split_at(16);
        let id = Uuid::from_slice(id).map_err(|_| Malformed)?;
        let at = i64::from_be_bytes(at.try_into().map_err(|_| Malformed)?);
        Ok(Revocation { session_id: SessionId::from_uuid(id), at: Timestamp::from_unix_micros(at).min(latest) })
    };
    entries.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn revocation(n: u128) -> Revocation {
        Revocation { session_id: SessionId::from_uuid(Uuid::from_u128(n)), at: NOW - Duration::from_micros(1) }
    }

    #[test]
    fn what_was_encoded_is_decoded_also_when_it_takes_several_messages() {
        for count in [1, 2, 1_024, 1_025, 3_000] {
            let revocations: Vec<_> = (0..count).map(revocation).collect();
            let messages: Vec<_> = encode(&revocations).collect();
            assert_eq!(messages.len(), revocations.len().div_ceil(MAX_ENTRIES));
            let read: Vec<_> = messages.iter().flat_map(|message| super::revocations(message, NOW).unwrap()).collect();
            assert_eq!(read, revocations);
        }
        assert_eq!(decode(probe(), NOW), Ok(Message::Revoked(Vec::new())));
        assert_eq!(decode(look(), NOW), Ok(Message::Look));
    }

    #[test]
    fn the_bytes_of_version_one_stay_as_they_are() {
        let revocation = Revocation {
            session_id: SessionId::from_uuid(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
            at: Timestamp::from_unix_micros(0x1112_1314_1516_1718),
        };
        let expected: Vec<u8> = [1].into_iter().chain(1..=16).chain(0x11..=0x18).collect();
        assert_eq!(encode(&[revocation]).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn whatever_else_arrives_is_refused() {
        let message = encode(&[revocation(1), revocation(2)]).next().unwrap();
        for cut in (2..message.len()).filter(|cut| cut % ENTRY != 1) {
            assert_eq!(decode(&message[..cut], NOW), Err(Malformed), "{cut}");
        }
        let mut other_version = message.clone();
        other_version[0] = 2;
        let too_long = [vec![VERSION], vec![0; (MAX_ENTRIES + 1) * ENTRY]].concat();
        for bytes in [&[][..], b"{}", &other_version, &too_long, &[3], &[2, 2], &[0]] {
            assert_eq!(decode(bytes, NOW), Err(Malformed));
        }
    }

    #[test]
    fn a_forged_instant_is_not_remembered_for_ever() {
        let forged = Revocation { at: Timestamp::from_unix_micros(i64::MAX), ..revocation(1) };
        let message = encode(&[forged]).next().unwrap();
        assert_eq!(revocations(&message, NOW).unwrap()[0].at, NOW + MAX_AHEAD);
    }
}
