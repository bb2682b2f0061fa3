//! The outbox.

use crate::model::{Committed, OutboxChange, OutboxMessage, OutboxState};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{OutboxMessageId, Page, PageRequest, UserId};

use super::table::Table;
use super::{Tables, next};

/// The messages by their id.
#[derive(Default)]
pub(super) struct Outbox {
    rows: Table<OutboxMessageId, OutboxMessage>,
}

impl Outbox {
    /// The message with this id.
    pub(super) fn get(&self, id: OutboxMessageId) -> Option<&OutboxMessage> {
        self.rows.rows().get(&id)
    }

    /// One page of the messages in a state, the youngest id first.
    pub(super) fn page(&self, state: OutboxState, page: PageRequest) -> Page<OutboxMessage> {
        let before = page.cursor.map(|cursor| OutboxMessageId::from_uuid(cursor.id()));
        let rows = self.rows.rows().values().rev().filter(|message| message.state == state);
        let rows = rows.filter(|message| before.is_none_or(|before| message.id < before));
        let rows = rows.take(usize::from(page.limit.value()) + 1).cloned().collect();
        Page::from_surplus(rows, page.limit, |message| message.id.as_uuid())
    }

    /// Forgets the messages about an account.
    pub(super) fn forget_of(&mut self, user_id: UserId) {
        let of = |message: &&OutboxMessage| message.user_id == Some(user_id);
        for id in self.rows.rows().values().filter(of).map(|message| message.id).collect::<Vec<_>>() {
            self.rows.remove(&id);
        }
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
    }

    /// The message that a worker claimed, while it is still that worker's.
    fn claimed(&self, id: OutboxMessageId, attempt: u32) -> Result<OutboxMessage, Conflict> {
        let message = self.get(id).filter(|message| message.state == OutboxState::Pending && message.attempts == attempt);
        message.cloned().ok_or(Conflict::MessageMoved)
    }

    fn put(&mut self, message: OutboxMessage) {
        self.rows.put(message.id, message);
    }
}

pub(super) fn apply(tables: &mut Tables, change: &OutboxChange, committed: &mut Committed) -> Result<(), CommitError> {
    let outbox = &mut tables.outbox;
    match change {
        OutboxChange::Enqueue(message) => {
            if outbox.get(message.id).is_some() {
                return Err(Conflict::DuplicateId.into());
            }
            let (state, finished_at, last_error) = (OutboxState::Pending, None, None);
            outbox.put(OutboxMessage { state, attempts: 0, finished_at, last_error, ..(**message).clone() });
        }
        OutboxChange::Claim { at, lease_until, limit } => {
            let due = |message: &&OutboxMessage| message.state == OutboxState::Pending && message.due_at <= *at;
            let mut due: Vec<OutboxMessage> = outbox.rows.rows().values().filter(due).cloned().collect();
            due.sort_by_key(|message| (message.due_at, message.id));
            for message in due.into_iter().take(usize::try_from(*limit).unwrap_or(usize::MAX)) {
                let message = OutboxMessage { attempts: next(message.attempts)?, due_at: *lease_until, ..message };
                committed.claimed.push(message.clone());
                outbox.put(message);
            }
        }
        OutboxChange::Deliver { id, attempt, at } => {
            let message = outbox.claimed(*id, *attempt)?;
            let (state, finished_at) = (OutboxState::Delivered, Some(*at));
            outbox.put(OutboxMessage { state, finished_at, payload: None, last_error: None, ..message });
        }
        OutboxChange::Defer { id, attempt, due_at, error } => {
            let message = outbox.claimed(*id, *attempt)?;
            outbox.put(OutboxMessage { due_at: *due_at, last_error: Some(error.clone()), ..message });
        }
        OutboxChange::Bury { id, attempt, at, error } => {
            let message = outbox.claimed(*id, *attempt)?;
            let (state, finished_at) = (OutboxState::Dead, Some(*at));
            outbox.put(OutboxMessage { state, finished_at, last_error: Some(error.clone()), ..message });
        }
        OutboxChange::Expire { id, attempt, at } => {
            let message = outbox.claimed(*id, *attempt)?;
            let (state, finished_at) = (OutboxState::Expired, Some(*at));
            outbox.put(OutboxMessage { state, finished_at, payload: None, ..message });
        }
        OutboxChange::Retry { id, at } => {
            let dead = |message: &&OutboxMessage| message.state == OutboxState::Dead && message.expires_at > *at;
            let message = outbox.get(*id).filter(dead).cloned().ok_or(Conflict::MessageMoved)?;
            let (state, finished_at) = (OutboxState::Pending, None);
            outbox.put(OutboxMessage { state, finished_at, attempts: 0, due_at: *at, ..message });
        }
        OutboxChange::Discard { id } => {
            outbox.get(*id).ok_or(Conflict::MessageMoved)?;
            outbox.rows.remove(id);
        }
        OutboxChange::Purge { finished_before, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let over = |message: &&OutboxMessage| message.finished_at.is_some_and(|at| at < *finished_before);
            let over = outbox.rows.rows().values().filter(over).take(limit).map(|message| message.id);
            for id in over.collect::<Vec<_>>() {
                outbox.rows.remove(&id);
                committed.purged += 1;
            }
        }
    }
    Ok(())
}
