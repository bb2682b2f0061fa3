//! How the model is written down: as JSON, because it can be read with the eye. A store for millions of sessions might prefer
//! a binary form; nothing but this file would change.
//!
//! Each record names the fields of its model once, and the compiler holds them against it (`remote` is a derive of serde for a
//! type of somebody else's): when a release of AuthKit adds a field, this file stops compiling instead of forgetting it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use authkit_core::model::{
    Access, Actor, Assignment, AuditAction, AuditEvent, AuditSeal, AuditStream, AuthMethod, Client, Impersonator, KeyAlgorithm,
    KeyId, KeyPurpose, Outcome, RevocationReason, Role, ServerKey, Session, User, UserStatus,
};
use authkit_core::model::{CredentialId, Passkey, PasskeyTransport};
use authkit_core::model::{FactorSet, Factors, Guesses, RecoveryCodes, TotpSecret};
use authkit_core::model::{MessageKind, OneTimePurpose, OneTimeToken, OutboxMessage, OutboxState};
use authkit_core::model::{Phone, SentCode, TrustedDevice};
use authkit_core::ports::StoreError;
use authkit_core::{
    AuditEventId, DeviceName, Digest, Email, FullName, Locale, Permission, RequestId, RoleDescription, RoleName, Scope, Sealed,
    SessionId, Timestamp, UserAgent, UserId,
};
use authkit_core::{OneTimeTokenId, OutboxMessageId};
use authkit_core::{PasskeyId, PasskeyName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tables::PASSKEYS;
use crate::tables::{EVENTS, FACTORS, KEYS, ROLES, Records, SEALS, SESSIONS, STREAMS, USERS};
use crate::tables::{OUTBOX, TOKENS};

/// A model that is a row of its own table.
pub(crate) trait Stored: Sized {
    type Key: redb::Key + 'static;
    const TABLE: Records<Self::Key>;

    fn key(&self) -> KeyOf<'_, Self>;
    fn encode(&self) -> Result<Vec<u8>, StoreError>;
    fn decode(bytes: &[u8]) -> Result<Self, StoreError>;
}

/// The primary key of a model.
pub(crate) type KeyOf<'k, M> = <<M as Stored>::Key as redb::Value>::SelfType<'k>;

macro_rules! stored {
    ($($model:ty as $record:ty, in $table:ident by $key:ty: |$row:ident| $key_of:expr;)+) => {$(
        impl Stored for $model {
            type Key = $key;
            const TABLE: Records<$key> = $table;

            fn key(&self) -> KeyOf<'_, Self> {
                let $row = self;
                $key_of
            }

            fn encode(&self) -> Result<Vec<u8>, StoreError> {
                let mut bytes = Vec::with_capacity(512);
                <$record>::serialize(self, &mut serde_json::Serializer::new(&mut bytes)).map_err(StoreError::failed)?;
                Ok(bytes)
            }

            fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
                <$record>::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(StoreError::failed)
            }
        }
    )+};
}

