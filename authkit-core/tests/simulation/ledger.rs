//! The oracle's memory: what the store has said yes to, kept apart from the store and compared with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::model::{
    Actor, AuditAction, AuditChange, AuditEvent, Change, ChangeSet, Committed, CredentialChange, KeyChange, KeyId, KeyPurpose,
    Outcome as EventOutcome, RevocationReason, Rotation, RotationOutcome, Session, SessionChange, UserChange,
};
use authkit_core::ports::{AuditReads as _, CommitError, KeyReads as _, SessionReads as _, StoreError, UserReads as _};
use authkit_core::{AuditEventId, Digest, Email, PageLimit, PageRequest, PasswordHash, SessionId, Timestamp, UserId};

use crate::clients::{Op, email};
use crate::flow::Slot;

/// A session as the store keeps it, as far as a refresh is judged by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) generation: u32,
    pub(crate) refreshed_at: Timestamp,
    pub(crate) is_revoked: bool,
    pub(crate) idle_expires_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Row {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            generation: session.generation,
            refreshed_at: session.refreshed_at,
            is_revoked: session.revoked.is_some(),
            idle_expires_at: session.idle_expires_at,
            expires_at: session.expires_at,
        }
    }
}

/// The lineage of one session.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) user: UserId,
    pub(crate) born: u64,
    pub(crate) row: Row,
    /// The secret of each generation.
    secrets: Vec<Digest>,
    /// At which step it ended.
    pub(crate) ended: Option<u64>,
}

/// An account, open or closed.
#[derive(Debug)]
pub(crate) struct Person {
    account: usize,
    epoch: u32,
    hash: Option<PasswordHash>,
    /// The password, as the clients number them, the current one last.
    pub(crate) passwords: Vec<u32>,
    /// At which step the password was set last.
    pub(crate) changed: u64,
    pub(crate) closed: bool,
    pub(crate) sessions: Vec<SessionId>,
}

/// That a session was ended before its time, and how that came into the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) session: SessionId,
    pub(crate) step: u64,
    /// The instant that it was dated.
    pub(crate) at: Timestamp,
    /// How long after that instant it was in the store.
    pub(crate) late: Duration,
    /// When that was, by the true time.
    pub(crate) applied: i64,
}

/// What the store has acknowledged. The checks note the first thing that must not be.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) step: u64,
    pub(crate) sessions: BTreeMap<SessionId, Line>,
    pub(crate) people: BTreeMap<UserId, Person>,
    /// Whose each address is, by the number of the account.
    pub(crate) owners: Vec<Option<UserId>>,
    /// At which step each address was given up last.
    pub(crate) freed: Vec<u64>,
    pub(crate) ended: Vec<Ended>,
    events: BTreeSet<AuditEventId>,
    keys: BTreeMap<KeyId, (KeyPurpose, u32)>,
    /// The refresh token that each one was exchanged for.
    successors: HashMap<String, String>,
    cap: usize,
    emails: Vec<Email>,
    dirty: bool,
    pub(crate) violation: Option<String>,
}

impl Ledger {
    pub(crate) fn new(accounts: usize, cap: u32) -> Self {
        Self {
            step: 0,
            sessions: BTreeMap::new(),
            people: BTreeMap::new(),
            owners: vec![None; accounts],
            freed: vec![0; accounts],
            ended: Vec::new(),
            events: BTreeSet::new(),
            keys: BTreeMap::new(),
            successors: HashMap::new(),
            cap: usize::try_from(cap).expect("fits"),
            emails: (0..accounts).map(email).collect(),
            dirty: false,
            violation: None,
        }
    }

    /// Notes that something is as it must not be.
    pub(crate) fn accuse(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    pub(crate) fn insist(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.accuse(what());
        }
    }

    /// A flow presented a refresh token and was given its successor.
    pub(crate) fn succeeded(&mut self, presented: &str, successor: &str) {
        let known = self.successors.entry(presented.to_owned()).or_insert_with(|| successor.to_owned());
        if known != successor {
            self.accuse("a refresh token has two successors");
        }
    }

