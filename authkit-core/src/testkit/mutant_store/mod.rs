//! Stores that are wrong on purpose.

mod bug;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::embedded::MemoryStore;
use crate::model::StoredPassword;
use crate::model::{
    AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, Change, ChangeSet, Committed, CredentialChange,
    Credentials, Revocation, RevocationReason, Rotation, RotationOutcome, ServerKey, Session, SessionChange, SessionWithUser,
    StoredRoles, User, UserChange, UserFilter, UserPage, UserPageRequest,
};
use crate::model::{CredentialId, Passkey, PasskeyChallenge, PasskeyChange, PasskeyWithUser};
use crate::model::{FactorChange, Factors};
use crate::model::{GuessChange, GuessSubject, Guesses, LoginState};
use crate::model::{OneTimePurpose, OneTimeTokenChange, OneTimeTokenWithUser, OutboxChange, OutboxMessage, OutboxState};
use crate::ports::FactorReads;
use crate::ports::GuessReads;
use crate::ports::PasskeyReads;
use crate::ports::{
    AccessMark, AuditReads, CommitError, Conflict, KeyReads, RevocationMark, RoleReads, SessionReads, Store, StoreError,
    UserReads,
};
use crate::ports::{OneTimeTokenReads, OutboxReads};
use crate::primitives::{
    AuditEventId, Cursor, Digest, Email, Page, PageLimit, PageRequest, PasswordHash, RoleName, SessionId, Timestamp, UserId,
};
use crate::primitives::{OneTimeTokenId, OutboxMessageId};
use uuid::Uuid;

pub use bug::Bug;

/// A store with one bug, on top of one without: whatever judges stores must find it.
///
/// Where the bug is a check that comes before its act, the rivals are let in between by [`Linger`].
pub struct MutantStore {
    inner: MemoryStore,
    bug: Bug,
    linger: Linger,
    /// What was acknowledged and is not applied yet.
    late: Mutex<Vec<ChangeSet>>,
}

/// Lets the rivals in between a check and its act.
pub type Linger = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl fmt::Debug for MutantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MutantStore").field(&self.bug).finish()
    }
}

