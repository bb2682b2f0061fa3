//! Random histories: what may happen to a store, over a universe small enough that everything meets everything else.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use uuid::Uuid;

use crate::model::{
    Access, Assignment, AuditAction, AuditChange, AuditEvent, AuditLeaf, AuditSeal, AuthMethod, Change, ChangeSet, Client,
    CredentialChange, Impersonator, KeyAlgorithm, KeyChange, KeyId, KeyPurpose, Outcome, Patch, RequestContext, RevocationReason,
    Role, RoleChange, Rotation, ServerKey, Session, SessionChange, User, UserChange, UserStatus,
};
use crate::model::{CredentialId, Passkey, PasskeyChallenge, PasskeyChange};
use crate::model::{FactorChange, FactorKind, FactorSet, Factors, TotpSecret};
use crate::model::{GuessChange, GuessSubject, Guesses};
use crate::model::{MessageKind, OneTimePurpose, OneTimeToken, OneTimeTokenChange, OutboxChange, OutboxMessage, OutboxState};
use crate::ports::store::Store;
use crate::primitives::{
    AuditEventId, DeviceName, Digest, Email, FullName, Locale, PasswordHash, RoleDescription, RoleName, Sealed, SessionId,
    Timestamp, UserId,
};
use crate::primitives::{OneTimeTokenId, OutboxMessageId};
use crate::primitives::{PasskeyChallengeId, PasskeyId, PasskeyName};

use super::super::FrozenClock;
use super::super::fixtures::email;

const USERS: u8 = 4;
const EMAILS: u8 = 4;
const SESSIONS: u8 = 8;
const SUBJECTS: u8 = 3;
const HOURS: u8 = 6;
const TOKENS: u8 = 4;
const MESSAGES: u8 = 4;
const PASSKEYS: u8 = 5;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Some changes, as one set.
    Commit(Vec<Move>),
    /// A rotation.
    Rotate(Turn),
}

/// A change, in small numbers. What has to match the store's state (an epoch, a hash) is looked up when it happens.
#[derive(Debug, Clone)]
pub(super) enum Move {
    InsertUser { user: u8, email: u8, shouted: bool, suspended: bool },
    UpdateProfile { user: u8, name: Option<bool>, locale: Option<bool>, at: u8 },
    RaiseAuthEpoch { user: u8, ahead: u8, at: u8 },
    Close { user: u8, at: u8 },
    Update { user: u8, ahead: u8, email: Option<u8>, name: Option<bool>, at: u8 },
    Suspend { user: u8, ahead: u8, at: u8 },
    Restore { user: u8, ahead: u8, at: u8 },
    Expect { user: u8, ahead: u8 },
    InsertPassword { user: u8, hash: u8 },
    ReplacePassword { user: u8, stale: bool, hash: u8 },
    DeletePassword { user: u8 },
    Begin { session: u8, user: u8, ahead: u8, refreshed: u8, idle: u8, end: u8 },
    Revoke { session: u8, reused: bool, at: u8 },
    RevokeAll { user: u8, except: Option<u8>, at: u8 },
    EndImpersonations { by: u8, at: u8 },
    EnforceCap { user: u8, keep: u8, at: u8 },
    Reauthenticate { session: u8, ahead: u8, at: u8 },
    PurgeSessions { at: u8 },
    InsertRole { role: u8, super_role: bool, inherits: Option<u8>, stale: bool },
    UpdateRole { role: u8, super_role: bool, inherits: Option<u8>, stale: bool },
    DeleteRole { role: u8 },
    Assign { user: u8, roles: Vec<(u8, bool, bool)>, stale: bool, at: u8 },
    HoldAccess { user: u8, ahead: u8 },
    SpareLastHolder { user: u8 },
    KeepAHolder,
    ExpectRoles { stale: bool },
    EndImpersonationsOf { user: u8, at: u8 },
    EndImpersonationsByRole { roles: Vec<u8>, at: u8 },
    InsertKey { key: u8, access: bool, serial: u8 },
    DeleteKey { key: u8 },
    Append { event: u8, subject: Option<u8> },
    Seal { forked: bool, skipped: bool, events: Vec<u8> },
    PurgeSealed { seal: u8 },
    ClaimStream { holder: u8, at: u8, until: u8 },
    AdvanceStream { holder: u8, stale: bool, to: u8, until: u8 },
    CountGuess { subject: u8, at: u8 },
    ReserveGuess { subject: u8, stale: bool, at: u8 },
    ForgetGuesses { subject: u8 },
    PurgeGuesses { at: u8, below: u8 },
    PutFactors { user: u8, ahead: u8, step: u8 },
    ForgetFactors { user: u8 },
    SetSecondFactors { user: u8, ahead: u8, totp: bool, at: u8 },
    Proof(ProofMove),
    Passkey(PasskeyMove),
}

/// A change of passkeys or their challenges, in small numbers.
#[derive(Debug, Clone)]
pub(super) enum PasskeyMove {
    Insert { passkey: u8, called: u8, user: u8, ahead: u8, at_most: u8 },
    Use { passkey: u8, stale: bool, sign_count: u8, at: u8 },
    Rename { passkey: u8, user: u8, name: u8 },
    Delete { passkey: u8, user: u8 },
    ForgetAllOf { user: u8 },
    Challenge { challenge: u8, end: u8 },
    Answer { challenge: u8, other_secret: bool, at: u8 },
    PurgeChallenges { at: u8 },
}

