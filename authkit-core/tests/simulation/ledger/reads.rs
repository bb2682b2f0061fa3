//! Looks at the model itself: past the ports, past the mutants, and at once.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use authkit_core::embedded::MemoryStore;
use authkit_core::model::{AuditEvent, AuditFilter, Session};
use authkit_core::ports::{AuditReads as _, SessionReads as _};
use authkit_core::{AuditEventId, Cursor, PageLimit, PageRequest, Timestamp, UserId};

/// The answer of the model, which never waits.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store answers at once"),
    }
}

pub(super) fn limit(items: u16) -> PageLimit {
    PageLimit::new(items).expect("in range")
}

/// The sessions of a user that are live at an instant; at the beginning of time, all that were not ended.
pub(super) fn live_sessions(store: &MemoryStore, user: UserId, at: Timestamp) -> Vec<Session> {
    let page = PageRequest { limit: limit(PageLimit::MAX), cursor: None };
    at_once(store.live_sessions(user, at, page)).expect("reads").items
}

pub(super) fn events(store: &MemoryStore, items: u16, before: Option<AuditEventId>) -> Vec<AuditEvent> {
    let cursor = before.map(|id| Cursor::after(id.as_uuid()));
    at_once(store.audit_events(&AuditFilter::new(), PageRequest { limit: limit(items), cursor })).expect("reads").items
}

/// The event of the greatest id up to this one.
pub(super) fn latest_event(store: &MemoryStore, id: AuditEventId) -> Option<AuditEvent> {
    let above = AuditEventId::from_uuid(uuid::Uuid::from_u128(id.as_uuid().as_u128() + 1));
    events(store, 1, Some(above)).pop()
}
