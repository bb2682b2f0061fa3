//! The oracle's memory: what the store has said yes to, kept apart from the store and compared with it.

mod audit;
mod compare;
mod reads;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::model::{
    AuditChange, Change, ChangeSet, Committed, CredentialChange, KeyChange, KeyId, KeyPurpose, Rotation, RotationOutcome,
    Session, SessionChange, UserChange,
};
use authkit_core::ports::{CommitError, SessionReads as _, StoreError};
use authkit_core::{AuditEventId, Digest, Email, PasswordHash, SessionId, Timestamp, UserId};

use crate::clients::{Op, email};
use crate::flow::Slot;

use audit::unaudited;
use reads::{at_once, latest_event, live_sessions};

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
    pub(crate) keys_deleted: u64,
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
            keys_deleted: 0,
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
                    self.keys_deleted += 1;
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
        if changes.changes().len() > 1 {
            self.judge_survivors(flow, &listed, store);
        }
        for (session, at) in revoked {
            self.ended.push(Ended { session, step: self.step, at, late, applied: now });
        }
        if let Some(wrong) = unaudited(changes) {
            self.accuse(wrong);
        }
    }

    /// Which sessions may outlive what was done to all of a user's, whatever the change set says.
    fn judge_survivors(&mut self, flow: &Slot, listed: &BTreeSet<SessionId>, store: &MemoryStore) {
        let spared = match flow.op {
            Op::ChangePassword { .. } => flow.session,
            Op::Close { .. } | Op::LogOutAll { .. } => None,
            _ => return,
        };
        let Some(user) = flow.session.and_then(|session| self.sessions.get(&session)).map(|line| line.user) else { return };
        let others = self.people[&user].sessions.iter().filter(|session| Some(**session) != spared);
        let left = others.copied().find(|session| self.sessions[session].ended.is_none());
        self.insist(left.is_none(), || format!("{left:?} outlived the end of all sessions"));
        let left = live_sessions(store, user, Timestamp::UNIX_EPOCH).into_iter().find(|session| Some(session.id) != spared);
        self.insist(left.is_none(), || format!("{left:?} outlived the end of all sessions"));
        let ended = spared.filter(|session| listed.contains(session));
        self.insist(ended.is_none(), || format!("{ended:?} was to stay"));
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
                let count = live_sessions(store, session.user_id, session.created_at).len();
                let cap = self.cap;
                self.insist(count <= cap, || format!("{count} sessions are live and the cap is {cap}"));
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
                let usable = !before.is_revoked && rotation.at < before.idle_expires_at && rotation.at < before.expires_at;
                let fresh = !line.secrets.contains(&rotation.successor);
                line.secrets.push(rotation.successor);
                line.row = Row {
                    generation: before.generation + 1,
                    refreshed_at: rotation.at,
                    idle_expires_at: rotation.idle_expires_at.min(before.expires_at),
                    ..before
                };
                self.insist(current, || format!("{id} moved on from a token that was not its current one"));
                self.insist(usable, || format!("{id} moved on and was over"));
                self.insist(fresh, || format!("{id} has a secret of an older generation again"));
            }
            Ok(RotationOutcome::Refused(_)) => flow.state().refused = Some((rotation.clone(), row)),
            Ok(_) => {}
            Err(error) => self.accuse(format!("the store failed by itself: {error:?}")),
        }
    }
}