stored! {
    User as UserRecord, in USERS by Uuid: |user| user.id.as_uuid();
    Session as SessionRecord, in SESSIONS by Uuid: |session| session.id.as_uuid();
    ServerKey as ServerKeyRecord, in KEYS by &'static str: |key| key.id.as_str();
    Factors as FactorsRecord, in FACTORS by Uuid: |factors| factors.user_id.as_uuid();
    Role as RoleRecord, in ROLES by &'static str: |role| role.name.as_str();
    AuditEvent as AuditEventRecord, in EVENTS by Uuid: |event| event.id.as_uuid();
    AuditSeal as AuditSealRecord, in SEALS by u64: |seal| seal.number;
    AuditStream as AuditStreamRecord, in STREAMS by &'static str: |stream| stream.name.as_str();
    OneTimeToken as OneTimeTokenRecord, in TOKENS by Uuid: |token| token.id.as_uuid();
    Passkey as PasskeyRecord, in PASSKEYS by Uuid: |passkey| passkey.id.as_uuid();
    OutboxMessage as OutboxMessageRecord, in OUTBOX by Uuid: |message| message.id.as_uuid();
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "User")]
struct UserRecord {
    id: UserId,
    #[serde(with = "field")]
    email: Email,
    #[serde(with = "field")]
    email_verified_at: Option<Timestamp>,
    #[serde(with = "field")]
    full_name: Option<FullName>,
    #[serde(with = "field")]
    locale: Option<Locale>,
    #[serde(with = "field")]
    status: UserStatus,
    auth_epoch: u32,
    #[serde(with = "field")]
    second_factors: FactorSet,
    #[serde(with = "AccessRecord")]
    access: Access,
    version: u32,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Access")]
struct AccessRecord {
    version: u32,
    #[serde(with = "field")]
    assignments: Vec<Assignment>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Role")]
struct RoleRecord {
    name: RoleName,
    #[serde(with = "field")]
    description: Option<RoleDescription>,
    permissions: BTreeSet<Permission>,
    inherits: BTreeSet<RoleName>,
    mfa_required: bool,
    built_in: bool,
    version: u32,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Session")]
struct SessionRecord {
    id: SessionId,
    user_id: UserId,
    generation: u32,
    #[serde(with = "field")]
    secret: Digest,
    #[serde(with = "field")]
    methods: Vec<AuthMethod>,
    #[serde(with = "field")]
    authenticated_at: Timestamp,
    #[serde(with = "field")]
    device_name: Option<DeviceName>,
    #[serde(with = "ClientRecord")]
    created_by: Client,
    #[serde(with = "ClientRecord")]
    last_used_by: Client,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    refreshed_at: Timestamp,
    #[serde(with = "field")]
    idle_expires_at: Timestamp,
    #[serde(with = "field")]
    expires_at: Timestamp,
    #[serde(with = "field")]
    impersonator: Option<Impersonator>,
    #[serde(with = "field")]
    revoked: Option<(Timestamp, RevocationReason)>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ServerKey")]
struct ServerKeyRecord {
    #[serde(with = "field")]
    id: KeyId,
    #[serde(with = "field")]
    purpose: KeyPurpose,
    serial: u32,
    #[serde(with = "field")]
    algorithm: KeyAlgorithm,
    #[serde(with = "field")]
    private: Sealed,
    public_jwk: Option<String>,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    activates_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Factors")]
struct FactorsRecord {
    user_id: UserId,
    version: u32,
    #[serde(with = "field")]
    totp: Option<TotpSecret>,
    #[serde(with = "field")]
    phone: Option<Phone>,
    #[serde(with = "field")]
    recovery: Option<RecoveryCodes>,
    #[serde(with = "field")]
    sent_codes: Vec<SentCode>,
    #[serde(with = "field")]
    trusted_devices: Vec<TrustedDevice>,
    #[serde(with = "field")]
    guesses: Option<Guesses>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuditEvent")]
struct AuditEventRecord {
    id: AuditEventId,
    #[serde(with = "field")]
    at: Timestamp,
    #[serde(with = "field")]
    action: AuditAction,
    #[serde(with = "field")]
    outcome: Outcome,
    #[serde(with = "ActorRecord")]
    actor: Actor,
    subject: Option<UserId>,
    #[serde(with = "ClientRecord")]
    client: Client,
    request_id: Option<RequestId>,
    details: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuditSeal")]
struct AuditSealRecord {
    number: u64,
    #[serde(with = "field")]
    previous: Digest,
    through: AuditEventId,
    count: u32,
    late: u32,
    #[serde(with = "field")]
    root: Digest,
    purged: u64,
    #[serde(with = "field")]
    sealed_at: Timestamp,
    #[serde(with = "field")]
    key_id: KeyId,
    #[serde(with = "field")]
    digest: Digest,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuditStream")]
struct AuditStreamRecord {
    name: String,
    holder: String,
    #[serde(with = "field")]
    lease_until: Timestamp,
    position: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OneTimeToken")]
struct OneTimeTokenRecord {
    id: OneTimeTokenId,
    #[serde(with = "field")]
    purpose: OneTimePurpose,
    user_id: UserId,
    #[serde(with = "field")]
    secret: Digest,
    auth_epoch: u32,
    #[serde(with = "field")]
    address: Option<Email>,
    data: BTreeMap<String, String>,
    attempts_left: u32,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Passkey")]
struct PasskeyRecord {
    id: PasskeyId,
    user_id: UserId,
    #[serde(with = "field")]
    credential_id: CredentialId,
    public_key: Vec<u8>,
    #[serde(with = "field")]
    name: PasskeyName,
    sign_count: u32,
    backup_eligible: bool,
    backed_up: bool,
    #[serde(with = "field")]
    transports: BTreeSet<PasskeyTransport>,
    #[serde(with = "field")]
    aaguid: Uuid,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    last_used_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OutboxMessage")]
struct OutboxMessageRecord {
    id: OutboxMessageId,
    #[serde(with = "field")]
    kind: MessageKind,
    subject: String,
    user_id: Option<UserId>,
    #[serde(with = "field")]
    payload: Option<Sealed>,
    #[serde(with = "field")]
    state: OutboxState,
    attempts: u32,
    #[serde(with = "field")]
    due_at: Timestamp,
    #[serde(with = "field")]
    expires_at: Timestamp,
    #[serde(with = "field")]
    created_at: Timestamp,
    #[serde(with = "field")]
    finished_at: Option<Timestamp>,
    last_error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Client")]
struct ClientRecord {
    ip: Option<IpAddr>,
    #[serde(with = "field")]
    user_agent: Option<UserAgent>,
}

// `non_exhaustive` as the original: an actor of a later release is refused when it is written, not written as another.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Actor")]
#[non_exhaustive]
enum ActorRecord {
    Anonymous,
    User(UserId, Option<SessionId>),
    System,
}

/// A part of a model, and the plain value that stands for it on disk.
trait Field: Sized {
    type Plain: Serialize + for<'de> Deserialize<'de>;