impl MutantStore {
    /// An empty store with a bug, whose rivals come in while it yields to the runtime.
    #[must_use]
    pub fn new(bug: Bug) -> Self {
        let linger = || -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
            })
        };
        Self::with_linger(bug, Box::new(linger))
    }

    /// An empty store with a bug, whose rivals come in while `linger` waits.
    #[must_use]
    pub fn with_linger(bug: Bug, linger: Linger) -> Self {
        Self { inner: MemoryStore::new(), bug, linger, late: Mutex::default() }
    }

    /// The store without the bug: what is really kept.
    #[must_use]
    pub const fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    async fn linger(&self) {
        (self.linger)().await;
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    /// What the mutant makes of a change before the inner store sees it; `None` drops it.
    async fn distort(&self, change: &Change) -> Result<Vec<Change>, CommitError> {
        if let Some(distorted) = self.distort_proof(change).await? {
            return Ok(distorted);
        }
        let distorted = match (self.bug, change.clone()) {
            (Bug::DropsAuditEvents, Change::Audit(_))
            | (Bug::LosesRevokeAll, Change::Session(SessionChange::RevokeAll { .. }))
            | (Bug::EnforcesNoCap, Change::Session(SessionChange::EnforceCap { .. }))
            | (Bug::ForgetsNoGuesses, Change::Guess(GuessChange::Forget { .. }))
            | (Bug::ForgetsNoFactors, Change::Factor(FactorChange::Forget { .. })) => return Ok(Vec::new()),
            (Bug::ComparesSpellings, Change::User(UserChange::Insert(user))) => {
                UserChange::Insert(User { email: case_sensitive(&user.email), ..user }).into()
            }
            (Bug::LosesTheSpelling, Change::User(UserChange::Insert(user))) => {
                let email = Email::from_stored(user.email.normal().to_owned(), user.email.normal().to_owned());
                UserChange::Insert(User { email, ..user }).into()
            }
            (Bug::ChecksTheAddressThenInserts, Change::User(UserChange::Insert(user))) => {
                if self.inner.credentials_by_email(&user.email).await?.is_some() {
                    return Err(Conflict::EmailTaken.into());
                }
                self.linger().await;
                let taken = self.inner.credentials_by_email(&user.email).await?.is_some();
                // The inner store would refuse it: a column without its unique index would not.
                let email = if taken { unindexed(&user) } else { user.email.clone() };
                UserChange::Insert(User { email, ..user }).into()
            }
            (Bug::CutsTimesToMilliseconds, Change::User(UserChange::Insert(user))) => {
                let created_at = Timestamp::from_unix_micros(user.created_at.unix_millis() * 1_000);
                UserChange::Insert(User { created_at, ..user }).into()
            }
            (Bug::IgnoresTheEpoch, Change::Session(SessionChange::Insert { session, .. })) => {
                let auth_epoch = self.epoch(session.user_id).await?;
                SessionChange::Insert { session, auth_epoch }.into()
            }
            (Bug::ChecksTheEpochThenBegins, Change::Session(SessionChange::Insert { session, auth_epoch })) => {
                if self.epoch(session.user_id).await? != auth_epoch {
                    return Err(Conflict::UserChanged.into());
                }
                self.linger().await;
                let auth_epoch = self.epoch(session.user_id).await?;
                SessionChange::Insert { session, auth_epoch }.into()
            }
            (
                Bug::ChecksThePasswordThenReplaces,
                Change::Credential(CredentialChange::ReplacePassword { user_id, from, to, at }),
            ) => {
                if self.password(user_id).await? != Some(from) {
                    return Err(Conflict::PasswordChanged.into());
                }
                self.linger().await;
                return Ok(Self::replace_any(user_id, to, at));
            }
            (Bug::ReplacesAnyPassword, Change::Credential(CredentialChange::ReplacePassword { user_id, to, at, .. })) => {
                return Ok(Self::replace_any(user_id, to, at));
            }
            (Bug::ForgetsTheException, Change::Session(SessionChange::RevokeAll { user_id, reason, at, .. })) => {
                SessionChange::RevokeAll { user_id, except: None, reason, at }.into()
            }
            (Bug::CapIsOneTooMany, Change::Session(SessionChange::EnforceCap { user_id, keep, at })) => {
                SessionChange::EnforceCap { user_id, keep: keep.saturating_add(1), at }.into()
            }
            (Bug::CapCountsByAge, Change::Session(SessionChange::EnforceCap { user_id, keep, at })) => {
                return self.revoke_beyond(user_id, keep, at, |session| (session.created_at, session.id)).await;
            }
            (Bug::CountsThenEnforcesTheCap, Change::Session(SessionChange::EnforceCap { user_id, keep, at })) => {
                let beyond = self.revoke_beyond(user_id, keep, at, |session| (session.refreshed_at, session.id)).await;
                self.linger().await;
                return beyond;
            }
            (Bug::ReadsThenCountsAGuess, Change::Guess(GuessChange::Count { subject, at })) => {
                return self.count_by_reading(subject, at).await;
            }
            (Bug::ReservesWhateverWasRead, Change::Guess(GuessChange::Reserve { subject, at, .. })) => {
                GuessChange::Count { subject, at }.into()
            }
            (Bug::PurgesEveryCount, Change::Guess(GuessChange::Purge { last_before, limit, .. })) => {
                GuessChange::Purge { last_before, below: u32::MAX, limit }.into()
            }
            (Bug::WritesFactorsWhateverWasRead, Change::Factor(FactorChange::Put(factors))) => {
                let version = self.inner.factors(factors.user_id).await?.map_or(0, |found| found.version);
                FactorChange::Put(Box::new(Factors { version, ..*factors })).into()
            }
            (Bug::KeepsTheFactorsInForce, Change::User(UserChange::SetSecondFactors { id, from, .. })) => {
                UserChange::RaiseAuthEpoch {
                    id,
                    from,
                    at: self.inner.user_by_id(id).await?.map_or(Timestamp::UNIX_EPOCH, |user| user.updated_at),
                }
                .into()
            }
            (_, change) => change,
        };
        Ok(vec![distorted])
    }

    /// What becomes of a change of addresses, one-time tokens and messages; `None` where the bug is another one.
    async fn distort_proof(&self, change: &Change) -> Result<Option<Vec<Change>>, CommitError> {
        let distorted = match (self.bug, change.clone()) {
            (Bug::VerifiesAnyAddress, Change::User(UserChange::VerifyEmail { id, at, .. })) => {
                let Some(user) = self.inner.user_by_id(id).await? else { return Err(Conflict::UserChanged.into()) };
                UserChange::VerifyEmail { id, email: user.email, at }.into()
            }
            (Bug::ReadsTheTokenThenTakesIt, Change::OneTimeToken(OneTimeTokenChange::Consume { id, purpose, secret, at })) => {
                let found = self.inner.one_time_token(id, purpose).await?.map(|found| found.token);
                if !found.is_some_and(|token| token.secret == secret && token.expires_at > at) {
                    return Err(Conflict::TokenGone.into());
                }
                self.linger().await;
                return Ok(Some(Vec::new()));
            }
            (Bug::TakesATokenForAnything, Change::OneTimeToken(OneTimeTokenChange::Consume { id, purpose, secret, at })) => {
                let purpose = self.purpose_of(id).await?.unwrap_or(purpose);
                OneTimeTokenChange::Consume { id, purpose, secret, at }.into()
            }
            (Bug::TakesAnExpiredToken, Change::OneTimeToken(OneTimeTokenChange::Consume { id, purpose, secret, at })) => {
                OneTimeTokenChange::Consume { id, purpose, secret, at: at - Duration::from_micros(1) }.into()
            }
            (Bug::GuessesCostNothing, Change::OneTimeToken(OneTimeTokenChange::SpendAttempt { .. })) => {
                return Ok(Some(Vec::new()));
            }
            (Bug::ForgetsWhoseMessageItIs, Change::Outbox(OutboxChange::Deliver { id, at, .. })) => {
                let attempt = self.inner.outbox_message(id).await?.map_or(0, |message| message.attempts);
                OutboxChange::Deliver { id, attempt, at }.into()
            }
            (Bug::KeepsWhatWasDelivered, Change::Outbox(OutboxChange::Deliver { id, attempt, at })) => {
                OutboxChange::Bury { id, attempt, at, error: String::new() }.into()
            }
            (Bug::ClaimsTwice, Change::Outbox(OutboxChange::Claim { at, limit, .. })) => {
                OutboxChange::Claim { at, lease_until: at, limit }.into()
            }
            _ => return self.distort_passkey(change).await,
        };
        Ok(Some(vec![distorted]))
    }

    /// What becomes of a change of passkeys; `None` where the bug is another one.
    async fn distort_passkey(&self, change: &Change) -> Result<Option<Vec<Change>>, CommitError> {
        let distorted = match (self.bug, change.clone()) {
            (Bug::CountsThenKeepsThePasskey, Change::Passkey(PasskeyChange::Insert { passkey, auth_epoch, at_most })) => {
                let found = self.inner.passkeys(passkey.user_id).await?.len();
                if found >= usize::try_from(at_most).unwrap_or(usize::MAX) {
                    return Err(Conflict::PasskeyLimit.into());
                }
                self.linger().await;
                PasskeyChange::Insert { passkey, auth_epoch, at_most: u32::MAX }.into()
            }
            (Bug::RecordsNoUse, Change::Passkey(PasskeyChange::Use { .. }))
            | (Bug::ForgetsNoPasskeys, Change::Passkey(PasskeyChange::ForgetAllOf { .. })) => return Ok(Some(Vec::new())),
            (Bug::TakesTheLastWayIn, Change::Passkey(PasskeyChange::Delete { id, user_id })) => {
                match self.inner.passkeys(user_id).await?.as_slice() {
                    [last] if last.id == id => PasskeyChange::ForgetAllOf { user_id }.into(),
                    _ => PasskeyChange::Delete { id, user_id }.into(),
                }
            }
            (Bug::AnswersAChallengeTwice, Change::Passkey(PasskeyChange::Answer { id, secret, at })) => {
                let again = PasskeyChallenge { id, secret, expires_at: at + Duration::from_micros(1) };
                return Ok(Some(vec![change.clone(), PasskeyChange::Challenge(again).into()]));
            }
            (Bug::AnswersAnExpiredChallenge, Change::Passkey(PasskeyChange::Answer { id, secret, at })) => {
                PasskeyChange::Answer { id, secret, at: at - Duration::from_micros(1) }.into()
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![distorted]))
    }

    async fn purpose_of(&self, id: OneTimeTokenId) -> Result<Option<OneTimePurpose>, StoreError> {
        for purpose in OneTimePurpose::ALL {
            if self.inner.one_time_token(id, *purpose).await?.is_some() {
                return Ok(Some(*purpose));
            }
        }
        Ok(None)
    }

    fn replace_any(user_id: UserId, hash: PasswordHash, at: Timestamp) -> Vec<Change> {
        vec![CredentialChange::DeletePassword { user_id }.into(), CredentialChange::InsertPassword { user_id, hash, at }.into()]
    }

    async fn revoke_beyond<K: Ord>(
        &self,
        user_id: UserId,
        keep: u32,
        at: Timestamp,
        order: impl Fn(&Session) -> K + Send,
    ) -> Result<Vec<Change>, CommitError> {
        let page = PageRequest { limit: PageLimit::new(200).expect("in range"), cursor: None };
        let mut live = self.inner.live_sessions(user_id, at, page).await?.items;
        live.sort_by_key(|session| std::cmp::Reverse(order(session)));
        let beyond = live.into_iter().skip(keep as usize);
        Ok(beyond
            .map(|session| SessionChange::Revoke { id: session.id, reason: RevocationReason::SessionCap, at }.into())
            .collect())
    }

    /// Reads a count, and writes what comes after it a moment later.
    async fn count_by_reading(&self, subject: GuessSubject, at: Timestamp) -> Result<Vec<Change>, CommitError> {
        let failures = self.inner.guesses(subject).await?.map_or(0, |guesses| guesses.failures);
        self.linger().await;
        let mut changes = vec![GuessChange::Forget { subject }.into()];
        changes.extend((0..=failures).map(|_| Change::from(GuessChange::Count { subject, at })));
        Ok(changes)
    }

    fn late(&self) -> MutexGuard<'_, Vec<ChangeSet>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn epoch(&self, id: UserId) -> Result<u32, StoreError> {
        Ok(self.inner.user_by_id(id).await?.map_or(0, |user| user.auth_epoch))
    }

    async fn password(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError> {
        Ok(self.inner.credentials_by_id(id).await?.and_then(|credentials| credentials.password))
    }

    /// Rotates whatever the session stands at, which is a write without its guard.
    async fn rotate_anyhow(&self, rotation: &Rotation, stands: &Session) -> Result<RotationOutcome, StoreError> {
        let (mut generation, mut presented) = (stands.generation, stands.secret);
        loop {
            match self.inner.rotate(&Rotation { generation, presented, ..rotation.clone() }).await? {
                RotationOutcome::Refused(Some(now)) if now.session.is_live(rotation.at) => {
                    (generation, presented) = (now.session.generation, now.session.secret);
                }
                outcome => return Ok(outcome),
            }
        }
    }
}

