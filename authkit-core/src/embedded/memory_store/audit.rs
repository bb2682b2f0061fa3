//! The audit log, its seals, and how far it was handed on.

use crate::model::{AuditChange, AuditEvent, AuditFilter, AuditLeaf, AuditOrder, AuditSeal, AuditStream, Committed};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{AuditEventId, Page, PageLimit, PageRequest, UserId};

use super::Tables;
use super::table::Table;

/// The events and which of them concern an account, the seals and their leaves, the receivers.
#[derive(Default)]
pub(super) struct AuditLog {
    events: Table<AuditEventId, AuditEvent>,
    by_subject: Table<(UserId, AuditEventId), ()>,
    seals: Table<u64, AuditSeal>,
    leaves: Table<u64, Vec<AuditLeaf>>,
    streams: Table<String, AuditStream>,
}

impl AuditLog {
    /// One page of events.
    pub(super) fn page(&self, filter: &AuditFilter, page: PageRequest) -> Page<AuditEvent> {
        let Some((from, below)) = filter.bounds(page) else { return Page { items: Vec::new(), next: None } };
        let surplus = usize::from(page.limit.value()) + 1;
        let in_order: Box<dyn Iterator<Item = &AuditEvent> + '_> = match (filter.subject, filter.order) {
            (Some(subject), order) => {
                let ids = self.by_subject.rows().range((subject, from)..(subject, below)).map(|((_, id), ())| id);
                match order {
                    AuditOrder::OldestFirst => Box::new(ids.filter_map(|id| self.events.rows().get(id))),
                    AuditOrder::NewestFirst => Box::new(ids.rev().filter_map(|id| self.events.rows().get(id))),
                }
            }
            (None, AuditOrder::OldestFirst) => Box::new(self.events.rows().range(from..below).map(|(_, event)| event)),
            (None, AuditOrder::NewestFirst) => Box::new(self.events.rows().range(from..below).rev().map(|(_, event)| event)),
        };
        let rows = in_order.filter(|event| filter.fits(event)).take(surplus).cloned().collect();
        Page::from_surplus(rows, page.limit, |event: &AuditEvent| event.id.as_uuid())
    }

    /// How many events there are between two ids.
    pub(super) fn count(&self, from: AuditEventId, below: AuditEventId) -> u64 {
        if from >= below { 0 } else { self.events.rows().range(from..below).count() as u64 }
    }

    /// The seals behind a number.
    pub(super) fn seals(&self, after: u64, limit: PageLimit) -> Vec<AuditSeal> {
        self.seals.rows().range(after.saturating_add(1)..).take(limit.value().into()).map(|(_, seal)| seal.clone()).collect()
    }

    /// The last seal.
    pub(super) fn last_seal(&self) -> Option<AuditSeal> {
        self.seals.rows().last_key_value().map(|(_, seal)| seal.clone())
    }

    /// The leaves of a seal.
    pub(super) fn leaves(&self, seal: u64) -> Option<Vec<AuditLeaf>> {
        self.leaves.rows().get(&seal).cloned()
    }

    /// How far a receiver is.
    pub(super) fn stream(&self, name: &str) -> Option<AuditStream> {
        self.streams.rows().get(name).cloned()
    }

    pub(super) fn keep(&mut self) {
        self.events.keep();
        self.by_subject.keep();
        self.seals.keep();
        self.leaves.keep();
        self.streams.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.events.take_back();
        self.by_subject.take_back();
        self.seals.take_back();
        self.leaves.take_back();
        self.streams.take_back();
    }

    fn append(&mut self, event: &AuditEvent) -> Result<(), Conflict> {
        if self.events.rows().contains_key(&event.id) {
            return Err(Conflict::DuplicateId);
        }
        if let Some(subject) = event.subject {
            self.by_subject.put((subject, event.id), ());
        }
        self.events.put(event.id, event.clone());
        Ok(())
    }

    fn seal(&mut self, seal: &AuditSeal, leaves: &[AuditLeaf]) -> Result<(), Conflict> {
        let fits = match seal.number.checked_sub(1) {
            None => false,
            Some(0) => self.seals.rows().is_empty(),
            Some(before) => self.seals.rows().get(&before).is_some_and(|before| before.digest == seal.previous),
        };
        if !fits || self.seals.rows().contains_key(&seal.number) {
            return Err(Conflict::AuditSealTaken);
        }
        self.seals.put(seal.number, seal.clone());
        self.leaves.put(seal.number, leaves.to_vec());
        Ok(())
    }

    fn purge(&mut self, seal: u64) -> u64 {
        let mut purged = 0;
        for leaf in self.leaves(seal).unwrap_or_default() {
            let Some(event) = self.events.rows().get(&leaf.id) else { continue };
            if let Some(subject) = event.subject {
                self.by_subject.remove(&(subject, leaf.id));
            }
            self.events.remove(&leaf.id);
            purged += 1;
        }
        self.leaves.remove(&seal);
        purged
    }
}

pub(super) fn apply(tables: &mut Tables, change: &AuditChange, committed: &mut Committed) -> Result<(), CommitError> {
    let log = &mut tables.audit;
    match change {
        AuditChange::Append(event) => log.append(event)?,
        AuditChange::Seal { seal, leaves } => log.seal(seal, leaves)?,
        AuditChange::PurgeSealed { seal } => committed.purged += log.purge(*seal),
        AuditChange::ClaimStream { name, holder, at, until } => {
            let stream = match log.stream(name) {
                Some(stream) if stream.holder != *holder && stream.lease_until > *at => {
                    return Err(Conflict::AuditStreamHeld.into());
                }
                Some(stream) => AuditStream { holder: holder.clone(), lease_until: *until, ..stream },
                None => AuditStream { name: name.clone(), holder: holder.clone(), lease_until: *until, position: 0 },
            };
            log.streams.put(name.clone(), stream);
        }
        AuditChange::AdvanceStream { name, holder, from, to, until } => {
            let held = log.stream(name).filter(|stream| stream.holder == *holder && stream.position == *from);
            let stream = held.ok_or(Conflict::AuditStreamHeld)?;
            log.streams.put(name.clone(), AuditStream { lease_until: *until, position: *to, ..stream });
        }
    }
    Ok(())
}