    /// A change set has come to the store.
    pub(crate) fn committed(
        &mut self,
        flow: &Slot,
        changes: &ChangeSet,
        result: &Result<Committed, CommitError>,
        store: &MemoryStore,
        now: i64,
    ) {
        self.dirty = true;
        match result {
            Ok(committed) => {
                let late = {
                    let mut state = flow.state();
                    state.commits += 1;
                    Duration::from_micros(u64::try_from(now - state.looked_at).unwrap_or(0))
                };
                self.apply(flow, changes, committed, store, late, now);
            }
            Err(CommitError::Conflict(_)) => flow.state().conflicts += 1,
            Err(error) => self.accuse(format!("the store failed by itself: {error:?}")),
        }
    }

    fn apply(&mut self, flow: &Slot, changes: &ChangeSet, committed: &Committed, store: &MemoryStore, late: Duration, now: i64) {
        let mut revoked: BTreeMap<SessionId, Timestamp> = BTreeMap::new();
        let listed: BTreeSet<SessionId> = committed.revoked.iter().map(|revocation| revocation.session_id).collect();
        for change in changes.changes() {
            match change {
                Change::User(change) => self.apply_user(change),
                Change::Credential(change) => self.apply_credential(flow, change),
                Change::Session(change) => self.apply_session(flow, change, &listed, &mut revoked, store),
                Change::Key(KeyChange::Insert(key)) => {
                    let place = (key.purpose, key.serial);
                    self.insist(!self.keys.values().any(|other| *other == place), || format!("two keys are {place:?}"));
                    self.keys.insert(key.id.clone(), place);
                }
                Change::Key(KeyChange::Delete { id }) => {
                    let known = self.keys.remove(id).is_some();
                    self.insist(known, || "a key that was not there was deleted".to_owned());
                }
                Change::Audit(AuditChange::Append(event)) => {
                    let is_new = self.events.insert(event.id);
                    self.insist(is_new, || "an audit event was kept twice".to_owned());
                    let kept = latest_event(store, event.id);
                    self.insist(kept.as_ref() == Some(&**event), || format!("acknowledged, but not there: {event:?}"));
                }
                _ => {}
            }
        }
        self.insist(revoked.keys().copied().collect::<BTreeSet<_>>() == listed, || {
            format!("the commit ended {revoked:?} and says {listed:?}")
        });
        for (session, at) in revoked {
            self.ended.push(Ended { session, step: self.step, at, late, applied: now });
        }
        if let Some(wrong) = unaudited(changes) {
            self.accuse(wrong);
        }
    }

    fn apply_user(&mut self, change: &UserChange) {
        match change {
            UserChange::Insert(user) => {
                let account = self.emails.iter().position(|email| email == &user.email);
                let account = account.expect("an address of the simulation");
                self.insist(self.owners[account].is_none(), || format!("{} has two accounts", user.email.normal()));
                self.owners[account] = Some(user.id);
                let person = Person {
                    account,
                    epoch: 0,
                    hash: None,
                    passwords: Vec::new(),
                    changed: self.step,
                    closed: false,
                    sessions: Vec::new(),
                };
                self.people.insert(user.id, person);
            }
            UserChange::RaiseAuthEpoch { id, from, .. } => {
                if let Some(person) = self.people.get_mut(id)
                    && person.epoch == *from
                    && !person.closed
                {
                    person.epoch += 1;
                } else {
                    self.accuse(format!("the epoch of {id} was raised from {from}, where it was not"));
                }
            }
            UserChange::Close { id, .. } => {
                let step = self.step;
                match self.people.get_mut(id).filter(|person| !person.closed) {
                    Some(person) => {
                        person.closed = true;
                        self.owners[person.account] = None;
                        self.freed[person.account] = step;
                    }
                    None => self.accuse(format!("{id} was closed, and was not open")),
                }
            }
            _ => {}
        }
    }

    fn apply_credential(&mut self, flow: &Slot, change: &CredentialChange) {
        let step = self.step;
        let (user_id, hash) = match change {
            CredentialChange::InsertPassword { user_id, hash, .. } => (user_id, Some(hash)),
            CredentialChange::ReplacePassword { user_id, from, to, .. } => {
                let held = self.people.get(user_id).and_then(|person| person.hash.as_ref());
                let verified = held == Some(from);
                self.insist(verified, || "a password was replaced that was not the verified one".to_owned());
                (user_id, Some(to))
            }
            CredentialChange::DeletePassword { user_id } => (user_id, None),
            _ => return,
        };
        let Some(person) = self.people.get_mut(user_id) else { return self.accuse("a password of nobody") };
        person.hash = hash.cloned();
        match flow.op {
            Op::Register { password, .. } | Op::ChangePassword { new: password, .. } => {
                person.passwords.push(password);
                person.changed = step;
            }
            _ => {}
        }
    }