fn is_reuse(change: &Change) -> bool {
    matches!(change, Change::Session(SessionChange::Revoke { reason: RevocationReason::RefreshTokenReused, .. }))
}

fn unindexed(user: &User) -> Email {
    Email::from_stored(format!("{}#{}", user.email.normal(), user.id), user.email.spelling().to_owned())
}

fn case_sensitive(email: &Email) -> Email {
    Email::from_stored(email.spelling().to_owned(), email.spelling().to_owned())
}

#[async_trait]
impl UserReads for MutantStore {
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.inner.user_by_id(id).await
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let email = if self.is(Bug::ComparesSpellings) { case_sensitive(email) } else { email.clone() };
        self.inner.credentials_by_email(&email).await
    }

    async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.inner.credentials_by_id(id).await
    }

    async fn password_hashes(&self, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
        if self.is(Bug::CursorIsInclusive) {
            let before = page.cursor.map(|cursor| Cursor::after(Uuid::from_u128(cursor.id().as_u128().saturating_sub(1))));
            return self.inner.password_hashes(PageRequest { cursor: before, ..page }).await;
        }
        let mut read = self.inner.password_hashes(page).await?;
        if self.is(Bug::PagesNeverEnd) {
            read.next = read.next.or_else(|| read.items.last().map(|row| Cursor::after(row.user_id.as_uuid())));
        }
        Ok(read)
    }

    async fn list_users(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
        self.inner.list_users(filter, page).await
    }
}

