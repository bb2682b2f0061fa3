//! The people of a database that is measured: every row follows from its number.

use std::time::Duration;

use authkit_core::model::{
    Actor, AuditAction, AuditEvent, AuthMethod, Client, FactorSet, Outcome, RequestContext, RevocationReason, Session, User,
    UserStatus,
};
use authkit_core::{AuditEventId, DeviceName, Digest, Email, Entropy, SessionId, Timestamp, UserAgent, UserId};

const DAY: Duration = Duration::from_hours(24);
/// The accounts were made evenly over a year, which ended when the first session began.
const ACCOUNTS_SINCE: Duration = DAY.saturating_mul(365);
/// The sessions began evenly over six days: none of them has been idle for the seven days that end it.
const SESSIONS_SINCE: Duration = DAY.saturating_mul(6);
/// The last one began an hour ago: what was revoked, was revoked before anybody could still hold an access token.
const SESSIONS_UNTIL: Duration = Duration::from_hours(1);
/// One in so many sessions was revoked, but nobody's last one.
const REVOKED_EVERY: u64 = 20;
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// So many accounts and sessions, as they stood at one instant.
///
/// Nothing is drawn: the same number makes the same row. Sessions lie in the order in which they began, so that those of one
/// account are scattered over the table as they are in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// How many accounts, numbered from 0; at least one.
    pub users: u64,
    /// How many sessions, numbered from 0.
    pub sessions: u64,
    /// When.
    pub at: Timestamp,
}

impl Population {
    /// The address of the account `number`.
    #[must_use]
    pub fn email(number: u64) -> String {
        format!("user-{number}@scale.example")
    }

    /// The account `number`.
    #[must_use]
    pub fn user(&self, number: u64) -> User {
        let until = before(self.at, SESSIONS_SINCE);
        let created_at = spread(before(until, ACCOUNTS_SINCE), ACCOUNTS_SINCE, number, self.users);
        let email = Self::email(number);
        User {
            id: UserId::generate(created_at, &Noise { kind: Kind::User, number }),
            email: Email::from_stored(email.clone(), email),
            email_verified_at: Some(created_at),
            full_name: None,
            locale: None,
            status: UserStatus::Active,
            auth_epoch: 0,
            second_factors: FactorSet::NONE,
            access: authkit_core::model::Access::default(),
            version: 0,
            created_at,
            updated_at: created_at,
        }
    }

    /// Whose session `number` is: everybody has as many, up to one.
    #[must_use]
    pub const fn owner(&self, number: u64) -> u64 {
        // A stride that shares no factor with a round number of accounts visits them all before any a second time.
        (number % self.users).wrapping_mul(7_919) % self.users
    }

    /// Whether session `number` can still be refreshed.
    #[must_use]
    pub const fn is_live(&self, number: u64) -> bool {
        number + self.users >= self.sessions || scattered(0, number, REVOKED_EVERY) > 0
    }

    /// The session `number`, which was never refreshed.
    #[must_use]
    pub fn session(&self, number: u64) -> Session {
        let first = before(self.at, SESSIONS_SINCE);
        let created_at = spread(first, SESSIONS_SINCE.saturating_sub(SESSIONS_UNTIL), number, self.sessions);
        let noise = Noise { kind: Kind::Session, number };
        let client = client(number);
        Session {
            id: SessionId::generate(created_at, &noise),
            user_id: self.user(self.owner(number)).id,
            generation: 0,
            secret: digest(Kind::Secret, number),
            methods: vec![AuthMethod::Password],
            authenticated_at: created_at,
            device_name: Some(DeviceName::from_stored("Firefox on Linux".to_owned())),
            created_by: client.clone(),
            last_used_by: client,
            created_at,
            refreshed_at: created_at,
            idle_expires_at: created_at + DAY * 7,
            expires_at: created_at + DAY * 30,
            impersonator: None,
            revoked: (!self.is_live(number)).then_some((created_at, RevocationReason::Logout)),
        }
    }

