//! Events of the audit log as they are sent.

use std::collections::BTreeMap;

use authkit_core::Page;
use authkit_core::audit::EventRecord;
use authkit_core::flows::{Explanation, SecurityEvent};
use authkit_core::model::AuditEvent;
use poem_openapi::Object;

/// An event of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEvent")]
pub(super) struct AuditEventBody {
    /// Names it; events sort by it.
    id: String,
    /// When, RFC 3339.
    at: String,
    /// What, as in `auth.login`.
    action: String,
    /// `success` or `failure`.
    outcome: String,
    /// `anonymous`, `user` or `system`.
    actor: String,
    /// Who, where the actor is a user.
    actor_id: Option<String>,
    /// In which session, where that is known.
    actor_session_id: Option<String>,
    /// To whose account.
    subject_id: Option<String>,
    /// From which address.
    ip: Option<String>,
    /// With what.
    user_agent: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// What else is known: `reason`, and of fields that were changed `changed.<field>.from` and `changed.<field>.to`.
    details: BTreeMap<String, String>,
}

impl From<&AuditEvent> for AuditEventBody {
    fn from(event: &AuditEvent) -> Self {
        let record = EventRecord::from(event);
        Self {
            id: record.id.to_string(),
            at: record.at.to_string(),
            action: record.action.to_owned(),
            outcome: record.outcome.to_owned(),
            actor: record.actor.to_owned(),
            actor_id: record.actor_id.map(|id| id.to_string()),
            actor_session_id: record.actor_session_id.map(|id| id.to_string()),
            subject_id: record.subject_id.map(|id| id.to_string()),
            ip: record.ip,
            user_agent: record.user_agent.map(str::to_owned),
            request_id: record.request_id.map(str::to_owned),
            details: event.details.clone(),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEventPage")]
pub(super) struct AuditEventPageBody {
    /// The events, the youngest first.
    items: Vec<AuditEventBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl From<Page<AuditEvent>> for AuditEventPageBody {
    fn from(page: Page<AuditEvent>) -> Self {
        let items = page.items.iter().map(AuditEventBody::from).collect();
        Self { items, next_cursor: page.next.map(|cursor| cursor.to_string()) }
    }
}

/// An event, and what it means.
#[derive(Debug, Object)]
#[oai(rename = "ExplainedEvent")]
pub(super) struct ExplainedEventBody {
    /// What it means, in plain words.
    explanation: String,
    /// The event.
    event: AuditEventBody,
}

/// What the audit log knows of a request.
#[derive(Debug, Object)]
#[oai(rename = "Explanation")]
pub(super) struct ExplanationBody {
    /// Which.
    request_id: String,
    /// What happened in it, the first first.
    events: Vec<ExplainedEventBody>,
    /// What is recorded and what is not, where nothing was found.
    note: Option<String>,
}

impl From<Explanation> for ExplanationBody {
    fn from(found: Explanation) -> Self {
        let note = found.events.is_empty().then(|| Explanation::NOTHING.to_owned());
        let explained = |(event, explanation): &(AuditEvent, String)| ExplainedEventBody {
            explanation: explanation.clone(),
            event: AuditEventBody::from(event),
        };
        Self { request_id: found.request_id.to_string(), events: found.events.iter().map(explained).collect(), note }
    }
}

/// Something that happened to the caller's account.
#[derive(Debug, Object)]
#[oai(rename = "SecurityEvent")]
pub(super) struct SecurityEventBody {
    /// Names it.
    id: String,
    /// When, RFC 3339.
    at: String,
    /// What, as in `auth.login`.
    action: String,
    /// `success` or `failure`.
    outcome: String,
    /// `you`, `anonymous`, `administrator` or `system`.
    actor: String,
    /// From which address, but for an administrator's.
    ip: Option<String>,
    /// With what, but for an administrator's.
    user_agent: Option<String>,
    /// What else is known.
    details: BTreeMap<String, String>,
}

/// A page of what happened to the caller's account.
#[derive(Debug, Object)]
#[oai(rename = "SecurityEventPage")]
pub(super) struct SecurityEventPageBody {
    /// The events, the youngest first.
    items: Vec<SecurityEventBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl From<Page<SecurityEvent>> for SecurityEventPageBody {
    fn from(page: Page<SecurityEvent>) -> Self {
        let shown = |event: SecurityEvent| SecurityEventBody {
            id: event.id.to_string(),
            at: event.at.to_string(),
            action: event.action.as_str().to_owned(),
            outcome: event.outcome.as_str().to_owned(),
            actor: event.actor.as_str().to_owned(),
            ip: event.ip.map(|ip| ip.to_string()),
            user_agent: event.user_agent.map(|agent| agent.as_str().to_owned()),
            details: event.details,
        };
        Self { items: page.items.into_iter().map(shown).collect(), next_cursor: page.next.map(|cursor| cursor.to_string()) }
    }
}