#[async_trait]
impl SessionReads for MutantStore {
    async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        self.inner.session_by_id(id).await
    }

    async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
        let now = if self.is(Bug::LiveOneTickTooLong) { now - Duration::from_micros(1) } else { now };
        let mut read = self.inner.live_sessions(user_id, now, page).await?;
        if self.is(Bug::CursorIsInclusive)
            && let Some(cursor) = page.cursor
            && let Some(last) = self.inner.session_by_id(SessionId::from_uuid(cursor.id())).await?
        {
            read.items.insert(0, last.session);
            read.items.truncate(page.limit.value().into());
        }
        Ok(read)
    }

    async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
        let mark = match self.bug {
            Bug::RepeatsTheMark => RevocationMark { session_id: None, ..mark },
            Bug::SkipsTheRestOfAnInstant => RevocationMark { at: mark.at + Duration::from_micros(1), session_id: None },
            _ => mark,
        };
        self.inner.revocations_after(mark, limit).await
    }
}

#[async_trait]
impl KeyReads for MutantStore {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.inner.server_keys().await
    }
}

#[async_trait]
impl AuditReads for MutantStore {
    async fn audit_events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let filter =
            &AuditFilter { subject: if self.is(Bug::ForgetsTheSubject) { None } else { filter.subject }, ..filter.clone() };
        let mut read = self.inner.audit_events(filter, page).await?;
        if self.is(Bug::PagesNeverEnd) {
            read.next = read.items.last().map(|event| Cursor::after(event.id.as_uuid()));
        }
        Ok(read)
    }

    async fn audit_event_count(&self, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
        self.inner.audit_event_count(from, below).await
    }

    async fn audit_seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
        self.inner.audit_seals(after, limit).await
    }

    async fn last_audit_seal(&self) -> Result<Option<AuditSeal>, StoreError> {
        self.inner.last_audit_seal().await
    }

    async fn audit_leaves(&self, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
        self.inner.audit_leaves(seal).await
    }

    async fn audit_stream(&self, name: &str) -> Result<Option<AuditStream>, StoreError> {
        self.inner.audit_stream(name).await
    }
}

