//! No change without its audit event, and no event without its change.

use authkit_core::model::{
    Actor, AuditAction, AuditChange, AuditEvent, Change, ChangeSet, KeyChange, Outcome as EventOutcome, RevocationReason,
    SessionChange, UserChange,
};

/// What a change set owes the audit log: one event for what it does, which says so, and none for what it does not.
pub(super) fn unaudited(changes: &ChangeSet) -> Option<String> {
    let mut events: Vec<&AuditEvent> = Vec::new();
    let mut expected = None;
    let mut begun = None;
    let mut others = 0;
    for change in changes.changes() {
        let action = match change {
            Change::Audit(AuditChange::Append(event)) => {
                events.push(event);
                continue;
            }
            Change::User(UserChange::Insert(_)) => Some(AuditAction::AccountRegistered),
            Change::User(UserChange::Close { .. }) => Some(AuditAction::AccountClosed),
            Change::User(UserChange::RaiseAuthEpoch { .. }) => Some(AuditAction::PasswordChanged),
            Change::User(UserChange::UpdateProfile { .. }) => Some(AuditAction::ProfileChanged),
            Change::Session(SessionChange::Insert { session, .. }) => {
                begun = Some(Actor::User(session.user_id, Some(session.id)));
                Some(AuditAction::Login)
            }
            Change::Session(SessionChange::Reauthenticate { .. }) => Some(AuditAction::Reauthentication),
            Change::Session(SessionChange::Revoke { reason, .. } | SessionChange::RevokeAll { reason, .. }) => match reason {
                RevocationReason::Logout => Some(AuditAction::Logout),
                RevocationReason::LogoutAll => Some(AuditAction::LogoutAll),
                RevocationReason::RevokedByUser => Some(AuditAction::SessionRevoked),
                RevocationReason::RefreshTokenReused => Some(AuditAction::RefreshTokenReused),
                _ => None,
            },
            Change::Key(KeyChange::Insert(_)) => Some(AuditAction::KeyCreated),
            Change::Key(KeyChange::Delete { .. }) => Some(AuditAction::KeyDeleted),
            _ => None,
        };
        others += 1;
        // The first change names what is done; a registration begins a session too, and is one event.
        expected = expected.or(action);
    }
    let told = |event: &AuditEvent| (event.action, event.outcome);
    match (expected, events.as_slice()) {
        (Some(action), [event]) if told(event) == (action, EventOutcome::Success) => match begun {
            Some(actor) if event.actor != actor => Some(format!("the event names {:?} and {actor:?} acted", event.actor)),
            _ => None,
        },
        (None, [event]) if others == 0 && event.outcome == EventOutcome::Failure => None,
        // What no client asks for and no audit log has to know: rows that are purged for their age.
        (None, []) if others > 0 => None,
        _ => Some(format!("the change set owes {expected:?} and has {events:?}")),
    }
}
