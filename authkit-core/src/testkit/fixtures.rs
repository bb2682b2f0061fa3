//! Ready-made rows, for tests of stores and flows.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::GuessSubject;
use crate::model::{
    Access, Actor, Assignment, AuditAction, AuditChange, AuditEvent, AuditLeaf, AuditSeal, AuthMethod, Client, KeyAlgorithm,
    KeyId, KeyPurpose, Outcome, RequestContext, Role, Rotation, ServerKey, Session, User, UserStatus,
};
use crate::model::{CodeUse, FactorKind, Phone, SentCode, TrustedDevice};
use crate::model::{CredentialId, Passkey, PasskeyChallenge, PasskeyTransport};
use crate::model::{FactorSet, Factors, Guesses, RecoveryCodes, TotpSecret};
use crate::model::{MessageKind, OneTimePurpose, OneTimeToken, OutboxMessage, OutboxState};
use crate::primitives::TrustedDeviceId;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{
    AuditEventId, Clock, DeviceName, Digest, Email, FullName, Locale, PasswordHash, RequestId, RoleDescription, Sealed,
    SessionId, Timestamp, UserAgent, UserId,
};
use crate::primitives::{OneTimeTokenId, OutboxMessageId};
use crate::primitives::{PasskeyChallengeId, PasskeyId, PasskeyName};

use super::{FrozenClock, SeededEntropy};

/// Makes rows that are valid, complete, and different from each other. What has to be special is changed with
/// struct update: `User { status: UserStatus::Suspended, ..fixtures.user() }`.
///
/// The same seed makes the same rows. Clones share the stream, so no two of them make one row.
#[derive(Debug, Clone)]
pub struct Fixtures {
    clock: FrozenClock,
    entropy: SeededEntropy,
}

