//! Everything that is held about the caller, as one document.

use std::collections::HashMap;

use authkit_core::SessionId;
use authkit_core::flows::AccountExport;
use authkit_core::model::{Actor, AuditEvent};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use super::reply::{SessionBody, UserBody};
use super::role_reply::AssignmentBody;

/// Everything that is held about the caller, as it stood at one moment.
#[derive(Debug, Object)]
#[oai(rename = "AccountExport")]
pub(super) struct ExportBody {
    /// When it was made (RFC 3339).
    exported_at: String,
    /// The account.
    account: UserBody,
    /// Its roles, those that have expired included.
    roles: Vec<AssignmentBody>,
    /// Whether it has a password. The password itself is not known here, and its hash is not handed out.
    has_password: bool,
    /// The sessions that are alive, the youngest first.
    sessions: Vec<SessionBody>,
    /// What the audit log tells of the caller, the youngest first.
    audit_events: Vec<ExportedEvent>,
    /// Whether there are more events than are here: these are the youngest.
    audit_events_cut: bool,
}

/// One event of the audit log, as the one whom it concerns sees it.
#[derive(Debug, Object)]
#[oai(rename = "ExportedEvent")]
struct ExportedEvent {
    /// Names the event.
    id: String,
    /// When (RFC 3339).
    at: String,
    /// What.
    action: String,
    /// `success` or `failure`.
    outcome: String,
    /// Who did it: `you`, `anonymous`, `system`, or `administrator`.
    actor: String,
    /// From where, where it was you or somebody who was not logged in.
    ip: Option<String>,
    /// What the client said it is, likewise.
    user_agent: Option<String>,
    /// What else is known.
    details: HashMap<String, String>,
}

impl ExportedEvent {
    fn new(event: &AuditEvent) -> Self {
        let actor = match event.actor {
            Actor::User(user, _) if Some(user) == event.subject => "you",
            Actor::User(..) => "administrator",
            Actor::System => "system",
            _ => "anonymous",
        };
        Self {
            id: event.id.to_string(),
            at: event.at.to_string(),
            action: event.action.as_str().to_owned(),
            outcome: event.outcome.as_str().to_owned(),
            actor: actor.to_owned(),
            ip: event.client.ip.map(|ip| ip.to_string()),
            user_agent: event.client.user_agent.as_ref().map(ToString::to_string),
            details: event.details.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

impl ExportBody {
    pub(super) fn new(export: &AccountExport, current: SessionId) -> Self {
        Self {
            exported_at: export.at.to_string(),
            account: UserBody::from(&export.user),
            roles: export.user.access.assignments.iter().map(AssignmentBody::own).collect(),
            has_password: export.has_password,
            sessions: export.sessions.iter().map(|session| SessionBody::new(session, session.id == current)).collect(),
            audit_events: export.events.iter().map(ExportedEvent::new).collect(),
            audit_events_cut: export.events_cut,
        }
    }
}

/// The document, to be kept as a file.
#[derive(ApiResponse)]
pub(super) enum Exported {
    /// Everything that is held about you.
    #[oai(status = 200)]
    Exported(
        Json<ExportBody>,
        /// Under which name to keep it.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}
