//! The contract can fail: stores that are wrong on purpose, each the way a real one goes wrong, and the promise that notices.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::embedded::MemoryStore;
use authkit_core::model::{
    AuditEvent, Change, ChangeSet, Committed, CredentialChange, Credentials, Revocation, RevocationReason, Rotation,
    RotationOutcome, ServerKey, Session, SessionChange, SessionWithUser, User, UserChange,
};
use authkit_core::ports::{
    AuditReads, CommitError, Conflict, KeyReads, RevocationMark, SessionReads, Store, StoreError, UserReads,
};
use authkit_core::testkit::store_contract::{Stores, promises, run, run_all};
use authkit_core::{Email, Page, PageLimit, PageRequest, SessionId, Timestamp, UserId};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    Nothing,
    ChecksThenRotates,
    ShowsTheStateBeforeTheRefusal,
    RotatesAnyGeneration,
    RotatesWithAnySecret,
    RotatesWhatExpired,
    ForgetsWhoUsedItLast,
    DoesNotCutTheIdleEnd,
    CommitsChangeByChange,
    AppliesWhatComesBehindAFailure,
    NamesTheLastGuard,
    DropsAuditEvents,
    ComparesSpellings,
    LosesTheSpelling,
    CutsTimesToMilliseconds,
    IgnoresTheEpoch,
    ChecksTheEpochThenBegins,
    ChecksThePasswordThenReplaces,
    ReplacesAnyPassword,
    ForgetsTheException,
    RevokesAgain,
    ReportsNoRevocation,
    CapIsOneTooMany,
    CapCountsByAge,
    CountsThenEnforcesTheCap,
    LiveOneTickTooLong,
    RepeatsTheMark,
    SkipsTheRestOfAnInstant,
    CursorIsInclusive,
    PagesNeverEnd,
    ForgetsTheSubject,
    ReportsADeadlock,
}

/// A store with one bug, on top of one without.
struct Mutant {
    inner: MemoryStore,
    bug: Bug,
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutant").field(&self.bug).finish()
    }
}

impl Mutant {
    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    /// What the mutant makes of a change before the inner store sees it; `None` drops it.
    async fn distort(&self, change: &Change) -> Result<Vec<Change>, CommitError> {
        let distorted = match (self.bug, change.clone()) {
            (Bug::DropsAuditEvents, Change::Audit(_)) => return Ok(Vec::new()),
            (Bug::ComparesSpellings, Change::User(UserChange::Insert(user))) => {
                UserChange::Insert(User { email: case_sensitive(&user.email), ..user }).into()
            }
            (Bug::LosesTheSpelling, Change::User(UserChange::Insert(user))) => {
                let email = Email::from_stored(user.email.normal().to_owned(), user.email.normal().to_owned());
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
                linger().await;
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
                linger().await;
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
                linger().await;
                return beyond;
            }
            (_, change) => change,
        };
        Ok(vec![distorted])
    }

