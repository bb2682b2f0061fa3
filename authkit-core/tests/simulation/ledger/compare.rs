//! What the store holds, against what it has acknowledged.

use std::collections::BTreeSet;

use authkit_core::embedded::MemoryStore;
use authkit_core::model::KeyId;
use authkit_core::ports::{KeyReads as _, RevocationMark, SessionReads as _, UserReads as _};
use authkit_core::{PageLimit, SessionId, Timestamp, UserId};

use super::Ledger;
use super::reads::{at_once, events, limit, live_sessions};

impl Ledger {
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
        let found = live_sessions(store, user, Timestamp::UNIX_EPOCH);
        for session in &found {
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
            .find(|id| self.sessions[id].ended.is_none() && !found.iter().any(|session| session.id == **id));
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
        let mut mark = RevocationMark { at: Timestamp::UNIX_EPOCH, session_id: None };
        loop {
            let page = at_once(store.revocations_after(mark, limit(PageLimit::MAX))).expect("reads");
            let Some(last) = page.last() else { break };
            mark = RevocationMark { at: last.at, session_id: Some(last.session_id) };
            read.extend(page.iter().map(|revocation| (revocation.at, revocation.session_id)));
        }
        self.insist(read == ended, || "the revocations are not what was acknowledged".to_owned());
        let keys: BTreeSet<KeyId> = at_once(store.server_keys()).expect("reads").into_iter().map(|key| key.id).collect();
        self.insist(keys == self.keys.keys().cloned().collect(), || "the keys are not what was acknowledged".to_owned());
    }
}