#[async_trait]
impl RoleReads for MutantStore {
    async fn roles(&self, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
        self.inner.roles(known).await
    }

    async fn access_after(&self, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
        self.inner.access_after(mark, limit).await
    }

    async fn users_with_role(&self, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
        self.inner.users_with_role(role, page).await
    }
}

#[async_trait]
impl GuessReads for MutantStore {
    async fn guesses(&self, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
        self.inner.guesses(subject).await
    }

    async fn login_by_email(
        &self,
        email: &Email,
        subject: GuessSubject,
        device: Option<GuessSubject>,
    ) -> Result<LoginState, StoreError> {
        let email = if self.is(Bug::ComparesSpellings) { case_sensitive(email) } else { email.clone() };
        let mut state = self.inner.login_by_email(&email, subject, device).await?;
        if self.is(Bug::ReadsNoGuessesOfNobody) && state.credentials.is_none() {
            state.guesses = None;
        }
        Ok(state)
    }

    async fn login_by_id(&self, id: UserId, subject: GuessSubject) -> Result<LoginState, StoreError> {
        self.inner.login_by_id(id, subject).await
    }
}

#[async_trait]
impl FactorReads for MutantStore {
    async fn factors(&self, user_id: UserId) -> Result<Option<Factors>, StoreError> {
        let factors = self.inner.factors(user_id).await?;
        Ok(if self.is(Bug::LosesTheLastStep) {
            factors.map(|mut factors| {
                factors.totp.iter_mut().for_each(|totp| totp.last_step = None);
                factors
            })
        } else {
            factors
        })
    }
}

#[async_trait]
impl OneTimeTokenReads for MutantStore {
    async fn one_time_token(
        &self,
        id: OneTimeTokenId,
        purpose: OneTimePurpose,
    ) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
        self.inner.one_time_token(id, purpose).await
    }
}

#[async_trait]
impl PasskeyReads for MutantStore {
    async fn passkeys(&self, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
        self.inner.passkeys(user_id).await
    }

    async fn passkey_by_credential(&self, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
        self.inner.passkey_by_credential(credential_id).await
    }
}

#[async_trait]
impl OutboxReads for MutantStore {
    async fn outbox_message(&self, id: OutboxMessageId) -> Result<Option<OutboxMessage>, StoreError> {
        self.inner.outbox_message(id).await
    }

    async fn outbox_messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, StoreError> {
        self.inner.outbox_messages(state, page).await
    }
}