/// A change of addresses, one-time tokens or messages, in small numbers.
#[derive(Debug, Clone)]
pub(super) enum ProofMove {
    VerifyEmail { user: u8, email: u8, at: u8 },
    ChangeEmail { user: u8, from: u8, to: u8, shouted: bool, at: u8 },
    InsertToken { token: u8, user: u8, magic: bool, end: u8 },
    ConsumeToken { token: u8, magic: bool, other_secret: bool, at: u8 },
    SpendAttempt { token: u8, magic: bool, at: u8 },
    RevokeTokens { user: u8, magic: Option<bool> },
    PurgeTokens { at: u8 },
    Enqueue { message: u8, user: Option<u8>, due: u8, end: u8 },
    Claim { at: u8, lease: u8, limit: u8 },
    Settle { message: u8, how: u8, stale: bool, at: u8 },
    RetryMessage { message: u8, at: u8 },
    DiscardMessage { message: u8 },
    PurgeMessages { at: u8 },
}

/// A rotation, in small numbers.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    session: u8,
    generations_ahead: u8,
    other_secret: bool,
    successor: u8,
    at: u8,
    idle: u8,
}

/// Histories of up to `steps` steps.
pub(super) fn histories(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![3 => prop_oneof![2 => vec(moves(), 1), 1 => vec(moves(), 2..5)].prop_map(Step::Commit), 1 => turns().prop_map(Step::Rotate)];
    vec(step, 1..=steps)
}

/// The set that every history begins with, so that there is something to meet.
pub(super) fn opening() -> ChangeSet {
    let (one, two) = (user(0, 0, false, false), user(1, 1, false, false));
    let begin = |index, owner| SessionChange::Insert { session: Box::new(session(index, owner, 0, 4, 5)), auth_epoch: 0 };
    ChangeSet::new()
        .and(UserChange::Insert(one))
        .and(UserChange::Insert(two))
        .and(CredentialChange::InsertPassword { user_id: user_id(0), hash: hash(0), at: at(0) })
        .and(begin(0, 0))
        .and(begin(1, 0))
}

/// Every row that a history can name, for the reads.
pub(super) fn universe() -> ChangeSet {
    let users = (0..USERS).map(|index| UserChange::Insert(user(index, index.min(EMAILS - 1), false, false)).into());
    let begin = |index| SessionChange::Insert { session: Box::new(session(index, 0, 0, 0, 0)), auth_epoch: 0 };
    let stream = AuditChange::ClaimStream { name: "stream".to_owned(), holder: String::new(), at: at(0), until: at(0) };
    let guesses = (0..SUBJECTS).map(|index| GuessChange::Forget { subject: guessed(index) }.into());
    let called = |index| PasskeyChange::Insert { passkey: Box::new(passkey(index, index, 0)), auth_epoch: 0, at_most: 9 };
    let passkeys = (0..PASSKEYS).map(|index| called(index).into());
    let tokens = (0..TOKENS).map(|index| OneTimeTokenChange::Insert(Box::new(token(index, 0, true, 1))).into());
    users
        .chain((0..SESSIONS).map(|index| begin(index).into()))
        .chain(guesses)
        .chain(tokens)
        .chain(passkeys)
        .chain([stream.into()])
        .collect()
}

/// An hour of the history.
pub(super) fn at(hour: u8) -> Timestamp {
    FrozenClock::START + Duration::from_hours(u64::from(hour))
}