impl Fixtures {
    /// The rows of a seed, made at the time of a frozen clock.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { clock: FrozenClock::new(), entropy: SeededEntropy::new(seed) }
    }

    /// The clock by which the rows are dated.
    #[must_use]
    pub const fn clock(&self) -> &FrozenClock {
        &self.clock
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An active account with every field set.
    #[must_use]
    pub fn user(&self) -> User {
        let id = UserId::generate(self.now(), &self.entropy);
        User {
            id,
            email: email(&format!("User.{}@Example.COM", id.as_uuid().simple())),
            email_verified_at: Some(self.now()),
            full_name: Some(FullName::from_stored("Zoë O'Hara-Müller 李".to_owned())),
            locale: Some(Locale::from_stored("zh-Hant-TW".to_owned())),
            status: UserStatus::Active,
            auth_epoch: 0,
            second_factors: FactorSet::NONE,
            access: Access::default(),
            version: 0,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// A live session of a user, idle after 7 days and over after 30.
    #[must_use]
    pub fn session(&self, user_id: UserId) -> Session {
        let now = self.now();
        Session {
            id: SessionId::generate(now, &self.entropy),
            user_id,
            generation: 0,
            secret: self.digest(),
            methods: vec![AuthMethod::Password],
            authenticated_at: now,
            device_name: Some(DeviceName::from_stored("Zoë's téléphone 📱".to_owned())),
            created_by: self.client(),
            last_used_by: self.client(),
            created_at: now,
            refreshed_at: now,
            idle_expires_at: now + Duration::from_hours(7 * 24),
            expires_at: now + Duration::from_hours(30 * 24),
            impersonator: None,
            revoked: None,
        }
    }

    /// The rotation that a client asks for who holds the session's current token.
    #[must_use]
    pub fn rotation(&self, session: &Session) -> Rotation {
        Rotation {
            session_id: session.id,
            generation: session.generation,
            presented: session.secret,
            successor: self.digest(),
            at: self.now(),
            idle_expires_at: self.now() + Duration::from_hours(7 * 24),
            client: self.client(),
        }
    }

    /// A successful login, with every field set.
    #[must_use]
    pub fn event(&self, subject: UserId) -> AuditEvent {
        let id = AuditEventId::generate(self.now(), &self.entropy);
        let request_id = Some(RequestId::generate(self.now(), &self.entropy));
        let context = RequestContext { client: self.client(), request_id, ..RequestContext::default() };
        AuditEvent::new(id, self.now(), AuditAction::Login, Outcome::Success, &context)
            .by(Actor::User(subject, Some(SessionId::generate(self.now(), &self.entropy))))
            .on(subject)
            .with("method", "pwd")
    }

    /// A role with every field set, which inherits what is built in.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn role(&self) -> Role {
        let name: String = random_bytes::<8>(&self.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        let permission = |text: &str| text.parse().expect("a permission");
        Role {
            name: format!("role-{name}").parse().expect("a name"),
            description: Some(RoleDescription::from_stored("Büro: liest, schreibt".to_owned())),
            permissions: [permission("invoice:read"), permission("report_2.x:*")].into(),
            inherits: ["user".parse().expect("a name")].into(),
            mfa_required: true,
            built_in: false,
            version: 0,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// A role for somebody, everywhere and for good, assigned by the operator.
    ///
    /// # Panics
    /// When the text is no name of a role.
    #[must_use]
    pub fn assignment(&self, role: &str) -> Assignment {
        let role = role.parse().expect("a name that a test wrote down is one");
        Assignment { role, scope: None, expires_at: None, assigned_by: None, assigned_at: self.now() }
    }

    /// A key pair of a purpose, with a sealed half that nothing can open.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn key(&self, purpose: KeyPurpose, serial: u32) -> ServerKey {
        let name: String = random_bytes::<8>(&self.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        ServerKey {
            id: KeyId::parse(&name).expect("hexadecimal digits are a key id"),
            purpose,
            serial,
            algorithm: KeyAlgorithm::Es256,
            private: Sealed::from_bytes(random_bytes::<96>(&self.entropy).to_vec()),
            public_jwk: Some(format!(r#"{{"kty":"EC","crv":"P-256","kid":"{name}"}}"#)),
            created_at: self.now(),
            activates_at: self.now() + Duration::from_hours(1),
        }
    }

    /// A seal behind another one, of events with these ids, with a signature that verifies under no key.
    #[must_use]
    pub fn seal(&self, previous: Option<&AuditSeal>, events: &[AuditEventId]) -> AuditChange {
        let through = events.iter().max().map_or(AuditEventId::first_of(self.now()), |last| last.next());
        let seal = AuditSeal {
            number: previous.map_or(0, |seal| seal.number) + 1,
            previous: previous.map_or(Digest::from_bytes([0; 32]), |seal| seal.digest),
            through,
            count: u32::try_from(events.len()).unwrap_or(u32::MAX),
            late: 0,
            root: self.digest(),
            purged: 0,
            sealed_at: self.now(),
            key_id: self.key(KeyPurpose::AuditSeal, 1).id,
            digest: self.digest(),
            signature: "c2lnbmF0dXJl".to_owned(),
        };
        let leaves = events.iter().map(|id| AuditLeaf { id: *id, hash: self.digest() }).collect();
        AuditChange::Seal { seal: Box::new(seal), leaves }
    }

    /// A one-time token of an account, with every field set and five attempts, valid for an hour.
    #[must_use]
    pub fn one_time_token(&self, user: &User, purpose: OneTimePurpose) -> OneTimeToken {
        OneTimeToken {
            id: OneTimeTokenId::generate(self.now(), &self.entropy),
            purpose,
            user_id: user.id,
            secret: self.digest(),
            auth_epoch: user.auth_epoch,
            address: Some(user.email.clone()),
            data: [("browser".to_owned(), "größer \"als\" 1 €".to_owned())].into(),
            attempts_left: 5,
            created_at: self.now(),
            expires_at: self.now() + Duration::from_hours(1),
        }
    }

    /// A passkey of an account, with every field set. No authenticator has the other half of it.
    #[must_use]
    pub fn passkey(&self, user_id: UserId) -> Passkey {
        Passkey {
            id: PasskeyId::generate(self.now(), &self.entropy),
            user_id,
            credential_id: CredentialId::from_stored(random_bytes::<64>(&self.entropy).to_vec()),
            public_key: random_bytes::<77>(&self.entropy).to_vec(),
            name: PasskeyName::from_stored("Zoë's téléphone 📱".to_owned()),
            sign_count: 3,
            backup_eligible: true,
            backed_up: true,
            transports: [PasskeyTransport::Internal, PasskeyTransport::Hybrid].into(),
            aaguid: PasskeyId::generate(self.now(), &self.entropy).as_uuid(),
            created_at: self.now(),
            last_used_at: Some(self.now()),
        }
    }

    /// A challenge that waits for five minutes to be signed.
    #[must_use]
    pub fn passkey_challenge(&self) -> PasskeyChallenge {
        let id = PasskeyChallengeId::generate(self.now(), &self.entropy);
        PasskeyChallenge { id, secret: self.digest(), expires_at: self.now() + Duration::from_mins(5) }
    }

    /// A mail that waits and is due now, sealed so that nothing can open it; it expires in a day.
    #[must_use]
    pub fn message(&self, user_id: UserId) -> OutboxMessage {
        OutboxMessage {
            id: OutboxMessageId::generate(self.now(), &self.entropy),
            kind: MessageKind::Mail,
            subject: "verify_email".to_owned(),
            user_id: Some(user_id),
            payload: Some(Sealed::from_bytes(random_bytes::<96>(&self.entropy).to_vec())),
            state: OutboxState::Pending,
            attempts: 0,
            due_at: self.now(),
            expires_at: self.now() + Duration::from_hours(24),
            created_at: self.now(),
            finished_at: None,
            last_error: None,
        }
    }

    /// A client at an address of the documentation range (RFC 3849).
    #[must_use]
    pub fn client(&self) -> Client {
        let [high, low] = random_bytes::<2>(&self.entropy);
        Client {
            ip: Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from_be_bytes([high, low])])),
            user_agent: UserAgent::from_header(&format!("test-client/{high}.{low} (Zoë)")),
        }
    }

    /// The digest of a fresh secret.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&random_bytes::<32>(&self.entropy))
    }

    /// Somebody whose secret nobody has guessed at yet.
    #[must_use]
    pub fn guess_subject(&self) -> GuessSubject {
        GuessSubject::from_digest(self.digest())
    }

    /// The second factors of an account with every field set. Nothing opens what is sealed in them.
    #[must_use]
    pub fn factors(&self, user_id: UserId) -> Factors {
        let sealed = || Sealed::from_bytes(random_bytes::<64>(&self.entropy).to_vec());
        Factors {
            user_id,
            version: 0,
            totp: Some(TotpSecret { sealed: sealed(), last_step: Some(u32::MAX), created_at: self.now() }),
            phone: Some(Phone { number: sealed(), created_at: self.now() }),
            recovery: Some(RecoveryCodes { key: sealed(), digests: vec![self.digest(), self.digest()], created_at: self.now() }),
            sent_codes: CodeUse::ALL.map(|used_for| self.sent_code(used_for)).to_vec(),
            trusted_devices: vec![self.trusted_device(), self.trusted_device()],
            guesses: Some(Guesses { failures: 3, last_at: self.now() }),
        }
    }

    /// A code that nobody was sent.
    #[must_use]
    pub fn sent_code(&self, used_for: CodeUse) -> SentCode {
        SentCode {
            used_for,
            kind: FactorKind::Sms,
            key: Sealed::from_bytes(random_bytes::<64>(&self.entropy).to_vec()),
            digest: self.digest(),
            attempts_left: 5,
            sent_at: self.now(),
            expires_at: self.now() + Duration::from_mins(10),
        }
    }

    /// A device that nobody holds.
    #[must_use]
    pub fn trusted_device(&self) -> TrustedDevice {
        TrustedDevice {
            id: TrustedDeviceId::generate(self.now(), &self.entropy),
            secret: self.digest(),
            auth_epoch: 4,
            name: Some(DeviceName::from_stored("Zoë's \"phone\"".to_owned())),
            user_agent: self.client().user_agent,
            created_at: self.now(),
            expires_at: self.now() + Duration::from_hours(24 * 30),
        }
    }

    /// Something of the form of a password hash. It is the hash of no password, and no two are equal.
    #[must_use]
    pub fn password_hash(&self) -> PasswordHash {
        let salt: String = random_bytes::<16>(&self.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$bm90IGEgaGFzaCBvZiBhbnl0aGluZw"))
    }
}

/// An address that is known to be one.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn email(text: &str) -> Email {
    Email::parse(text).expect("an address that a test wrote down is one")
}