#[async_trait]
impl Store for MutantStore {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        match self.bug {
            Bug::CommitsChangeByChange => {
                let mut committed = Committed::default();
                for change in changes.changes() {
                    committed.revoked.extend(self.inner.commit(&ChangeSet::new().and(change.clone())).await?.revoked);
                    self.linger().await;
                }
                return Ok(committed);
            }
            Bug::CommitsTheFirstHalf => {
                let half = changes.changes().len().div_ceil(2);
                return self.inner.commit(&changes.changes().iter().take(half).cloned().collect()).await;
            }
            Bug::RepliesBeforeTheCommit => {
                let late = std::mem::replace(&mut *self.late(), vec![changes.clone()]);
                for changes in late {
                    // Whoever it was for has long been told that it was done.
                    drop(self.inner.commit(&changes).await);
                }
                return Ok(Committed::default());
            }
            Bug::ForgetsTheReuse if changes.changes().iter().any(is_reuse) => return Ok(Committed::default()),
            Bug::AppliesWhatComesBehindAFailure => {
                let result = self.inner.commit(changes).await;
                if result.is_err()
                    && let Some(last) = changes.changes().last()
                {
                    let _ = self.inner.commit(&ChangeSet::new().and(last.clone())).await;
                }
                return result;
            }
            Bug::NamesTheLastGuard => {
                if self.inner.commit(changes).await.is_err() {
                    return self.inner.commit(&changes.changes().iter().rev().cloned().collect()).await;
                }
                return Ok(Committed::default());
            }
            Bug::ReportsADeadlock => {
                // Two rows are locked in the order of the set, without sorting out who waits for whom.
                if let [
                    Change::User(UserChange::UpdateProfile { id: one, .. }),
                    Change::User(UserChange::UpdateProfile { id: two, .. }),
                ] = changes.changes()
                    && one > two
                {
                    return Err(StoreError::failed("deadlock detected").into());
                }
            }
            _ => {}
        }
        let mut distorted = ChangeSet::new();
        for change in changes.changes() {
            for change in self.distort(change).await? {
                distorted = distorted.and(change);
            }
        }
        match (self.bug, self.inner.commit(&distorted).await) {
            (Bug::RevokesAgain, Err(CommitError::Conflict(Conflict::SessionEnded))) | (Bug::ReportsNoRevocation, Ok(_)) => {
                Ok(Committed::default())
            }
            (Bug::CountsThenEnforcesTheCap, Err(CommitError::Conflict(Conflict::SessionEnded))) => {
                // A rival ended one of them in between: what the statement would have found is gone.
                let without_cap = changes
                    .changes()
                    .iter()
                    .filter(|change| !matches!(change, Change::Session(SessionChange::EnforceCap { .. })));
                self.inner.commit(&without_cap.cloned().collect()).await
            }
            (_, result) => result,
        }
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        let Some(before) = self.inner.session_by_id(rotation.session_id).await? else {
            return self.inner.rotate(rotation).await;
        };
        let stands = &before.session;
        let generation_fits = stands.generation == rotation.generation;
        let secret_fits = stands.secret == rotation.presented;
        match self.bug {
            Bug::ChecksThenRotates if generation_fits && secret_fits => {
                self.linger().await;
                self.rotate_anyhow(rotation, stands).await
            }
            Bug::RotatesAnyGeneration if secret_fits => self.rotate_anyhow(rotation, stands).await,
            Bug::RotatesWithAnySecret if generation_fits => self.rotate_anyhow(rotation, stands).await,
            Bug::RotatesUnguarded => self.rotate_anyhow(rotation, stands).await,
            Bug::DrawsTheSuccessor => match self.inner.rotate(rotation).await? {
                RotationOutcome::Refused(Some(mut stands)) if stands.session.secret != rotation.presented => {
                    stands.session.secret = Digest::of(b"drawn");
                    Ok(RotationOutcome::Refused(Some(stands)))
                }
                outcome => Ok(outcome),
            },
            Bug::RotatesWhatExpired => {
                let at = rotation
                    .at
                    .min(stands.idle_expires_at - Duration::from_micros(1))
                    .min(stands.expires_at - Duration::from_micros(1));
                self.inner.rotate(&Rotation { at, ..rotation.clone() }).await
            }
            Bug::ForgetsWhoUsedItLast => {
                let client = stands.last_used_by.clone();
                self.inner.rotate(&Rotation { client, ..rotation.clone() }).await
            }
            Bug::ShowsTheStateBeforeTheRefusal => {
                self.linger().await;
                match self.inner.rotate(rotation).await? {
                    RotationOutcome::Refused(Some(_)) => Ok(RotationOutcome::Refused(Some(Box::new(before)))),
                    outcome => Ok(outcome),
                }
            }
            Bug::DoesNotCutTheIdleEnd => match self.inner.rotate(rotation).await? {
                RotationOutcome::Rotated(mut moved) => {
                    moved.session.idle_expires_at = rotation.idle_expires_at;
                    Ok(RotationOutcome::Rotated(moved))
                }
                outcome => Ok(outcome),
            },
            _ => self.inner.rotate(rotation).await,
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}
