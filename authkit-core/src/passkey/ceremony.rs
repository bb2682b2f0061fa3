//! Challenges: random bytes that one ceremony of one person answers, once.

use uuid::Uuid;

use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, Entropy, OneTimeTokenId, PasskeyChallengeId, SessionId, Timestamp, UserId};

/// What a challenge may be answered for, and by whom.
///
/// SECURITY: all of it is part of what is hashed and stored of the challenge. An answer that is given for anything else, or by anybody
/// else, hashes to something that was never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ceremony {
    /// A passkey is added in this session.
    Register(UserId, SessionId),
    /// Somebody logs in of whom nothing is known yet.
    LogIn,
    /// The second factor of a login, behind this challenge.
    SecondFactor(UserId, OneTimeTokenId),
    /// Somebody proves again who she is, in this session.
    Reauthenticate(UserId, SessionId),
}

impl Ceremony {
    fn parts(self) -> (&'static [u8], Uuid, Uuid) {
        match self {
            Self::Register(user, session) => (b"register", user.as_uuid(), session.as_uuid()),
            Self::LogIn => (b"log_in", Uuid::nil(), Uuid::nil()),
            Self::SecondFactor(user, token) => (b"second_factor", user.as_uuid(), token.as_uuid()),
            Self::Reauthenticate(user, session) => (b"reauthenticate", user.as_uuid(), session.as_uuid()),
        }
    }
}

/// A challenge: its id, and 32 random bytes (WebAuthn Level 3 §13.4.3 asks for 16 at least).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    id: PasskeyChallengeId,
    bytes: Vec<u8>,
}

impl Challenge {
    /// Draws a fresh one.
    #[must_use]
    pub fn draw(at: Timestamp, entropy: &dyn Entropy) -> Self {
        let id = PasskeyChallengeId::generate(at, entropy);
        let bytes = [id.as_uuid().as_bytes().as_slice(), &random_bytes::<32>(entropy)].concat();
        Self { id, bytes }
    }

    /// The challenge that somebody has signed; `None` for what cannot be one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        let id = PasskeyChallengeId::from_uuid(Uuid::from_bytes(*id));
        (secret.len() == 32).then(|| Self { id, bytes: bytes.to_vec() })
    }

    /// The challenge of a test vector, which is of another length.
    #[cfg(test)]
    pub(super) fn of_vector(bytes: &[u8]) -> Self {
        Self { id: PasskeyChallengeId::from_uuid(Uuid::nil()), bytes: bytes.to_vec() }
    }

    /// Its id, by which it is found again.
    #[must_use]
    pub const fn id(&self) -> PasskeyChallengeId {
        self.id
    }

    /// What the authenticator signs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self, ceremony: Ceremony) -> Digest {
        let (name, user, bound_to) = ceremony.parts();
        let parts = [b"authkit passkey challenge v1\0", name, b"\0", user.as_bytes(), bound_to.as_bytes(), &self.bytes];
        Digest::of(&parts.concat())
    }
}

/// The user handle of an account: what its passkeys say whose they are. An authenticator may tell it to whoever holds it, so it says
/// nothing about anybody (WebAuthn Level 3 §14.6.1), the time in the account's id included.
#[must_use]
pub fn user_handle(user_id: UserId) -> [u8; 32] {
    *Digest::of(&[b"authkit passkey user handle v1\0".as_slice(), user_id.as_uuid().as_bytes()].concat()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::OsEntropy;

    #[test]
    fn what_a_challenge_is_for_is_part_of_what_is_stored() {
        let at = Timestamp::UNIX_EPOCH;
        let challenge = Challenge::draw(at, &OsEntropy);
        let users = [UserId::generate(at, &OsEntropy), UserId::generate(at, &OsEntropy)];
        let sessions = [SessionId::generate(at, &OsEntropy), SessionId::generate(at, &OsEntropy)];
        // An id of another kind that happens to be the same bytes.
        let token = OneTimeTokenId::from_uuid(sessions[0].as_uuid());
        let mut ceremonies = vec![Ceremony::LogIn];
        for user in users {
            ceremonies.push(Ceremony::SecondFactor(user, token));
            for session in sessions {
                ceremonies.extend([Ceremony::Register(user, session), Ceremony::Reauthenticate(user, session)]);
            }
        }
        let mut digests: Vec<_> = ceremonies.iter().map(|ceremony| *challenge.digest(*ceremony).as_bytes()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), ceremonies.len());
    }

    #[test]
    fn a_challenge_is_found_again_by_its_bytes_alone() {
        let challenge = Challenge::draw(Timestamp::UNIX_EPOCH, &OsEntropy);
        assert_eq!(Challenge::of(challenge.as_bytes()), Some(challenge.clone()));
        for wrong in [0, 16, 47] {
            assert_eq!(Challenge::of(&challenge.as_bytes()[..wrong]), None);
        }
        assert_eq!(Challenge::of(&[challenge.as_bytes(), &[0]].concat()), None);
        assert_ne!(Challenge::draw(Timestamp::UNIX_EPOCH, &OsEntropy), challenge);
    }
}
