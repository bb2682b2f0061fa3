//! Whether what a client was told is what it had to be told.

use std::time::Duration;

use authkit_core::model::Rotation;
use authkit_core::{SessionId, Timestamp};

use crate::clients::{Op, Outcome};
use crate::flow::Slot;
use crate::ledger::{Ledger, Line, Person, Row};

/// What a refused rotation has to lead to.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// The same successor again.
    Retry,
    /// The end of the session.
    Reuse,
    /// A refusal: the session is over.
    Over,
    /// Nothing: the rotation should not have been refused.
    Rotation,
}

fn due(rotation: &Rotation, row: Option<&Row>, grace: Duration) -> Due {
    let Some(row) = row else { return Due::Over };
    if row.is_revoked || rotation.at >= row.idle_expires_at || rotation.at >= row.expires_at {
        return Due::Over;
    }
    match row.generation.checked_sub(rotation.generation) {
        None => Due::Over,
        Some(0) => Due::Rotation,
        Some(1) if rotation.at.since(row.refreshed_at) <= grace => Due::Retry,
        Some(_) => Due::Reuse,
    }
}

/// What the judge knows of the world.
pub(crate) struct Bench<'a> {
    pub(crate) ledger: &'a mut Ledger,
    /// The clocks differ by no more than the leeway.
    pub(crate) bounded: bool,
    pub(crate) grace: Duration,
    /// No clock is ahead of this.
    pub(crate) latest: Timestamp,
}