    fn to_plain(&self) -> Self::Plain;
    /// `None` for a value that this version of AuthKit does not know.
    fn from_plain(plain: Self::Plain) -> Option<Self>;
}

/// `#[serde(with = "field")]`: goes by way of [`Field`].
mod field {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Field;

    pub(super) fn serialize<F: Field, S: Serializer>(field: &F, to: S) -> Result<S::Ok, S::Error> {
        field.to_plain().serialize(to)
    }

    pub(super) fn deserialize<'de, F: Field, D: Deserializer<'de>>(from: D) -> Result<F, D::Error> {
        F::from_plain(F::Plain::deserialize(from)?).ok_or_else(|| de::Error::custom("a name that this version does not know"))
    }
}

macro_rules! fields {
    ($($field:ty as $plain:ty: |$of:ident| $to_plain:expr, |$plain_of:ident| $from_plain:expr;)+) => {$(
        impl Field for $field {
            type Plain = $plain;

            fn to_plain(&self) -> $plain {
                let $of = self;
                $to_plain
            }

            fn from_plain($plain_of: $plain) -> Option<Self> {
                $from_plain
            }
        }
    )+};
}

// What was checked when it came in is taken as it is (`from_stored`): a rule that became stricter since must not lock out
// those who were there before.
fields! {
    Timestamp as i64: |at| at.unix_micros(), |micros| Some(Self::from_unix_micros(micros));
    Email as (String, String):
        |email| (email.normal().to_owned(), email.spelling().to_owned()),
        |pair| Some(Self::from_stored(pair.0, pair.1));
    FullName as String: |name| name.as_str().to_owned(), |text| Some(Self::from_stored(text));
    RoleDescription as String: |text| text.as_str().to_owned(), |text| Some(Self::from_stored(text));
    Assignment as (RoleName, Option<Scope>, Option<i64>, Option<UserId>, i64):
        |given| (
            given.role.clone(),
            given.scope.clone(),
            given.expires_at.map(Timestamp::unix_micros),
            given.assigned_by,
            given.assigned_at.unix_micros(),
        ),
        |plain| {
            let (role, scope, expires_at, assigned_by, assigned_at) = plain;
            let expires_at = expires_at.map(Timestamp::from_unix_micros);
            Some(Self { role, scope, expires_at, assigned_by, assigned_at: Timestamp::from_unix_micros(assigned_at) })
        };
    DeviceName as String: |name| name.as_str().to_owned(), |text| Some(Self::from_stored(text));
    Locale as String: |locale| locale.as_str().to_owned(), |text| Some(Self::from_stored(text));
    UserAgent as String: |agent| agent.as_str().to_owned(), |text| Some(Self::from_stored(text));
    Impersonator as (UserId, SessionId):
        |acting| (acting.user_id, acting.session_id),
        |pair| Some(Self { user_id: pair.0, session_id: pair.1 });
    Digest as [u8; 32]: |digest| *digest.as_bytes(), |bytes| Some(Self::from_bytes(bytes));
    Sealed as Vec<u8>: |sealed| sealed.as_bytes().to_vec(), |bytes| Some(Self::from_bytes(bytes));
    KeyId as String: |id| id.as_str().to_owned(), |text| Self::parse(&text);
    UserStatus as String: |status| status.as_str().to_owned(), |name| Self::from_name(&name);
    AuthMethod as String: |method| method.as_str().to_owned(), |name| Self::from_name(&name);
    RevocationReason as String: |reason| reason.as_str().to_owned(), |name| Self::from_name(&name);
    AuditAction as String: |action| action.as_str().to_owned(), |name| Self::from_name(&name);
    Outcome as String: |outcome| outcome.as_str().to_owned(), |name| Self::from_name(&name);
    Uuid as [u8; 16]: |id| *id.as_bytes(), |bytes| Some(Self::from_bytes(bytes));
    CredentialId as Vec<u8>: |id| id.as_bytes().to_vec(), |bytes| Self::new(bytes);
    PasskeyName as String: |name| name.as_str().to_owned(), |text| Some(Self::from_stored(text));
    BTreeSet<PasskeyTransport> as Vec<String>:
        |transports| transports.iter().map(|transport| transport.as_str().to_owned()).collect(),
        |names| names.iter().map(|name| PasskeyTransport::from_name(name)).collect();
    FactorSet as u32: |set| set.bits(), |bits| Self::from_bits(bits);
    TotpSecret as (Vec<u8>, Option<u32>, i64):
        |totp| (totp.sealed.to_plain(), totp.last_step, totp.created_at.to_plain()),
        |plain| Some(Self { sealed: Sealed::from_bytes(plain.0), last_step: plain.1, created_at: Timestamp::from_unix_micros(plain.2) });
    RecoveryCodes as (Vec<u8>, Vec<[u8; 32]>, i64):
        |codes| (codes.key.to_plain(), codes.digests.to_plain(), codes.created_at.to_plain()),
        |plain| Some(Self {
            key: Sealed::from_bytes(plain.0),
            digests: Field::from_plain(plain.1)?,
            created_at: Timestamp::from_unix_micros(plain.2),
        });
    Phone as (Vec<u8>, i64):
        |phone| (phone.number.to_plain(), phone.created_at.to_plain()),
        |plain| Some(Self { number: Sealed::from_bytes(plain.0), created_at: Timestamp::from_unix_micros(plain.1) });
    SentCode as Option<String>:
        |code| Self::to_stored(std::slice::from_ref(code)),
        |text| Self::from_stored(text.as_deref())?.pop();
    TrustedDevice as Option<String>:
        |device| Self::to_stored(std::slice::from_ref(device)),
        |text| Self::from_stored(text.as_deref())?.pop();
    Guesses as (u32, i64):
        |guesses| (guesses.failures, guesses.last_at.to_plain()),
        |plain| Some(Self { failures: plain.0, last_at: Timestamp::from_unix_micros(plain.1) });
    KeyPurpose as String: |purpose| purpose.as_str().to_owned(), |name| Self::from_name(&name);
    OneTimePurpose as String: |purpose| purpose.as_str().to_owned(), |name| Self::from_name(&name);
    MessageKind as String: |kind| kind.as_str().to_owned(), |name| Self::from_name(&name);
    OutboxState as String: |state| state.as_str().to_owned(), |name| Self::from_name(&name);
    KeyAlgorithm as String: |algorithm| algorithm.as_str().to_owned(), |name| Self::from_name(&name);
}

impl<F: Field> Field for Option<F> {
    type Plain = Option<F::Plain>;

    fn to_plain(&self) -> Self::Plain {
        self.as_ref().map(F::to_plain)
    }

    fn from_plain(plain: Self::Plain) -> Option<Self> {
        plain.map_or(Some(None), |plain| F::from_plain(plain).map(Some))
    }
}

impl<F: Field> Field for Vec<F> {
    type Plain = Vec<F::Plain>;

    fn to_plain(&self) -> Self::Plain {
        self.iter().map(F::to_plain).collect()
    }

    fn from_plain(plain: Self::Plain) -> Option<Self> {
        plain.into_iter().map(F::from_plain).collect()
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    type Plain = (A::Plain, B::Plain);

    fn to_plain(&self) -> Self::Plain {
        (self.0.to_plain(), self.1.to_plain())
    }

    fn from_plain((a, b): Self::Plain) -> Option<Self> {
        Some((A::from_plain(a)?, B::from_plain(b)?))
    }
}
