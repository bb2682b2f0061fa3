//! The bytes that are hashed for an event.
//!
//! Every field stands behind its length, in a fixed order, so that no two events have the same bytes and nothing depends on how a
//! store writes a row. The first bytes name the form: a later one gets another name, and what was sealed stays verifiable.

use crate::audit::merkle;
use crate::model::{Actor, AuditEvent, AuditLeaf};

const LABEL: &[u8] = b"authkit audit event v1\0";

/// The leaf of an event: its id, and the leaf hash of its canonical form.
#[must_use]
pub fn leaf(event: &AuditEvent) -> AuditLeaf {
    AuditLeaf { id: event.id, hash: merkle::leaf(&bytes(event)) }
}

/// The canonical form of an event.
#[must_use]
pub fn bytes(event: &AuditEvent) -> Vec<u8> {
    let mut form = Form(Vec::with_capacity(384));
    form.0.extend_from_slice(LABEL);
    form.field(event.id.as_uuid().as_bytes());
    form.field(&event.at.unix_micros().to_be_bytes());
    form.field(event.action.as_str().as_bytes());
    form.field(event.outcome.as_str().as_bytes());
    match event.actor {
        Actor::Anonymous => form.field(b"anonymous"),
        Actor::System => form.field(b"system"),
        Actor::User(user, session) => {
            form.field(b"user");
            form.field(user.as_uuid().as_bytes());
            form.optional(session.map(|session| session.as_uuid().as_bytes().to_vec()).as_deref());
        }
    }
    form.optional(event.subject.map(|subject| subject.as_uuid().as_bytes().to_vec()).as_deref());
    form.optional(event.client.ip.map(|ip| ip.to_string()).as_deref().map(str::as_bytes));
    form.optional(event.client.user_agent.as_ref().map(|agent| agent.as_str().as_bytes()));
    form.optional(event.request_id.as_ref().map(|id| id.as_str().as_bytes()));
    form.count(event.details.len());
    for (name, value) in &event.details {
        form.field(name.as_bytes());
        form.field(value.as_bytes());
    }
    form.0
}

struct Form(Vec<u8>);

impl Form {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Absent is another thing than empty.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.0.push(0),
            Some(bytes) => {
                self.0.push(1);
                self.field(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![cfg(feature = "testkit")]

    use std::collections::HashSet;

    use super::*;
    use crate::model::{AuditAction, Client, Outcome};
    use crate::primitives::{AuditEventId, UserId};
    use crate::testkit::Fixtures;

    #[test]
    fn no_two_events_have_the_same_bytes() {
        let fixtures = Fixtures::new(1);
        let base = fixtures.event(fixtures.user().id).with("a", "b");
        let stranger = UserId::from_uuid(fixtures.user().id.as_uuid());
        let variants = [
            base.clone(),
            AuditEvent { id: AuditEventId::from_uuid(fixtures.user().id.as_uuid()), ..base.clone() },
            AuditEvent { at: base.at + std::time::Duration::from_micros(1), ..base.clone() },
            AuditEvent { action: AuditAction::Logout, ..base.clone() },
            AuditEvent { outcome: Outcome::Failure, ..base.clone() },
            AuditEvent { actor: Actor::Anonymous, ..base.clone() },
            AuditEvent { actor: Actor::User(stranger, None), ..base.clone() },
            AuditEvent { subject: None, ..base.clone() },
            AuditEvent { client: Client::default(), ..base.clone() },
            AuditEvent { request_id: None, ..base.clone() },
            base.clone().with("a", ""),
            base.clone().with("ab", ""),
            base.clone().with("", "ab"),
        ];
        let forms: HashSet<Vec<u8>> = variants.iter().map(bytes).collect();
        assert_eq!(forms.len(), variants.len());
        assert_eq!(bytes(&base), bytes(&base.clone()));
    }
}