impl Move {
    /// The change that this is, given how the model stands.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of move")]
    pub(super) async fn change(&self, model: &dyn Store) -> Change {
        if let Self::Seal { forked, skipped, events } = self {
            let last = model.last_audit_seal().await.expect("the model answers");
            return seal(last.as_ref(), *forked, *skipped, events).into();
        }
        match *self {
            Self::Seal { .. } => unreachable!("it is made above"),
            Self::InsertUser { user: index, email, shouted, suspended } => {
                UserChange::Insert(user(index, email, shouted, suspended)).into()
            }
            Self::UpdateProfile { user, name, locale, at: hour } => UserChange::UpdateProfile {
                id: user_id(user),
                full_name: patch(name, FullName::from_stored(format!("name {hour}"))),
                locale: patch(locale, Locale::from_stored(format!("en-U{hour}"))),
                at: at(hour),
            }
            .into(),
            Self::RaiseAuthEpoch { user, ahead, at: hour } => {
                let from = epoch(model, user_id(user)).await + u32::from(ahead);
                UserChange::RaiseAuthEpoch { id: user_id(user), from, at: at(hour) }.into()
            }
            Self::Close { user, at: hour } => UserChange::Close { id: user_id(user), at: at(hour) }.into(),
            Self::Update { user, ahead, email, name, at: hour } => {
                let from = version(model, user_id(user)).await + u32::from(ahead);
                let full_name = patch(name, FullName::from_stored(format!("Zoe name{hour}")));
                let email = email.map(|email| address(email, false));
                UserChange::Update { id: user_id(user), from, email, full_name, locale: Patch::Keep, at: at(hour) }.into()
            }
            Self::Suspend { user, ahead, at: hour } => {
                let from = version(model, user_id(user)).await + u32::from(ahead);
                UserChange::Suspend { id: user_id(user), from, at: at(hour) }.into()
            }
            Self::Restore { user, ahead, at: hour } => {
                let from = version(model, user_id(user)).await + u32::from(ahead);
                UserChange::Restore { id: user_id(user), from, at: at(hour) }.into()
            }
            Self::Expect { user, ahead } => {
                let version = version(model, user_id(user)).await + u32::from(ahead);
                UserChange::Expect { id: user_id(user), version }.into()
            }
            Self::InsertPassword { user, hash: index } => {
                CredentialChange::InsertPassword { user_id: user_id(user), hash: hash(index), at: at(0) }.into()
            }
            Self::ReplacePassword { user, stale, hash: index } => {
                let read = model.credentials_by_id(user_id(user)).await.expect("the model answers");
                let from = read.and_then(|read| read.password).filter(|_| !stale).unwrap_or_else(|| hash(99));
                CredentialChange::ReplacePassword { user_id: user_id(user), from, to: hash(index), at: at(0) }.into()
            }
            Self::DeletePassword { user } => CredentialChange::DeletePassword { user_id: user_id(user) }.into(),
            Self::Begin { session: index, user, ahead, refreshed, idle, end } => {
                let auth_epoch = epoch(model, user_id(user)).await + u32::from(ahead);
                SessionChange::Insert { session: Box::new(session(index, user, refreshed, idle, end)), auth_epoch }.into()
            }
            Self::Revoke { session, reused, at: hour } => {
                let reason = if reused { RevocationReason::RefreshTokenReused } else { RevocationReason::Logout };
                SessionChange::Revoke { id: session_id(session), reason, at: at(hour) }.into()
            }
            Self::RevokeAll { user, except, at: hour } => {
                let (reason, except) = (RevocationReason::LogoutAll, except.map(session_id));
                SessionChange::RevokeAll { user_id: user_id(user), except, reason, at: at(hour) }.into()
            }
            Self::EndImpersonations { by, at: hour } => SessionChange::EndImpersonations { by: user_id(by), at: at(hour) }.into(),
            Self::EnforceCap { user, keep, at: hour } => {
                SessionChange::EnforceCap { user_id: user_id(user), keep: keep.into(), at: at(hour) }.into()
            }
            Self::Reauthenticate { session, ahead, at: hour } => {
                let read = model.session_by_id(session_id(session)).await.expect("the model answers");
                let auth_epoch = read.map_or(0, |read| read.user.auth_epoch) + u32::from(ahead);
                SessionChange::Reauthenticate {
                    id: session_id(session),
                    auth_epoch,
                    methods: (hour % 2 == 0).then(|| vec![AuthMethod::Totp]),
                    at: at(hour),
                }
                .into()
            }
            // Which sessions go first is the store's choice: all of them do.
            Self::PurgeSessions { at: hour } => SessionChange::Purge { ended_before: at(hour), limit: 1_000 }.into(),
            Self::InsertRole { role: index, super_role, inherits, stale } => {
                let from = roles_version(model).await + u32::from(stale);
                RoleChange::Insert { role: Box::new(role(index, super_role, inherits)), from }.into()
            }
            Self::UpdateRole { role: index, super_role, inherits, stale } => {
                let from = roles_version(model).await + u32::from(stale);
                RoleChange::Update { role: Box::new(role(index, super_role, inherits)), from }.into()
            }
            Self::DeleteRole { role } => RoleChange::Delete { name: role_name(role), from: roles_version(model).await }.into(),
            Self::Assign { user, ref roles, stale, at: hour } => {
                let mut to: Vec<Assignment> =
                    roles.iter().map(|&(role, scoped, expires)| assignment(role, scoped, expires)).collect();
                to.sort_by(|one, other| (&one.role, &one.scope).cmp(&(&other.role, &other.scope)));
                to.dedup_by(|one, other| (&one.role, &one.scope) == (&other.role, &other.scope));
                let (id, roles_version) = (user_id(user), roles_version(model).await);
                let from = access_version(model, id).await + u32::from(stale);
                UserChange::ReplaceAssignments { id, from, to, roles_version, at: at(hour) }.into()
            }
            Self::HoldAccess { user, ahead } => {
                let version = access_version(model, user_id(user)).await + u32::from(ahead);
                UserChange::HoldAccess { id: user_id(user), version }.into()
            }
            Self::SpareLastHolder { user } => RoleChange::SpareLastHolder { user_id: user_id(user) }.into(),
            Self::KeepAHolder => RoleChange::KeepAHolder.into(),
            Self::ExpectRoles { stale } => RoleChange::Expect { version: roles_version(model).await + u32::from(stale) }.into(),
            Self::EndImpersonationsOf { user, at: hour } => {
                SessionChange::EndImpersonationsOf { user_id: user_id(user), at: at(hour) }.into()
            }
            Self::EndImpersonationsByRole { ref roles, at: hour } => {
                let roles = roles.iter().map(|role| role_name(*role)).collect();
                SessionChange::EndImpersonationsByRole { roles, at: at(hour) }.into()
            }
            Self::InsertKey { key: index, access, serial } => KeyChange::Insert(key(index, access, serial)).into(),
            Self::DeleteKey { key } => KeyChange::Delete { id: key_id(key) }.into(),
            Self::Append { event: index, subject } => event(index, subject).into(),
            Self::PurgeSealed { seal } => AuditChange::PurgeSealed { seal: seal.into() }.into(),
            Self::ClaimStream { holder, at: hour, until } => {
                let (name, holder) = ("stream".to_owned(), holder.to_string());
                AuditChange::ClaimStream { name, holder, at: at(hour), until: at(until) }.into()
            }
            Self::AdvanceStream { holder, stale, to, until } => {
                let read = model.audit_stream("stream").await.expect("the model answers");
                let from = read.map_or(0, |stream| stream.position) + u64::from(stale);
                let (name, holder) = ("stream".to_owned(), holder.to_string());
                AuditChange::AdvanceStream { name, holder, from, to: to.into(), until: at(until) }.into()
            }
            Self::CountGuess { subject, at: hour } => GuessChange::Count { subject: guessed(subject), at: at(hour) }.into(),
            Self::ReserveGuess { subject, stale, at: hour } => {
                let read = model.guesses(guessed(subject)).await.expect("the model answers");
                let read = read.unwrap_or(Guesses { failures: 1, last_at: at(0) });
                let from = if stale { Guesses { failures: read.failures + 1, ..read } } else { read };
                GuessChange::Reserve { subject: guessed(subject), from, at: at(hour) }.into()
            }
            Self::ForgetGuesses { subject } => GuessChange::Forget { subject: guessed(subject) }.into(),
            // Which counts go first is the store's choice: all of them do.
            Self::PurgeGuesses { at: hour, below } => {
                GuessChange::Purge { last_before: at(hour), below: below.into(), limit: 1_000 }.into()
            }
            Self::PutFactors { user, ahead, step } => {
                let read = model.factors(user_id(user)).await.expect("the model answers");
                let read = read.unwrap_or_else(|| Factors::none_of(user_id(user)));
                let totp = Some(TotpSecret {
                    sealed: Sealed::from_bytes(vec![step; 8]),
                    last_step: (step > 0).then(|| step.into()),
                    created_at: at(step),
                });
                FactorChange::Put(Box::new(Factors { version: read.version + u32::from(ahead), totp, ..read })).into()
            }
            Self::ForgetFactors { user } => FactorChange::Forget { user_id: user_id(user) }.into(),
            Self::SetSecondFactors { user, ahead, totp, at: hour } => {
                let from = epoch(model, user_id(user)).await + u32::from(ahead);
                let to = if totp { FactorSet::NONE.with(FactorKind::Totp) } else { FactorSet::NONE };
                UserChange::SetSecondFactors { id: user_id(user), from, to, at: at(hour) }.into()
            }
            Self::Proof(ref change) => change.change(model).await,
            Self::Passkey(ref change) => change.change(model).await.into(),
        }
    }
}