    fn apply_session(
        &mut self,
        flow: &Slot,
        change: &SessionChange,
        listed: &BTreeSet<SessionId>,
        revoked: &mut BTreeMap<SessionId, Timestamp>,
        store: &MemoryStore,
    ) {
        match change {
            SessionChange::Insert { session, auth_epoch } => {
                let password = match flow.op {
                    Op::Register { password, .. } | Op::LogIn { password, .. } => Some(password),
                    _ => None,
                };
                let Some(person) = self.people.get_mut(&session.user_id).filter(|person| !person.closed) else {
                    return self.accuse("a session began for an account that is not open");
                };
                person.sessions.push(session.id);
                let current = person.epoch == *auth_epoch && person.passwords.last().copied() == password;
                self.insist(current, || "a session began with a password that had been replaced".to_owned());
                let line = Line {
                    user: session.user_id,
                    born: self.step,
                    row: Row::of(session),
                    secrets: vec![session.secret],
                    ended: None,
                };
                let is_new = self.sessions.insert(session.id, line).is_none();
                self.insist(is_new, || "a session began twice".to_owned());
                let live = live_sessions(store, session.user_id, session.created_at).len();
                let cap = self.cap;
                self.insist(live <= cap, || format!("{live} sessions are live and the cap is {cap}"));
            }
            SessionChange::Revoke { id, at, .. } => {
                let ended = self.end(*id);
                self.insist(ended, || format!("{id} ended that was not live"));
                revoked.insert(*id, *at);
            }
            SessionChange::RevokeAll { user_id, except, at, .. } => {
                let sessions = self.people.get(user_id).map(|person| person.sessions.clone()).unwrap_or_default();
                for id in sessions {
                    if Some(id) != *except && self.end(id) {
                        revoked.insert(id, *at);
                    }
                }
                // SECURITY: said of the caller, not of the change: a flow that names the wrong exception must show.
                if let Op::ChangePassword { .. } | Op::Close { .. } | Op::LogOutAll { .. } = flow.op {
                    let stays = if matches!(flow.op, Op::ChangePassword { .. }) { flow.session } else { None };
                    let live = live_sessions(store, *user_id, Timestamp::UNIX_EPOCH);
                    let left = live.iter().find(|session| Some(session.id) != stays).map(|session| session.id);
                    self.insist(left.is_none(), || format!("{left:?} outlived the end of all sessions"));
                }
            }
            SessionChange::EnforceCap { user_id, at, .. } => {
                for id in listed {
                    let theirs = self.sessions.get(id).is_some_and(|line| line.user == *user_id);
                    if theirs && self.end(*id) {
                        revoked.insert(*id, *at);
                    }
                }
            }
            SessionChange::Reauthenticate { id, auth_epoch, .. } => {
                let line = self.sessions.get(id).filter(|line| line.ended.is_none());
                let epoch = line.and_then(|line| self.people.get(&line.user)).map(|person| person.epoch);
                self.insist(epoch == Some(*auth_epoch), || format!("{id} was confirmed and is over, or is of an old password"));
            }
            _ => {}
        }
    }

    fn end(&mut self, id: SessionId) -> bool {
        let step = self.step;
        match self.sessions.get_mut(&id).filter(|line| line.ended.is_none()) {
            Some(line) => {
                line.ended = Some(step);
                line.row.is_revoked = true;
                true
            }
            None => false,
        }
    }