impl Bench<'_> {
    /// Judges the end of a flow. `rivals` says whether another one wanted to hash at the same node.
    pub(crate) fn judge(&mut self, flow: &Slot, outcome: &Outcome, rivals: bool) {
        let verdict = match outcome {
            Outcome::Failed(error) => {
                let state = flow.state();
                // Three rivals in a row are as much a cause as a fault.
                (state.faults == 0 && state.conflicts < 3).then(|| format!("failed without a fault: {error}"))
            }
            Outcome::Shed => (!rivals).then(|| "shed without a rival".to_owned()),
            _ => self.judge_answer(flow, outcome),
        };
        if let Some(wrong) = verdict {
            self.ledger.accuse(format!("flow {}, {}: {wrong}", flow.id, flow.op));
        }
    }

    fn judge_answer(&self, flow: &Slot, outcome: &Outcome) -> Option<String> {
        let commits = flow.state().commits;
        let is_change = match flow.op {
            Op::LogOut { .. } | Op::Turn { .. } | Op::Start | Op::RotateKey | Op::Refresh { .. } => false,
            _ => !matches!(outcome, Outcome::Refused(_)),
        };
        if is_change && commits != 1 {
            return Some(format!("was acknowledged with {commits} commits"));
        }
        match (flow.op, outcome) {
            (Op::Refresh { .. }, outcome) => self.judge_refresh(flow, outcome),
            (Op::Register { account, .. }, Outcome::Refused("account.email_taken")) => {
                let taken = self.ledger.owners[account].is_some() || self.ledger.freed[account] >= flow.began;
                (!taken).then(|| "the address is free".to_owned())
            }
            (Op::LogIn { account, password }, Outcome::Refused("auth.invalid_credentials")) => {
                let owner = self.ledger.owners[account].map(|id| &self.ledger.people[&id]);
                owner.filter(|person| right(person, password, flow)).map(|_| "the password was right".to_owned())
            }
            (Op::LogOut { .. }, Outcome::Done(_)) => self.still_live(flow.session?).then(|| "the session lives on".to_owned()),
            (Op::LogOut { .. }, Outcome::Refused("auth.invalid_refresh_token")) => self.unknown_key(flow.session?),
            (Op::LogOutAll { .. }, Outcome::Done(count)) => {
                let listed = flow.state().ended.len();
                let person = self.person(flow)?;
                let left = person.sessions.iter().find(|id| self.ledger.sessions[id].born < flow.began && self.still_live(**id));
                match left {
                    Some(left) => Some(format!("{left} lives on")),
                    None => (listed != *count).then(|| format!("{listed} sessions ended")),
                }
            }
            (Op::Revoke { target, .. }, Outcome::Done(_)) => match self.ledger.sessions.get(&target) {
                Some(line) if Some(line.user) != self.line(flow).map(|line| line.user) => {
                    Some("it is somebody else's".to_owned())
                }
                _ => self.still_live(target).then(|| "the session lives on".to_owned()),
            },
            (Op::Revoke { target, .. }, Outcome::Refused("session.not_found")) => {
                let theirs = self.ledger.sessions.get(&target).map(|line| line.user) == self.line(flow).map(|line| line.user);
                (theirs && self.usable(target)).then(|| "the session is there".to_owned())
            }
            (Op::ChangePassword { new, .. }, Outcome::Done(_)) => {
                (!self.person(flow)?.passwords.contains(&new)).then(|| "the password is another one".to_owned())
            }
            (Op::ChangePassword { current: password, .. }, Outcome::Refused("password.wrong_current"))
            | (Op::Reauthenticate { password, .. }, Outcome::Refused("auth.invalid_credentials")) => {
                right(self.person(flow)?, password, flow).then(|| "the password was right".to_owned())
            }
            (Op::ChangePassword { .. }, Outcome::Refused("auth.session_ended")) => {
                (!self.person(flow)?.closed).then(|| "the account is open".to_owned())
            }
            (Op::Reauthenticate { .. }, Outcome::Refused("auth.session_ended")) => {
                let changed = self.person(flow)?.changed >= flow.began;
                (!changed && self.usable(flow.session?)).then(|| "the session lives on".to_owned())
            }
            (Op::Close { .. }, Outcome::Done(_)) => (!self.person(flow)?.closed).then(|| "the account is open".to_owned()),
            (Op::Close { .. }, Outcome::Refused("auth.session_ended")) => {
                self.still_live(flow.session?).then(|| "the session lives on".to_owned())
            }
            (Op::Close { .. }, Outcome::Refused("auth.reauthentication_required"))
            | (Op::RotateKey, Outcome::Refused("key.overtaken")) => None,
            (_, Outcome::Refused(code)) => Some(format!("nobody expects to be refused with {code}")),
            _ => None,
        }
    }

    fn judge_refresh(&self, flow: &Slot, outcome: &Outcome) -> Option<String> {
        let session = flow.session?;
        let refused = flow.state().refused.clone();
        let due = refused.as_ref().map(|(rotation, row)| due(rotation, row.as_ref(), self.grace));
        match (outcome, due) {
            (_, Some(Due::Rotation)) => Some("the current token was refused".to_owned()),
            (Outcome::In(_), None | Some(Due::Retry)) => {
                let ended = self.ledger.sessions.get(&session).and_then(|line| line.ended);
                ended.is_some_and(|step| step < flow.began).then(|| "the session was over before it was refreshed".to_owned())
            }
            (Outcome::Reused(_), Some(Due::Reuse)) => self.lives_on(session),
            // Where clocks disagree about which key is in use, one successor comes under two of them, and only one can go on.
            (Outcome::Reused(_), Some(Due::Retry)) if !self.bounded => self.lives_on(session),
            (Outcome::Refused("auth.invalid_refresh_token"), Some(Due::Over)) => None,
            (Outcome::Refused("auth.invalid_refresh_token"), None) => self.unknown_key(session),
            (outcome, due) => Some(format!("{} and not {due:?}", outcome.summary())),
        }
    }

    fn lives_on(&self, session: SessionId) -> Option<String> {
        self.still_live(session).then(|| "reused, and the session lives on".to_owned())
    }

    /// A token was refused without a look at its session.
    fn unknown_key(&self, session: SessionId) -> Option<String> {
        (self.bounded && self.usable(session)).then(|| "a token of a live session is not known".to_owned())
    }

    fn line(&self, flow: &Slot) -> Option<&Line> {
        self.ledger.sessions.get(&flow.session?)
    }

    fn person(&self, flow: &Slot) -> Option<&Person> {
        self.ledger.people.get(&self.line(flow)?.user)
    }

    fn still_live(&self, id: SessionId) -> bool {
        self.ledger.sessions.get(&id).is_some_and(|line| line.ended.is_none())
    }

    /// Whether a session is live, by whichever clock.
    fn usable(&self, id: SessionId) -> bool {
        let Some(line) = self.ledger.sessions.get(&id) else { return false };
        self.bounded && line.ended.is_none() && self.latest < line.row.idle_expires_at && self.latest < line.row.expires_at
    }
}

/// Whether this was the password all along.
fn right(person: &Person, password: u32, flow: &Slot) -> bool {
    person.passwords.last() == Some(&password) && person.changed < flow.began
}