impl PasskeyMove {
    /// The change that this is, given how the model stands.
    async fn change(&self, model: &dyn Store) -> PasskeyChange {
        match *self {
            Self::Insert { passkey: index, called, user, ahead, at_most } => PasskeyChange::Insert {
                passkey: Box::new(passkey(index, called, user)),
                auth_epoch: epoch(model, user_id(user)).await + u32::from(ahead),
                at_most: at_most.into(),
            },
            Self::Use { passkey: index, stale, sign_count, at: hour } => {
                let mut from = u32::from(stale);
                for user in 0..USERS {
                    let found = model.passkeys(user_id(user)).await.expect("the model answers");
                    let found = found.iter().find(|passkey| passkey.id == passkey_id(index));
                    from += found.map_or(0, |passkey| passkey.sign_count);
                }
                let (id, backed_up) = (passkey_id(index), hour % 2 == 0);
                PasskeyChange::Use { id, from, sign_count: sign_count.into(), backed_up, at: at(hour) }
            }
            Self::Rename { passkey, user, name } => {
                let name = PasskeyName::from_stored(format!("key {name}"));
                PasskeyChange::Rename { id: passkey_id(passkey), user_id: user_id(user), name }
            }
            Self::Delete { passkey, user } => PasskeyChange::Delete { id: passkey_id(passkey), user_id: user_id(user) },
            Self::ForgetAllOf { user } => PasskeyChange::ForgetAllOf { user_id: user_id(user) },
            Self::Challenge { challenge, end } => PasskeyChange::Challenge(PasskeyChallenge {
                id: challenge_id(challenge),
                secret: digest(challenge),
                expires_at: at(end),
            }),
            Self::Answer { challenge, other_secret, at: hour } => PasskeyChange::Answer {
                id: challenge_id(challenge),
                secret: digest(if other_secret { 99 } else { challenge }),
                at: at(hour),
            },
            // Which challenges go first is the store's choice: all of them do.
            Self::PurgeChallenges { at: hour } => PasskeyChange::PurgeChallenges { expired_before: at(hour), limit: 1_000 },
        }
    }
}

impl ProofMove {
    /// The change that this is, given how the model stands.
    async fn change(&self, model: &dyn Store) -> Change {
        match *self {
            Self::VerifyEmail { user, email, at: hour } => {
                UserChange::VerifyEmail { id: user_id(user), email: address(email, false), at: at(hour) }.into()
            }
            Self::ChangeEmail { user, from, to, shouted, at: hour } => {
                UserChange::ChangeEmail { id: user_id(user), from: address(from, false), to: address(to, shouted), at: at(hour) }
                    .into()
            }
            Self::InsertToken { token: index, user, magic, end } => {
                OneTimeTokenChange::Insert(Box::new(token(index, user, magic, end))).into()
            }
            Self::ConsumeToken { token, magic, other_secret, at: hour } => OneTimeTokenChange::Consume {
                id: token_id(token),
                purpose: purpose(magic),
                secret: digest(if other_secret { 99 } else { token }),
                at: at(hour),
            }
            .into(),
            Self::SpendAttempt { token, magic, at: hour } => {
                OneTimeTokenChange::SpendAttempt { id: token_id(token), purpose: purpose(magic), at: at(hour) }.into()
            }
            Self::RevokeTokens { user, magic } => {
                OneTimeTokenChange::RevokeAllOf { user_id: user_id(user), purpose: magic.map(purpose) }.into()
            }
            Self::PurgeTokens { at: hour } => OneTimeTokenChange::Purge { expired_before: at(hour), limit: 1_000 }.into(),
            Self::Enqueue { message: index, user, due, end } => {
                OutboxChange::Enqueue(Box::new(message(index, user, due, end))).into()
            }
            Self::Claim { at: hour, lease, limit } => {
                OutboxChange::Claim { at: at(hour), lease_until: at(lease), limit: limit.into() }.into()
            }
            Self::Settle { message, how, stale, at: hour } => {
                let read = model.outbox_message(message_id(message)).await.expect("the model answers");
                let attempt = read.map_or(0, |read| read.attempts) + u32::from(stale);
                settle(message_id(message), how, attempt, hour).into()
            }
            Self::RetryMessage { message, at: hour } => OutboxChange::Retry { id: message_id(message), at: at(hour) }.into(),
            Self::DiscardMessage { message } => OutboxChange::Discard { id: message_id(message) }.into(),
            Self::PurgeMessages { at: hour } => OutboxChange::Purge { finished_before: at(hour), limit: 1_000 }.into(),
        }
    }
}

