//! Which events of the audit log are asked for, and in what order.

use uuid::Uuid;

use crate::model::audit::{Actor, AuditAction, AuditEvent, Outcome};
use crate::primitives::{AuditEventId, PageRequest, RequestId, Timestamp, UserId};

/// In what order events are read: by their ids, which is the order in which they were decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum AuditOrder {
    /// The greatest id first.
    #[default]
    NewestFirst,
    /// The least id first.
    OldestFirst,
}

/// Which events are asked for: those that fit everything that is named. Nothing named is all of them.
///
/// ```
/// use authkit_core::model::{AuditAction, AuditFilter, Outcome};
///
/// let failed_logins = AuditFilter::new().action(AuditAction::Login).outcome(Outcome::Failure);
/// # let _ = failed_logins;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Who did it.
    pub actor: Option<UserId>,
    /// To whose account.
    pub subject: Option<UserId>,
    /// What.
    pub action: Option<AuditAction>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// The least id, itself included; `None` from the first on.
    pub from: Option<AuditEventId>,
    /// The first id that is too great; `None` up to the last.
    pub below: Option<AuditEventId>,
    /// In what order.
    pub order: AuditOrder,
}

impl AuditFilter {
    /// Every event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only what this user did.
    #[must_use]
    pub fn actor(mut self, actor: UserId) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Only what was done to this account.
    #[must_use]
    pub fn subject(mut self, subject: UserId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Only this.
    #[must_use]
    pub fn action(mut self, action: AuditAction) -> Self {
        self.action = Some(action);
        self
    }

    /// Only what ended so.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Only what happened in this request.
    #[must_use]
    pub fn request_id(mut self, request_id: RequestId) -> Self {
        self.request_id = Some(request_id);
        self
    }

    /// Only what happened at this instant or later, to the millisecond.
    #[must_use]
    pub fn since(mut self, from: Timestamp) -> Self {
        self.from = Some(AuditEventId::first_of(from));
        self
    }

    /// Only what happened before this instant, to the millisecond.
    #[must_use]
    pub fn until(mut self, to: Timestamp) -> Self {
        self.below = Some(AuditEventId::first_of(to));
        self
    }

    /// Only ids from `from` to below `below`.
    #[must_use]
    pub fn between(mut self, from: AuditEventId, below: AuditEventId) -> Self {
        (self.from, self.below) = (Some(from), Some(below));
        self
    }

    /// The oldest first.
    #[must_use]
    pub fn oldest_first(mut self) -> Self {
        self.order = AuditOrder::OldestFirst;
        self
    }

    /// Whether an event fits.
    #[must_use]
    pub fn fits(&self, event: &AuditEvent) -> bool {
        let did_it = |wanted: UserId| matches!(event.actor, Actor::User(user, _) if user == wanted);
        self.actor.is_none_or(did_it)
            && self.subject.is_none_or(|subject| event.subject == Some(subject))
            && self.action.is_none_or(|action| event.action == action)
            && self.outcome.is_none_or(|outcome| event.outcome == outcome)
            && self.request_id.as_ref().is_none_or(|id| event.request_id.as_ref() == Some(id))
            && self.from.is_none_or(|from| event.id >= from)
            && self.below.is_none_or(|below| event.id < below)
    }

    /// The ids that a page can hold, the first included and the second not: the filter's own bounds, narrowed by where the page
    /// before ended. `None` where nothing is left.
    #[must_use]
    pub fn bounds(&self, page: PageRequest) -> Option<(AuditEventId, AuditEventId)> {
        let mut from = self.from.map_or_else(Uuid::nil, |from| from.as_uuid());
        let mut below = self.below.map_or_else(Uuid::max, |below| below.as_uuid());
        if let Some(cursor) = page.cursor {
            match self.order {
                AuditOrder::NewestFirst => below = below.min(cursor.id()),
                AuditOrder::OldestFirst => from = from.max(AuditEventId::from_uuid(cursor.id()).next().as_uuid()),
            }
        }
        (from < below).then(|| (AuditEventId::from_uuid(from), AuditEventId::from_uuid(below)))
    }
}