    /// A rotation has come to the store.
    pub(crate) fn rotated(
        &mut self,
        flow: &Slot,
        rotation: &Rotation,
        outcome: &Result<RotationOutcome, StoreError>,
        store: &MemoryStore,
    ) {
        self.dirty = true;
        let id = rotation.session_id;
        let row = at_once(store.session_by_id(id)).expect("reads").map(|found| Row::of(&found.session));
        match outcome {
            Ok(RotationOutcome::Rotated(_)) => {
                flow.state().commits += 1;
                let Some(line) = self.sessions.get_mut(&id) else { return self.accuse("a rotation of no session") };
                let before = line.row;
                let current = line.secrets.last() == Some(&rotation.presented) && before.generation == rotation.generation;
                let live = !before.is_revoked && rotation.at < before.idle_expires_at && rotation.at < before.expires_at;
                let fresh = !line.secrets.contains(&rotation.successor);
                line.secrets.push(rotation.successor);
                line.row = Row {
                    generation: before.generation + 1,
                    refreshed_at: rotation.at,
                    idle_expires_at: rotation.idle_expires_at.min(before.expires_at),
                    ..before
                };
                self.insist(current, || format!("{id} moved on from a token that was not its current one"));
                self.insist(live, || format!("{id} moved on and was over"));
                self.insist(fresh, || format!("{id} has a secret of an older generation again"));
            }
            Ok(RotationOutcome::Refused(_)) => flow.state().refused = Some((rotation.clone(), row)),
            Ok(_) => {}
            Err(error) => self.accuse(format!("the store failed by itself: {error:?}")),
        }
    }

    /// Compares what the store holds with what it has acknowledged, if it was written to since the last time.
    pub(crate) fn compare(&mut self, store: &MemoryStore) {
        if !std::mem::take(&mut self.dirty) || self.violation.is_some() {
            return;
        }
        for account in 0..self.emails.len() {
            let found = at_once(store.credentials_by_email(&self.emails[account])).expect("reads");
            let owner = self.owners[account];
            let held = found.as_ref().map(|found| found.user.id);
            if held != owner {
                return self.accuse(format!("address {account} belongs to {held:?}, and {owner:?} was acknowledged"));
            }
            let Some(found) = found else { continue };
            let person = &self.people[&found.user.id];
            if found.password.is_none() {
                return self.accuse(format!("{} has no password", found.user.id));
            }
            if found.password != person.hash || found.user.auth_epoch != person.epoch {
                return self.accuse(format!("{} has another password or epoch than was acknowledged", found.user.id));
            }
            if let Some(wrong) = self.compare_sessions(store, found.user.id) {
                return self.accuse(wrong);
            }
        }
        for event in events(store, 2, None) {
            self.insist(self.events.contains(&event.id), || format!("an audit event without its change: {event:?}"));
        }
    }

    fn compare_sessions(&self, store: &MemoryStore, user: UserId) -> Option<String> {
        let live = live_sessions(store, user, Timestamp::UNIX_EPOCH);
        for session in &live {
            let Some(line) = self.sessions.get(&session.id) else {
                return Some(format!("{} is there and was never acknowledged", session.id));
            };
            if line.ended.is_some() {
                return Some(format!("{} ended, and is live", session.id));
            }
            if session.generation != line.row.generation || Some(&session.secret) != line.secrets.last() {
                return Some(format!(
                    "{} is at generation {}, and {} was acknowledged, or with another secret",
                    session.id, session.generation, line.row.generation
                ));
            }
        }
        let missing = self.people[&user]
            .sessions
            .iter()
            .find(|id| self.sessions[id].ended.is_none() && !live.iter().any(|session| session.id == **id));
        missing.map(|id| format!("{id} was acknowledged and is not live"))
    }

    /// Compares all of the audit log, the revocations and the keys.
    pub(crate) fn compare_all(&mut self, store: &MemoryStore) {
        self.dirty = true;
        self.compare(store);
        let mut found = BTreeSet::new();
        let mut before = None;
        loop {
            let page = events(store, PageLimit::MAX, before);
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            found.extend(page.iter().map(|event| event.id));
        }
        self.insist(found == self.events, || "the audit log is not what was acknowledged".to_owned());
        let mut ended: Vec<(Timestamp, SessionId)> = self.ended.iter().map(|ended| (ended.at, ended.session)).collect();
        ended.sort_unstable();
        let mut read = Vec::new();
        let mut mark = authkit_core::ports::RevocationMark { at: Timestamp::UNIX_EPOCH, session_id: None };
        loop {
            let page = at_once(store.revocations_after(mark, limit(PageLimit::MAX))).expect("reads");
            let Some(last) = page.last() else { break };
            mark = authkit_core::ports::RevocationMark { at: last.at, session_id: Some(last.session_id) };
            read.extend(page.iter().map(|revocation| (revocation.at, revocation.session_id)));
        }
        self.insist(read == ended, || "the revocations are not what was acknowledged".to_owned());
        let keys: BTreeSet<KeyId> = at_once(store.server_keys()).expect("reads").into_iter().map(|key| key.id).collect();
        self.insist(keys == self.keys.keys().cloned().collect(), || "the keys are not what was acknowledged".to_owned());
    }
}

