//! Wrong guesses at a secret, counted durably: how many in a row, and when the last one was.

use crate::primitives::{Digest, Email, SessionId, Timestamp};

/// Whose secret is guessed at, and from what kind of place: guesses of each are counted apart.
///
/// # Security
/// What clients write is kept as a digest, so that a row costs the same however long the text was, and a count is kept whether
/// there is such an account or not. The digest is no secret: whoever reads the table can try addresses out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessSubject(Digest);

impl GuessSubject {
    /// Logins to an address by devices that are not known there, whether it has an account or not.
    #[must_use]
    pub fn strangers(email: &Email) -> Self {
        Self::of("strangers", email.normal().as_bytes())
    }

    /// Logins by one device that is known to an account.
    #[must_use]
    pub fn device(device: &[u8; 16]) -> Self {
        Self::of("device", device)
    }

    /// Checks of the password within one session.
    #[must_use]
    pub fn session(id: SessionId) -> Self {
        Self::of("session", id.as_uuid().as_bytes())
    }

    fn of(kind: &str, name: &[u8]) -> Self {
        // INVARIANT: no kind holds a zero byte, so that no name of one kind is one of another.
        Self(Digest::of(&[b"authkit guesses v1\0", kind.as_bytes(), b"\0", name].concat()))
    }

    /// The subject that a store kept.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The subject as a store keeps it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

/// Guesses in a row that were wrong, or were let through and not heard of again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    /// How many.
    pub failures: u32,
    /// When the last one was counted.
    pub last_at: Timestamp,
}

/// One change of a count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuessChange {
    /// Counts a wrong guess: one more than there were, in one step that loses none among rivals. No guard.
    Count {
        /// Whose.
        subject: GuessSubject,
        /// When.
        at: Timestamp,
    },
    /// Counts a guess before it is evaluated. Guard: the count is still the one that was read, with its instant
    /// (`Conflict::GuessesChanged`), so that of any number of rivals one is let through.
    Reserve {
        /// Whose.
        subject: GuessSubject,
        /// What was read.
        from: Guesses,
        /// When.
        at: Timestamp,
    },
    /// Forgets the count, if there is one: the secret was known. No guard.
    Forget {
        /// Whose.
        subject: GuessSubject,
    },
    /// Forgets counts whose last guess was before an instant and that are below a number; at most `limit`. No guard;
    /// `Committed::purged` says how many. Counts that rivals are touching may be left to them.
    Purge {
        /// Counts that were touched since then stay.
        last_before: Timestamp,
        /// Counts of so many guesses stay.
        below: u32,
        /// How many at most, so that no transaction is long.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_of_its_kind_in_every_spelling() {
        let strangers = |text: &str| GuessSubject::strangers(&Email::parse(text).unwrap());
        assert_eq!(strangers("Jane@Example.COM"), strangers("jane@example.com"));
        assert_ne!(strangers("jane@example.com"), strangers("john@example.com"));
        let id = SessionId::from_uuid(uuid::Uuid::from_u128(7));
        assert_ne!(GuessSubject::device(id.as_uuid().as_bytes()), GuessSubject::session(id));
        // printf 'authkit guesses v1\0strangers\0jane@example.com' | sha256sum: nodes of every version must agree on it.
        let hex: String = strangers("jane@example.com").digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3a8f313a51bd0abb05a4ecd53c6045ac22b66467426ced5ada17e372c0b231a8");
    }
}
