//! What the audit log keeps of a change of roles.

use std::collections::BTreeSet;

use crate::flows::administration::record_refusal;
use crate::flows::authorize::Authority;
use crate::flows::engine::Engine;
use crate::model::{Assignment, AuditAction, AuditEvent, Outcome, RequestContext, Role};
use crate::primitives::{RoleDescription, RoleName, Scope, Timestamp};

use super::RoleError;

/// The most bytes of one list in an audit event; what is longer is cut, with the number of the rest.
const MAX_DETAIL_BYTES: usize = 4 * 1_024;

pub(super) fn event(engine: &Engine, authority: &Authority, action: AuditAction, context: &RequestContext) -> AuditEvent {
    engine.event(authority.at(), action, Outcome::Success, context).by(authority.actor())
}

pub(super) fn granted(event: AuditEvent, role: &RoleName, scope: Option<&Scope>, end: Option<Timestamp>) -> AuditEvent {
    let event = event.with("role", role.as_str());
    let event = match scope {
        Some(scope) => event.with("scope", scope.as_str()),
        None => event,
    };
    match end {
        Some(end) => event.with("expires_at", end.to_string()),
        None => event,
    }
}

pub(super) fn end_of(assignment: &Assignment) -> String {
    assignment.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string())
}

/// An event with what differs between two forms of a role.
pub(super) fn changed(event: AuditEvent, before: &Role, after: &Role) -> AuditEvent {
    let mut event = event.with("role", before.name.as_str());
    if before.description != after.description {
        let text = |role: &Role| role.description.as_ref().map_or("", RoleDescription::as_str).to_owned();
        event = event.with("description_before", text(before)).with("description_after", text(after));
    }
    for (name, one, other) in [
        ("permissions_removed", &before.permissions, &after.permissions),
        ("permissions_added", &after.permissions, &before.permissions),
    ] {
        let difference: BTreeSet<_> = one.difference(other).cloned().collect();
        if !difference.is_empty() {
            event = event.with(name, listed(&difference));
        }
    }
    if before.inherits != after.inherits {
        event = event.with("inherits_before", listed(&before.inherits)).with("inherits_after", listed(&after.inherits));
    }
    if before.mfa_required != after.mfa_required {
        let text = |role: &Role| role.mfa_required.to_string();
        event = event.with("mfa_required_before", text(before)).with("mfa_required_after", text(after));
    }
    event
}

/// A list in an audit event.
pub(super) fn listed<T: std::fmt::Display>(items: &BTreeSet<T>) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        let item = item.to_string();
        if text.len() + item.len() > MAX_DETAIL_BYTES {
            return format!("{text} and {} more", items.len() - number);
        }
        if number > 0 {
            text.push(' ');
        }
        text.push_str(&item);
    }
    text
}

/// Records that somebody reached for more than she holds.
pub(super) async fn refuse<T>(engine: &Engine, event: AuditEvent) -> Result<T, RoleError> {
    record_refusal(engine, event, "not_held").await?;
    Err(RoleError::NotHeld)
}