/// What a change set owes the audit log: one event for what it does, which says so, and none for what it does not.
fn unaudited(changes: &ChangeSet) -> Option<String> {
    let mut events: Vec<&AuditEvent> = Vec::new();
    let mut expected = None;
    let mut begun = None;
    let mut others = 0;
    for change in changes.changes() {
        let action = match change {
            Change::Audit(AuditChange::Append(event)) => {
                events.push(event);
                continue;
            }
            Change::User(UserChange::Insert(_)) => Some(AuditAction::AccountRegistered),
            Change::User(UserChange::Close { .. }) => Some(AuditAction::AccountClosed),
            Change::User(UserChange::RaiseAuthEpoch { .. }) => Some(AuditAction::PasswordChanged),
            Change::User(UserChange::UpdateProfile { .. }) => Some(AuditAction::ProfileChanged),
            Change::Session(SessionChange::Insert { session, .. }) => {
                begun = Some(Actor::User(session.user_id, Some(session.id)));
                Some(AuditAction::Login)
            }
            Change::Session(SessionChange::Reauthenticate { .. }) => Some(AuditAction::Reauthentication),
            Change::Session(SessionChange::Revoke { reason, .. } | SessionChange::RevokeAll { reason, .. }) => match reason {
                RevocationReason::Logout => Some(AuditAction::Logout),
                RevocationReason::LogoutAll => Some(AuditAction::LogoutAll),
                RevocationReason::RevokedByUser => Some(AuditAction::SessionRevoked),
                RevocationReason::RefreshTokenReused => Some(AuditAction::RefreshTokenReused),
                _ => None,
            },
            Change::Key(KeyChange::Insert(_)) => Some(AuditAction::KeyCreated),
            Change::Key(KeyChange::Delete { .. }) => Some(AuditAction::KeyDeleted),
            _ => None,
        };
        others += 1;
        // The first change names what is done; a registration begins a session too, and is one event.
        expected = expected.or(action);
    }
    let told = |event: &AuditEvent| (event.action, event.outcome);
    match (expected, events.as_slice()) {
        (Some(action), [event]) if told(event) == (action, EventOutcome::Success) => match begun {
            Some(actor) if event.actor != actor => Some(format!("the event names {:?} and {actor:?} acted", event.actor)),
            _ => None,
        },
        (None, [event]) if others == 0 && event.outcome == EventOutcome::Failure => None,
        // What no client asks for and no audit log has to know: rows that are purged for their age.
        (None, []) if others > 0 => None,
        _ => Some(format!("the change set owes {expected:?} and has {events:?}")),
    }
}

/// The answer of the model, which never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store answers at once"),
    }
}

fn limit(items: u16) -> PageLimit {
    PageLimit::new(items).expect("in range")
}

/// The sessions of a user that are live at an instant; at the beginning of time, all that were not ended.
fn live_sessions(store: &MemoryStore, user: UserId, at: Timestamp) -> Vec<Session> {
    let page = PageRequest { limit: limit(PageLimit::MAX), cursor: None };
    at_once(store.live_sessions(user, at, page)).expect("reads").items
}

fn events(store: &MemoryStore, items: u16, before: Option<AuditEventId>) -> Vec<AuditEvent> {
    let cursor = before.map(|id| authkit_core::Cursor::after(id.as_uuid()));
    at_once(store.audit_events(None, PageRequest { limit: limit(items), cursor })).expect("reads").items
}

/// The event of the greatest id up to this one.
fn latest_event(store: &MemoryStore, id: AuditEventId) -> Option<AuditEvent> {
    let above = AuditEventId::from_uuid(uuid::Uuid::from_u128(id.as_uuid().as_u128() + 1));
    events(store, 1, Some(above)).pop()
}