impl Turn {
    /// The rotation that this is, given how the model stands.
    pub(super) async fn rotation(&self, model: &dyn Store) -> Rotation {
        let read = model.session_by_id(session_id(self.session)).await.expect("the model answers");
        let (generation, secret) = read.map_or((0, digest(0)), |read| (read.session.generation, read.session.secret));
        Rotation {
            session_id: session_id(self.session),
            generation: generation + u32::from(self.generations_ahead),
            presented: if self.other_secret { digest(99) } else { secret },
            successor: digest(self.successor),
            at: at(self.at),
            idle_expires_at: at(self.idle),
            client: client(self.successor),
        }
    }
}

fn moves() -> impl Strategy<Value = Move> {
    // Right most of the time: a history of refusals shows little. The same goes for one in which little happens to a row twice:
    // what a cap decides is seen only among sessions that live side by side.
    let (user, session) = (|| prop_oneof![4 => 0..2_u8, 1 => 0..USERS], || prop_oneof![2 => 0..3_u8, 1 => 0..SESSIONS]);
    let (hour, end) = (early, || prop_oneof![4 => 4..HOURS, 1 => 0..HOURS]);
    let ahead = || prop_oneof![5 => Just(0_u8), 1 => Just(1)];
    prop_oneof![
        2 => (0..USERS, 0..EMAILS, any::<bool>(), prop_oneof![4 => Just(false), 1 => Just(true)])
            .prop_map(|(user, email, shouted, suspended)| Move::InsertUser { user, email, shouted, suspended }),
        2 => (user(), any::<Option<bool>>(), any::<Option<bool>>(), hour())
            .prop_map(|(user, name, locale, at)| Move::UpdateProfile { user, name, locale, at }),
        2 => (user(), ahead(), hour()).prop_map(|(user, ahead, at)| Move::RaiseAuthEpoch { user, ahead, at }),
        1 => (0..USERS, hour()).prop_map(|(user, at)| Move::Close { user, at }),
        2 => (user(), ahead(), option::of(0..EMAILS), any::<Option<bool>>(), hour())
            .prop_map(|(user, ahead, email, name, at)| Move::Update { user, ahead, email, name, at }),
        1 => (user(), ahead(), hour()).prop_map(|(user, ahead, at)| Move::Suspend { user, ahead, at }),
        1 => (user(), ahead(), hour()).prop_map(|(user, ahead, at)| Move::Restore { user, ahead, at }),
        1 => (user(), ahead()).prop_map(|(user, ahead)| Move::Expect { user, ahead }),
        1 => (user(), hour()).prop_map(|(by, at)| Move::EndImpersonations { by, at }),
        2 => (user(), 0..4_u8).prop_map(|(user, hash)| Move::InsertPassword { user, hash }),
        2 => (user(), prop_oneof![4 => Just(false), 1 => Just(true)], 0..4_u8)
            .prop_map(|(user, stale, hash)| Move::ReplacePassword { user, stale, hash }),
        1 => user().prop_map(|user| Move::DeletePassword { user }),
        18 => (0..SESSIONS, user(), ahead(), hour(), end(), end())
            .prop_map(|(session, user, ahead, refreshed, idle, end)| Move::Begin { session, user, ahead, refreshed, idle, end }),
        6 => (session(), any::<bool>(), hour()).prop_map(|(session, reused, at)| Move::Revoke { session, reused, at }),
        2 => (user(), option::of(session()), hour()).prop_map(|(user, except, at)| Move::RevokeAll { user, except, at }),
        6 => (user(), 0..4_u8, hour()).prop_map(|(user, keep, at)| Move::EnforceCap { user, keep, at }),
        6 => (session(), ahead(), hour()).prop_map(|(session, ahead, at)| Move::Reauthenticate { session, ahead, at }),
        1 => hour().prop_map(|at| Move::PurgeSessions { at }),
        4 => role_moves(),
        2 => (0..3_u8, any::<bool>(), 1..3_u8).prop_map(|(key, access, serial)| Move::InsertKey { key, access, serial }),
        1 => (0..3_u8).prop_map(|key| Move::DeleteKey { key }),
        3 => (any::<u8>(), option::of(user())).prop_map(|(event, subject)| Move::Append { event, subject }),
        2 => (rarely(), rarely(), vec(any::<u8>(), 0..4))
            .prop_map(|(forked, skipped, events)| Move::Seal { forked, skipped, events }),
        1 => (0..4_u8).prop_map(|seal| Move::PurgeSealed { seal }),
        1 => (0..2_u8, hour(), hour()).prop_map(|(holder, at, until)| Move::ClaimStream { holder, at, until }),
        1 => (0..2_u8, rarely(), 0..4_u8, hour())
            .prop_map(|(holder, stale, to, until)| Move::AdvanceStream { holder, stale, to, until }),
        3 => (0..SUBJECTS, hour()).prop_map(|(subject, at)| Move::CountGuess { subject, at }),
        2 => (0..SUBJECTS, prop_oneof![4 => Just(false), 1 => Just(true)], hour())
            .prop_map(|(subject, stale, at)| Move::ReserveGuess { subject, stale, at }),
        1 => (0..SUBJECTS).prop_map(|subject| Move::ForgetGuesses { subject }),
        1 => (hour(), 0..4_u8).prop_map(|(at, below)| Move::PurgeGuesses { at, below }),
        3 => (user(), ahead(), 0..4_u8).prop_map(|(user, ahead, step)| Move::PutFactors { user, ahead, step }),
        1 => user().prop_map(|user| Move::ForgetFactors { user }),
        2 => (user(), ahead(), any::<bool>(), hour())
            .prop_map(|(user, ahead, totp, at)| Move::SetSecondFactors { user, ahead, totp, at }),
        6 => proofs().prop_map(Move::Proof),
        8 => messages().prop_map(Move::Proof),
        7 => passkeys().prop_map(Move::Passkey),
    ]
}