    fn replace_any(user_id: UserId, hash: authkit_core::PasswordHash, at: Timestamp) -> Vec<Change> {
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

    async fn epoch(&self, id: UserId) -> Result<u32, StoreError> {
        Ok(self.inner.user_by_id(id).await?.map_or(0, |user| user.auth_epoch))
    }

    async fn password(&self, id: UserId) -> Result<Option<authkit_core::PasswordHash>, StoreError> {
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

/// Lets the rivals in between a check and its act.
async fn linger() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

fn case_sensitive(email: &Email) -> Email {
    Email::from_stored(email.spelling().to_owned(), email.spelling().to_owned())
}

#[async_trait]
impl UserReads for Mutant {
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
}

#[async_trait]
impl SessionReads for Mutant {
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
impl KeyReads for Mutant {
    async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
        self.inner.server_keys().await
    }
}

#[async_trait]
impl AuditReads for Mutant {
    async fn audit_events(&self, subject: Option<UserId>, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let subject = if self.is(Bug::ForgetsTheSubject) { None } else { subject };
        let mut read = self.inner.audit_events(subject, page).await?;
        if self.is(Bug::PagesNeverEnd) {
            read.next = read.items.last().map(|event| authkit_core::Cursor::after(event.id.as_uuid()));
        }
        Ok(read)
    }
}

#[async_trait]
impl Store for Mutant {
    async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
        match self.bug {
            Bug::CommitsChangeByChange => {
                let mut committed = Committed::default();
                for change in changes.changes() {
                    committed.revoked.extend(self.inner.commit(&ChangeSet::new().and(change.clone())).await?.revoked);
                    linger().await;
                }
                return Ok(committed);
            }
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
                linger().await;
                self.rotate_anyhow(rotation, stands).await
            }
            Bug::RotatesAnyGeneration if secret_fits => self.rotate_anyhow(rotation, stands).await,
            Bug::RotatesWithAnySecret if generation_fits => self.rotate_anyhow(rotation, stands).await,
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
                linger().await;
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

fn stores(bug: Bug) -> Stores {
    Stores::new(move || async move { Mutant { inner: MemoryStore::new(), bug } })
}

/// Insists that a bug breaks a promise.
async fn breaks(bug: Bug, promise: &str) {
    let promise = promises().into_iter().find(|listed| listed.name == promise).expect("a promise of the contract");
    let noticed = run(&promise, &stores(bug)).await.expect_err(&format!("{bug:?} went unnoticed by {}", promise.name));
    // For the reader of a log: a mutant must die of its bug, and not of something else.
    println!("{bug:?}: {}", noticed.chars().take(300).collect::<String>());
}

macro_rules! mutants {
    ($($bug:ident breaks $promise:ident;)*) => {
        mod mutant {
            $(#[expect(non_snake_case, reason = "named for the bug")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $bug() {
                super::breaks(super::Bug::$bug, stringify!($promise)).await;
            })*
        }
    };
}

mutants! {
    ChecksThenRotates breaks one_generation_is_rotated_once;
    ShowsTheStateBeforeTheRefusal breaks one_generation_is_rotated_once;
    RotatesAnyGeneration breaks a_rotation_of_another_generation_is_refused;
    RotatesWithAnySecret breaks a_rotation_with_another_secret_is_refused;
    RotatesWhatExpired breaks a_rotation_of_an_expired_session_is_refused;
    ForgetsWhoUsedItLast breaks a_rotation_moves_on_by_one_generation;
    DoesNotCutTheIdleEnd breaks a_rotation_cuts_the_idle_end_at_the_absolute_end;
    AppliesWhatComesBehindAFailure breaks nothing_behind_a_failing_change_is_applied;
    NamesTheLastGuard breaks the_first_guard_that_fails_is_named;
    DropsAuditEvents breaks an_event_is_read_back_with_every_field;
    ComparesSpellings breaks one_address_is_registered_once;
    LosesTheSpelling breaks an_account_is_read_back_with_every_field;
    CutsTimesToMilliseconds breaks an_account_is_read_back_with_every_field;
    IgnoresTheEpoch breaks a_session_begins_only_for_an_active_account_of_the_same_epoch;
    ChecksTheEpochThenBegins breaks no_session_of_an_old_password_survives_its_change;
    ChecksThePasswordThenReplaces breaks one_of_many_password_changes_wins;
    ReplacesAnyPassword breaks a_password_is_replaced_only_while_it_is_the_verified_one;
    ForgetsTheException breaks revoking_all_ends_what_was_not_revoked_and_spares_one;
    RevokesAgain breaks a_session_is_revoked_once;
    ReportsNoRevocation breaks a_session_is_revoked_once;
    CapIsOneTooMany breaks the_cap_ends_the_longest_unused;
    CapCountsByAge breaks the_cap_ends_the_longest_unused;
    CountsThenEnforcesTheCap breaks the_cap_holds_among_rivals;
    LiveOneTickTooLong breaks live_sessions_are_live_at_the_instant;
    RepeatsTheMark breaks revocations_come_after_the_mark_in_order;
    SkipsTheRestOfAnInstant breaks revocations_come_after_the_mark_in_order;
    CursorIsInclusive breaks live_sessions_come_in_pages_the_greatest_id_first;
    PagesNeverEnd breaks events_come_in_pages_the_greatest_id_first;
    ForgetsTheSubject breaks events_of_one_account_come_in_pages_of_their_own;
    ReportsADeadlock breaks rivals_in_opposite_order_all_succeed;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_committed_one_by_one_break_atomicity_and_isolation() {
    breaks(Bug::CommitsChangeByChange, "a_failing_change_undoes_the_ones_before_it").await;
    breaks(Bug::CommitsChangeByChange, "a_failing_change_undoes_each_kind_of_change").await;
    breaks(Bug::CommitsChangeByChange, "no_read_sees_half_a_commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_find_what_no_check_was_written_for() {
    for bug in [
        Bug::RotatesAnyGeneration,
        Bug::RotatesWithAnySecret,
        Bug::RotatesWhatExpired,
        Bug::ForgetsWhoUsedItLast,
        Bug::DoesNotCutTheIdleEnd,
        Bug::CommitsChangeByChange,
        Bug::AppliesWhatComesBehindAFailure,
        Bug::DropsAuditEvents,
        Bug::ComparesSpellings,
        Bug::LosesTheSpelling,
        Bug::CutsTimesToMilliseconds,
        Bug::IgnoresTheEpoch,
        Bug::ReplacesAnyPassword,
        Bug::ForgetsTheException,
        Bug::RevokesAgain,
        Bug::ReportsNoRevocation,
        Bug::CapIsOneTooMany,
        Bug::CapCountsByAge,
        Bug::SkipsTheRestOfAnInstant,
        Bug::ForgetsTheSubject,
    ] {
        breaks(bug, "random_histories_are_those_of_the_model").await;
    }
}

/// Without a bug the mutant keeps every promise: what turns the others red is the bug and not the wrapper.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_wrapper_without_a_bug_breaks_nothing() {
    let results = run_all(&stores(Bug::Nothing)).await;
    let broken: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(results.len(), promises().len());
}
