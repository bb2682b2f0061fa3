//! Questions to the audit log: why a request was refused, and what a user may know of what happened to her account.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::audit::reason;
use crate::flows::authenticate::Principal;
use crate::flows::authorize::{AuthorizeError, authorize};
use crate::flows::engine::{Engine, Internal};
use crate::model::{Actor, AuditAction, AuditEvent, AuditFilter, Outcome};
use crate::primitives::{AuditEventId, Page, PageLimit, PageRequest, RequestId, Timestamp, UserAgent};

/// The permission to read the log.
const READ: &str = "audit:read";

/// What the log says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Which.
    pub request_id: RequestId,
    /// What happened in it, the first first, each with what it means.
    pub events: Vec<(AuditEvent, String)>,
}

impl Explanation {
    /// What is to be said where nothing is recorded.
    pub const NOTHING: &'static str = "Nothing is recorded under this request id. Recorded are: every login that was judged, every change, \
        and every refused refresh whose token this service has issued. Of requests that a rate limit or an overload turned away the \
        first of a while is recorded for each subject, and of made-up refresh tokens a few from each network: a flood fills no log. \
        Requests that only read, and access tokens that were refused, are in the access log alone.";
}

/// Says what happened in a request, and why.
pub(crate) async fn explain(engine: &Engine, request_id: RequestId) -> Result<Explanation, Internal> {
    let filter = AuditFilter::new().request_id(request_id.clone()).oldest_first();
    let page = PageRequest { limit: PageLimit::new(PageLimit::MAX).unwrap_or_default(), cursor: None };
    let events = engine.store.audit_events(&filter, page).await?.items;
    Ok(Explanation { request_id, events: events.into_iter().map(|event| (event.clone(), reason::explain(&event))).collect() })
}

/// Reads events for somebody who may read the log.
pub(crate) async fn events_for(
    engine: &Engine,
    principal: &Principal,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditEvent>, AuthorizeError> {
    authorize(engine, principal, READ).await?;
    Ok(engine.store.audit_events(filter, page).await.map_err(Internal::from)?)
}

/// Explains a request to somebody who may read the log.
pub(crate) async fn explain_for(
    engine: &Engine,
    principal: &Principal,
    request_id: RequestId,
) -> Result<Explanation, AuthorizeError> {
    authorize(engine, principal, READ).await?;
    Ok(explain(engine, request_id).await?)
}

/// Who did something to an account, as its owner may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityActor {
    /// She herself.
    You,
    /// Somebody who was not logged in.
    Anonymous,
    /// An administrator; which one is not said.
    Administrator,
    /// The service.
    System,
}

impl SecurityActor {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::You => "you",
            Self::Anonymous => "anonymous",
            Self::Administrator => "administrator",
            Self::System => "system",
        }
    }
}

/// An event as the owner of the account may know it.
///
/// SECURITY: of an administrator neither the name nor where she sits, and of the details those alone that are listed: what is added to
/// an event later stays inside until somebody decides otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityEvent {
    /// Names it.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// How it ended.
    pub outcome: Outcome,
    /// Who.
    pub actor: SecurityActor,
    /// From which address, but for an administrator's.
    pub ip: Option<IpAddr>,
    /// With what, but for an administrator's.
    pub user_agent: Option<UserAgent>,
    /// What else she may know.
    pub details: BTreeMap<String, String>,
}

/// The details that the owner of an account is shown: nothing of the inside, and nothing of others.
const SHOWN: &[&str] = &["method", "fields", "session_id", "device_name", "revoked_reason", "email"];

/// What happened to the caller's account, the youngest first.
pub(crate) async fn security_events(
    engine: &Engine,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<SecurityEvent>, Internal> {
    let me = principal.user_id();
    let read = engine.store.audit_events(&AuditFilter::new().subject(me), page).await?;
    let shown = |event: AuditEvent| {
        let actor = match event.actor {
            // An administrator who acts as her is no other than an administrator.
            _ if event.details.keys().any(|name| name.starts_with("impersonat")) => SecurityActor::Administrator,
            Actor::User(user, _) if user == me => SecurityActor::You,
            Actor::User(..) => SecurityActor::Administrator,
            Actor::System => SecurityActor::System,
            Actor::Anonymous => SecurityActor::Anonymous,
        };
        let is_hers = actor != SecurityActor::Administrator;
        let details =
            event.details.into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str()) || name.starts_with("changed."));
        SecurityEvent {
            id: event.id,
            at: event.at,
            action: event.action,
            outcome: event.outcome,
            actor,
            ip: event.client.ip.filter(|_| is_hers),
            user_agent: event.client.user_agent.filter(|_| is_hers),
            details: details.collect(),
        }
    };
    Ok(Page { items: read.items.into_iter().map(shown).collect(), next: read.next })
}