/// Passkeys and their challenges.
fn passkeys() -> impl Strategy<Value = PasskeyMove> {
    let user = || prop_oneof![4 => 0..2_u8, 1 => 0..USERS];
    let ahead = || prop_oneof![5 => Just(0_u8), 1 => Just(1)];
    prop_oneof![
        4 => (0..PASSKEYS, 0..PASSKEYS, user(), ahead(), 1..4_u8)
            .prop_map(|(passkey, called, user, ahead, at_most)| PasskeyMove::Insert { passkey, called, user, ahead, at_most }),
        2 => (0..PASSKEYS, rarely(), 0..4_u8, early())
            .prop_map(|(passkey, stale, sign_count, at)| PasskeyMove::Use { passkey, stale, sign_count, at }),
        1 => (0..PASSKEYS, user(), 0..4_u8).prop_map(|(passkey, user, name)| PasskeyMove::Rename { passkey, user, name }),
        2 => (0..PASSKEYS, user()).prop_map(|(passkey, user)| PasskeyMove::Delete { passkey, user }),
        1 => user().prop_map(|user| PasskeyMove::ForgetAllOf { user }),
        2 => (0..3_u8, 0..HOURS).prop_map(|(challenge, end)| PasskeyMove::Challenge { challenge, end }),
        2 => (0..3_u8, rarely(), early())
            .prop_map(|(challenge, other_secret, at)| PasskeyMove::Answer { challenge, other_secret, at }),
        1 => early().prop_map(|at| PasskeyMove::PurgeChallenges { at }),
    ]
}

/// Addresses and one-time tokens.
fn proofs() -> impl Strategy<Value = ProofMove> {
    let user = || prop_oneof![4 => 0..2_u8, 1 => 0..USERS];
    let rarely = || prop_oneof![5 => Just(false), 1 => Just(true)];
    prop_oneof![
        1 => (user(), 0..2_u8, early()).prop_map(|(user, email, at)| ProofMove::VerifyEmail { user, email, at }),
        2 => (user(), 0..2_u8, 0..EMAILS, any::<bool>(), early())
            .prop_map(|(user, from, to, shouted, at)| ProofMove::ChangeEmail { user, from, to, shouted, at }),
        3 => (0..TOKENS, user(), any::<bool>(), 1..HOURS)
            .prop_map(|(token, user, magic, end)| ProofMove::InsertToken { token, user, magic, end }),
        2 => (0..TOKENS, any::<bool>(), rarely(), early())
            .prop_map(|(token, magic, other_secret, at)| ProofMove::ConsumeToken { token, magic, other_secret, at }),
        2 => (0..TOKENS, any::<bool>(), early()).prop_map(|(token, magic, at)| ProofMove::SpendAttempt { token, magic, at }),
        1 => (user(), any::<Option<bool>>()).prop_map(|(user, magic)| ProofMove::RevokeTokens { user, magic }),
        1 => early().prop_map(|at| ProofMove::PurgeTokens { at }),
    ]
}

fn messages() -> impl Strategy<Value = ProofMove> {
    let rarely = || prop_oneof![5 => Just(false), 1 => Just(true)];
    prop_oneof![
        4 => (0..MESSAGES, option::of(0..2_u8), early(), early())
            .prop_map(|(message, user, due, end)| ProofMove::Enqueue { message, user, due, end }),
        3 => (early(), early(), 0..3_u8).prop_map(|(at, lease, limit)| ProofMove::Claim { at, lease, limit }),
        4 => (0..MESSAGES, 0..4_u8, rarely(), early())
            .prop_map(|(message, how, stale, at)| ProofMove::Settle { message, how, stale, at }),
        1 => (0..MESSAGES, early()).prop_map(|(message, at)| ProofMove::RetryMessage { message, at }),
        1 => (0..MESSAGES).prop_map(|message| ProofMove::DiscardMessage { message }),
        1 => early().prop_map(|at| ProofMove::PurgeMessages { at }),
    ]
}