    /// The login that began session `number`, as the audit log has it.
    #[must_use]
    pub fn login(&self, number: u64) -> AuditEvent {
        let session = self.session(number);
        let id = AuditEventId::generate(session.created_at, &Noise { kind: Kind::Event, number });
        let context = RequestContext { client: session.created_by, ..RequestContext::default() };
        AuditEvent::new(id, session.created_at, AuditAction::Login, Outcome::Success, &context)
            .by(Actor::User(session.user_id, Some(session.id)))
            .on(session.user_id)
            .with("method", AuthMethod::Password.as_str())
    }
}

/// A number that looks drawn, below `bound`.
#[must_use]
pub const fn scattered(seed: u64, number: u64, bound: u64) -> u64 {
    mix(mix(seed) ^ number) % bound
}

/// What a client is taken for.
fn client(number: u64) -> Client {
    let [.., a, b, c] = mix(number).to_be_bytes();
    Client { ip: Some([100, 64 | (a & 63), b, c].into()), user_agent: Some(UserAgent::from_stored(USER_AGENT.to_owned())) }
}

fn digest(kind: Kind, number: u64) -> Digest {
    let mut bytes = [0; 32];
    Noise { kind, number }.fill(&mut bytes);
    Digest::from_bytes(bytes)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_unix_micros(at.unix_micros() - i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

/// The instant of the `number`th of `count` things that happened evenly over a time.
fn spread(from: Timestamp, over: Duration, number: u64, count: u64) -> Timestamp {
    let micros = over.as_micros() * u128::from(number) / u128::from(count.max(1));
    from + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    User = 1,
    Session,
    Secret,
    Event,
}

/// The "random" bytes of a row.
#[derive(Debug, Clone, Copy)]
struct Noise {
    kind: Kind,
    number: u64,
}

impl Entropy for Noise {
    fn fill(&self, buffer: &mut [u8]) {
        for (word, chunk) in (0_u64..).zip(buffer.chunks_mut(8)) {
            let bytes = mix(mix(self.number) ^ ((self.kind as u64) << 8 | word)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const SOME: Population = Population { users: 100, sessions: 300, at: Timestamp::from_unix_seconds(1_800_000_000) };

    #[test]
    fn rows_follow_from_their_numbers_and_no_two_are_alike() {
        let users: HashSet<_> = (0..SOME.users).map(|number| SOME.user(number).id).collect();
        let sessions: HashSet<_> = (0..SOME.sessions).map(|number| SOME.session(number).id).collect();
        let secrets: HashSet<_> = (0..SOME.sessions).map(|number| *SOME.session(number).secret.as_bytes()).collect();
        let events: HashSet<_> = (0..SOME.sessions).map(|number| SOME.login(number).id).collect();
        assert_eq!((users.len(), sessions.len(), secrets.len(), events.len()), (100, 300, 300, 300));
        assert_eq!(SOME.session(7), SOME.session(7));
    }

    #[test]
    fn everybody_has_as_many_sessions_and_most_of_them_live() {
        let mut owned = HashMap::<_, u64>::new();
        (0..SOME.sessions).for_each(|number| *owned.entry(SOME.session(number).user_id).or_default() += 1);
        assert!(owned.len() == 100 && owned.values().all(|sessions| *sessions == 3), "{owned:?}");
        let live: Vec<_> = (0..SOME.sessions).map(|number| SOME.session(number)).filter(|s| s.is_live(SOME.at)).collect();
        assert!((280..300).contains(&live.len()), "{}", live.len());
        assert_eq!(live.iter().map(|session| session.user_id).collect::<HashSet<_>>().len(), 100, "somebody has none");
        assert!((0..SOME.sessions).all(|number| SOME.session(number).is_live(SOME.at) == SOME.is_live(number)));
    }

    #[test]
    fn newer_rows_have_greater_ids() {
        assert!((1..SOME.users).all(|number| SOME.user(number - 1).id < SOME.user(number).id));
        assert!((1..SOME.sessions).all(|number| SOME.session(number - 1).id < SOME.session(number).id));
    }
}
