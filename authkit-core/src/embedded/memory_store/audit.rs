//! The audit log.

use uuid::Uuid;

use crate::model::{AuditChange, AuditEvent, Committed};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{AuditEventId, Page, PageRequest, UserId};

use super::Tables;
use super::table::Table;

/// The events, and which of them concern an account.
#[derive(Default)]
pub(super) struct AuditLog {
    events: Table<AuditEventId, AuditEvent>,
    by_subject: Table<(UserId, AuditEventId), ()>,
}

impl AuditLog {
    /// One page of events, the youngest id first.
    pub(super) fn page(&self, subject: Option<UserId>, page: PageRequest) -> Page<AuditEvent> {
        let before = page.cursor.map(|cursor| AuditEventId::from_uuid(cursor.id()));
        let surplus = usize::from(page.limit.value()) + 1;
        let older = |id: &AuditEventId| before.is_none_or(|before| *id < before);
        let rows: Vec<AuditEvent> = match subject {
            Some(subject) => self.of(subject).filter(|event| older(&event.id)).take(surplus).cloned().collect(),
            None => self.events.rows().values().rev().filter(|event| older(&event.id)).take(surplus).cloned().collect(),
        };
        Page::from_surplus(rows, page.limit, |event| event.id.as_uuid())
    }

    pub(super) fn keep(&mut self) {
        self.events.keep();
        self.by_subject.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.events.take_back();
        self.by_subject.take_back();
    }

    /// The events of one account, the youngest id first.
    fn of(&self, subject: UserId) -> impl Iterator<Item = &AuditEvent> {
        let first = (subject, AuditEventId::from_uuid(Uuid::nil()));
        let last = (subject, AuditEventId::from_uuid(Uuid::max()));
        self.by_subject.rows().range(first..=last).rev().filter_map(|((_, id), ())| self.events.rows().get(id))
    }
}

pub(super) fn apply(tables: &mut Tables, change: &AuditChange, committed: &mut Committed) -> Result<(), CommitError> {
    let log = &mut tables.audit;
    match change {
        AuditChange::Append(event) => {
            if log.events.rows().contains_key(&event.id) {
                return Err(Conflict::DuplicateId.into());
            }
            if let Some(subject) = event.subject {
                log.by_subject.put((subject, event.id), ());
            }
            log.events.put(event.id, (**event).clone());
        }
        AuditChange::Purge { below, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let old = log.events.rows().range(..below).take(limit).map(|(id, event)| (*id, event.subject));
            for (id, subject) in old.collect::<Vec<_>>() {
                if let Some(subject) = subject {
                    log.by_subject.remove(&(subject, id));
                }
                log.events.remove(&id);
                committed.purged += 1;
            }
        }
    }
    Ok(())
}