fn role_moves() -> impl Strategy<Value = Move> {
    let (role, user) = (|| 0..5_u8, || prop_oneof![4 => 0..2_u8, 1 => 0..USERS]);
    let rarely = || prop_oneof![6 => Just(false), 1 => Just(true)];
    prop_oneof![
        2 => (role(), rarely(), option::of(role()), rarely())
            .prop_map(|(role, super_role, inherits, stale)| Move::InsertRole { role, super_role, inherits, stale }),
        2 => (role(), rarely(), option::of(role()), rarely())
            .prop_map(|(role, super_role, inherits, stale)| Move::UpdateRole { role, super_role, inherits, stale }),
        1 => role().prop_map(|role| Move::DeleteRole { role }),
        5 => (user(), vec((prop_oneof![2 => 0..2_u8, 1 => role()], rarely(), rarely()), 0..4), rarely(), early())
            .prop_map(|(user, roles, stale, at)| Move::Assign { user, roles, stale, at }),
        1 => (user(), 0..2_u8).prop_map(|(user, ahead)| Move::HoldAccess { user, ahead }),
        1 => user().prop_map(|user| Move::SpareLastHolder { user }),
        1 => Just(Move::KeepAHolder),
        1 => rarely().prop_map(|stale| Move::ExpectRoles { stale }),
        1 => (user(), early()).prop_map(|(user, at)| Move::EndImpersonationsOf { user, at }),
        1 => (vec(role(), 0..3), early()).prop_map(|(roles, at)| Move::EndImpersonationsByRole { roles, at }),
    ]
}

fn rarely() -> impl Strategy<Value = bool> {
    prop_oneof![5 => Just(false), 1 => Just(true)]
}

/// An hour at which most sessions still live.
fn early() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..4_u8, 1 => 0..HOURS]
}

fn turns() -> impl Strategy<Value = Turn> {
    let rarely = |weight| prop_oneof![weight => Just(false), 1 => Just(true)];
    (0..SESSIONS, rarely(8), rarely(8), any::<u8>(), early(), 0..=HOURS).prop_map(
        |(session, ahead, other_secret, successor, at, idle)| Turn {
            session,
            generations_ahead: ahead.into(),
            other_secret,
            successor,
            at,
            idle,
        },
    )
}

async fn version(model: &dyn Store, id: UserId) -> u32 {
    model.user_by_id(id).await.expect("the model answers").map_or(0, |user| user.version)
}

async fn epoch(model: &dyn Store, id: UserId) -> u32 {
    model.user_by_id(id).await.expect("the model answers").map_or(0, |user| user.auth_epoch)
}

async fn access_version(model: &dyn Store, id: UserId) -> u32 {
    model.user_by_id(id).await.expect("the model answers").map_or(0, |user| user.access.version)
}

async fn roles_version(model: &dyn Store) -> u32 {
    model.roles(None).await.expect("the model answers").map_or(0, |roles| roles.version)
}

fn uuid(kind: u128, index: u8) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | (kind << 32) | u128::from(index))
}

fn user_id(index: u8) -> UserId {
    UserId::from_uuid(uuid(1, index))
}

fn session_id(index: u8) -> SessionId {
    SessionId::from_uuid(uuid(2, index))
}

fn passkey_id(index: u8) -> PasskeyId {
    PasskeyId::from_uuid(uuid(6, index))
}

fn challenge_id(index: u8) -> PasskeyChallengeId {
    PasskeyChallengeId::from_uuid(uuid(7, index))
}

fn passkey(index: u8, called: u8, user: u8) -> Passkey {
    Passkey {
        id: passkey_id(index),
        user_id: user_id(user),
        credential_id: CredentialId::from_stored(vec![called; 16]),
        public_key: vec![index; 8],
        name: PasskeyName::from_stored(format!("key {index}")),
        sign_count: 0,
        backup_eligible: index.is_multiple_of(2),
        backed_up: false,
        transports: [].into(),
        aaguid: uuid(8, index),
        created_at: at(index),
        last_used_at: None,
    }
}

fn token_id(index: u8) -> OneTimeTokenId {
    OneTimeTokenId::from_uuid(uuid(4, index))
}

fn message_id(index: u8) -> OutboxMessageId {
    OutboxMessageId::from_uuid(uuid(5, index))
}

const fn purpose(magic: bool) -> OneTimePurpose {
    if magic { OneTimePurpose::MagicLink } else { OneTimePurpose::ResetPassword }
}

fn token(index: u8, owner: u8, magic: bool, end: u8) -> OneTimeToken {
    OneTimeToken {
        id: token_id(index),
        purpose: purpose(magic),
        user_id: user_id(owner),
        secret: digest(index),
        auth_epoch: index.into(),
        address: magic.then(|| address(index, true)),
        data: [("n".to_owned(), index.to_string())].into(),
        attempts_left: index.into(),
        created_at: at(0),
        expires_at: at(end),
    }
}

fn message(index: u8, user: Option<u8>, due: u8, end: u8) -> OutboxMessage {
    OutboxMessage {
        id: message_id(index),
        kind: MessageKind::Mail,
        subject: "verify_email".to_owned(),
        user_id: user.map(user_id),
        payload: Some(Sealed::from_bytes(vec![index; 48])),
        state: OutboxState::Pending,
        attempts: 0,
        due_at: at(due),
        expires_at: at(end),
        created_at: at(0),
        finished_at: None,
        last_error: None,
    }
}

