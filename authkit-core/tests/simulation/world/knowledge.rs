//! What each node has to know is over, and whether it refuses the tokens of it.

use std::time::Duration;

use authkit_core::{AccessToken, SessionId, Timestamp};

use super::{Held, TOKENS, World};
use crate::flow::Slot;
use crate::ledger::{Ended, Ledger};
use crate::plan::{Clocks, TRANSACTION};
use crate::trace::Event;

/// How far back a node has read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    Narrow,
    Wide,
    All,
}

impl World {
    /// Whoever was told by a node that a session ended can rely on it there.
    pub(super) fn ends_at_once(&mut self, node: usize, session: SessionId) {
        // SECURITY: clocks that are off by hours make no difference to what a node has just done itself.
        let Some(auth) = self.nodes[node].up.as_ref() else { return };
        let accepted = |held: &&Held| held.session == session && auth.authenticate(held.token.expose()).is_ok();
        let reading = self.nodes[node].clock.reading();
        if self.is_forgotten(&self.shared.ledger(), session, reading) {
            return;
        }
        if let Some(held) = self.tokens.iter().find(accepted) {
            let what = format!("node {node} has ended {session} and accepts the token of device {}", held.device);
            self.shared.ledger().accuse(what);
        }
        if self.is_bounded() {
            self.nodes[node].knows.insert(session);
        }
    }

    pub(super) fn hold(&mut self, node: usize, device: usize, session: SessionId, token: AccessToken) {
        let auth = self.nodes[node].up.as_ref().expect("it has just answered");
        // A token that is refused from the start is over, or its session is: nothing is owed to its holder.
        let claims = auth.authenticate(token.expose()).map(|principal| principal.claims().expires_at);
        let expires_at = claims.unwrap_or(Timestamp::UNIX_EPOCH);
        if self.tokens.len() == TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back(Held { session, device, token, expires_at });
        self.verify(node, self.tokens.len() - 1);
    }

    /// What a node must have learnt by reading revocations from the store.
    pub(super) fn learn(&mut self, slot: &Slot, read: Read) {
        if !self.is_bounded() || self.nodes[slot.node].set_back > slot.began {
            return;
        }
        let now = self.shared.now();
        let retention = self.retention();
        let node = &mut self.nodes[slot.node];
        let reading = node.clock.reading();
        // What ended before this has no token any more.
        let horizon = now - 300_000_000;
        let ledger = self.shared.ledger();
        for ended in ledger.ended.iter().rev().take_while(|ended| ended.applied > horizon) {
            let in_time = ended.late <= TRANSACTION;
            let owed = match read {
                Read::Narrow => in_time,
                Read::Wide => in_time || (ended.late <= Duration::from_mins(1) && now - ended.applied <= 60_000_000),
                Read::All => in_time || ended.at + retention >= reading,
            };
            if ended.step < slot.began && owed {
                node.knows.insert(ended.session);
            }
        }
        drop(ledger);
        self.check_node(slot.node);
    }

    /// No node accepts what it has to know is over.
    pub(super) fn check_node(&mut self, node: usize) {
        if self.is_bounded() {
            for index in 0..self.tokens.len() {
                if self.nodes[node].knows.contains(&self.tokens[index].session) {
                    self.verify(node, index);
                }
            }
        }
    }

    /// Presents an access token to a node, and says whether it was accepted.
    fn verify(&mut self, node: usize, index: usize) -> bool {
        let (at, held) = (&self.nodes[node], &self.tokens[index]);
        let Some(auth) = at.up.as_ref() else { return false };
        let verdict = auth.authenticate(held.token.expose());
        let mut ledger = self.shared.ledger();
        let reading = at.clock.reading();
        let ended = ledger.sessions.get(&held.session).and_then(|line| line.ended);
        let what = format!("of device {} in {}", held.device, held.session);
        match &verdict {
            Ok(_) if self.plan.clocks == Clocks::Bounded && at.knows.contains(&held.session) => {
                let forgotten = self.is_forgotten(&ledger, held.session, reading);
                ledger.insist(forgotten, || format!("node {node} accepts the token {what}, which it has to know is over"));
            }
            Err(error) if ended.is_none() => {
                let is_over = error.code() == "auth.session_ended";
                let owed = self.plan.clocks == Clocks::Bounded && reading < held.expires_at;
                ledger.insist(!is_over && !owed, || format!("node {node} refuses the token {what}: {}", error.reason()));
            }
            _ => {}
        }
        verdict.is_ok()
    }

    /// Whether a node may have forgotten that a session ended while its tokens are still valid: where the transaction took
    /// longer than any is given, or by a clock that is off by hours.
    fn is_forgotten(&self, ledger: &Ledger, session: SessionId, reading: Timestamp) -> bool {
        let record = ledger.ended.iter().rev().find(|ended| ended.session == session);
        let excused = |ended: &Ended| ended.late > TRANSACTION || !self.is_bounded();
        record.is_some_and(|ended| excused(ended) && ended.at + self.retention() <= reading)
    }

    /// How long a node remembers that a session ended.
    fn retention(&self) -> Duration {
        self.plan.config().tokens.lifetime + 2 * self.plan.config().tokens.leeway
    }

    /// Somebody uses a token anywhere.
    pub(crate) fn authenticate(&mut self) {
        let node = self.rng.index(self.nodes.len());
        if self.tokens.is_empty() || self.nodes[node].up.is_none() {
            return;
        }
        // The younger ones by preference: of two, the one that was issued later.
        let index = self.rng.index(self.tokens.len()).max(self.rng.index(self.tokens.len()));
        let device = self.tokens[index].device;
        let accepted = self.verify(node, index);
        self.note(Event::Authenticate { node, device, accepted });
    }
}