fn settle(id: OutboxMessageId, how: u8, attempt: u32, hour: u8) -> OutboxChange {
    let (at, error) = (at(hour), format!("error {hour}"));
    match how {
        0 => OutboxChange::Deliver { id, attempt, at },
        1 => OutboxChange::Defer { id, attempt, due_at: at, error },
        2 => OutboxChange::Bury { id, attempt, at, error },
        _ => OutboxChange::Expire { id, attempt, at },
    }
}

fn key_id(index: u8) -> KeyId {
    KeyId::parse(&format!("key-{index}")).expect("a key id")
}

fn guessed(index: u8) -> GuessSubject {
    GuessSubject::from_digest(digest(index))
}

fn hash(index: u8) -> PasswordHash {
    PasswordHash::from_phc(format!("$argon2id${index}"))
}

fn digest(index: u8) -> Digest {
    Digest::of(&[index])
}

fn address(index: u8, shouted: bool) -> Email {
    email(&if shouted { format!("ZOË{index}@EXAMPLE.COM") } else { format!("zoë{index}@example.com") })
}

fn patch<T>(choice: Option<bool>, value: T) -> Patch<T> {
    match choice {
        None => Patch::Keep,
        Some(true) => Patch::Set(value),
        Some(false) => Patch::Clear,
    }
}

fn client(index: u8) -> Client {
    Client { ip: Some([192, 0, 2, index].into()), user_agent: None }
}

fn user(index: u8, email: u8, shouted: bool, suspended: bool) -> User {
    User {
        id: user_id(index),
        email: address(email, shouted),
        email_verified_at: suspended.then(|| at(1)),
        full_name: None,
        locale: None,
        status: if suspended { UserStatus::Suspended } else { UserStatus::Active },
        auth_epoch: 0,
        second_factors: FactorSet::NONE,
        access: Access::default(),
        version: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn session(index: u8, owner: u8, refreshed: u8, idle: u8, end: u8) -> Session {
    Session {
        id: session_id(index),
        user_id: user_id(owner),
        generation: 0,
        secret: digest(index),
        methods: vec![AuthMethod::Password],
        authenticated_at: at(0),
        device_name: Some(DeviceName::from_stored(format!("device {index}"))),
        created_by: client(index),
        last_used_by: client(index),
        created_at: at(0),
        refreshed_at: at(refreshed),
        idle_expires_at: at(idle),
        expires_at: at(end),
        // Every third is somebody else's doing.
        impersonator: (index % 3 == 2).then(|| Impersonator { user_id: user_id(1), session_id: session_id(0) }),
        revoked: None,
    }
}

/// The first two are built in.
fn role_name(index: u8) -> RoleName {
    ["admin", "user", "r_2", "rx2", "r"][usize::from(index)].parse().expect("a name")
}

fn role(index: u8, super_role: bool, inherits: Option<u8>) -> Role {
    let permission = if super_role { "*" } else { "invoice:*" };
    Role {
        name: role_name(index),
        description: (!super_role).then(|| RoleDescription::from_stored(format!("role {index}"))),
        permissions: [permission.parse().expect("a permission")].into(),
        inherits: inherits.map(role_name).into_iter().collect(),
        mfa_required: super_role,
        built_in: false,
        version: 0,
        created_at: at(0),
        updated_at: at(index),
    }
}

fn assignment(role: u8, scoped: bool, expires: bool) -> Assignment {
    Assignment {
        role: role_name(role),
        scope: scoped.then(|| "tenant:acme".parse().expect("a scope")),
        expires_at: expires.then(|| at(3)),
        assigned_by: scoped.then(|| user_id(role)),
        assigned_at: at(role),
    }
}

fn key(index: u8, access: bool, serial: u8) -> ServerKey {
    ServerKey {
        id: key_id(index),
        purpose: if access { KeyPurpose::AccessToken } else { KeyPurpose::RefreshToken },
        serial: serial.into(),
        algorithm: KeyAlgorithm::EdDsa,
        private: Sealed::from_bytes(vec![index; 48]),
        public_jwk: access.then(|| "{}".to_owned()),
        created_at: at(0),
        activates_at: at(1),
    }
}

fn event(index: u8, subject: Option<u8>) -> AuditEvent {
    let context = RequestContext { client: client(index), ..RequestContext::default() };
    let id = AuditEventId::from_uuid(uuid(3, index));
    let event = AuditEvent::new(id, at(0), AuditAction::Login, Outcome::Success, &context).with("n", index.to_string());
    match subject {
        Some(subject) => event.on(user_id(subject)),
        None => event,
    }
}

fn seal(last: Option<&AuditSeal>, forked: bool, skipped: bool, events: &[u8]) -> AuditChange {
    let number = last.map_or(0, |last| last.number) + 1 + u64::from(skipped);
    let leaves: Vec<AuditLeaf> =
        events.iter().map(|index| AuditLeaf { id: AuditEventId::from_uuid(uuid(3, *index)), hash: digest(*index) }).collect();
    let seal = AuditSeal {
        number,
        previous: if forked { digest(77) } else { last.map_or(digest(0), |last| last.digest) },
        through: AuditEventId::from_uuid(uuid(3, u8::MAX)),
        count: u32::try_from(leaves.len()).expect("few"),
        late: 0,
        root: digest(1),
        purged: 0,
        sealed_at: at(0),
        key_id: key_id(0),
        digest: Digest::of(&number.to_be_bytes()),
        signature: String::new(),
    };
    AuditChange::Seal { seal: Box::new(seal), leaves }
}
